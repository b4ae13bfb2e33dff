/* cli_decode.c: octet decode: bytes of a model back to media. */
#include <string.h>

#include "cli/cli_codec.h"
#include "cli/options.h"

static const option_usage usage = {
    "IN [-o OUT] [--to FORMAT] [--raw --codec NAME --rate HZ --channels N ...]",
    "Turns what octet encode wrote back into audio, an image, or with the codecs raw, text and\n"
    "records into the bytes. The format is that of OUT's suffix (wav, aiff, au, flac, ogg, pcm;\n"
    "png, ppm, pgm), else the source's if it is lossless, else WAV or PNM. IN \"-\" is standard\n"
    "input.",
    "  octet decode clip.pcm16 -o clip.flac\n"
    "  octet decode clip.pcm16 | aplay\n"
    "  octet decode pixels --raw --codec image --width 64 --height 64 --channels 3 -o photo.png\n"
    "  octet decode samples --raw --codec mulaw8 --rate 8000 --channels 1 -o call.wav",
};

typedef struct decode_options {
    const char *out, *to, *codec;
    int64_t rate_hz, channels, width, height, block, record_bytes, patch;
    int raw;
} decode_options;

/* The format that was asked for; NULL: the source's. */
static const char *wanted_format(const octet_media *m, const decode_options *o) {
    int to_stdout = !strcmp(o->out, "-");
    if (o->to || !(m->rate_hz || m->width))
        return o->to;
    return !to_stdout ? cli_suffix_format(o->out) : m->rate_hz ? "wav" : NULL;
}

/* What the bytes are, by the header or by the options, and where they begin. */
static octet_status describe(octet_media *m, size_t *begin, const octet_bytes *file,
                             const char *path, const decode_options *o, octet_error *error) {
    *begin = o->raw ? 0 : OCTET_MEDIA_HEADER;
    const octet_encode_params p = {.codec = o->codec,
                                   .rate_hz = (int)o->rate_hz,
                                   .channels = (int)o->channels,
                                   .width = (int)o->width,
                                   .height = (int)o->height,
                                   .block = (int)o->block,
                                   .record_bytes = (int)o->record_bytes,
                                   .patch = (int)o->patch};
    return o->raw ? octet_media_describe_as(m, &p, file->size, error)
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
    status = octet_decode_memory(&data, &size, &m, file->size > begin ? file->data + begin : NULL,
                                 wanted_format(&m, o), &error);
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
         .words = "wav|aiff|au|flac|ogg|pcm|png|pnm|ppm|pgm",
         .argument = "FORMAT",
         .help = "wav, aiff, au, flac, ogg (Vorbis), or pcm: 16-bit little-endian samples alone;\n"
                 "of an image png, or pnm: ppm or pgm"},
        {.name = "raw",
         .kind = OPTION_FLAG,
         .value = &o->raw,
         .help = "IN has no header; needs --codec, and --rate and --channels of audio, --width,\n"
                 "--height and --channels of an image, --record-bytes of records"},
        {.name = "codec",
         .kind = OPTION_PATH,
         .value = &o->codec,
         .argument = "NAME",
         .help = "pcm16, pcm8, mulaw8, image, records, raw or text"},
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
         .help = "samples of a frame or pixel"},
        {.name = "width",
         .kind = OPTION_INTEGER,
         .value = &o->width,
         .min = 1,
         .max = OCTET_IMAGE_SIDE,
         .argument = "N",
         .help = "pixels of a row"},
        {.name = "height",
         .kind = OPTION_INTEGER,
         .value = &o->height,
         .min = 1,
         .max = OCTET_IMAGE_SIDE,
         .argument = "N",
         .help = "rows"},
        {.name = "block",
         .kind = OPTION_INTEGER,
         .value = &o->block,
         .min = 1,
         .max = OCTET_BLOCK_SIDE,
         .argument = "N",
         .help = "the pixels are in blocks of N x N, not in rows (default: 1)"},
        {.name = "record-bytes",
         .kind = OPTION_INTEGER,
         .value = &o->record_bytes,
         .min = 1,
         .max = OCTET_RECORD_BYTES,
         .argument = "N",
         .help = "the size of a record"},
        {.name = "patch",
         .kind = OPTION_INTEGER,
         .value = &o->patch,
         .min = 1,
         .max = 65535,
         .argument = "N",
         .help = "records are filled up to whole patches of N bytes (default: 1)"},
    };
    return options_parse(c, &usage, table, sizeof table / sizeof *table, argc, argv);
}

/* The first option that says what a header would; NULL: none. */
static const char *given_for_raw(const decode_options *o) {
    return o->codec          ? "--codec"
           : o->rate_hz      ? "--rate"
           : o->channels     ? "--channels"
           : o->width        ? "--width"
           : o->height       ? "--height"
           : o->block        ? "--block"
           : o->record_bytes ? "--record-bytes"
           : o->patch        ? "--patch"
                             : NULL;
}

int cli_decode(cli *c, int argc, char **argv) {
    decode_options o = {.out = "-"};
    octet_bytes file = {0};
    octet_error error = {0};
    const char *given;
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
    if (!o.raw && (given = given_for_raw(&o))) {
        cli_error(c, "%s: only with --raw, the header says it", given);
        return 1;
    }
    if (octet_bytes_open(&file, argv[0], &error))
        return cli_fail(c, &error);
    code = decode(c, strcmp(argv[0], "-") ? argv[0] : "standard input", &file, &o);
    octet_bytes_close(&file);
    return code;
}
