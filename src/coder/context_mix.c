/* context_mix.c: see context_mix.h.
 *
 * Numbers: probabilities of a 1 have 22 bits, odds are logarithms to base 2 with 12 bits behind the
 * point, weights have 20. The parameters (rates, contexts, which tables choose weights) are those
 * that cost least on 256 KiB of a book and 128 KiB each of source code, machine code and images. */
#include "coder/context_mix.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "coder/mix_kernels.h"

enum {
    CONTEXTS = 9, /* two inputs of each; model, no context, repeat, constant; two zeros */
    P_BITS = 22,
    P_ONE = 1 << P_BITS,
    ODDS_ONE = 1 << 12,
    ODDS_MOST = 20 * ODDS_ONE,
    WEIGHT_ONE = 1 << 20,
    COUNT_BITS = 10,
    COUNT_MOST = 255,
    LEVELS = 16,      /* of the model's certainty */
    REPEATS = 4,      /* kinds of repeat: none and three lengths */
    REPEAT_LEAST = 7, /* bytes */
    REPEAT_MOST = 32, /* longer ones count as this */
    CELLS = 33,       /* of a correction, over odds from -12 to 12 */
    CELL_ODDS = 24 * ODDS_ONE / (CELLS - 1),
    CELLS_MOST = 1 << 16, /* contexts of a correction */
    LINES_MOST = 1 << 18,
    PLACES_MOST = 1 << 20
};

/* A probability above the number of times it was learned; 0 stands for 1/2, never learned. */
typedef uint32_t counter;

/* The counters of half a byte after one context: node 1, then 2 and 3, and so on. */
typedef struct line {
    uint32_t check;
    counter node[15];
} line;

typedef struct stream_state {
    size_t begin, at;           /* first byte; bytes so far */
    uint32_t context[CONTEXTS]; /* hashes of what stands before the next byte */
    uint32_t word, last_word;   /* hashes of letters */
    size_t repeat;              /* where the byte stands that a repeat expects next */
    uint32_t repeated;          /* bytes that agreed; 0: no repeat */
} stream_state;

/* The byte and the decision that are being coded. */
typedef struct decision {
    const stream_state *stream;
    line *lines[CONTEXTS];
    uint32_t last, last_two; /* bytes before */
    int certainty, expected; /* expected: by the repeat; -1: nothing */
    uint32_t repeated;       /* length of the repeat */
    int32_t rate;            /* of weights */
    int bits_left;
    int node, half_node; /* the bits so far behind a 1; those of this half of the byte */
    int32_t input[MIX_INPUTS];
    counter *counters[CONTEXTS + 1]; /* the last one without a context */
    counter *hit;                    /* of the repeat; NULL: it has nothing to say */
    int hit_bit;
    int32_t *weights[3];
    int32_t *cells[2];
    int near_cell;
    uint32_t mixed; /* before the corrections */
} decision;

struct context_mix {
    uint8_t *content;
    size_t n, each, n_streams;
    const mix_kernels *kernels;
    stream_state *streams;
    line *table; /* [CONTEXTS][line_mask + 1], each within a cache line */
    uint32_t line_mask;
    uint32_t *places, place_mask; /* by a hash of the last bytes: what stands behind them */
    counter alone[256], hits[REPEAT_MOST + 1];
    int32_t certain_weights[LEVELS * REPEATS][MIX_INPUTS];
    int32_t node_weights[256][MIX_INPUTS], byte_weights[256][MIX_INPUTS];
    int32_t (*cells[2])[CELLS]; /* by a hash: difference to cell_start */
    int cell_shift;             /* of the hash */
    int32_t cell_start[CELLS];
    uint64_t coded;
    uint32_t share[COUNT_MOST + 1]; /* of a step towards what came, by count, of 2^16 */
    int32_t logarithm[ODDS_ONE + 1];
    uint32_t power[ODDS_ONE];
    decision now;
};

/* --- arithmetic */

/* logarithm[i] = log2(1 + i / 4096), by squaring; power[i] = 2^(-i / 4096) with 30 bits. */
static void fill_tables(context_mix *m) {
    /* 2^(-2^j / 4096) with 31 bits */
    static const uint32_t root[12] = {2147120270, 2146756953, 2146030505, 2144578345,
                                      2141676973, 2135885998, 2124350982, 2101467502,
                                      2056437387, 1969251188, 1805811301, 1518500250};
    for (uint32_t i = 0; i < ODDS_ONE; i++) {
        uint64_t x = ((uint64_t)1 << 31) + ((uint64_t)i << 19), y = (uint64_t)1 << 31;
        int32_t bits = 0;
        for (int j = 0; j < 13; j++) {
            x = x * x >> 31;
            bits = 2 * bits + (x >> 32 != 0);
            x >>= x >> 32;
        }
        m->logarithm[i] = (bits + 1) / 2;
        for (int j = 0; j < 12; j++)
            if (i >> j & 1)
                y = y * root[j] >> 31;
        m->power[i] = (uint32_t)(y >> 1);
    }
    m->logarithm[ODDS_ONE] = ODDS_ONE;
    for (uint32_t i = 0; i <= COUNT_MOST; i++)
        m->share[i] = 655360 / (10 * i + 16);
}

static int32_t log2_of(const context_mix *m, uint32_t v) {
    const int top = 31 - __builtin_clz(v);
    const uint32_t fraction = top >= 12 ? v >> (top - 12) : v << (12 - top);
    return top * ODDS_ONE + m->logarithm[fraction & (ODDS_ONE - 1)];
}

/* log2(p / (1 - p)) */
static int32_t odds_of(const context_mix *m, uint32_t p) {
    return log2_of(m, p) - log2_of(m, P_ONE - p);
}

/* 1 / (1 + 2^-odds), above 0 and below 1. */
static uint32_t probability_of(const context_mix *m, int32_t odds) {
    const int32_t size = odds < 0 ? -odds : odds;
    const uint64_t one = (uint64_t)1 << 30;
    const uint64_t rest = m->power[size % ODDS_ONE] >> (size / ODDS_ONE);
    uint32_t p = (uint32_t)((one << P_BITS) / (one + rest));
    p = p < P_ONE ? p : P_ONE - 1;
    return odds < 0 ? P_ONE - p : p;
}

static int32_t clamp(int64_t x, int32_t most) {
    return (int32_t)(x > most ? most : x < -most ? -most : x);
}

static uint32_t hash(uint32_t a, uint32_t b) {
    uint32_t h = a * 0x9e3779b1u ^ (b + 0x7f4a7c15u) * 0x85ebca6bu;
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    return h ^ h >> 13;
}

/* --- counters */

static uint32_t counter_p(counter c) {
    const uint32_t p = (c ^ (uint32_t)1 << 31) >> COUNT_BITS;
    return p ? p : 1;
}

static uint32_t counter_n(counter c) {
    return c & (((uint32_t)1 << COUNT_BITS) - 1);
}

static void counter_learn(const context_mix *m, counter *c, int bit) {
    const uint32_t n = counter_n(*c);
    const int64_t p = counter_p(*c);
    const int64_t to = bit ? P_ONE - 1 : 0;
    const uint32_t next = (uint32_t)(p + (to - p) * m->share[n] / 65536);
    *c = (next << COUNT_BITS | (n < COUNT_MOST ? n + 1 : n)) ^ (uint32_t)1 << 31;
}

/* Where a context's line is, or in the place beside it. */
static line *line_place(const context_mix *m, int context, uint32_t h) {
    return m->table + (size_t)context * (m->line_mask + 1) + (h * 0x9e3779b1u >> 7 & m->line_mask);
}

/* The line of a context, in one of two places; the one that was learned less makes room. */
static line *find_line(const context_mix *m, int context, uint32_t h) {
    const uint32_t check = h >> 8 | 1u << 24;
    line *first = line_place(m, context, h), *second = m->table + ((first - m->table) ^ 1);
    if (first->check == check)
        return first;
    if (second->check == check)
        return second;
    line *l = counter_n(first->node[0]) <= counter_n(second->node[0]) ? first : second;
    *l = (line){.check = check};
    return l;
}

/* --- one decision */

/* 0: the model is as good as lost, LEVELS - 1: as good as certain. */
static int certainty_of(const context_mix *m, const frequencies *f) {
    uint32_t most = 0;
    for (int i = 0; i < 256; i++) {
        const uint32_t count = f->below[i + 1] - f->below[i];
        most = count > most ? count : most;
    }
    if (most < FREQUENCY_TOTAL / 2) {
        const int level = log2_of(m, most) / ODDS_ONE - (FREQUENCY_BITS - 7);
        return level > 0 ? level : 0;
    }
    const int level = 6 + FREQUENCY_BITS - 1 - log2_of(m, FREQUENCY_TOTAL - most) / ODDS_ONE;
    return level < LEVELS ? level : LEVELS - 1;
}

/* That the next bit is a 1: the odds of the `half` bytes from low + half on against those before.
 */
static int32_t model_odds(const context_mix *m, const frequencies *f, int low, int half) {
    const uint32_t *b = f->below + low;
    return log2_of(m, b[2 * half] - b[half]) - log2_of(m, b[half] - b[0]);
}

static void take_inputs(context_mix *m, int32_t model_odds) {
    decision *d = &m->now;
    int32_t *in = d->input;
    *in++ = model_odds;
    for (int i = 0; i < CONTEXTS; i++) {
        counter *c = &d->lines[i]->node[d->half_node - 1];
        const uint32_t p = counter_p(*c);
        const int known = counter_n(*c) > 0;
        d->counters[i] = c;
        *in++ = known ? odds_of(m, p) : 0;
        *in++ = known ? ((int32_t)p - P_ONE / 2) / 256 : 0;
    }
    d->counters[CONTEXTS] = &m->alone[d->node];
    *in++ = odds_of(m, counter_p(m->alone[d->node]));
    d->hit = NULL;
    *in = 0;
    /* A repeat that was wrong about an earlier bit of the byte is silent. */
    if (d->expected >= 0 && (d->expected + 256) >> d->bits_left == d->node) {
        d->hit = &m->hits[d->repeated];
        d->hit_bit = d->expected >> (d->bits_left - 1) & 1;
        const int32_t odds = odds_of(m, counter_p(*d->hit));
        *in = d->hit_bit ? odds : -odds;
    }
    *++in = ODDS_ONE / 4;
}

/* The mean of the cells around the odds, by distance. */
static uint32_t corrected(const context_mix *m, const int32_t *cell, int at, int32_t part) {
    const int64_t below = m->cell_start[at] + cell[at],
                  above = m->cell_start[at + 1] + cell[at + 1];
    return (uint32_t)((below * (CELL_ODDS - part) + above * part) / CELL_ODDS);
}

/* The probability that the next bit is 1. */
static uint32_t predict(context_mix *m, int32_t model_odds) {
    decision *d = &m->now;
    take_inputs(m, model_odds);
    const int repeat = !d->hit ? 0 : d->repeated < 12 ? 1 : d->repeated < 24 ? 2 : 3;
    d->weights[0] = m->certain_weights[d->certainty * REPEATS + repeat];
    d->weights[1] = m->node_weights[d->node];
    d->weights[2] = m->byte_weights[d->last];
    const int64_t sum = m->kernels->sum(d->input, d->weights);
    const int32_t odds = clamp(sum / WEIGHT_ONE, ODDS_MOST);
    d->mixed = probability_of(m, odds);
    const int32_t place = clamp(odds, 12 * ODDS_ONE - 1) + 12 * ODDS_ONE;
    const int at = place / CELL_ODDS;
    const int32_t part = place % CELL_ODDS;
    d->near_cell = at + (part >= CELL_ODDS / 2);
    d->cells[0] = m->cells[0][hash(d->last, (uint32_t)d->node) >> m->cell_shift];
    d->cells[1] = m->cells[1][hash(d->last_two, (uint32_t)d->node) >> m->cell_shift];
    const uint32_t p =
        (d->mixed + corrected(m, d->cells[0], at, part) + 2 * corrected(m, d->cells[1], at, part)) /
        4;
    return p < 1 ? 1 : p < P_ONE ? p : P_ONE - 1;
}

static void find_lines(context_mix *m) {
    decision *d = &m->now;
    for (int i = 0; i < CONTEXTS; i++)
        d->lines[i] = find_line(m, i, hash(d->stream->context[i], (uint32_t)d->node));
}

static void learn(context_mix *m, int bit) {
    decision *d = &m->now;
    const int32_t error = ((bit << P_BITS) - (int32_t)d->mixed) / 64;
    m->kernels->learn(d->weights, d->input, d->rate * error);
    for (int i = 0; i <= CONTEXTS; i++)
        counter_learn(m, d->counters[i], bit);
    if (d->hit)
        counter_learn(m, d->hit, d->hit_bit == bit);
    for (int k = 0; k < 2; k++) {
        int32_t *cell = d->cells[k] + d->near_cell;
        const int32_t to = bit ? P_ONE - 1 : 0;
        *cell += (to - m->cell_start[d->near_cell] - *cell) / 64;
    }
    d->node = 2 * d->node + bit;
    d->half_node = 2 * d->half_node + bit;
    if (--d->bits_left == 4) {
        d->half_node = 1;
        find_lines(m);
    }
}

/* --- one byte */

/* Whether the byte at `place` is coded before byte `at` of a stream. */
static int is_coded(const context_mix *m, size_t place, size_t stream, size_t at) {
    const size_t other = place / m->each, offset = place % m->each;
    return offset < at || (offset == at && other < stream);
}

/* What stands before a stream's next byte. */
static void set_contexts(const context_mix *m, stream_state *s) {
    /* Bit n: the byte n before the last. */
    static const uint8_t masks[CONTEXTS - 2] = {1, 3, 7, 15, 63, 2, 4};
    const uint8_t *end = m->content + s->begin + s->at;
    for (int i = 0; i < CONTEXTS - 2; i++) {
        uint32_t h = (uint32_t)i;
        for (size_t n = 0; masks[i] >> n; n++)
            if (masks[i] >> n & 1)
                h = hash(h, s->at > n ? end[-1 - (ptrdiff_t)n] : 256u);
        s->context[i] = h;
    }
    s->context[CONTEXTS - 2] = hash(s->word, CONTEXTS);
    s->context[CONTEXTS - 1] = hash(hash(s->word, CONTEXTS + 1), s->last_word);
}

/* The lines that a stream's next byte begins with lie anywhere in memory: they are asked for while
 * the streams before it are coded. */
static void prefetch_lines(const context_mix *m, const stream_state *s) {
    for (int i = 0; i < CONTEXTS; i++)
        __builtin_prefetch(line_place(m, i, hash(s->context[i], 1)), 1);
}

static void begin_byte(context_mix *m, size_t stream, int certainty) {
    const stream_state *s = &m->streams[stream];
    const uint8_t *end = m->content + s->begin + s->at;
    decision *d = &m->now;
    d->stream = s;
    d->last = s->at > 0 ? end[-1] : 0;
    d->last_two = d->last << 8 | (s->at > 1 ? end[-2] : 0);
    d->certainty = certainty;
    /* The rate falls from 42 to 2, of 2^21, at half after 8,000 bytes. */
    d->rate = 2 + (int32_t)(320000 / (8000 + m->coded));
    d->bits_left = 8;
    d->node = d->half_node = 1;
    d->expected = -1;
    if (s->repeated && is_coded(m, s->repeat, stream, s->at)) {
        d->expected = m->content[s->repeat];
        d->repeated = s->repeated < REPEAT_MOST ? s->repeated : REPEAT_MOST;
    }
    prefetch_lines(m, &m->streams[stream + 1 < m->n_streams ? stream + 1 : 0]);
    find_lines(m);
}

/* Bytes, up to REPEAT_MOST, that agree before `place` and before the stream's end, each in its
 * stream. */
static uint32_t agreement(const context_mix *m, const stream_state *s, size_t place) {
    const size_t end = s->begin + s->at;
    uint32_t n = 0;
    while (n < REPEAT_MOST && n < s->at && n < place % m->each &&
           m->content[place - 1 - n] == m->content[end - 1 - n])
        n++;
    return n;
}

static void follow_repeat(context_mix *m, stream_state *s, uint8_t byte) {
    const int agrees = m->now.expected == byte;
    s->repeated = agrees ? s->repeated + (s->repeated < REPEAT_MOST) : 0;
    if (agrees && (++s->repeat % m->each == 0 || s->repeat >= m->n))
        s->repeated = 0;
    s->at++;
    if (s->at < REPEAT_LEAST)
        return;
    const size_t end = s->begin + s->at;
    uint32_t h = 0;
    for (int i = 1; i <= REPEAT_LEAST; i++)
        h = hash(h, m->content[end - (size_t)i]);
    uint32_t *place = &m->places[h & m->place_mask];
    if (!s->repeated && *place) {
        const uint32_t n = agreement(m, s, *place);
        s->repeated = n >= REPEAT_LEAST ? n : 0;
        s->repeat = *place;
    }
    *place = s->at < m->each && end < m->n ? (uint32_t)end : 0;
}

static void end_byte(context_mix *m, stream_state *s, uint8_t byte) {
    m->content[s->begin + s->at] = byte;
    const uint32_t letter = byte >= 'A' && byte <= 'Z' ? byte + 32u : byte;
    if ((letter >= 'a' && letter <= 'z') || letter >= 128) {
        s->word = hash(s->word, letter);
    } else if (s->word) {
        s->last_word = s->word;
        s->word = 0;
    }
    follow_repeat(m, s, byte);
    set_contexts(m, s);
    m->coded++;
}

void context_mix_expect(context_mix_expected *to, const context_mix *m, const frequencies *f,
                        int byte) {
    to->certainty = certainty_of(m, f);
    for (int i = 0, low = 0, half = 128; half > 0; i++, half /= 2) {
        to->odds[i] = model_odds(m, f, low, half);
        low += byte & half;
    }
}

double context_mix_encode(context_mix *m, size_t stream, const context_mix_expected *x, int byte,
                          range_encoder *e) {
    double share = 1;
    begin_byte(m, stream, x->certainty);
    for (int i = 0; i < 8; i++) {
        const int bit = byte >> (7 - i) & 1;
        const uint32_t p = predict(m, x->odds[i]), count = bit ? p : P_ONE - p;
        range_encode(e, bit ? 0 : p, count, P_BITS);
        share *= (double)count / P_ONE;
        learn(m, bit);
    }
    end_byte(m, &m->streams[stream], (uint8_t)byte);
    return -log2(share);
}

int context_mix_decode(context_mix *m, size_t stream, const frequencies *f, range_decoder *r) {
    int byte = 0;
    begin_byte(m, stream, certainty_of(m, f));
    for (int half = 128; half > 0; half /= 2) {
        const uint32_t p = predict(m, model_odds(m, f, byte, half));
        const int bit = range_decode_target(r, P_BITS) < p;
        range_decode_take(r, bit ? 0 : p, bit ? p : P_ONE - p, P_BITS);
        byte += bit ? half : 0;
        learn(m, bit);
    }
    end_byte(m, &m->streams[stream], (uint8_t)byte);
    return byte;
}

/* --- memory */

typedef struct sizes {
    size_t streams, lines, places, cells, bytes;
} sizes;

static sizes sizes_of(size_t n, size_t each) {
    sizes s = {.streams = (n + each - 1) / each, .lines = 64, .places = 64, .cells = 64};
    while (s.lines < LINES_MOST && s.lines < n / 4)
        s.lines *= 2;
    while (s.places < PLACES_MOST && s.places < n)
        s.places *= 2;
    while (s.cells < CELLS_MOST && s.cells < n)
        s.cells *= 2;
    s.bytes = sizeof(context_mix) + n + s.streams * sizeof(stream_state) +
              CONTEXTS * s.lines * sizeof(line) + s.places * sizeof(uint32_t) +
              2 * s.cells * sizeof(int32_t[CELLS]);
    return s;
}

size_t context_mix_bytes(size_t n, size_t each) {
    return sizes_of(n, each).bytes;
}

octet_status context_mix_create(context_mix **out, size_t n, size_t each, const char *isa,
                                octet_error *error) {
    const sizes size = sizes_of(n, each);
    context_mix *m = *out = calloc(1, sizeof *m);
    if (!m)
        return error_memory(error, "context mixing", (double)size.bytes);
    m->n = n;
    m->each = each;
    m->n_streams = size.streams;
    m->kernels = mix_kernels_get(isa);
    m->content = calloc(n, 1);
    m->streams = calloc(size.streams, sizeof *m->streams);
    m->places = calloc(size.places, sizeof *m->places);
    m->table = memory_aligned(CONTEXTS * size.lines * sizeof *m->table);
    int whole = m->content && m->streams && m->places && m->table;
    for (int k = 0; k < 2; k++)
        whole &= (m->cells[k] = calloc(size.cells, sizeof *m->cells[k])) != NULL;
    if (!whole) {
        context_mix_destroy(out);
        return error_memory(error, "context mixing", (double)size.bytes);
    }
    m->line_mask = (uint32_t)size.lines - 1;
    m->place_mask = (uint32_t)size.places - 1;
    m->cell_shift = 32;
    for (size_t i = size.cells; i > 1; i /= 2)
        m->cell_shift--;
    fill_tables(m);
    for (size_t i = 0; i < size.streams; i++) {
        m->streams[i].begin = i * each;
        set_contexts(m, &m->streams[i]);
    }
    for (int i = 0; i < LEVELS * REPEATS; i++)
        m->certain_weights[i][0] = WEIGHT_ONE; /* at first the model alone counts */
    for (int i = 0; i < CELLS; i++)
        m->cell_start[i] = (int32_t)probability_of(m, (i - CELLS / 2) * CELL_ODDS);
    return OCTET_OK;
}

void context_mix_destroy(context_mix **out) {
    context_mix *m = out ? *out : NULL;
    if (!m)
        return;
    free(m->table);
    for (int k = 0; k < 2; k++)
        free(m->cells[k]);
    free(m->places);
    free(m->streams);
    free(m->content);
    free(m);
    *out = NULL;
}

const uint8_t *context_mix_content(const context_mix *m) {
    return m->content;
}
