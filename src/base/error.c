/* error.c: one line of text for each failure.
 *
 * The text may quote names that come from files, so control bytes in it become '?': an error stays
 * one line and never reaches a terminal as an escape sequence. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

octet_status error_set(octet_error *error, octet_status code, const char *format, ...) {
    if (error == NULL) {
        return code;
    }
    error->code = code;
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(error->text, sizeof error->text, format, arguments) < 0) {
        error->text[0] = '\0';
    }
    va_end(arguments);
    for (unsigned char *c = (unsigned char *)error->text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f) {
            *c = '?';
        } else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) { /* U+0080 to U+009F in UTF-8 */
            c[0] = c[1] = '?';
        }
    }
    return code;
}

octet_status error_memory(octet_error *error, const char *what, double bytes) {
    return error_set(error, OCTET_NO_MEMORY, "out of memory: %s needs %.0f bytes", what, bytes);
}
