/* fuzz.c: see fuzz.h. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fuzz_fail(const char *why) {
    fprintf(stderr, "%s\n", why);
    abort();
}

void fuzz_check_error(octet_status status, const octet_error *error, const char *label) {
    size_t n = strlen(label);
    if (!status)
        return;
    if (error->code != status)
        fuzz_fail("the error's code is not the status");
    if (strncmp(error->text, label, n) || error->text[n] != ':')
        fuzz_fail(error->text);
    for (const char *c = error->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            fuzz_fail("a control character in an error");
}
