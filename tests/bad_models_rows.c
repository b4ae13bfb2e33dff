/* bad_models_rows.c: the corpus of bad_models.h: sizes (A1), the header's JSON (A2), records of
 * tensors (A3), what a model means (A4). */
#include "bad_models.h"

#define META "{\"__metadata__\""
#define LABEL_16 "aaaaaaaaaaaaaaaa"
#define LABEL_256                                                                                  \
    LABEL_16 LABEL_16 LABEL_16 LABEL_16 LABEL_16 LABEL_16 LABEL_16 LABEL_16 LABEL_16 LABEL_16      \
        LABEL_16 LABEL_16 LABEL_16 LABEL_16 LABEL_16 LABEL_16

#define SIZE(name, says, edit, n)                                                                  \
    { name, STAGE_SIZE, says, edit, NULL, NULL, n }
#define HEADER(name, says, edit, a, b, n)                                                          \
    { name, STAGE_HEADER, says, edit, a, b, n }
#define JSON(name, says, edit, a, b, n)                                                            \
    { name, STAGE_JSON, says, edit, a, b, n }
#define TENSORS(name, says, edit, a, b, n)                                                         \
    { name, STAGE_TENSORS, says, edit, a, b, n }
#define HASH(name, says, edit, a, b)                                                               \
    { name, STAGE_HASH, says, edit, a, b, 0 }
#define META_TEXT(name, says, a, b)                                                                \
    { name, STAGE_CONFIG, says, EDIT_TEXT, a, b, 0 }
#define CONFIG(name, says, a, b)                                                                   \
    { name, STAGE_CONFIG, says, EDIT_CONFIG, a, b, 0 }
#define CONFIG_ALL(name, says, b, n)                                                               \
    { name, STAGE_CONFIG, says, EDIT_CONFIG_ALL, NULL, b, n }
#define SHAPES(name, says, edit, a, b)                                                             \
    { name, STAGE_SHAPES, says, edit, a, b, 0 }
#define WEIGHTS(name, says, n)                                                                     \
    { name, STAGE_WEIGHTS, says, EDIT_WEIGHT, NULL, NULL, n }
#define OPEN(name, edit, a, b, n)                                                                  \
    { name, STAGE_OPEN, "", edit, a, b, n }

#define NOT_JSON "the header is not JSON at header byte "

/* Level after level of this, with a comma. */
#define LEVEL(dim, layers, more)                                                                   \
    "{\"dim\": " dim ", \"layers\": " layers ", \"heads\": 1, \"head_size\": 512" more "}"
#define SMALL_LEVEL LEVEL("256", "256", ", \"patch\": 2") ", "

const bad_model bad_models[] = {
    /* --- A1: the length in front, the file's size */
    SIZE("empty file", "ends in the header length: 0 of 8 bytes", EDIT_KEEP, 0),
    SIZE("one byte", "ends in the header length: 1 of 8 bytes", EDIT_KEEP, 1),
    SIZE("seven bytes", "ends in the header length: 7 of 8 bytes", EDIT_KEEP, 7),
    SIZE("length alone", "but 0 bytes follow it", EDIT_KEEP, 8),
    SIZE("length 0", "the header length is 0, not between 2 and 16777216", EDIT_LENGTH, 0),
    SIZE("length 1", "the header length is 1, not between 2 and 16777216", EDIT_LENGTH, 1),
    SIZE("length of the file", "follow it", EDIT_LENGTH_FILE, 0),
    SIZE("length of the file and 1", "follow it", EDIT_LENGTH_FILE, 1),
    SIZE("length to the end and 1", "follow it", EDIT_LENGTH_FILE, -7),
    SIZE("length 2^31", "is 2147483648, not between", EDIT_LENGTH, 1ll << 31),
    SIZE("length 2^63", "is 9223372036854775808, not between", EDIT_LENGTH, INT64_MIN),
    SIZE("length 2^64 - 1", "is 18446744073709551615, not between", EDIT_LENGTH, -1),
    SIZE("length above the limit", "is 16777217, not between", EDIT_LENGTH, 16777217),
    TENSORS("header alone", "the file holds 0", EDIT_HEADER_ONLY, NULL, NULL, 0),
    TENSORS("data one byte short", "ends at data byte", EDIT_KEEP, NULL, NULL, -1),
    TENSORS("data one byte long", "the tensors end at data byte", EDIT_GROW, NULL, NULL, 1),
    TENSORS("data one MiB long", "the tensors end at data byte", EDIT_GROW, NULL, NULL, 1 << 20),
    JSON("length one short", NOT_JSON, EDIT_LENGTH_HEADER, NULL, NULL, -1),
    HEADER("length one long", "after the end of the object", EDIT_LENGTH_HEADER, NULL, NULL, 1),

    /* --- A2: the header's text */
    HEADER("array", "starts with byte 0x5b", EDIT_TEXT, META, "[\"__metadata__\"", 0),
    HEADER("leading space", "starts with byte 0x20", EDIT_FRONT, " ", NULL, 0),
    HEADER("byte order mark", "starts with byte 0xef", EDIT_FRONT, "\xef\xbb\xbf", NULL, 0),
    HEADER("trailing NUL", "byte 0x00 at header byte", EDIT_BACK, "", NULL, 1),
    HEADER("trailing line break", "byte 0x0a at header byte", EDIT_BACK, "\n", NULL, 1),
    HEADER("trailing letter", "byte 0x78 at header byte", EDIT_BACK, "x", NULL, 1),
    HEADER("trailing comma", "byte 0x2c at header byte", EDIT_BACK, ",", NULL, 1),
    HEADER("second object", "byte 0x7b at header byte", EDIT_BACK, "{}", NULL, 2),
    HEADER("trailing comment", "byte 0x2f at header byte", EDIT_BACK, "/**/", NULL, 4),
    JSON("comment", NOT_JSON, EDIT_TEXT, META, "{/**/\"__metadata__\"", 0),
    JSON("lone byte 0x80", NOT_JSON, EDIT_NAME, NULL, "\x80", 0),
    JSON("overlong slash", NOT_JSON, EDIT_NAME, NULL, "\xc0\xaf", 0),
    JSON("surrogate in UTF-8", NOT_JSON, EDIT_NAME, NULL, "\xed\xa0\x80", 0),
    JSON("above U+10FFFF", NOT_JSON, EDIT_NAME, NULL, "\xf4\x90\x80\x80", 0),
    JSON("lone surrogate", NOT_JSON, EDIT_NAME, NULL, "\\ud800", 0),
    JSON("NUL in a name", NOT_JSON, EDIT_NAME, NULL, "a\\u0000", 0),
    JSON("control character in a name", NOT_JSON, EDIT_NAME, NULL, "a\x01", 0),
    JSON("tensor twice", NOT_JSON, EDIT_TWICE, NULL, "levels.0.split", 0),
    JSON("tensor twice, escaped", NOT_JSON, EDIT_TWICE, NULL, "levels.0.\\u0073plit", 0),
    JSON("metadata twice", NOT_JSON, EDIT_TEXT, META, META ":{}, \"__metadata__\"", 0),
    HEADER("depth 33", "nested deeper than 32 at header byte", EDIT_REPEAT, "{\"t\":", "[", 32),
    HEADER("depth 2049", "nested deeper than 32 at", EDIT_REPEAT, "{\"t\":", "{\"t\":", 2048),
    HEADER("depth 10^6", "nested deeper than 32 at", EDIT_REPEAT, "{\"t\":", "[", 999999),
    HEADER("too many arrays", "holds too many values", EDIT_REPEAT, "{\"t\":[0", ",[]", 300000),
    HEADER("too many commas", "holds too many values", EDIT_REPEAT, "{\"t\":[0", ",0", 1100000),
    JSON("shape 016", NOT_JSON, EDIT_FIELD, "shape", "[016,8]", 0),
    JSON("shape 2^63", NOT_JSON, EDIT_FIELD, "shape", "[9223372036854775808,8]", 0),
    JSON("shape 1e400", NOT_JSON, EDIT_FIELD, "shape", "[1e400,8]", 0),
    JSON("shape NaN", NOT_JSON, EDIT_FIELD, "shape", "[NaN,8]", 0),
    JSON("shape +16", NOT_JSON, EDIT_FIELD, "shape", "[+16,8]", 0),
    JSON("object without an end", NOT_JSON, EDIT_CUT, NULL, NULL, -1),
    JSON("record without an end", NOT_JSON, EDIT_CUT, NULL, NULL, -2),
    JSON("text without an end", NOT_JSON, EDIT_CUT, NULL, NULL, 20),
    JSON("metadata is an array", "__metadata__ is not an object", EDIT_TEXT, META ":{",
         META ":[],\"x\":{", 0),
    JSON("metadata holds a number", "metadata \"a\" is not a string", EDIT_TEXT, META ":{",
         META ":{\"a\":1,", 0),

    /* --- A3: the records of tensors */
    TENSORS("no dtype", "\"levels.0.split\" has no dtype", EDIT_FIELD, "dtype", NULL, 0),
    TENSORS("no shape", "\"levels.0.split\" has no shape", EDIT_FIELD, "shape", NULL, 0),
    TENSORS("no range", "has no data_offsets", EDIT_FIELD, "data_offsets", NULL, 0),
    TENSORS("dtype 8", "dtype is not a string", EDIT_FIELD, "dtype", "8", 0),
    TENSORS("dtype null", "dtype is not a string", EDIT_FIELD, "dtype", "null", 0),
    TENSORS("shape \"16\"", "shape is not an array", EDIT_FIELD, "shape", "\"16\"", 0),
    TENSORS("shape of a text", "shape[0] is not an integer", EDIT_FIELD, "shape", "[\"16\",8]", 0),
    TENSORS("range of an object", "data_offsets is not an array", EDIT_FIELD, "data_offsets",
            "{\"a\":0,\"b\":512}", 0),
    TENSORS("range of one", "data_offsets is not an array", EDIT_FIELD, "data_offsets", "[0]", 0),
    TENSORS("range of three", "is not an array of two", EDIT_FIELD, "data_offsets", "[0,1,2]", 0),
    TENSORS("one field more", "besides dtype, shape and data_offsets", EDIT_FIELD, "dtype",
            "\"F32\",\"x\":0", 0),
    JSON("a field twice", NOT_JSON, EDIT_FIELD, "dtype", "\"F32\",\"dtype\":\"F32\"", 0),
    TENSORS("record null", "its record is not an object", EDIT_RECORD, NULL, "null", 0),
    TENSORS("record []", "its record is not an object", EDIT_RECORD, NULL, "[]", 0),
    TENSORS("record {}", "has no dtype", EDIT_RECORD, NULL, "{}", 0),
    TENSORS("unknown dtype", "unknown dtype \"F31\"", EDIT_FIELD, "dtype", "\"F31\"", 0),
    TENSORS("lower-case dtype", "unknown dtype \"f32\"", EDIT_FIELD, "dtype", "\"f32\"", 0),
    TENSORS("rank 0", "the shape needs 4", EDIT_FIELD, "shape", "[]", 0),
    TENSORS("rank 9", "rank 9 is above the limit of 8", EDIT_RANK, NULL, NULL, 9),
    TENSORS("rank 10^6", "rank 1000000 is above", EDIT_RANK, NULL, NULL, 1000000),
    TENSORS("dimension 16.0", "shape[0] is not an integer", EDIT_FIELD, "shape", "[16.0,8]", 0),
    TENSORS("dimension -1", "shape[0] is -1, below 0", EDIT_FIELD, "shape", "[-1,8]", 0),
    TENSORS("dimension -2^63", "below 0", EDIT_FIELD, "shape", "[-9223372036854775808,8]", 0),
    TENSORS("dimension 0", "the shape needs 0", EDIT_FIELD, "shape", "[0,8]", 0),
    TENSORS("dimension 2^31", "the shape needs 68719476736", EDIT_FIELD, "shape", "[2147483648,8]",
            0),
    TENSORS("dimension 2^63 - 1", "overflows", EDIT_FIELD, "shape", "[9223372036854775807]", 0),
    TENSORS("product of 2^64", "overflows", EDIT_FIELD, "shape", "[4294967296,4294967296]", 0),
    TENSORS("product of 2^64, and 0", "overflows", EDIT_FIELD, "shape", "[0,4294967296,4294967296]",
            0),
    TENSORS("product of 2^64 + 128", "overflows", EDIT_FIELD, "shape", "[2305843009213693968,8]",
            0),
    TENSORS("2^64 + 512 bytes", "overflows", EDIT_FIELD, "shape", "[4611686018427388032]", 0),
    TENSORS("range backwards", "are no range", EDIT_BEGIN, NULL, NULL, 513),
    TENSORS("range below 0", "are no range", EDIT_FIELD, "data_offsets", "[-512,0]", 0),
    TENSORS("range over all numbers", "are no range", EDIT_FIELD, "data_offsets",
            "[-9223372036854775808,9223372036854775807]", 0),
    TENSORS("range behind the end", "the file holds", EDIT_RANGE, NULL, NULL, 1 << 20),
    TENSORS("range near 2^63", "the file holds", EDIT_FIELD, "data_offsets",
            "[9223372036854775295,9223372036854775807]", 0),
    TENSORS("range one too long", "hold 513 bytes, the shape needs 512", EDIT_END, NULL, NULL, 1),
    TENSORS("range one too short", "hold 511 bytes, the shape needs 512", EDIT_END, NULL, NULL, -1),
    TENSORS("range over another", "(overlap)", EDIT_FIELD, "data_offsets", "[0,512]", 0),
    TENSORS("range over a part", "(overlap)", EDIT_RANGE, NULL, NULL, -4),
    TENSORS("hole", "(hole)", EDIT_RANGE, NULL, NULL, 4),
    TENSORS("two names for one range", "(overlap)", EDIT_TWICE, NULL, "levels.9", 0),
    TENSORS("empty name", "the name of tensor \"\" is empty", EDIT_NAME, NULL, "", 0),
    TENSORS("name of 257 bytes", "is longer than 256 bytes", EDIT_NAME, NULL, LABEL_256 "a", 0),
    TENSORS("name with a line break", "holds a control character", EDIT_NAME, NULL, "a\\nb", 0),
    TENSORS("name with U+009B", "holds a control character", EDIT_NAME, NULL, "a\xc2\x9b", 0),
    TENSORS("name with ../", "holds \"../\"", EDIT_NAME, NULL, "../../etc/passwd", 0),

    /* --- the checksum */
    HASH("another checksum", "checksum of the content is", EDIT_TEXT, "\"xxh3_128\":\"",
         "\"xxh3_128\":\"0"),
    HASH("empty checksum", "the file says ", EDIT_TEXT,
         "\"xxh3_128\":", "\"xxh3_128\":\"\",\"x\":"),
    HASH("checksum under another name", "states no checksum", EDIT_TEXT, "\"xxh3_128\"",
         "\"xxh3_64\""),
    HASH("another text in the configuration", "checksum of the content is", EDIT_CONFIG,
         "\"steps\": ", "\"steps\": 1"),

    /* --- A4: what the model means */
    META_TEXT("no format", "format is not stated", "\"format\":\"octet\",", ""),
    META_TEXT("format of another program", "format is pt", "\"format\":\"octet\"",
              "\"format\":\"pt\""),
    META_TEXT("format that moves the cursor", "format is ?[2J", "\"format\":\"octet\"",
              "\"format\":\"\\u001b[2J\""),
    META_TEXT("format with U+009B", "format is ??2J", "\"format\":\"octet\"",
              "\"format\":\"\xc2\x9b"
              "2J\""),
    META_TEXT("no version", "version not stated", "\"version\":\"1\",", ""),
    META_TEXT("version 0", "version 0, this program reads", "\"version\":\"1\"",
              "\"version\":\"0\""),
    META_TEXT("version 2^64", "version 18446744073709551616, this", "\"version\":\"1\"",
              "\"version\":\"18446744073709551616\""),
    META_TEXT("no configuration", "holds no configuration", "\"config\":", "\"konfig\":"),
    CONFIG_ALL("empty configuration", ":1:0: ", "", 0),
    CONFIG_ALL("configuration {}", "context: this key is missing", "{}", 0),
    CONFIG_ALL("configuration [[[", "nested deeper than the limit of 32",
               "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0),
    CONFIG_ALL("configuration of 2 MiB", "are more than the limit of 1048576", "{}", 1 << 21),
    CONFIG("a key twice", "duplicate key \"context\"", "{\"context\"",
           "{\"context\": 128, \"context\""),
    CONFIG("unknown key", "unknown key \"mode\"", "{\"context\"",
           "{\"mode\": \"audio\", \"context\""),
    CONFIG("context text", "context: \"128\" is a string", "\"context\": 128",
           "\"context\": \"128\""),
    SHAPES("tensor missing", "tensor levels.0.split is missing", EDIT_NAME, NULL,
           "optimizer.split"),
    SHAPES("tensor too many", "tensor levels.9.what is not part of", EDIT_MORE, NULL,
           "\"levels.9.what\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}"),
    SHAPES("tensor transposed", "shape [8,16], the configuration needs [16,8]", EDIT_FIELD, "shape",
           "[8,16]"),
    SHAPES("tensor of another rank", "shape [16,8,1], the", EDIT_FIELD, "shape", "[16,8,1]"),
    SHAPES("tensor of rank 8", "shape [1,1,1,1,1], the", EDIT_FIELD, "shape", "[1,1,1,1,1,1,16,8]"),
    SHAPES("tensor of I32", "levels.0.split is I32, F32 or BF16", EDIT_FIELD, "dtype", "\"I32\""),
    SHAPES("layers 0", "is not part of", EDIT_CONFIG, "\"layers\": 1", "\"layers\": 0"),
    CONFIG("layers -1", "levels[0].layers: -1 is outside", "\"layers\": 1", "\"layers\": -1"),
    SHAPES("layers 2", "blocks.1.mixer_norm.gain is missing", EDIT_CONFIG, "\"layers\": 1",
           "\"layers\": 2"),
    SHAPES("layers 256", "is missing", EDIT_CONFIG, "\"layers\": 1", "\"layers\": 256"),
    CONFIG("layers 257", "levels[0].layers: 257 is outside", "\"layers\": 1", "\"layers\": 257"),
    CONFIG("heads 0", "levels[0].heads: 0 is outside", "\"heads\": 2", "\"heads\": 0"),
    CONFIG("heads -1", "levels[0].heads: -1 is outside", "\"heads\": 2", "\"heads\": -1"),
    CONFIG("heads 1", "kv_heads: 2 does not divide heads 1", "\"heads\": 2", "\"heads\": 1"),
    CONFIG("heads 3", "kv_heads: 2 does not divide heads 3", "\"heads\": 2", "\"heads\": 3"),
    SHAPES("heads 256", "the configuration needs", EDIT_CONFIG, "\"heads\": 2", "\"heads\": 256"),
    CONFIG("heads 257", "levels[0].heads: 257 is outside", "\"heads\": 2", "\"heads\": 257"),
    CONFIG("head_size 15", "head_size: 15 is odd", "\"head_size\": 16", "\"head_size\": 15"),
    SHAPES("head_size 512", "the configuration needs", EDIT_CONFIG, "\"head_size\": 16",
           "\"head_size\": 512"),
    CONFIG("dim 0", "levels[0].dim: 0 is outside", "\"dim\": 32", "\"dim\": 0"),
    CONFIG("dim -1", "levels[0].dim: -1 is outside", "\"dim\": 32", "\"dim\": -1"),
    CONFIG("dim 1", "levels[0].dim: 1 is outside", "\"dim\": 32", "\"dim\": 1"),
    CONFIG("dim 33", "dim: 33 is not a multiple of the 4 bytes", "\"dim\": 32", "\"dim\": 33"),
    SHAPES("dim 16384", "the configuration needs", EDIT_CONFIG, "\"dim\": 32", "\"dim\": 16384"),
    CONFIG("dim 16385", "levels[0].dim: 16385 is outside", "\"dim\": 32", "\"dim\": 16385"),
    CONFIG("patch 0", "levels[0].patch: 0 is outside", "\"patch\": 4", "\"patch\": 0"),
    CONFIG("patch -1", "levels[0].patch: -1 is outside", "\"patch\": 4", "\"patch\": -1"),
    CONFIG("patch 1", "levels[0].patch: 1 is outside", "\"patch\": 4", "\"patch\": 1"),
    SHAPES("patch 8", "the configuration needs", EDIT_CONFIG, "\"patch\": 4", "\"patch\": 8"),
    CONFIG("patch 1024", "is not a multiple of the 1024 bytes", "\"patch\": 4", "\"patch\": 1024"),
    CONFIG("patch 1025", "levels[0].patch: 1025 is outside", "\"patch\": 4", "\"patch\": 1025"),
    CONFIG("context 0", "context: 0 is outside", "\"context\": 128", "\"context\": 0"),
    CONFIG("context -1", "context: -1 is outside", "\"context\": 128", "\"context\": -1"),
    CONFIG("context 1", "context: 1 is not a multiple of", "\"context\": 128", "\"context\": 1"),
    CONFIG("context of the kept bytes", "keep: 64 is not below context 64", "\"context\": 128",
           "\"context\": 64"),
    OPEN("context 2^24", EDIT_CONFIG, "\"context\": 128", "\"context\": 16777216", 0),
    CONFIG("context 2^24 + 1", "context: 16777217 is outside", "\"context\": 128",
           "\"context\": 16777217"),
    CONFIG("vocabulary 0", "vocabulary: 0 is outside", "\"vocabulary\": 256", "\"vocabulary\": 0"),
    CONFIG("vocabulary -1", "vocabulary: -1 is outside", "\"vocabulary\": 256",
           "\"vocabulary\": -1"),
    CONFIG("vocabulary 1", "vocabulary: 1 is outside", "\"vocabulary\": 256", "\"vocabulary\": 1"),
    SHAPES("vocabulary 65536", "the configuration needs", EDIT_CONFIG, "\"vocabulary\": 256",
           "\"vocabulary\": 65536"),
    CONFIG("vocabulary 65537", "vocabulary: 65537 is outside", "\"vocabulary\": 256",
           "\"vocabulary\": 65537"),
    SHAPES("head of its own", "tensor levels.1.head is missing", EDIT_CONFIG, "\"tied_head\": true",
           "\"tied_head\": false"),
    SHAPES("no start vectors", "start is not part of", EDIT_CONFIG, "\"zero_pad\": false",
           "\"zero_pad\": true"),
    SHAPES("a model of two terabytes", "the configuration needs", EDIT_CONFIG_ALL, NULL,
           "{\"context\": 16777216, \"levels\": [" LEVEL("16384", "256", "") "]}"),
    CONFIG_ALL("a model of more than 2^40 weights", "parameters in all are more than the limit",
               "{\"context\": 16777216, \"levels\": [{\"dim\": 16384, \"layers\": 256, \"heads\": "
               "256, \"head_size\": 512, \"mlp_width\": 65536}]}",
               0),
    SHAPES("a table of 2 TiB", "the configuration needs", EDIT_CONFIG_ALL, NULL,
           "{\"context\": 16777216, \"levels\": [{\"dim\": 16384, \"layers\": 1, \"heads\": 1, "
           "\"head_size\": 2, \"positions\": \"learned\"}]}"),
    SHAPES("as many tensors as can be", "the configuration needs", EDIT_CONFIG_ALL, NULL,
           "{\"context\": 16777216, \"levels\": [" SMALL_LEVEL SMALL_LEVEL SMALL_LEVEL SMALL_LEVEL
               SMALL_LEVEL SMALL_LEVEL SMALL_LEVEL LEVEL("256", "256", "") "]}"),
    WEIGHTS("weight NaN", "levels.0.split: element 0 is nan, not finite", 0x7fc00000),
    WEIGHTS("weight -NaN", "levels.0.split: element 0 is -nan, not finite", 0xffc00000),
    WEIGHTS("weight inf", "levels.0.split: element 0 is inf, not finite", 0x7f800000),
    WEIGHTS("weight -inf", "levels.0.split: element 0 is -inf, not finite", 0xff800000),
    OPEN("weight of 1e-45", EDIT_WEIGHT, NULL, NULL, 1),
    OPEN("weight of 3.4e38", EDIT_WEIGHT, NULL, NULL, 0x7f7fffff),
    OPEN("nothing", EDIT_GROW, NULL, NULL, 0),
};

const int bad_models_count = sizeof bad_models / sizeof *bad_models;
