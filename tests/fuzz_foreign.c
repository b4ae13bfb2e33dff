/* fuzz_foreign.c: libFuzzer target: any bytes as a checkpoint of another program. Mutations are
 * libFuzzer's or those of mutate_foreign.h, and half of the archives get their CRCs made right. All
 * elements of what opens are read. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "model/foreign.h"
#include "mutate_foreign.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    uint64_t random = seed;
    if (seed % 4 < 2)
        size = LLVMFuzzerMutate(data, size, most);
    bad_bytes file = {malloc(size + 1), size};
    if (!file.data)
        return size;
    memcpy(file.data, data, size);
    if (seed % 4 >= 2 && size)
        mutate_foreign(&file, &random);
    if (seed % 2)
        (void)torch_fix_crcs(&file);
    if (file.size <= most) {
        memcpy(data, file.data, file.size);
        size = file.size;
    }
    free(file.data);
    return size;
}

static void read_tensor(const foreign *f, const foreign_tensor *t, size_t size) {
    octet_error error = {0};
    size_t n = 1;
    for (int k = 0; k < t->rank; k++)
        n *= (size_t)t->dim[k];
    float *out = n <= size ? malloc((n + 1) * sizeof *out) : NULL;
    if (!out)
        fuzz_fail("more elements than bytes");
    octet_status status = foreign_read(out, f, t, &error);
    fuzz_check_error(status, &error, "x");
    if (status && status != OCTET_CORRUPT)
        fuzz_fail("elements are no reason for that status");
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    octet_error error = {0};
    foreign *f;
    octet_status status = foreign_open_memory(&f, "x", data, size, &error);
    fuzz_check_error(status, &error, "x");
    if (status && status != OCTET_CORRUPT)
        fuzz_fail("a file is no reason for that status");
    for (size_t i = 0; !status && i < foreign_count(f); i++)
        read_tensor(f, foreign_at(f, i), size);
    foreign_close(&f);
    return 0;
}
