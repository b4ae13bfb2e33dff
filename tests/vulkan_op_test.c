/* vulkan_op_test.c: every op on the Vulkan backend against its reference in double precision.
 *
 * The cases and their bounds are those of op_test; ops of integers must have the CPU's bits. By
 * default a sample of them, with OCTET_TEST_ALL all. The device is the number in OCTET_VULKAN, as
 * tests/vulkan_test.sh sets it; where it is set and there is no device, the test fails, without it
 * it is skipped. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu_backend.h"
#include "op_run.h"
#include "ref/ref_backend.h"
#include "support.h"
#include "vulkan/vulkan_backend.h"

#define SAMPLE 12 /* cases of an op */

static backend *ref, *cpu, *vulkan;

static int open_backends(void **state) {
    (void)state;
    octet_error error = {0};
    const char *index = getenv("OCTET_VULKAN");
    if (ref_backend_create(&ref, &error) ||
        cpu_backend_create(&cpu, &(cpu_backend_params){.cap = CPU_AVX512}, &error))
        return -1;
    if (!index || !vulkan_backend_create(&vulkan, atoi(index), &error))
        return 0;
    fprintf(stderr, "%s\n", error.text);
    return -1;
}

static int close_backends(void **state) {
    (void)state;
    backend_destroy(&vulkan);
    backend_destroy(&cpu);
    backend_destroy(&ref);
    return 0;
}

/* Ops of the arithmetic of integers, which has the CPU's bits on a device too. */
static int is_int8(op id) {
    return id == OP_LINEAR_INT8 || id == OP_ATTENTION_INT8 || id == OP_ATTENTION_CACHED_INT8 ||
           id == OP_STORE_INT8;
}

static void check_bits(op_run *r, const op_values *got) {
    op_values own;
    op_run_values(r, cpu, 1, &own);
    for (int i = 0; i < own.n; i++) {
        char what[128];
        op_run_describe(r, i, what, sizeof what);
        if (memcmp(own.data[i], got->data[i], own.bytes[i]))
            fail_msg("%s, case %d, %s: other bits than the CPU's", r->name, r->index, what);
    }
    op_values_finish(&own);
}

static void check_reference(void **state) {
    const op_entry *e = *state;
    const int n = e->row->n_cases, step = support_all() || n <= SAMPLE ? 1 : n / SAMPLE;
    uint64_t random = 7;
    if (!vulkan)
        skip();
    for (int i = 0; i < n; i += step) {
        const int left = n - i < step ? n - i : step; /* one case of each part of all */
        const int index = i + (int)support_integer(&random, 0, left - 1);
        op_run r;
        op_values got, expected;
        op_run_init(&r, e->name, e->row, index, !op_no_gradient(e->id));
        op_run_reference(&r, ref, &expected);
        op_run_values(&r, vulkan, 1, &got);
        op_values_compare(&r, &got, &expected);
        if (is_int8(e->id))
            check_bits(&r, &got);
        op_values_finish(&got);
        op_values_finish(&expected);
        op_run_finish(&r);
    }
}

int main(void) {
    struct CMUnitTest tests[OP_COUNT];
    char names[OP_COUNT][64];
    memset(tests, 0, sizeof tests);
    for (int i = 0; i < OP_COUNT; i++) {
        snprintf(names[i], sizeof names[i], "vulkan_%s_equals_reference", op_entries[i].name);
        tests[i].name = names[i];
        tests[i].test_func = check_reference;
        tests[i].initial_state = (void *)(uintptr_t)&op_entries[i];
    }
    return cmocka_run_group_tests_name("vulkan ops", tests, open_backends, close_backends);
}
