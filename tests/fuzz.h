/* fuzz.h: what the libFuzzer targets share (https://llvm.org/docs/LibFuzzer.html). */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* libFuzzer calls these. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* libFuzzer's own mutations; returns the new size. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* Ends the process with a finding. */
int fuzz_fail(const char *why);

/* An error must be one line that begins with "label:", without control characters. */
void fuzz_check_error(octet_status status, const octet_error *error, const char *label);

#endif
