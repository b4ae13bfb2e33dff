/* config.h: a model's configuration: strict JSON in, a checked struct out, normalised JSON back.
 *
 * Unknown key, wrong type, duplicate, value out of range, sizes that do not divide: an error that
 * names the key, its place and both values. See README for every key and its default. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CONFIG_MAX_LEVELS 8
#define CONFIG_MAX_LAYERS 256

/* A number for each layer of a level, or the index of a name. JSON: one, or an array of at most as
 * many as there are layers, which repeats. Kept as the shortest list that repeats to the same. */
typedef struct config_list {
    int32_t n, value[CONFIG_MAX_LAYERS];
} config_list;

typedef enum config_positions {
    POSITIONS_LEARNED,
    POSITIONS_ROPE,
    POSITIONS_NONE,
    POSITIONS_ALIBI, /* scores fall with the distance of their rows, by a slope for each head */
    POSITIONS_LEARNED_ROPE /* "learned-rope": both */
} config_positions;
typedef enum config_mlp {
    MLP_RELU,      /* "relu": the paper's */
    MLP_RELU2,     /* "relu2" */
    MLP_GELU,      /* "gelu": by erf */
    MLP_GELU_TANH, /* "gelu-tanh" */
    MLP_SWIGLU,    /* "swiglu": silu(x W1) * (x W3), then W2 */
    /* "leaky-relu2": max(x, x / 2)^2 */
    MLP_LEAKY_RELU2
} config_mlp;
typedef enum config_norm { CONFIG_NORM_RMS, CONFIG_NORM_LAYER } config_norm;
typedef enum config_embedder {
    EMBEDDER_CONCAT, /* "concat": the bytes of a unit are embedded in dim / unit and put side by
                        side */
    EMBEDDER_NORMED, /* "normed": embedded in the width of the last level, side by side, then layer
                        norm, a linear layer to dim, layer norm */
    EMBEDDER_ONE_HOT /* "one-hot": every place in the unit has a table of width dim; their sum */
} config_embedder;
typedef enum config_split {
    SPLIT_SLICES, /* "slices": dim is cut into patch slices, and one matrix takes each to the next
                     dim */
    SPLIT_FULL    /* "full": one matrix with a bias takes dim to patch times the next dim */
} config_split;
/* Which rows the levels have, see row_plan.h. */
typedef enum config_rows {
    LAYOUT_PAPER,      /* "paper": MegaByte (Yu et al. 2023) */
    LAYOUT_LUCIDRAINS, /* "lucidrains": MEGABYTE-pytorch: every sequence begins with a start row,
                          and a unit hangs on the level above by its own slice */
    LAYOUT_BGPT        /* "bgpt": bGPT (Wu et al. 2024): the output of the level above is the first
                          row, and the stream's first patch is given */
} config_rows;

/* One level, outermost first. Keys of the JSON object in the comments, with defaults. */
typedef struct config_level {
    int64_t dim;      /* "dim": width of the level, 4 to 16,384; required */
    int64_t layers;   /* "layers": 0 to 256; required */
    int64_t heads;    /* "heads": 1 to 256; required */
    int64_t kv_heads; /* "kv_heads": divides heads; default heads */
    int64_t
        head_size; /* "head_size": even, 2 to 512; default dim / heads, which must then be whole */
    int64_t patch; /* "patch": units of the next level in one of this, 2 to 1,024; required except
                      at the last level, where it is refused and kept as 1 */
    int64_t mlp_width;   /* "mlp_width": hidden width, 1 to 65,536; default 4 dim (swiglu: 8/3 dim,
                            rounded up to a multiple of 16) */
    int64_t cross_patch; /* "cross_patch": rows of the groups before its own that a row sees, 0 (the
                            default) to the group's size; 0 at the outermost level. Rotary positions
                            then run on through the window instead of starting in every group */
    config_list window;  /* "window": rows that attention sees, its own included; 0: all (default);
                            up to 2^24 */
    config_list block_local; /* "block_local": rows are cut into blocks at multiples of this, and a
                                row sees its own block only; 0: not (default); up to 2^24 */
    int64_t sinks;    /* "sinks": first rows of the sequence that a row sees beside its window or
                         block, 0 (default) to 1,024; 0 below the outermost level */
    config_mlp mlp;   /* "mlp"; default "relu2" */
    config_norm norm; /* "norm": "rms" (default) or "layer" */
    int bias;         /* "bias": biases in linear layers and layer norms; default false */
    config_positions positions; /* "positions": "learned", "rope" (default), "none", "alibi" */
    double rope_base;           /* "rope_base": 10000; above 1, at most 1e9 */
    double rope_scale; /* "rope_scale": rotary positions are divided by it; 1 (default) to 1e6 */
    int qk_norm;   /* "qk_norm": RMSNorm of queries and keys per head with a gain per head; default
                      true */
    int zero_init; /* "zero_init": output projections start at 0; default true */
    int ngrams;    /* "ngrams": array of n, ascending, 2 to 8: embeddings of the n bytes that end at
                      each byte are added to its own; bit n stands for n; default [] */
    int64_t ngram_rows;  /* "ngram_rows": of the table of an n above 2, 1 to 2^24; 16,384 */
    int64_t ngram_width; /* "ngram_width": of the tables, 1 to 1,024; 32 */
    int conv_encoder;    /* "conv_encoder": convolutions over the embedded bytes before they are cut
                            into units; default false, refused at the last level */
    config_list mixer;   /* "mixer": names, kept as indices for mixer_at; default "attention" */
    int x0_mix; /* "x0_mix": before each block x becomes a x + c x0, x0 the level's input normed and
                   a, c trained, 1 and 0 at first; default false */
    int value_residual; /* "value_residual": layers after the first mix its values into theirs, by
                           trained shares, 0.5 each at first; default false */
    config_embedder embedder; /* "embedder"; default "concat" */
    int64_t planes; /* "planes": tables of bytes that take turns, 1 (default) to 1,024: byte i of
                       the stream has table i mod planes, which must divide the outermost patch in
                       bytes; e.g. the bytes of a sample times the channels of a frame */
    config_split split; /* "split"; default "slices"; of no use at the last level and with "bgpt" */
    int embed_rope;     /* "embed_rope": embedded units, not starts, are turned by rotary positions,
                           pairs     of neighbours over all of dim; default false */
    int mlp_bias; /* "mlp_bias": biases in the MLP even where "bias" is false; default false */
    double norm_epsilon; /* "norm_epsilon": of the norms of blocks and of the last one; 1e-5; 1e-30
                            to 0.1 */
    int token_shift;     /* "token_shift": what the norms of mixer and MLP see has its upper half of
                            channels from the row before; default false */
    double dropout; /* "dropout": share of elements of what mixers and MLPs add that training drops;
                       0 (default) to below 1 */
} config_level;

typedef enum config_optimizer { OPTIMIZER_ADAMW, OPTIMIZER_MUON } config_optimizer;

/* The object "train"; all keys optional. */
typedef struct config_train {
    config_optimizer optimizer; /* "optimizer": "adamw" or "muon" (default) */
    int64_t batch;         /* "batch": sequences of one context a step, 1 to 65,536; default 16 */
    int64_t micro_batches; /* "micro_batches": parts of a batch whose gradients are added by a
                              binary tree over their index; divides batch; default 1 */
    int64_t steps;         /* "steps": 1,000 */
    double lr;             /* "lr": peak of AdamW; default 0.002 with adamw, 0.008 beside muon */
    double muon_lr;        /* "muon_lr": peak of Muon; default 0.02 */
    int64_t warmup;        /* "warmup": steps; default 20 */
    double decay;          /* "decay": last share of the run over which lr falls to its end, 0 to 1;
                              default 0.6 */
    double final_lr;       /* "final_lr": share of the peak at the end; default 0 */
    double weight_decay;   /* "weight_decay": of matrices; default 0 with muon, 0.1 with adamw */
    double beta1, beta2;   /* "beta1", "beta2": of AdamW; 0.9, 0.95 */
    double epsilon;        /* "epsilon": of AdamW; 1e-10 */
    double momentum;       /* "momentum": of Muon, reached after 20% of the run from 0.85; 0.95 */
    double clip;           /* "clip": global norm of the gradient; 0 none; default 1 */
    double mean; /* "mean": window of the mean weights as a share of the run; 0 none; default
                    0.04 */
} config_train;

/* What the bytes of a stream stand for, see octet/codec.h. */
typedef enum config_codec {
    CODEC_RAW,
    CODEC_PCM8,
    CODEC_MULAW8,
    CODEC_PCM16,
    CODEC_IMAGE,
    CODEC_RECORDS
} config_codec;

typedef struct config {
    int64_t
        context;  /* "context": bytes, a multiple of the product of patches, up to 2^24; required */
    int64_t keep; /* "keep": bytes kept past the context, a multiple of the outermost patch in
                     bytes, below context; default half the context rounded down to whole patches */
    int64_t vocabulary; /* "vocabulary": 2 to 65,536; default 256. Below 256 the bytes past it have
                           no probability */
    config_rows rows;   /* "layout"; default "paper" */
    config_list start_symbols; /* "start_symbols": of the patch before the stream's first byte, with
                                  "bgpt"; a shorter list repeats; default 0 */
    int64_t end_symbol; /* "end_symbol": the symbol that ends a stream when it is drawn, 256 to
                           below vocabulary; -1: none (default) */
    int head_bias;      /* "head_bias": a bias for every symbol at the head; default false */
    int tied_head; /* "tied_head": the head is the byte embedding of the last level; default true */
    int zero_pad;  /* "zero_pad": start with symbol 0, as the paper's listing, instead of trained
                      start  vectors; default false */
    int endless;   /* "endless": a stream goes on past the context instead of starting anew;
                      default false. The outermost level then has windows (or blocks) in every
                      layer and no learned positions */
    double softcap;    /* "softcap": logits become c tanh(z / c); 0 none (default) */
    double init_scale; /* "init_scale": standard deviation of matrices is init_scale / sqrt(inputs),
                          cut at 3; default 1; 0.001 to 10 */
    config_codec codec;  /* "codec": "raw" (default), "pcm8", "mulaw8", "pcm16", "image", "records":
                            what the bytes stand for */
    int64_t rate_hz;     /* "rate_hz": of audio, 1,000 to 384,000; 0 with raw */
    int64_t channels;    /* "channels": of audio, 1 to 8, whose bytes divide the outermost patch (of
                            one level: context and keep); of an image, 1 or 3; else 0 */
    int64_t image_width; /* "image_width", "image_height": pixels, 1 to 65,535; else 0 */
    int64_t image_height;
    int64_t image_block;  /* "image_block": side of the blocks that pixels are read in; divides both
                             sides; 1 (default): rows. A block is whole patches or a patch whole
                             blocks */
    int64_t record_bytes; /* "record_bytes": of records, 1 to 2^24; else 0 */
    int64_t record_filler; /* "record_filler": the byte that fills records up to whole patches; 0 */
    int n_levels;          /* "levels": array of 1 to 8 objects; required */
    config_level level[CONFIG_MAX_LEVELS];
    config_train train;
} config;

/* The list's number for a layer. */
int64_t config_of_layer(const config_list *list, int64_t layer);

/* Whether the level has a table of positions, and whether it has rotary ones. */
int config_learned_positions(const config_level *l);
int config_rotary_positions(const config_level *l);

/* The codec's name; NULL for raw bytes. */
const char *config_codec_name(const config *c);

/* Whether each file is a stream that begins and ends: an image. */
int config_whole_files(const config *c);

/* What windows of training begin at multiples of in their file, in bytes: a frame of audio, a patch
 * of images and records; else 1. */
int64_t config_window_step(const config *c);

/* Bytes in one unit of level s: 1 at the last level, else patch_s times that of level s + 1. */
int64_t config_unit_bytes(const config *c, int level);

/* Parses and checks. `name` is what errors call the text ("samples/tiny.json"). */
octet_status config_parse(config *out, const char *text, size_t size, const char *name,
                          octet_error *error);

octet_status config_read(config *out, const char *path, octet_error *error);

/* Every key with its value, in a fixed order: equal configurations give equal text. malloc'd; NULL
 * when memory is out. */
char *config_text(const config *c);

/* The same without "train" and without the keys that have their default: what fingerprints of
 * models and saved streams are made from. It reads back as the configuration, but for "train". From
 * now on this text never changes for a configuration that can be written today. So a new key needs
 * a constant default, which means "as before"; a default that exists, a key's name, the order of
 * the keys, the names of choices, how numbers are written and how a derived default (keep,
 * kv_heads, head_size, mlp_width, whose values are always written) is derived all stay. init_scale,
 * zero_init and dropout, which matter to training alone, are in it like every key of a model.
 * malloc'd; NULL when memory is out. */
char *config_identity(const config *c);

#endif
