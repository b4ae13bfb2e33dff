/* utf8.h: where characters begin and end in a stream of bytes. */
#ifndef CLI_UTF8_H
#define CLI_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that n > 0 bytes begin with; 0: not UTF-8 (overlong forms, surrogates and
 * what lies past U+10FFFF included); -1: the beginning of one, more bytes are needed. */
int utf8_sequence(const uint8_t *bytes, size_t n);

/* Is all of it UTF-8? */
int utf8_valid(const uint8_t *bytes, size_t n);

#endif
