/* cli_encode.c: octet encode: media to the bytes that a model reads. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_codec.h"
#include "cli/options.h"

static const option_usage usage = {
    "IN [-o OUT] [--codec NAME] [--rate HZ] [--channels N] [--raw]",
    "Turns audio (WAV, AIFF, AU, FLAC, Ogg Vorbis, Opus, MP3) into bytes: pcm16, pcm8 or mulaw8,\n"
    "channels interleaved. With --codec raw or text, any file is its bytes. A header of 64 bytes\n"
    "says what they are. What is lost is said. IN \"-\" is standard input.",
    "  octet encode clip.flac -o clip.pcm16\n"
    "  octet encode song.mp3 --codec mulaw8 --rate 16000 --channels 1 -o song.mulaw8\n"
    "  sox clip.flac -t wav - | octet encode - --raw > samples",
};

static void remark_guard(cli *c, const char *path, octet_guard guard) {
    if (guard == OCTET_GUARD_NONE)
        cli_remark(c, "%s: decoded in this process, without a sandbox", path);
    if (guard == OCTET_GUARD_PROCESS)
        cli_remark(c, "%s: decoded without a filter of system calls, which this kernel lacks",
                   path);
}

static const char *guard_name(octet_guard guard) {
    return guard == OCTET_GUARD_FILTER    ? "filter"
           : guard == OCTET_GUARD_PROCESS ? "process"
                                          : "none";
}

static json_t *losses_json(const octet_losses *l) {
    return json_pack("{s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:i}", "clipped", (json_int_t)l->clipped,
                     "rounded", (json_int_t)l->rounded, "source_bits", (int)l->source_bits,
                     "codec_bits", (int)l->codec_bits, "rate_from", (int)l->rate_from, "rate_to",
                     (int)l->rate_to, "channels_from", (int)l->channels_from, "channels_to",
                     (int)l->channels_to);
}

/* The result, where the bytes did not go to standard output themselves. */
static void report(cli *c, const char *path, const octet_encoded *e) {
    const octet_media *m = &e->media;
    output *out = &c->out;
    if (c->json) {
        cli_json_print(c, out,
                       json_pack("{s:o, s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:b, s:s, s:o}", "path",
                                 cli_json_text(path), "codec", m->codec, "container", m->container,
                                 "samples", m->samples, "rate_hz", (int)m->rate_hz, "channels",
                                 (int)m->channels, "frames", (json_int_t)m->frames, "bytes",
                                 (json_int_t)e->size, "lossless", (int)m->lossless, "sandbox",
                                 guard_name(e->guard), "losses", losses_json(&e->losses)));
        return;
    }
    output_print(out, "%s, ", m->codec);
    if (m->rate_hz)
        output_print(out, "%d Hz, %d channel%s, %lld frame%s (%.3f s), ", m->rate_hz, m->channels,
                     cli_plural(m->channels), (long long)m->frames, cli_plural(m->frames),
                     (double)m->frames / m->rate_hz);
    output_print(out, "%lld byte%s, %s  ", (long long)e->size, cli_plural((int64_t)e->size),
                 m->lossless ? "lossless" : "lossy");
    output_plain(out, path);
    output_print(out, "\n");
}

static int write_encoded(cli *c, const char *path, const octet_encoded *e, int raw) {
    uint8_t header[OCTET_MEDIA_HEADER];
    octet_media_write(header, &e->media);
    const cli_part parts[] = {{header, raw ? 0 : sizeof header}, {e->bytes, e->size}};
    return cli_write_file(c, path, parts, 2);
}

int cli_encode(cli *c, int argc, char **argv) {
    octet_encode_params p = {0};
    const char *out = "-";
    int64_t rate_hz = 0, channels = 0;
    int raw = 0;
    option table[] = {
        {.name = "out",
         .letter = 'o',
         .kind = OPTION_PATH,
         .value = &out,
         .argument = "FILE",
         .help = "write there; \"-\" is standard output (default)"},
        {.name = "codec",
         .kind = OPTION_PATH,
         .value = &p.codec,
         .argument = "NAME",
         .help = "pcm16 (default), pcm8, mulaw8, raw or text; \"list\" explains them"},
        {.name = "rate",
         .kind = OPTION_INTEGER,
         .value = &rate_hz,
         .min = OCTET_MEDIA_RATE_MIN,
         .max = OCTET_MEDIA_RATE_MAX,
         .argument = "HZ",
         .help = "resample (default: the file's rate)"},
        {.name = "channels",
         .kind = OPTION_INTEGER,
         .value = &channels,
         .min = 1,
         .max = OCTET_MEDIA_CHANNELS,
         .argument = "N",
         .help = "1: the average of all; more: copies of a single one"},
        {.name = "max-seconds",
         .kind = OPTION_REAL,
         .value = &p.max_seconds,
         .min = 1,
         .max = 1e9,
         .argument = "S",
         .help = "refuse longer audio (default: 3600)"},
        {.name = "raw", .kind = OPTION_FLAG, .value = &raw, .help = "no header"},
        {.name = "no-sandbox",
         .kind = OPTION_FLAG,
         .value = &p.no_sandbox,
         .help = "decode in this process, not in one that can do nothing else"},
    };
    octet_encoded encoded;
    octet_error error = {0};
    int code = options_parse(c, &usage, table, sizeof table / sizeof *table, &argc, argv);
    if (code >= 0)
        return code;
    if (p.codec && !strcmp(p.codec, "list"))
        return cli_list_codecs(c);
    code = cli_check_files(c, argc, out);
    if (code)
        return code;
    p.rate_hz = (int)rate_hz;
    p.channels = (int)channels;
    if (octet_encode_file(&encoded, argv[0], &p, &error))
        return cli_fail(c, &error);
    if (encoded.media.rate_hz) {
        remark_guard(c, argv[0], encoded.guard);
        cli_remark_losses(c, argv[0], &encoded.losses,
                          encoded.media.frames * encoded.media.channels);
    }
    code = write_encoded(c, out, &encoded, raw);
    if (!code && strcmp(out, "-") != 0)
        report(c, out, &encoded);
    octet_encoded_free(&encoded);
    return code;
}
