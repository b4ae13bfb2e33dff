/* error.h: fills in an octet_error and hands back its code, so that a failure is one statement:
 *     return error_set(error, OCTET_ERROR, "%s: no such key \"%s\"", path, key); */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "octet/status.h"

#if defined(__GNUC__)
#define ERROR_FORMAT(string, first) __attribute__((format(printf, string, first)))
#else
#define ERROR_FORMAT(string, first)
#endif

/* Stores `code` and the formatted text (cut at the buffer's size) in *error unless error is NULL.
 * Returns `code`. */
octet_status error_set(octet_error *error, octet_status code, const char *format, ...)
    ERROR_FORMAT(3, 4);

/* OCTET_NO_MEMORY with the size that could not be had. */
octet_status error_memory(octet_error *error, const char *what, double bytes);

#endif
