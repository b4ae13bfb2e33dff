/* cli_decode.c: octet decode: bytes of a model back to media. */
#include <string.h>

#include "cli/cli_codec.h"
#include "cli/options.h"

static const option_usage usage = {
    "IN [-o OUT] [--to FORMAT] [--raw --codec NAME --rate HZ --channels N]",
    "Turns what octet encode wrote back into audio, or with the codecs raw and text into the "
    "bytes.\n"
    "The format is that of OUT's suffix (wav, aiff, au, flac, ogg, pcm), else the source's if it "
    "is\n"
    "lossless, else WAV. IN \"-\" is standard input.",
    "  octet decode clip.pcm16 -o clip.flac\n"
    "  octet decode clip.pcm16 | aplay\n"
    "  octet decode samples --raw --codec mulaw8 --rate 8000 --channels 1 -o call.wav",
};

typedef struct decode_options {
    const char *out, *to, *codec;
    int64_t rate_hz, channels;
    int raw;
} decode_options;

static int has_samples(const octet_media *m) {
    return m->rate_hz != 0;
}

/* What the bytes are, by the header or by the options, and where they begin. */
static octet_status describe(octet_media *m, size_t *begin, const octet_bytes *file,
                             const char *path, const decode_options *o, octet_error *error) {
    *begin = o->raw ? 0 : OCTET_MEDIA_HEADER;
    return o->raw ? octet_media_describe(m, o->codec, (int)o->rate_hz, (int)o->channels, file->size,
                                         error)
                  : octet_media_read(m, file->data, file->size, path, error);
}

static int decode(cli *c, const char *path, const octet_bytes *file, const decode_options *o) {
    octet_media m;
    octet_error error = {0};
    size_t begin, size;
    uint8_t *data;
    octet_status status = describe(&m, &begin, file, path, o, &error);
    if (status)
        return cli_fail(c, &error);
    const char *to = o->to;
    if (!to && has_samples(&m))
        to = strcmp(o->out, "-") ? cli_suffix_format(o->out) : "wav";
    status = octet_decode_memory(&data, &size, &m, file->size > begin ? file->data + begin : NULL,
                                 to, &error);
    if (status)
        return cli_fail(c, &error);
    const cli_part part = {data, size};
    int code = cli_write_file(c, o->out, &part, 1);
    octet_decoded_free(data);
    if (!code && c->json)
        cli_json_print(c, &c->out,
                       json_pack("{s:o, s:s, s:i, s:i, s:I, s:I}", "path", cli_json_text(o->out),
                                 "codec", m.codec, "rate_hz", (int)m.rate_hz, "channels",
                                 (int)m.channels, "frames", (json_int_t)m.frames, "bytes",
                                 (json_int_t)size));
    return code;
}

static int parse(cli *c, decode_options *o, int *argc, char **argv) {
    option table[] = {
        {.name = "out",
         .letter = 'o',
         .kind = OPTION_PATH,
         .value = &o->out,
         .argument = "FILE",
         .help = "write there; \"-\" is standard output (default, as WAV)"},
        {.name = "to",
         .kind = OPTION_WORD,
         .value = &o->to,
         .words = "wav|aiff|au|flac|ogg|pcm",
         .argument = "FORMAT",
         .help = "wav, aiff, au, flac, ogg (Vorbis), or pcm: 16-bit little-endian samples alone"},
        {.name = "raw",
         .kind = OPTION_FLAG,
         .value = &o->raw,
         .help = "IN has no header; needs --codec, and --rate and --channels of audio"},
        {.name = "codec",
         .kind = OPTION_PATH,
         .value = &o->codec,
         .argument = "NAME",
         .help = "pcm16, pcm8, mulaw8, raw or text"},
        {.name = "rate",
         .kind = OPTION_INTEGER,
         .value = &o->rate_hz,
         .min = OCTET_MEDIA_RATE_MIN,
         .max = OCTET_MEDIA_RATE_MAX,
         .argument = "HZ",
         .help = "frames a second"},
        {.name = "channels",
         .kind = OPTION_INTEGER,
         .value = &o->channels,
         .min = 1,
         .max = OCTET_MEDIA_CHANNELS,
         .argument = "N",
         .help = "samples of a frame"},
    };
    return options_parse(c, &usage, table, sizeof table / sizeof *table, argc, argv);
}

int cli_decode(cli *c, int argc, char **argv) {
    decode_options o = {.out = "-"};
    octet_bytes file = {0};
    octet_error error = {0};
    int code = parse(c, &o, &argc, argv);
    if (code >= 0)
        return code;
    code = cli_check_files(c, argc, o.out);
    if (code)
        return code;
    if (o.raw && !o.codec) {
        cli_error(c, "--raw: needs --codec, and --rate and --channels of audio");
        return 1;
    }
    if (!o.raw && (o.codec || o.rate_hz || o.channels)) {
        cli_error(c, "%s: only with --raw, the header says it",
                  o.codec     ? "--codec"
                  : o.rate_hz ? "--rate"
                              : "--channels");
        return 1;
    }
    if (octet_bytes_open(&file, argv[0], &error))
        return cli_fail(c, &error);
    code = decode(c, strcmp(argv[0], "-") ? argv[0] : "standard input", &file, &o);
    octet_bytes_close(&file);
    return code;
}
