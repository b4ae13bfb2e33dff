/* presets.c: see presets.h.
 *
 * Where a row of the paper's table is silent, its experiment's main row speaks. Where we part from
 * the paper:
 * - A width must be a multiple of the patch in bytes. 2560 and 2048 are none of 12: the nearest
 *   multiple, 2556 and 2052, keeps the paper's heads of 80 and 64.
 * - init_scale makes the outermost level's matrices start with the paper's spread of 0.006; other
 *   widths start a little off, and values are cut at 3 spreads instead of 2.
 * - Cross-patch attention is on where the paper has it. How many rows of the patch before are seen
 *   it does not say: here the whole patch. Its rotary positions between the rows of two patches are
 *   left out: positions are learned, by a row's place in its own patch.
 * - A level without layers stands for the one that an ablation leaves out: a patch then hands on
 *   the embeddings of the one before, or a byte what the level above says.
 * - Dropout falls on what each part adds to the residual stream, not on attention's weights.
 * - Names end in -no-... and -cnn for the paper's ablations, in -flat for its byte transformers. */
#include "model/presets.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct preset_level {
    int dim, heads, head_size, layers, patch; /* patch 0: the last level */
} preset_level;

/* Parts that not all models have: cross-patch attention, the convolutional encoder. */
enum { CROSS = 1, ENCODER = 2 };

typedef struct preset {
    const char *name, *about;
    int context, batch;
    double lr;
    unsigned parts;
    preset_level level[2];
} preset;

/* dim, heads, head_size */
#define W768 768, 12, 64
#define W1024 1024, 16, 64
#define W1536 1536, 16, 96
#define W2048 2048, 32, 64
#define W2052 2052, 32, 64
#define W2556 2556, 32, 80
#define W2560 2560, 32, 80

static const preset presets[] = {
    /* text: one setting for all sets */
    {"text", "MegaByte 758M + 262M", 8192, 48, 2e-4, CROSS, {{W2048, 14, 8}, {W1024, 18, 0}}},
    {"text-no-local", "global 2.3B alone", 8192, 48, 1.5e-4, 0, {{W2560, 20, 4}, {W1024, 0, 0}}},
    {"text-no-global", "local 350M alone", 8192, 192, 2e-4, CROSS, {{W2048, 0, 8}, {W1024, 24, 0}}},
    {"text-no-cross", "921M + 350M", 8192, 48, 2e-4, 0, {{W2048, 17, 8}, {W1024, 24, 0}}},
    {"text-cnn", "704M + 262M", 8192, 48, 2e-4, CROSS | ENCODER, {{W2048, 13, 8}, {W1024, 18, 0}}},
    {"text-flat", "transformer 320M", 1024, 72, 2e-4, 0, {{W1024, 22, 0}}},
    /* ImageNet64: the best model, and at equal compute */
    {"image64", "MegaByte 2.7B + 350M", 12288, 2, 2e-4, CROSS, {{W2556, 32, 12}, {W1024, 24, 0}}},
    {"image64-equal",
     "MegaByte 1.3B + 1.3B",
     12288,
     256,
     3e-4,
     CROSS,
     {{W2052, 24, 12}, {W2048, 24, 0}}},
    {"image64-flat", "transformer 760M", 2048, 256, 3e-4, 0, {{W1536, 24, 0}}},
    /* ImageNet256 */
    {"image256", "MegaByte 125M + 125M", 196608, 16, 2e-4, CROSS, {{W768, 12, 192}, {W768, 12, 0}}},
    {"image256-no-cross", "125M + 156M", 196608, 16, 2e-4, 0, {{W768, 12, 192}, {W768, 15, 0}}},
    {"image256-flat", "transformer 62M", 1024, 16, 2e-4, 0, {{W768, 6, 0}}},
    /* ImageNet640 */
    {"image640", "MegaByte 125M + 83M", 1228800, 32, 3e-4, CROSS, {{W768, 12, 192}, {W768, 8, 0}}},
    {"image640-flat", "transformer 83M", 1024, 32, 3e-4, 0, {{W768, 8, 0}}},
    /* audio, 16 bits raw */
    {"audio", "MegaByte 350M + 125M", 524288, 256, 2e-4, CROSS, {{W1024, 24, 32}, {W768, 12, 0}}},
    {"audio-no-cross", "350M + 146M", 524288, 256, 2e-4, 0, {{W1024, 24, 32}, {W768, 14, 0}}},
    {"audio-flat", "transformer 135M", 1024, 256, 2e-4, 0, {{W768, 13, 0}}},
};

enum { PRESETS = sizeof presets / sizeof *presets };

const char *preset_name(int index, const char **about) {
    if (index < 0 || index >= PRESETS)
        return NULL;
    *about = presets[index].about;
    return presets[index].name;
}

/* Appends; `used` stays below PRESET_TEXT. */
static void put(char *out, size_t *used, const char *format, ...) ERROR_FORMAT(3, 4);

static void put(char *out, size_t *used, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(out + *used, PRESET_TEXT - *used, format, arguments);
    va_end(arguments);
    if (n > 0)
        *used += (size_t)n < PRESET_TEXT - *used ? (size_t)n : PRESET_TEXT - *used - 1;
}

static void put_level(char *out, size_t *used, const preset *p, int level) {
    const preset_level *l = &p->level[level];
    put(out, used, "        {\"dim\": %d, \"layers\": %d, \"heads\": %d", l->dim, l->layers,
        l->heads);
    if (l->head_size * l->heads != l->dim)
        put(out, used, ", \"head_size\": %d", l->head_size);
    if (l->patch)
        put(out, used, ", \"patch\": %d", l->patch);
    if (level && (p->parts & CROSS))
        put(out, used, ", \"cross_patch\": %d", l[-1].patch);
    if (!level && (p->parts & ENCODER))
        put(out, used, ", \"conv_encoder\": true");
    put(out, used,
        ",\n         \"norm\": \"layer\", \"bias\": true, \"mlp\": \"relu\", \"positions\": "
        "\"learned\",\n         \"dropout\": 0.1, \"qk_norm\": false, \"zero_init\": false}%s\n",
        l->patch ? "," : "");
}

octet_status preset_text(char out[PRESET_TEXT], const char *name, octet_error *error) {
    const preset *p = presets;
    size_t used = 0;
    while (p < presets + PRESETS && strcmp(p->name, name))
        p++;
    if (p == presets + PRESETS)
        return error_set(error, OCTET_ERROR, "%.64s: no preset of that name", name);
    put(out, &used, "{\n    \"context\": %d,\n    \"init_scale\": %.2g,\n    \"levels\": [\n",
        p->context, 0.006 * sqrt(p->level[0].dim));
    put_level(out, &used, p, 0);
    if (p->level[0].patch)
        put_level(out, &used, p, 1);
    put(out, &used,
        "    ],\n    \"train\": {\"optimizer\": \"adamw\", \"batch\": %d, \"lr\": %g, \"warmup\": "
        "500,\n              \"decay\": 1, \"weight_decay\": 0.1, \"beta1\": 0.9, \"beta2\": 0.98, "
        "\"mean\": 0}\n}\n",
        p->batch, p->lr);
    return OCTET_OK;
}
