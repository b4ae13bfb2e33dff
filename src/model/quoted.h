/* quoted.h: bytes of a file that may be anything, as they may stand in a message: printable ASCII,
 * at most 64 characters. */
#ifndef MODEL_QUOTED_H
#define MODEL_QUOTED_H

#include <stddef.h>

typedef struct quoted {
    char text[65];
} quoted;

static inline quoted quote(const void *bytes, size_t n) {
    quoted q;
    size_t i = 0;
    for (; i < n && i < sizeof q.text - 1; i++) {
        const char c = ((const char *)bytes)[i];
        q.text[i] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    q.text[i] = '\0';
    return q;
}

#endif
