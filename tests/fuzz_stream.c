/* fuzz_stream.c: libFuzzer target: any bytes as a saved stream, half of them with a right checksum.
 * What is restored can be fed and sampled. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fuzz.h"
#include "infer/session_core.h"
#include "model/checkpoint.h"
#include "tiny_model.h"

static session *reader;

/* Lives as long as the process, as do its model and its backend. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static model *m;
    static backend *b;
    int stream;
    (void)argc;
    (void)argv;
    b = tiny_backend(1, CPU_AVX512);
    m = tiny_model(b, TINY_THREE, 11);
    if (checkpoint_fingerprint(m, NULL) || session_create(&reader, m, 1, -1, NULL) ||
        session_join(reader, &stream, NULL))
        return fuzz_fail("no session");
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, most);
    if (seed % 2 && size > 8) {
        uint64_t sum = XXH3_64bits(data, size - 8);
        for (int i = 0; i < 8; i++)
            data[size - 8 + (size_t)i] = (uint8_t)(sum >> (8 * i));
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    octet_error error = {0};
    octet_feed f = {0, (const uint8_t *)"abcdefg", 7, NULL};
    octet_sampling sampling = {.temperature = 1};
    uint8_t byte;
    octet_status status = session_restore(reader, 0, data, size, &error);
    if (status)
        return status == OCTET_CORRUPT || status == OCTET_WRONG_MODEL ? 0 : fuzz_fail(error.text);
    if (session_feed(reader, &f, 1, &error) && session_position(reader, 0) < INT64_MAX - 7)
        fuzz_fail(error.text);
    (void)session_sample(reader, 0, &sampling, &byte,
                         &error); /* fails where logits are not finite */
    return 0;
}
