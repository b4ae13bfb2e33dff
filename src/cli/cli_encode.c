/* cli_encode.c: octet encode: media to the bytes that a model reads. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_codec.h"
#include "cli/options.h"

static const option_usage usage = {
    "IN [-o OUT] [--codec NAME] [--rate HZ] [--channels N] [--block N] [--raw]",
    "Turns audio (WAV, AIFF, AU, FLAC, Ogg Vorbis, Opus, MP3) into bytes: pcm16, pcm8 or mulaw8,\n"
    "channels interleaved; and images (PNG, PNM) into their pixels. With --codec raw or text, any\n"
    "file is its bytes, with --codec records filled up to whole patches. A header of 64 bytes\n"
    "says what they are. What is lost is said. IN \"-\" is standard input.",
    "  octet encode clip.flac -o clip.pcm16\n"
    "  octet encode song.mp3 --codec mulaw8 --rate 16000 --channels 1 -o song.mulaw8\n"
    "  octet encode photo.png --block 8 -o photo.image\n"
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

static json_t *encoded_json(const char *path, const octet_encoded *e) {
    const octet_media *m = &e->media;
    json_t *value =
        json_pack("{s:o, s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:b, s:s, s:o}", "path",
                  cli_json_text(path), "codec", m->codec, "container", m->container, "samples",
                  m->samples, "rate_hz", (int)m->rate_hz, "channels", (int)m->channels, "frames",
                  (json_int_t)m->frames, "bytes", (json_int_t)e->size, "lossless", (int)m->lossless,
                  "sandbox", guard_name(e->guard), "losses", losses_json(&e->losses));
    json_t *more =
        m->width ? json_pack("{s:i, s:i, s:I}", "width", (int)m->width, "block", (int)m->block,
                             "transparent", (json_int_t)e->losses.transparent)
        : m->record_bytes ? json_pack("{s:i, s:i, s:i}", "record_bytes", (int)m->record_bytes,
                                      "patch", (int)m->patch, "filler", (int)m->filler)
                          : json_object();
    if (!value || !more || json_object_update(value, more)) {
        json_decref(value);
        value = NULL;
    }
    json_decref(more);
    return value;
}

/* The result, where the bytes did not go to standard output themselves. */
static void report(cli *c, const char *path, const octet_encoded *e) {
    const octet_media *m = &e->media;
    output *out = &c->out;
    if (c->json) {
        cli_json_print(c, out, encoded_json(path, e));
        return;
    }
    output_print(out, "%s, ", m->codec);
    if (m->rate_hz)
        output_print(out, "%d Hz, %d channel%s, %lld frame%s (%.3f s), ", m->rate_hz, m->channels,
                     cli_plural(m->channels), (long long)m->frames, cli_plural(m->frames),
                     (double)m->frames / m->rate_hz);
    if (m->width)
        output_print(out, "%d x %lld pixels, %d channel%s, ", m->width,
                     (long long)(m->frames / m->width), m->channels, cli_plural(m->channels));
    if (m->block > 1)
        output_print(out, "blocks of %d x %d, ", m->block, m->block);
    if (m->record_bytes)
        output_print(out, "%lld bytes in records of %d and patches of %d, ", (long long)m->frames,
                     m->record_bytes, m->patch);
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
    int64_t rate_hz = 0, channels = 0, block = 0, record_bytes = 0, patch = 0, filler = 0;
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
         .help = "pcm16 (default of audio), pcm8, mulaw8, image (default of images), records, raw\n"
                 "or text; \"list\" explains them"},
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
        {.name = "block",
         .kind = OPTION_INTEGER,
         .value = &block,
         .min = 1,
         .max = OCTET_BLOCK_SIDE,
         .argument = "N",
         .help = "of an image: blocks of N x N pixels follow each other, not rows (default: 1)"},
        {.name = "record-bytes",
         .kind = OPTION_INTEGER,
         .value = &record_bytes,
         .min = 1,
         .max = OCTET_RECORD_BYTES,
         .argument = "N",
         .help = "of records: the size of one"},
        {.name = "patch",
         .kind = OPTION_INTEGER,
         .value = &patch,
         .min = 1,
         .max = 65535,
         .argument = "N",
         .help = "of records: each is filled up to whole patches of N bytes (default: 1)"},
        {.name = "filler",
         .kind = OPTION_INTEGER,
         .value = &filler,
         .min = 0,
         .max = 255,
         .argument = "BYTE",
         .help = "of records: what fills up (default: 0)"},
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
    p.block = (int)block;
    p.record_bytes = (int)record_bytes;
    p.patch = (int)patch;
    p.filler = (int)filler;
    if (octet_encode_file(&encoded, argv[0], &p, &error))
        return cli_fail(c, &error);
    if (encoded.media.rate_hz || encoded.media.width) {
        if (strcmp(encoded.media.container, "pgm") && strcmp(encoded.media.container, "ppm"))
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
