/* utf8_states.c: see utf8_states.h. */
#include "infer/utf8_states.h"

#include <string.h>

/* Bytes of the character that a byte begins; 0: it begins none. */
static int length_of(int lead) {
    return lead < 0x80   ? 1
           : lead < 0xc2 ? 0
           : lead < 0xe0 ? 2
           : lead < 0xf0 ? 3
           : lead < 0xf5 ? 4
                         : 0;
}

/* After a lead. */
static octet_utf8 begin(int lead) {
    const octet_utf8 s = {(uint8_t)(length_of(lead) - 1), 0x80, 0xbf};
    switch (lead) {
    case 0xe0: /* below: overlong */
        return (octet_utf8){s.left, 0xa0, 0xbf};
    case 0xed: /* above: surrogates */
        return (octet_utf8){s.left, 0x80, 0x9f};
    case 0xf0: /* below: overlong */
        return (octet_utf8){s.left, 0x90, 0xbf};
    case 0xf4: /* above: past U+10FFFF */
        return (octet_utf8){s.left, 0x80, 0x8f};
    default:
        return s;
    }
}

int utf8_push(octet_utf8 *s, uint8_t byte) {
    const int inside = s->left > 0;
    if (inside && byte >= s->low && byte <= s->high) {
        *s = (octet_utf8){(uint8_t)(s->left - 1), 0x80, 0xbf};
        return 1;
    }
    const int begins = length_of(byte) > 0;
    *s = begins ? begin(byte) : (octet_utf8){0};
    return begins && !inside;
}

int utf8_allow(const octet_utf8 *s, int64_t left, uint8_t allowed[OCTET_SYMBOLS]) {
    int n = 0;
    memset(allowed, 0, OCTET_SYMBOLS);
    for (int byte = 0; byte < 256; byte++) {
        const int needed = s->left > 0 ? s->left : length_of(byte);
        const int fits = s->left > 0 ? byte >= s->low && byte <= s->high : needed > 0;
        allowed[byte] = fits && (left < 0 || needed <= left);
        n += allowed[byte];
    }
    allowed[256] = s->left == 0;
    return n;
}
