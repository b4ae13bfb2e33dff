/* compress_test.c: what is compressed comes back on any machine, and damage never does. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "api/api.h"
#include "coder/container.h"
#include "octet/octet.h"
#include "support.h"

static octet_error error;

static const char *const configs[] = {
    "{\"context\": 64, \"head_bias\": true, \"levels\": [{\"dim\": 16, \"layers\": 1, \"heads\": "
    "2, \"patch\": 4,"
    " \"zero_init\": false}, {\"dim\": 16, \"layers\": 1, \"heads\": 2, \"zero_init\": false}]}",
    /* one level; more symbols than bytes */
    "{\"context\": 50, \"keep\": 30, \"vocabulary\": 260, \"head_bias\": true, \"levels\": "
    "[{\"dim\": 16, \"layers\": 1,"
    " \"heads\": 2, \"zero_init\": false}]}",
    /* fewer */
    "{\"context\": 50, \"vocabulary\": 100, \"head_bias\": true, \"levels\": [{\"dim\": 16, "
    "\"layers\": 1, \"heads\": 2,"
    " \"zero_init\": false}]}",
    /* read by a session on both sides */
    "{\"context\": 32, \"endless\": true, \"head_bias\": true, \"levels\": [{\"dim\": 16, "
    "\"layers\": 1, \"heads\": 2,"
    " \"patch\": 2, \"window\": 5, \"zero_init\": false}, {\"dim\": 8, \"layers\": 1, \"heads\": 1,"
    " \"zero_init\": false}]}",
    "{\"context\": 60, \"layout\": \"lucidrains\", \"head_bias\": true, \"levels\": [{\"dim\": 16, "
    "\"layers\": 1,"
    " \"heads\": 2, \"patch\": 5, \"embedder\": \"normed\", \"split\": \"full\"},"
    " {\"dim\": 12, \"layers\": 1, \"heads\": 1, \"zero_init\": false}]}",
};
enum { CONFIGS = sizeof configs / sizeof *configs };

/* --- bytes in memory on both sides */

typedef struct buffer {
    uint8_t *data;
    size_t size, at, capacity;
    size_t piece; /* reads give at most so many bytes at once, but go on until n; 0: all */
} buffer;

typedef struct pair {
    buffer in, out;
} pair;

static octet_status read_buffer(void *context, void *bytes, size_t n, size_t *got, octet_error *e) {
    (void)e;
    buffer *b = &((pair *)context)->in;
    *got = b->size - b->at < n ? b->size - b->at : n;
    if (*got > 0)
        memcpy(bytes, b->data + b->at, *got);
    b->at += *got;
    return OCTET_OK;
}

static octet_status write_buffer(void *context, const void *bytes, size_t n, octet_error *e) {
    (void)e;
    buffer *b = &((pair *)context)->out;
    if (n > b->capacity - b->size) {
        b->capacity = 2 * (b->size + n) + 4096;
        b->data = realloc(b->data, b->capacity);
        assert_non_null(b->data);
    }
    if (n)
        memcpy(b->data + b->size, bytes, n);
    b->size += n;
    return OCTET_OK;
}

static octet_io io_of(pair *p) {
    return (octet_io){.read = read_buffer, .write = write_buffer, .context = p, .name = "input"};
}

/* The output's memory is the caller's. */
static buffer compress_so(octet_model *m, const uint8_t *data, size_t n,
                          const octet_compress_params *how, octet_compress_report *report) {
    pair p = {.in = {.data = (uint8_t *)data, .size = n}};
    const octet_io io = io_of(&p);
    support_ok(octet_compress(m, how, &io, report, &error), &error);
    return p.out;
}

static buffer compress_bytes(octet_model *m, const uint8_t *data, size_t n, int streams,
                             int64_t block_bytes, octet_compress_report *report) {
    const octet_compress_params how = {.streams = streams, .block = block_bytes, .keep = -1};
    return compress_so(m, data, n, &how, report);
}

static octet_status expand_bytes(octet_model *m, const buffer *packed, buffer *out) {
    pair p = {.in = {.data = packed->data, .size = packed->size}};
    const octet_io io = io_of(&p);
    octet_status status = octet_decompress(m, NULL, &io, NULL, &error);
    *out = p.out;
    return status;
}

static void check_round_trip(octet_model *m, const uint8_t *data, size_t n, int streams,
                             int64_t block_bytes) {
    const octet_compress_params how = {.streams = streams,
                                       .block = block_bytes,
                                       .keep = -1,
                                       .plain = n % 3 == 0,
                                       .profile = n % 2 ? OCTET_INT8 : OCTET_F32};
    buffer packed = compress_so(m, data, n, &how, NULL), back;
    support_ok(expand_bytes(m, &packed, &back), &error);
    assert_int_equal(back.size, n);
    if (n)
        assert_memory_equal(back.data, data, n);
    free(packed.data);
    free(back.data);
}

typedef struct machine {
    octet_runtime *runtime;
    octet_model *model;
} machine;

/* Without training: the head's bias makes 'a' to 'c' likely, so that there is something to gain. */
static void make_letters_likely(octet_model *m) {
    static const float likely[] = {9, 9, 9};
    char name[64];
    snprintf(name, sizeof name, "levels.%d.head.bias", m->model->config.n_levels - 1);
    param *bias = params_find(&m->model->params, name);
    assert_non_null(bias);
    support_ok(backend_write(m->model->backend, &bias->v, 'a', 3, likely, &error), &error);
}

static machine machine_make(const char *json, int threads, const char *cpu) {
    machine made;
    const octet_runtime_params how = {.threads = threads, .cpu = cpu};
    support_ok(octet_runtime_create(&made.runtime, &how, &error), &error);
    support_ok(octet_model_create(&made.model, made.runtime, json, "test", 3, &error), &error);
    make_letters_likely(made.model);
    return made;
}

static void machine_drop(machine *m) {
    octet_model_destroy(&m->model);
    octet_runtime_destroy(&m->runtime);
}

/* kind 0: anything; 1: few symbols; 2: runs; 3: below 100. */
static void fill(uint8_t *data, size_t n, int kind, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        const int64_t any = support_integer(&seed, 0, 255);
        data[i] = (uint8_t)(kind == 0   ? any
                            : kind == 1 ? 'a' + any % 3
                            : kind == 2 ? (any < 20 ? any
                                           : i      ? data[i - 1]
                                                    : 0)
                                        : any % 100);
    }
}

/* The long form is everything; where a sanitizer makes that hours, a seventh of it. */
#if defined(__SANITIZE_ADDRESS__)
enum { LONG_STEP = 7 };
#else
enum { LONG_STEP = 1 };
#endif

static size_t step_of(size_t usual) {
    return support_all() ? LONG_STEP : usual;
}

/* --- round trips */

static void lengths_come_back(void **state) {
    (void)state;
    uint8_t data[4097];
    machine m = machine_make(configs[0], 2, NULL);
    fill(data, sizeof data, 1, 1);
    for (size_t n = 0; n <= sizeof data; n += n < 300 ? 1 : step_of(97))
        check_round_trip(m.model, data, n, 3, 1024);
    for (int byte = 0; byte < 256; byte++)
        check_round_trip(m.model, &(uint8_t){(uint8_t)byte}, 1, 0, 0);
    machine_drop(&m);
}

static void kinds_come_back(void **state) {
    (void)state;
    uint64_t random = 5;
    uint8_t data[9000];
    const int rounds = support_all() ? 2000 / LONG_STEP : 12;
    for (int c = 0; c < CONFIGS; c++) {
        machine m = machine_make(configs[c], 2, NULL);
        for (int i = 0; i < rounds; i++) {
            const size_t n = (size_t)support_integer(&random, 0, i % 4 ? 900 : sizeof data);
            fill(data, n, i % 4, random);
            check_round_trip(m.model, data, n, (int)support_integer(&random, 0, 9),
                             support_integer(&random, 1024, 5000));
        }
        machine_drop(&m);
    }
}

/* So many streams that some would begin past the end: 100 of 65 bytes for 6,401. */
static void streams_are_not_empty(void **state) {
    (void)state;
    uint8_t data[6401];
    machine m = machine_make(configs[0], 2, NULL);
    fill(data, sizeof data, 1, 6);
    buffer packed = compress_bytes(m.model, data, sizeof data, 100, sizeof data, NULL), back;
    container_block b;
    support_ok(container_get_block(&b, packed.data + CONTAINER_HEADER_BYTES, 64, "x", &error),
               &error);
    assert_int_equal(b.streams, 99);
    support_ok(expand_bytes(m.model, &packed, &back), &error);
    assert_int_equal(back.size, sizeof data);
    assert_memory_equal(back.data, data, sizeof data);
    free(packed.data);
    free(back.data);
    machine_drop(&m);
}

/* Made with one number of threads and instruction set, restored with another. */
static void check_machines(const char *json, octet_profile profile) {
    static const char *const cpus[] = {"scalar", "avx2", "avx512", "amx"};
    static const int threads[] = {1, 2, 5};
    uint8_t data[3000];
    buffer first = {0};
    fill(data, sizeof data, 1, 4);
    const int int8 = profile == OCTET_INT8; /* of which each set is taken once */
    for (int i = 0; i < (int8 ? 12 : 9); i += int8 ? 5 : 1) {
        machine maker = machine_make(json, threads[i % 3], cpus[i / 3]);
        machine other = machine_make(json, threads[(i + 1) % 3], cpus[(i / 3 + 2) % 4]);
        const octet_compress_params how = {
            .streams = 5, .block = 2000, .keep = -1, .profile = profile};
        buffer packed = compress_so(maker.model, data, sizeof data, &how, NULL), back;
        if (i == 0)
            first = packed;
        assert_int_equal(packed.size, first.size);
        assert_memory_equal(packed.data, first.data, first.size);
        support_ok(expand_bytes(other.model, &packed, &back), &error);
        assert_int_equal(back.size, sizeof data);
        assert_memory_equal(back.data, data, sizeof data);
        pair p = {.in = packed};
        const octet_io io = io_of(&p);
        octet_compressed_info info;
        support_ok(octet_compressed_describe(&info, &io, &error), &error);
        assert_string_equal(info.profile, octet_profile_name((int)profile));
        if (i)
            free(packed.data);
        free(back.data);
        machine_drop(&maker);
        machine_drop(&other);
    }
    free(first.data);
}

static void machines_agree(void **state) {
    (void)state;
    for (int c = 0; c < CONFIGS; c++) {
        check_machines(configs[c], OCTET_F32);
        check_machines(configs[c], OCTET_INT8);
    }
}

/* The coded bytes are what the frequencies promise; what would grow is stored. */
static void sizes_are_right(void **state) {
    (void)state;
    enum { BYTES = 40000 };
    machine m = machine_make(configs[0], 2, NULL);
    uint8_t *data = support_alloc(BYTES, 1);
    octet_compress_report report;
    fill(data, BYTES, 0, 8);
    buffer packed = compress_bytes(m.model, data, BYTES, 4, 10000, &report);
    assert_true(report.content == BYTES && report.compressed == packed.size && report.blocks == 4);
    /* an untrained model and noise: nothing to gain */
    assert_true(report.stored == 4 && report.coded == 0);
    assert_int_equal(packed.size, 64 + BYTES + 4 * 64 + 64 + 4 * 16 + 16);
    free(packed.data);
    fill(data, BYTES, 1, 8);
    octet_score_params whole = {.keep = 4}; /* what coding chooses: a sixteenth of the context */
    double bits = 0, sum = 0;
    octet_compress_params how = {.streams = 4, .block = 1 << 16, .keep = -1, .plain = 1};
    packed = compress_so(m.model, data, BYTES, &how, &report);
    for (int i = 0; i < 4; i++) {
        support_ok(octet_score(m.model, data + i * BYTES / 4, BYTES / 4, &whole, &bits, &error),
                   &error);
        sum += bits;
    }
    assert_true(report.stored == 0 && report.coded == BYTES);
    assert_true(report.bits < sum * 1.0005 + 1 && report.bits > sum * 0.9995 - 1);
    const double around = 8 * (16 * 4 + 64 + 64 + 64 + 32); /* headers, ends of streams */
    assert_true((double)report.compressed * 8 < sum * 1.0005 + around);
    free(packed.data);
    /* three letters at random: more than the model knows is to be learned from them, but not more
     * than there is */
    how.plain = 0;
    packed = compress_so(m.model, data, BYTES, &how, &report);
    assert_true((double)report.compressed * 8 < report.bits * 1.0005 + around);
    print_message("%.0f bits plain, %.0f mixed, of %.0f\n", sum, report.bits, BYTES * log2(3));
    assert_true(report.bits < 0.99 * sum && report.bits > 0.995 * BYTES * log2(3));
    free(packed.data);
    free(data);
    machine_drop(&m);
}

/* What a model learns from the first rounds pays in the later ones, in both profiles; what cannot
 * learn is refused. (The golden files hold that every machine learns the same.) */
static void models_adapt(void **state) {
    (void)state;
    enum { BYTES = 6000 };
    uint8_t data[BYTES];
    octet_compress_report still, adapting;
    fill(data, BYTES, 1, 3);
    for (int c = 0; c < CONFIGS; c++) {
        machine m = machine_make(configs[c], 2, NULL);
        octet_compress_params how = {.streams = 3, .plain = 1, .profile = (octet_profile)(c % 2)};
        buffer before = compress_so(m.model, data, BYTES, &how, &still), back;
        how.adapt = 0.03;
        pair p = {.in = {.data = data, .size = BYTES}};
        const octet_io io = io_of(&p);
        octet_status status = octet_compress(m.model, &how, &io, &adapting, &error);
        if (c == 3) {
            assert_int_equal(status, OCTET_ERROR);
            support_contains(error.text, "streams have no end");
        } else {
            support_ok(status, &error);
            /* three letters at random cost no less than their number's logarithm */
            const double least = BYTES * log2(3);
            print_message("%.0f bits over the least, adapting %.0f\n", still.bits - least,
                          adapting.bits - least);
            assert_true(adapting.bits - least < 0.6 * (still.bits - least));
            support_ok(expand_bytes(m.model, &p.out, &back), &error);
            assert_int_equal(back.size, BYTES);
            assert_memory_equal(back.data, data, BYTES);
            free(back.data);
        }
        for (int i = 0; i < 2; i++) {
            how.adapt = i ? 1.1 : -0.1;
            assert_int_equal(octet_compress(m.model, &how, &io, NULL, &error), OCTET_ERROR);
            support_contains(error.text, "0 to 1 are possible");
        }
        free(p.out.data);
        free(before.data);
        machine_drop(&m);
    }
}

/* --- what is not so */

static void other_models_are_refused(void **state) {
    (void)state;
    uint8_t data[500];
    machine m = machine_make(configs[0], 1, NULL);
    octet_model *other;
    octet_model_info info;
    fill(data, sizeof data, 1, 4);
    buffer packed = compress_bytes(m.model, data, sizeof data, 0, 0, NULL), back;
    support_ok(octet_model_create(&other, m.runtime, configs[0], "test", 4, &error), &error);
    assert_int_equal(expand_bytes(other, &packed, &back), OCTET_WRONG_MODEL);
    assert_int_equal(back.size, 0);
    octet_model_info_get(other, &info);
    support_contains(error.text, info.fingerprint);
    octet_model_info_get(m.model, &info);
    support_contains(error.text, info.fingerprint);
    char needed[33];
    support_ok(octet_compressed_model(needed, packed.data, "x", &error), &error);
    assert_string_equal(needed, info.fingerprint);
    octet_model_destroy(&other);
    free(packed.data);
    machine_drop(&m);
}

/* Damage is found, and what was written before it is right. */
static void expect_damage(octet_model *m, const buffer *packed, const uint8_t *data) {
    buffer back;
    octet_status status = expand_bytes(m, packed, &back);
    if (status != OCTET_CORRUPT && status != OCTET_WRONG_MODEL)
        fail_msg("status %d: %s", status, error.text);
    if (back.size)
        assert_memory_equal(back.data, data, back.size);
    free(back.data);
}

/* Every bit flipped, every end cut off, every byte gone or doubled, of a file of 2 KiB. */
static void damage_is_found(void **state) {
    (void)state;
    enum { BYTES = 7200 };
    uint8_t data[BYTES];
    machine m = machine_make(configs[0], 1, NULL);
    fill(data, BYTES, 1, 11);
    buffer packed = compress_bytes(m.model, data, BYTES, 3, 1500, NULL);
    assert_in_range(packed.size, 2048, 2300);
    for (size_t i = 0; i < packed.size * 8; i += step_of(101)) {
        packed.data[i / 8] ^= (uint8_t)(1 << i % 8);
        expect_damage(m.model, &packed, data);
        packed.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    uint8_t *changed = support_alloc(packed.size + 1, 1);
    for (size_t i = 0; i < packed.size; i += step_of(61)) {
        expect_damage(m.model, &(buffer){.data = packed.data, .size = i}, data);
        memcpy(changed, packed.data, i);
        memcpy(changed + i, packed.data + i + 1, packed.size - i - 1);
        /* without one of two equal bytes, or with one more of them, runs look alike */
        expect_damage(m.model, &(buffer){.data = changed, .size = packed.size - 1}, data);
        changed[i] = 'x';
        memcpy(changed + i + 1, packed.data + i, packed.size - i);
        expect_damage(m.model, &(buffer){.data = changed, .size = packed.size + 1}, data);
    }
    free(changed);
    free(packed.data);
    machine_drop(&m);
}

/* The file with another payload in its only block, for which all checksums but the content's are
 * right. The decoder gives the content or finds that it does not. */
static void expect_decoder(octet_model *m, const buffer *packed, container_block b,
                           const uint8_t *payload, size_t n, const uint8_t *data) {
    enum { HEADER = CONTAINER_HEADER_BYTES, BLOCK = CONTAINER_BLOCK_BYTES };
    const size_t old = b.payload, rest = HEADER + BLOCK + old;
    uint8_t *changed = support_alloc(packed->size + 1, 1);
    buffer made = {.data = changed, .size = packed->size - old + n}, back;
    memcpy(changed, packed->data, HEADER);
    memcpy(changed + HEADER + BLOCK, payload, n);
    memcpy(changed + HEADER + BLOCK + n, packed->data + rest, packed->size - rest);
    b.payload = (uint32_t)n;
    b.payload_hash = container_hash(payload, n);
    container_put_block(changed + HEADER, &b);
    octet_status status = expand_bytes(m, &made, &back);
    /* past the last interval's end a bit may mean nothing; then the index finds another length */
    assert_true(status == OCTET_CORRUPT || (status == OCTET_OK && n == old));
    if (back.size)
        assert_true(back.size == b.content && !memcmp(back.data, data, back.size));
    free(back.data);
    free(changed);
}

/* What the checksums of coded bytes find, had they not found it: bits, ends, bytes gone and more.
 */
static void decoder_meets_damage(void **state) {
    (void)state;
    enum { BYTES = 3000, HEADER = CONTAINER_HEADER_BYTES, BLOCK = CONTAINER_BLOCK_BYTES };
    uint8_t data[BYTES], other[BYTES];
    machine m = machine_make(configs[0], 1, NULL);
    fill(data, BYTES, 1, 12);
    buffer packed = compress_bytes(m.model, data, BYTES, 2, 0, NULL);
    container_block b;
    support_ok(container_get_block(&b, packed.data + HEADER, HEADER, "x", &error), &error);
    assert_int_equal(b.kind, CONTAINER_CODED);
    const uint8_t *payload = packed.data + HEADER + BLOCK;
    const size_t n = b.payload, step = step_of(127);
    for (size_t i = 0; i < n * 8; i += step) {
        memcpy(other, payload, n);
        other[i / 8] ^= (uint8_t)(1 << i % 8);
        expect_decoder(m.model, &packed, b, other, n, data);
    }
    for (size_t i = 4 * b.streams; i < n; i += step_of(41)) {
        expect_decoder(m.model, &packed, b, payload, i, data);
        memcpy(other, payload, i);
        memcpy(other + i, payload + i + 1, n - i - 1);
        expect_decoder(m.model, &packed, b, other, n - 1, data);
        other[i] = 'x';
        memcpy(other + i + 1, payload + i, n - i);
        expect_decoder(m.model, &packed, b, other, n + 1, data);
        /* and with the first stream's size moved along */
        other[0] = (uint8_t)(payload[0] + 1);
        if (other[0])
            expect_decoder(m.model, &packed, b, other, n + 1, data);
    }
    free(packed.data);
    machine_drop(&m);
}

static void files_describe_themselves(void **state) {
    (void)state;
    uint8_t data[5000];
    machine m = machine_make(configs[0], 1, NULL);
    octet_model_info about;
    octet_compressed_info info;
    fill(data, sizeof data, 1, 13);
    pair p = {.in = compress_bytes(m.model, data, sizeof data, 3, 1500, NULL)};
    const octet_io io = io_of(&p);
    support_ok(octet_compressed_describe(&info, &io, &error), &error);
    octet_model_info_get(m.model, &about);
    assert_string_equal(info.fingerprint, about.fingerprint);
    assert_string_equal(info.profile, "f32");
    assert_true(info.sizes.content == sizeof data && info.sizes.blocks == 4 &&
                info.sizes.compressed == p.in.size && info.sizes.stored == 0);
    free(p.in.data);
    machine_drop(&m);
}

static octet_status failing_write(void *context, const void *bytes, size_t n, octet_error *e) {
    pair *p = context;
    p->out.at += n;
    if (p->out.at > p->out.capacity) {
        e->code = OCTET_ERROR;
        snprintf(e->text, sizeof e->text, "the disk is full");
        return OCTET_ERROR;
    }
    (void)bytes;
    return OCTET_OK;
}

static void failures_come_through(void **state) {
    (void)state;
    uint8_t data[3000];
    machine m = machine_make(configs[0], 1, NULL);
    fill(data, sizeof data, 1, 14);
    buffer packed = compress_bytes(m.model, data, sizeof data, 2, 1024, NULL);
    volatile int stop = 1;
    for (size_t room = 0; room < packed.size; room += 100) {
        pair p = {.in = {.data = data, .size = sizeof data}, .out = {.capacity = room}};
        const octet_io io = {
            .read = read_buffer, .write = failing_write, .context = &p, .name = "x"};
        const octet_compress_params how = {.streams = 2, .block = 1024, .keep = -1};
        assert_int_equal(octet_compress(m.model, &how, &io, NULL, &error), OCTET_ERROR);
        assert_string_equal(error.text, "the disk is full");
    }
    pair p = {.in = {.data = packed.data, .size = packed.size}};
    octet_io io = io_of(&p);
    io.stop = &stop;
    assert_int_equal(octet_decompress(m.model, NULL, &io, NULL, &error), OCTET_STOPPED);
    p.in = (buffer){.data = data, .size = sizeof data};
    assert_int_equal(octet_compress(m.model, NULL, &io, NULL, &error), OCTET_STOPPED);
    const octet_compress_params bad[] = {{.streams = -1, .keep = -1},
                                         {.streams = 4097, .keep = -1},
                                         {.block = 1023, .keep = -1},
                                         {.block = (1 << 26) + 1, .keep = -1},
                                         {.keep = 3},
                                         {.keep = 64}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(octet_compress(m.model, &bad[i], &io, NULL, &error), OCTET_ERROR);
    free(packed.data);
    free(p.out.data);
    machine_drop(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_come_back),        cmocka_unit_test(kinds_come_back),
        cmocka_unit_test(machines_agree),           cmocka_unit_test(streams_are_not_empty),
        cmocka_unit_test(sizes_are_right),          cmocka_unit_test(models_adapt),
        cmocka_unit_test(other_models_are_refused), cmocka_unit_test(damage_is_found),
        cmocka_unit_test(decoder_meets_damage),     cmocka_unit_test(files_describe_themselves),
        cmocka_unit_test(failures_come_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
