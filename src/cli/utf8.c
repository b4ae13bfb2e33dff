/* utf8.c: see utf8.h. Table 3-7 of the Unicode standard: only the second byte has special ranges.
 */
#include "cli/utf8.h"

int utf8_sequence(const uint8_t *bytes, size_t n) {
    uint8_t first = bytes[0], low = 0x80, high = 0xbf;
    int length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first > 0xf4 || length == 0)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    if (first == 0xed)
        high = 0x9f;
    if (first == 0xf0)
        low = 0x90;
    if (first == 0xf4)
        high = 0x8f;
    for (int i = 1; i < length; i++) {
        if ((size_t)i == n)
            return -1;
        if (bytes[i] < low || bytes[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

int utf8_valid(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n;) {
        int length = utf8_sequence(bytes + i, n - i);
        if (length <= 0)
            return 0;
        i += (size_t)length;
    }
    return 1;
}
