/* fuzz_checkpoint.c: libFuzzer target: any bytes as a model file. Mutations are libFuzzer's or
 * those of mutate.h, and half of them get their checksum made right, else nothing behind it would
 * be seen. */
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_backend.h"
#include "fuzz.h"
#include "model/checkpoint.h"
#include "mutate.h"

static backend *cpu;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    cpu_backend_params wanted = {.n_threads = 1};
    (void)argc;
    (void)argv;
    return cpu_backend_create(&cpu, &wanted, NULL) ? fuzz_fail("no backend") : 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    uint64_t random = seed;
    if (seed % 4 < 2)
        size = LLVMFuzzerMutate(data, size, most);
    bad_bytes file = {malloc(size + 1), size};
    if (!file.data)
        return size;
    memcpy(file.data, data, size);
    if (seed % 4 >= 2 && size)
        mutate_model(&file, &random);
    if (seed % 2)
        (void)bad_rehash(&file);
    if (file.size <= most) {
        memcpy(data, file.data, file.size);
        size = file.size;
    }
    free(file.data);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    octet_error error = {0};
    model *m;
    octet_status status = checkpoint_open_memory(&m, cpu, "x", data, size, &error);
    fuzz_check_error(status, &error, "x");
    if (!status && strlen(m->fingerprint) != 32)
        fuzz_fail("a model without a fingerprint");
    model_destroy(&m);
    if (status && status != OCTET_CORRUPT && status != OCTET_WRONG_MODEL)
        fuzz_fail("a file is no reason for that status");
    return 0;
}
