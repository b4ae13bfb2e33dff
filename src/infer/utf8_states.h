/* utf8_states.h: octet_utf8 of octet/session.h: which bytes may follow in UTF-8.
 *
 * The state is what the next byte may be inside a character: how many bytes are still to come and
 * the range of the next one. Only the second byte of a character has a range of its own (table 3-7
 * of the Unicode standard): overlong forms, surrogates and what lies past U+10FFFF end there. */
#ifndef INFER_UTF8_STATES_H
#define INFER_UTF8_STATES_H

#include "octet/session.h"

/* As octet_utf8_push and octet_utf8_allow. */
int utf8_push(octet_utf8 *state, uint8_t byte);
int utf8_allow(const octet_utf8 *state, int64_t left, uint8_t allowed[OCTET_SYMBOLS]);

#endif
