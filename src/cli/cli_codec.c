/* cli_codec.c: see cli_codec.h. */
#include "cli/cli_codec.h"

#include <string.h>
#include <strings.h>

#include "cli/signals.h"

#define PIECE ((size_t)1 << 20) /* bytes written between looks at the signals */

static void visit(void *context, const char *name, const char *about) {
    cli *c = context;
    output_print(&c->out, "%-8s %s\n", name, about);
}

int cli_list_codecs(cli *c) {
    octet_codecs_list(visit, c);
    return 0;
}

int cli_check_files(cli *c, int n_operands, const char *out) {
    if (n_operands != 1) {
        cli_error(c, "needs one file, not %d (\"-\" is standard input)", n_operands);
        return 1;
    }
    if (strcmp(out, "-") != 0)
        return 0;
    if (c->json) {
        cli_error(c, "--json: needs -o FILE, standard output takes the bytes");
        return 1;
    }
    if (c->out.is_terminal) {
        cli_error(c, "standard output is a terminal; -o names a file for the bytes");
        return 1;
    }
    return 0;
}

int cli_write_file(cli *c, const char *path, const cli_part *parts, int n) {
    output file;
    int is_file = strcmp(path, "-") != 0;
    signals_defer();
    if (is_file && output_open(&file, path))
        return cli_finish(c, &file, 1);
    output *out = is_file ? &file : &c->out;
    for (int i = 0; i < n; i++)
        for (size_t at = 0; at < parts[i].size && !out->error && !signals_caught(); at += PIECE) {
            size_t left = parts[i].size - at;
            output_write(out, (const char *)parts[i].data + at, left < PIECE ? left : PIECE);
        }
    int code = signals_caught() ? cli_exit_code(OCTET_STOPPED) : 0;
    if (!is_file)
        return code;
    output_close(out, code == 0);
    return cli_finish(c, out, code);
}

const char *cli_suffix_format(const char *path) {
    static const struct {
        const char *suffix, *format;
    } known[] = {{".wav", "wav"}, {".wave", "wav"}, {".aiff", "aiff"}, {".aif", "aiff"},
                 {".au", "au"},   {".snd", "au"},   {".flac", "flac"}, {".ogg", "ogg"},
                 {".oga", "ogg"}, {".pcm", "pcm"},  {".mp3", "mp3"},   {".opus", "opus"},
                 {".png", "png"}, {".ppm", "ppm"},  {".pgm", "pgm"},   {".pnm", "pnm"}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(dot, known[i].suffix))
            return known[i].format;
    return NULL;
}

const char *cli_plural(int64_t n) {
    return n == 1 ? "" : "s";
}

void cli_remark_losses(cli *c, const char *path, const octet_losses *l, int64_t samples) {
    if (l->rate_from != l->rate_to)
        cli_remark(c, "%s: resampled from %d to %d Hz", path, l->rate_from, l->rate_to);
    if (l->transparent)
        cli_remark(c, "%s: %lld pixel%s made opaque", path, (long long)l->transparent,
                   cli_plural(l->transparent));
    if (l->channels_from > l->channels_to)
        cli_remark(c, "%s: %d channels averaged", path, l->channels_from);
    if (l->channels_from < l->channels_to)
        cli_remark(c, "%s: one channel copied to %d", path, l->channels_to);
    if (l->source_bits > l->codec_bits && l->codec_bits)
        cli_remark(c, "%s: %d-bit samples rounded to %d bits", path, l->source_bits, l->codec_bits);
    if (l->rounded)
        cli_remark(c, "%s: %lld sample%s of %lld rounded", path, (long long)l->rounded,
                   cli_plural(l->rounded), (long long)samples);
    if (l->clipped)
        cli_remark(c, "%s: %lld sample%s clipped", path, (long long)l->clipped,
                   cli_plural(l->clipped));
}
