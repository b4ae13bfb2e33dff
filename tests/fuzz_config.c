/* fuzz_config.c: libFuzzer target: any text as a configuration. What is accepted writes itself and
 * reads back as the same; what is not says so in one line that begins with the name. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    octet_error error = {0};
    config c, again;
    octet_status status = config_parse(&c, (const char *)data, size, "x", &error);
    fuzz_check_error(status, &error, "x");
    if (status)
        return status == OCTET_ERROR ? 0 : fuzz_fail("a text is no reason for that status");
    char *text = config_text(&c);
    if (!text || config_parse(&again, text, strlen(text), "x", &error))
        return fuzz_fail("its own text is refused");
    if (memcmp(&c, &again, sizeof c))
        return fuzz_fail("its own text means something else");
    free(text);
    return 0;
}
