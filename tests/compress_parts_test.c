/* compress_parts_test.c: parts of compressed content: ranges, what damage leaves over, samples in
 * WAV files; fewer streams at once, limits of memory, buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "coder/container.h"
#include "octet/octet.h"
#include "support.h"

static octet_error error;

/* Head biases that no training made: there is something to gain in bytes 0 to 5. */
static octet_model *make_model(octet_runtime *runtime, const char *codec, uint64_t seed) {
    char json[512], name[64];
    const float likely[] = {8, 8, 8, 8, 8, 8};
    octet_model *m;
    snprintf(json, sizeof json,
             "{\"context\": 64, \"head_bias\": true, %s \"levels\": [{\"dim\": 16, \"layers\": 1, "
             "\"heads\": 2, \"patch\": 4, \"zero_init\": false}, {\"dim\": 16, \"layers\": 1, "
             "\"heads\": 2, \"zero_init\": false}]}",
             codec);
    support_ok(octet_model_create(&m, runtime, json, "test", seed, &error), &error);
    snprintf(name, sizeof name, "levels.%d.head.bias", m->model->config.n_levels - 1);
    param *bias = params_find(&m->model->params, name);
    assert_non_null(bias);
    support_ok(backend_write(m->model->backend, &bias->v, 0, 6, likely, &error), &error);
    return m;
}

typedef struct machine {
    octet_runtime *runtime;
    octet_model *model;
} machine;

static machine machine_make(const char *codec) {
    machine made;
    const octet_runtime_params how = {.threads = 1};
    support_ok(octet_runtime_create(&made.runtime, &how, &error), &error);
    made.model = make_model(made.runtime, codec, 3);
    return made;
}

static void machine_drop(machine *m) {
    octet_model_destroy(&m->model);
    octet_runtime_destroy(&m->runtime);
}

/* Bytes 0 to 5, and every so often a stretch of anything, which is stored where a block is all of
 * it. */
static void fill(uint8_t *data, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)(i % 4000 < 1100 && i > 2100 ? support_integer(&seed, 0, 255)
                                                        : support_integer(&seed, 0, 5));
}

typedef struct packed {
    uint8_t *data;
    size_t size;
} packed;

static packed pack(const machine *m, const uint8_t *data, size_t n, int streams, int64_t bytes) {
    packed made;
    const octet_compress_params how = {.streams = streams, .block = bytes, .keep = -1};
    support_ok(octet_compress_buffer(&made.data, &made.size, m->model, &how, data, n, &error),
               &error);
    return made;
}

/* --- bytes that can seek, and are counted */

typedef struct tape {
    const uint8_t *in;
    size_t size, at, taken, seeks;
    uint8_t *out;
    size_t written, room;
} tape;

static octet_status take(void *context, void *bytes, size_t n, size_t *got, octet_error *e) {
    (void)e;
    tape *t = context;
    *got = t->size - t->at < n ? t->size - t->at : n;
    if (*got)
        memcpy(bytes, t->in + t->at, *got);
    t->at += *got;
    t->taken += *got;
    return OCTET_OK;
}

static octet_status go(void *context, int64_t position, octet_error *e) {
    (void)e;
    tape *t = context;
    t->at = position < 0 ? t->size - (size_t)-position : (size_t)position;
    t->at = t->at < t->size ? t->at : t->size;
    t->seeks++;
    return OCTET_OK;
}

static octet_status append(void *context, const void *bytes, size_t n, octet_error *e) {
    (void)e;
    tape *t = context;
    assert_true(n <= t->room - t->written);
    memcpy(t->out + t->written, bytes, n);
    t->written += n;
    return OCTET_OK;
}

enum { LONG = 12000, BLOCK = 1024 };

/* Of the long form; fewer where a sanitizer makes that hours. */
#if defined(__SANITIZE_ADDRESS__)
enum { LONG_ROUNDS = 150 };
#else
enum { LONG_ROUNDS = 1000 };
#endif

/* Every range of every kind, by index and by walking. */
static void ranges_are_parts(void **state) {
    (void)state;
    machine m = machine_make("");
    uint8_t *data = support_alloc(LONG, 1), *out = support_alloc(LONG, 1);
    uint64_t random = 7;
    fill(data, LONG, 1);
    packed p = pack(&m, data, LONG, 3, BLOCK);
    for (int i = 0; i < (support_all() ? LONG_ROUNDS : 40); i++) {
        const size_t first = (size_t)support_integer(&random, 0, LONG - 1);
        const int64_t most = i % 3 ? LONG : (int64_t)first + 30 < LONG ? (int64_t)first + 30 : LONG;
        const size_t end = (size_t)support_integer(&random, (int64_t)first + 1, most);
        const octet_decompress_params how = {.first = first, .end = end, .streams = i % 4};
        tape t = {.in = p.data, .size = p.size, .out = out, .room = LONG};
        const octet_io io = {.read = take,
                             .write = append,
                             .seek = i % 2 ? go : NULL,
                             .context = &t,
                             .name = "tape"};
        support_ok(octet_decompress(m.model, &how, &io, NULL, &error), &error);
        assert_int_equal(t.written, end - first);
        assert_memory_equal(out, data + first, end - first);
        /* the header, the index and whole blocks */
        const size_t blocks = (end - 1) / BLOCK - first / BLOCK + 1;
        if (io.seek)
            assert_true(t.taken <= 64 + 16 + 64 + 16 * (LONG / BLOCK + 1) + blocks * (BLOCK + 64));
    }
    const octet_decompress_params beyond = {.first = 5, .end = LONG + 1};
    for (int i = 0; i < 2; i++) {
        tape t = {.in = p.data, .size = p.size, .out = out, .room = LONG};
        const octet_io io = {
            .read = take, .write = append, .seek = i ? go : NULL, .context = &t, .name = "tape"};
        assert_int_equal(octet_decompress(m.model, &beyond, &io, NULL, &error), OCTET_ERROR);
        support_contains(error.text, "the content has 12000");
    }
    octet_buffer_free(p.data);
    free(data);
    free(out);
    machine_drop(&m);
}

/* --- damage */

typedef struct losses {
    uint64_t first[64], end[64];
    int n;
} losses;

static void note(void *context, uint64_t first, uint64_t end, const char *why) {
    losses *l = context;
    assert_true(first <= end && l->n < 64 && *why);
    l->first[l->n] = first;
    l->end[l->n++] = end;
}

/* What came back is the content but for what was told lost, which is zeros. */
static void check_rest(const uint8_t *out, size_t n, const uint8_t *data, const losses *l) {
    for (size_t i = 0; i < n; i++) {
        int lost = 0;
        for (int k = 0; k < l->n; k++)
            lost |= i >= l->first[k] && i < l->end[k];
        if (lost ? out[i] != 0 : out[i] != data[i])
            fail_msg("byte %zu is %d, it was %d, lost: %d", i, out[i], data[i], lost);
    }
}

/* Random damage of every kind, several at once; over it by the index and without. At least the
 * blocks that it does not touch come back. */
static void damage_stays_local(void **state) {
    (void)state;
    machine m = machine_make("");
    uint8_t *data = support_alloc(LONG, 1), *out = support_alloc(2 * LONG, 1);
    uint64_t random = 9;
    fill(data, LONG, 2);
    packed p = pack(&m, data, LONG, 2, BLOCK);
    uint8_t *bad = support_alloc(p.size + 100, 1);
    for (int i = 0; i < (support_all() ? 2 * LONG_ROUNDS : 40); i++) {
        size_t size = p.size;
        const int kind = i % 5, hits = 1 + i % 3;
        memcpy(bad, p.data, size);
        for (int k = 0; k < hits; k++) {
            const size_t at = (size_t)support_integer(&random, 64, (int64_t)size - 1);
            if (kind == 0 || kind == 4)
                bad[at] ^= (uint8_t)support_integer(&random, 1, 255);
            else if (kind == 1)
                memmove(bad + at, bad + at + 1, --size - at);
            else if (kind == 2)
                memmove(bad + at + 1, bad + at, size++ - at);
            else
                size = k ? size : at;
        }
        losses l = {.n = 0};
        tape t = {.in = bad, .size = size, .out = out, .room = 2 * LONG};
        const octet_io io = {
            .read = take, .write = append, .seek = i % 2 ? go : NULL, .context = &t, .name = "x"};
        const octet_decompress_params how = {.lost = note, .lost_context = &l};
        octet_status status = octet_decompress(m.model, &how, &io, NULL, &error);
        const int unchanged = size == p.size && !memcmp(bad, p.data, size);
        assert_int_equal(status == OCTET_WARNING, l.n > 0);
        if (status && status != OCTET_WARNING)
            fail_msg("status %d: %s", status, error.text);
        assert_true(unchanged ? !status : t.written <= LONG);
        check_rest(out, t.written, data, &l);
        uint64_t lost = 0;
        for (int k = 0; k < l.n; k++)
            lost += l.end[k] - l.first[k];
        if (kind < 3 || kind == 4) { /* a hit may fall on the header of the block after */
            assert_true(lost <= (uint64_t)hits * 2 * BLOCK);
            assert_true(t.written + (uint64_t)hits * 2 * BLOCK >= LONG);
        }
    }
    octet_buffer_free(p.data);
    free(bad);
    free(data);
    free(out);
    machine_drop(&m);
}

/* A compressed file inside a stored block, whose header is hit: its blocks are not taken for those
 * of the file, as long as the index is there. */
static void files_in_files_stay_inside(void **state) {
    (void)state;
    machine m = machine_make("");
    uint8_t data[4000], out[8000];
    fill(data, sizeof data, 3);
    packed inner = pack(&m, data, 2000, 1, 1024);
    packed outer = pack(&m, inner.data, inner.size, 1, 1 << 16);
    losses l = {.n = 0};
    outer.data[64 + 20] ^= 1;
    tape t = {.in = outer.data, .size = outer.size, .out = out, .room = sizeof out};
    const octet_io io = {.read = take, .write = append, .seek = go, .context = &t, .name = "x"};
    const octet_decompress_params how = {.lost = note, .lost_context = &l};
    assert_int_equal(octet_decompress(m.model, &how, &io, NULL, &error), OCTET_WARNING);
    assert_int_equal(t.written, inner.size);
    assert_true(l.n == 1 && l.first[0] == 0 && l.end[0] == inner.size);
    octet_buffer_free(inner.data);
    octet_buffer_free(outer.data);
    machine_drop(&m);
}

/* --- samples */

typedef struct wav {
    uint8_t data[9000];
    size_t size, first, bytes; /* of samples */
} wav;

static void put(wav *w, const void *bytes, size_t n) {
    assert_true(n <= sizeof w->data - w->size);
    memcpy(w->data + w->size, bytes, n);
    w->size += n;
}

static void put_number(wav *w, uint32_t x, size_t n) {
    const uint8_t bytes[4] = {(uint8_t)x, (uint8_t)(x >> 8), (uint8_t)(x >> 16),
                              (uint8_t)(x >> 24)};
    put(w, bytes, n);
}

/* A WAV file with a chunk before and after; samples of small value, the last frame cut where
 * `bytes` says so. */
static wav make_wav(unsigned bits, unsigned channels, size_t bytes, uint32_t stated) {
    wav w = {.size = 0};
    uint64_t seed = bytes;
    put(&w, "RIFF", 4);
    put_number(&w, 0x7ffffff0, 4);
    put(&w, "WAVElist\3\0\0\0odd\0fmt \20\0\0\0\1\0", 26);
    put_number(&w, channels, 2);
    put_number(&w, 8000, 4);
    put_number(&w, 8000 * channels * bits / 8, 4);
    put_number(&w, channels * bits / 8, 2);
    put_number(&w, bits, 2);
    put(&w, "data", 4);
    put_number(&w, stated, 4);
    w.first = w.size;
    w.bytes = bytes;
    for (size_t i = 0; i < bytes; i++)
        put_number(&w, (uint32_t)support_integer(&seed, 0, 5), 1);
    put(&w, "tail\2\0\0\0\xff", 9);
    return w;
}

static void check_wav(const machine *m, const wav *w, uint64_t samples, int64_t bytes) {
    const octet_compress_params how = {.streams = 3, .block = bytes, .keep = -1};
    packed p;
    uint8_t *back;
    size_t size;
    support_ok(octet_compress_buffer(&p.data, &p.size, m->model, &how, w->data, w->size, &error),
               &error);
    support_ok(octet_decompress_buffer(&back, &size, m->model, NULL, p.data, p.size, &error),
               &error);
    assert_int_equal(size, w->size);
    assert_memory_equal(back, w->data, size);
    octet_buffer_free(back);
    tape t = {.in = w->data, .size = w->size, .out = p.data, .room = p.size};
    octet_compress_report report;
    const octet_io io = {.read = take, .write = append, .context = &t, .name = "x"};
    support_ok(octet_compress(m->model, &how, &io, &report, &error), &error);
    assert_int_equal(report.samples, samples);
    octet_compressed_info info;
    tape again = {.in = p.data, .size = p.size};
    const octet_io reading = {.read = take, .context = &again, .name = "x"};
    support_ok(octet_compressed_describe(&info, &reading, &error), &error);
    assert_int_equal(info.rate_hz, samples ? 8000 : 0);
    octet_buffer_free(p.data);
}

static void wav_comes_back(void **state) {
    (void)state;
    machine bytes = machine_make("");
    machine pcm16 = machine_make("\"codec\": \"pcm16\", \"rate_hz\": 8000, \"channels\": 2,");
    machine pcm8 = machine_make("\"codec\": \"pcm8\", \"rate_hz\": 8000, \"channels\": 1,");
    static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 1023, 1025, 3333};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t n = sizes[i];
        for (unsigned channels = 1; channels <= 3; channels++) {
            const wav w = make_wav(16, channels, n, (uint32_t)n);
            const uint64_t whole = n ? n - n % (2 * channels) : n + 9;
            check_wav(&pcm16, &w, whole, i % 2 ? 1024 : 4100);
            check_wav(&bytes, &w, 0, 2000);
            check_wav(&pcm8, &w, 0, 2000);
            const wav open = make_wav(16, channels, n, UINT32_MAX); /* to the end */
            check_wav(&pcm16, &open, n + 9, 1500);
            const wav lies = make_wav(16, channels, n, (uint32_t)n + 600);
            check_wav(&pcm16, &lies, n + 9, 1500);
            const wav low = make_wav(8, channels, n, (uint32_t)n);
            check_wav(&pcm8, &low, n ? n - n % channels : n + 9, 1024);
            check_wav(&pcm16, &low, 0, 1024);
        }
    }
    machine_drop(&bytes);
    machine_drop(&pcm16);
    machine_drop(&pcm8);
}

/* Streams begin with whole frames, and cost what the samples cost with the more significant byte
 * first. */
static void samples_are_swapped(void **state) {
    (void)state;
    machine m = machine_make("\"codec\": \"pcm16\", \"rate_hz\": 8000, \"channels\": 2,");
    const wav w = make_wav(16, 2, 6000, 6000);
    packed p;
    const octet_compress_params how = {.streams = 2, .plain = 1};
    support_ok(octet_compress_buffer(&p.data, &p.size, m.model, &how, w.data, w.size, &error),
               &error);
    container_block b;
    const size_t at = 64 + 64 + w.first;
    support_ok(container_get_block(&b, p.data + at, at, "x", &error), &error);
    assert_int_equal(b.kind, CONTAINER_SWAPPED);
    assert_int_equal(b.content, 6000);
    assert_int_equal(container_stream_bytes(b.content, b.streams, 4) % 4, 0);
    /* the first stream alone, big-endian, read by a session of our own */
    const size_t each = container_stream_bytes(b.content, b.streams, 4);
    const octet_score_params whole = {.keep = 0};
    uint8_t big[6000];
    double bits, little;
    for (size_t i = 0; i < each; i++)
        big[i] = w.data[w.first + (i ^ 1)];
    support_ok(octet_score(m.model, big, each, &whole, &bits, &error), &error);
    support_ok(octet_score(m.model, w.data + w.first, each, &whole, &little, &error), &error);
    const uint8_t *size = p.data + at + 64;
    const double coded = 8.0 * (size[0] | size[1] << 8);
    /* the end of a stream takes a byte more at most; below what they cost, nothing can be coded */
    assert_true(coded > bits - 1 && coded < bits + 9);
    assert_true(coded < little - 1);
    octet_buffer_free(p.data);
    machine_drop(&m);
}

/* --- limits */

static void memory_is_known_before(void **state) {
    (void)state;
    machine m = machine_make("");
    uint8_t data[5000], *back;
    size_t size;
    int64_t before = 0, bytes;
    fill(data, sizeof data, 5);
    const octet_compress_params plain = {.streams = 16, .keep = -1, .plain = 1};
    packed p;
    support_ok(octet_compress_buffer(&p.data, &p.size, m.model, &plain, data, sizeof data, &error),
               &error);
    for (int streams = 32; streams <= 1024; streams *= 2) {
        support_ok(octet_decompress_memory(&bytes, m.model, streams, 0, 0, &error), &error);
        assert_true(bytes > before);
        before = bytes;
    }
    int64_t need[2];
    support_ok(octet_decompress_memory(&need[0], m.model, 16, sizeof data, 0, &error), &error);
    support_ok(octet_decompress_memory(&need[1], m.model, 4, sizeof data, 0, &error), &error);
    octet_decompress_params how = {.memory = need[0]};
    support_ok(octet_decompress_buffer(&back, &size, m.model, &how, p.data, p.size, &error),
               &error);
    octet_buffer_free(back);
    how.memory = need[0] - 1;
    assert_int_equal(octet_decompress_buffer(&back, &size, m.model, &how, p.data, p.size, &error),
                     OCTET_ERROR);
    assert_null(back);
    support_contains(error.text, "decoding 16 streams at once needs");
    support_contains(error.text, "8 at once need");
    how = (octet_decompress_params){.memory = need[1], .streams = 4};
    support_ok(octet_decompress_buffer(&back, &size, m.model, &how, p.data, p.size, &error),
               &error);
    assert_int_equal(size, sizeof data);
    assert_memory_equal(back, data, size);
    octet_buffer_free(back);
    int64_t mixed;
    support_ok(octet_decompress_memory(&mixed, m.model, 16, sizeof data, 1, &error), &error);
    assert_true(mixed > need[0]);
    const int with = OCTET_MIXED | OCTET_ADAPTS;
    support_ok(octet_decompress_memory(&bytes, m.model, 16, sizeof data, with, &error), &error);
    assert_true(bytes > mixed);
    support_ok(octet_decompress_memory(&bytes, m.model, 16, sizeof data,
                                       OCTET_MIXED | OCTET_IN_INT8, &error),
               &error);
    assert_true(bytes < mixed); /* keys and values are a quarter as large */
    octet_compress_params coding = {.keep = -1, .memory = 1};
    assert_int_equal(
        octet_compress_buffer(&back, &size, m.model, &coding, data, sizeof data, &error),
        OCTET_ERROR);
    support_contains(error.text, "coding needs");
    support_ok(octet_compress_memory(&bytes, m.model, &coding, &error), &error);
    coding.profile = OCTET_INT8;
    support_ok(octet_compress_memory(&coding.memory, m.model, &coding, &error), &error);
    assert_true(coding.memory != bytes);
    coding.profile = OCTET_F32;
    coding.memory = bytes;
    support_ok(octet_compress_buffer(&back, &size, m.model, &coding, data, sizeof data, &error),
               &error);
    octet_buffer_free(back);
    octet_buffer_free(p.data);
    machine_drop(&m);
}

static void limits_are_kept(void **state) {
    (void)state;
    machine m = machine_make("");
    uint8_t data[5000], *back;
    size_t size;
    fill(data, sizeof data, 6);
    packed p = pack(&m, data, sizeof data, 1, 1024);
    for (uint64_t most = 4999; most <= 5000; most++) {
        const octet_decompress_params how = {.most = most};
        assert_int_equal(
            octet_decompress_buffer(&back, &size, m.model, &how, p.data, p.size, &error),
            most < 5000 ? OCTET_ERROR : OCTET_OK);
        octet_buffer_free(back);
    }
    const octet_decompress_params bad[] = {
        {.streams = -1}, {.streams = 4097}, {.first = 2, .end = 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(
            octet_decompress_buffer(&back, &size, m.model, &bad[i], p.data, p.size, &error),
            OCTET_ERROR);
    octet_buffer_free(p.data);
    machine_drop(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_parts),
        cmocka_unit_test(damage_stays_local),
        cmocka_unit_test(files_in_files_stay_inside),
        cmocka_unit_test(wav_comes_back),
        cmocka_unit_test(samples_are_swapped),
        cmocka_unit_test(memory_is_known_before),
        cmocka_unit_test(limits_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
