/* int8_amx.c: int8 products for processors with AMX: a tile of 16 x 16 sums takes 64 products of
 * each at once. The form of the weights is that of the panels, the sums are exact, so the bits are
 * those of the other versions. Few rows, and rows that do not fill tiles, are left to them. */
#include <cpuid.h>
#include <immintrin.h>
#include <stdalign.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/int8_kernels.h"

enum {
    TILE = 16,       /* rows of a tile, and columns of sums */
    TILE_BYTES = 64, /* in a row */
    ASK_FOR_STATE = 0x1023,
    TILE_DATA = 18,
    HAS_TILES = 1 << 24,
    HAS_INT8 = 1 << 25
};

int int8_amx_usable(void) {
    unsigned a, b, c, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & HAS_TILES) || !(d & HAS_INT8))
        return 0;
    /* the system saves the large state of tiles only for those who ask */
    return syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
}

/* All eight tiles are whole. */
static void configure(void) {
    alignas(64) struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = TILE_BYTES;
        config.rows[i] = TILE;
    }
    _tile_loadconfig(&config);
}

/* Rows m to m + 15 of one panel, from their sums. */
static void put(const int8_product *p, int64_t m, int64_t panel, const int32_t *sums) {
    const int8_weights *w = p->w;
    const int64_t column = panel * INT8_PANEL, left = w->n - column;
    const __mmask16 mask = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1u);
    const __m512i offset = _mm512_slli_epi32(_mm512_loadu_si512(w->sum + column), 7);
    const __m512 scale = _mm512_loadu_ps(w->scale + column);
    for (int i = 0; i < TILE; i++) {
        const __m512i sum = _mm512_sub_epi32(_mm512_load_si512(sums + i * TILE), offset);
        const __m512 both = _mm512_mul_ps(_mm512_set1_ps(p->x_scale[m + i]), scale);
        _mm512_mask_storeu_ps(p->y + (m + i) * p->y_stride + column, mask,
                              _mm512_mul_ps(_mm512_cvtepi32_ps(sum), both));
    }
}

/* Rows m to m + 31 of two panels: tiles 0 to 3 are sums, 4 and 5 rows, 6 and 7 weights. */
static void four_tiles(const int8_product *p, int64_t m, int64_t panel) {
    alignas(64) int32_t sums[4][TILE * TILE];
    const int64_t panel_bytes = p->w->k * INT8_PANEL;
    const uint8_t *x = p->x + m * p->stride;
    const int8_t *b = p->w->panels + panel * panel_bytes;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < p->w->k; k += TILE_BYTES) {
        _tile_loadd(4, x + k, p->stride);
        _tile_loadd(6, b + k * INT8_PANEL, TILE_BYTES);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(7, b + k * INT8_PANEL + panel_bytes, TILE_BYTES);
        _tile_dpbusd(1, 4, 7);
        _tile_loadd(5, x + k + TILE * p->stride, p->stride);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, sums[0], TILE_BYTES);
    _tile_stored(1, sums[1], TILE_BYTES);
    _tile_stored(2, sums[2], TILE_BYTES);
    _tile_stored(3, sums[3], TILE_BYTES);
    __asm__ volatile("" ::: "memory");
    for (int i = 0; i < 4; i++)
        put(p, m + i / 2 * TILE, panel + i % 2, sums[i]);
}

static void one_tile(const int8_product *p, int64_t m, int64_t panel) {
    alignas(64) int32_t sums[TILE * TILE];
    const uint8_t *x = p->x + m * p->stride;
    const int8_t *b = p->w->panels + panel * p->w->k * INT8_PANEL;
    _tile_zero(0);
    for (int64_t k = 0; k < p->w->k; k += TILE_BYTES) {
        _tile_loadd(4, x + k, p->stride);
        _tile_loadd(6, b + k * INT8_PANEL, TILE_BYTES);
        _tile_dpbusd(0, 4, 6);
    }
    _tile_stored(0, sums, TILE_BYTES);
    __asm__ volatile("" ::: "memory");
    put(p, m, panel, sums);
}

static void multiply(const int8_product *p) {
    if (p->rows < TILE || p->w->k % TILE_BYTES) {
        int8_multiply_avx512(p);
        return;
    }
    configure();
    int64_t m = 0;
    for (; m + 2 * TILE <= p->rows; m += 2 * TILE) {
        int64_t panel = p->panel;
        for (; panel + 2 <= p->panel_end; panel += 2)
            four_tiles(p, m, panel);
        if (panel < p->panel_end) {
            one_tile(p, m, panel);
            one_tile(p, m + TILE, panel);
        }
    }
    /* the last rows, some of them perhaps once more */
    for (; m < p->rows; m += TILE)
        for (int64_t panel = p->panel; panel < p->panel_end; panel++)
            one_tile(p, m + TILE <= p->rows ? m : p->rows - TILE, panel);
    _tile_release();
}

void int8_kernels_amx(int8_kernels *k) {
    k->multiply = multiply;
}
