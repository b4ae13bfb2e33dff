/* vulkan_fault_test.c: what fails on a Vulkan device fails with a line of text, leaves nothing
 * behind, and where the device is still there it goes on to the same bits.
 *
 * Each call that can fail is made to fail, in turn with OCTET_TEST_ALL, else a sample of them. The
 * device is OCTET_VULKAN, as in vulkan_op_test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/session_core.h"
#include "support.h"
#include "tiny_model.h"
#include "train/trainer.h"
#include "vulkan/vulkan_backend.h"
#include "vulkan_faults.h"

#define FED 40
#define DRAWN 3

static int device_index = -1;

static octet_status open_device(backend **out, octet_error *error) {
    return vulkan_backend_create(out, device_index, error);
}

/* --- the work: a step of training, then bytes read and drawn by the model */

typedef struct outcome {
    double loss;
    float bits[FED];
    uint8_t drawn[DRAWN];
} outcome;

static config tiny;
static data *bytes_to_learn;

static octet_status stream(const model *m, outcome *out, octet_error *error) {
    const octet_sampling sampling = {.temperature = 1, .seed = 3};
    uint8_t bytes[FED];
    session *s = NULL;
    int id;
    tiny_bytes(bytes, FED, 8);
    octet_status status = session_create(&s, m, 1, -1, error);
    if (!status)
        status = session_join(s, &id, error);
    if (!status)
        status = session_feed(s, &(octet_feed){id, bytes, FED, out->bits}, 1, error);
    for (int i = 0; i < DRAWN && !status; i++) {
        status = session_sample(s, id, &sampling, &out->drawn[i], error);
        if (!status)
            status = session_feed(s, &(octet_feed){id, &out->drawn[i], 1, NULL}, 1, error);
    }
    session_destroy(&s);
    return status;
}

static octet_status work(backend *b, outcome *out, octet_error *error) {
    trainer *t = NULL;
    step_result step;
    memset(out, 0, sizeof *out);
    octet_status status = trainer_create(&t, b, &tiny, bytes_to_learn, 5, 20, error);
    if (!status)
        status = trainer_step(t, &step, error);
    if (!status) {
        out->loss = step.loss_bits;
        status = stream(t->live, out, error);
    }
    trainer_destroy(&t);
    return status;
}

static int set_up(void **state) {
    (void)state;
    static const char json[] =
        "{\"context\": 64, \"levels\": [{\"dim\": 16, \"layers\": 1, \"heads\": 2, \"patch\": 4},"
        " {\"dim\": 16, \"layers\": 1, \"heads\": 1}], \"train\": {\"batch\": 2}}";
    static uint8_t bytes[512];
    octet_error error = {0};
    const char *index = getenv("OCTET_VULKAN");
    if (!index)
        return 0;
    device_index = atoi(index);
    tiny_bytes(bytes, sizeof bytes, 8);
    octet_status status = config_parse(&tiny, json, sizeof json - 1, "config", &error);
    if (!status)
        status = data_open_memory(&bytes_to_learn, bytes, sizeof bytes, tiny.context, 5, &error);
    /* small pieces: every variable and program is an allocation */
    faults_limit(0, (uint64_t)8 << 20);
    return status;
}

static int tear_down(void **state) {
    (void)state;
    data_close(&bytes_to_learn);
    return 0;
}

/* --- what is asked of a failure */

static void assert_failed_well(octet_status status, const octet_error *error) {
    if (status != OCTET_ERROR && status != OCTET_NO_MEMORY)
        fail_msg("status %d: %s", (int)status, error->text);
    assert_int_equal(error->code, status);
    assert_true(strlen(error->text) > 10);
    assert_null(strchr(error->text, '\n'));
}

static void assert_balance(faults_held before, int64_t nth) {
    const faults_held now = faults_balance();
    if (now.objects != before.objects || now.allocations != before.allocations)
        fail_msg("call %lld: %lld objects and %lld allocations are left over", (long long)nth,
                 (long long)(now.objects - before.objects),
                 (long long)(now.allocations - before.allocations));
}

/* The next call to fail after `nth` of n, about `most` in all. */
static int64_t next_call(int64_t nth, int64_t n, int64_t most, uint64_t *random) {
    const int64_t step = support_all() || n <= most ? 1 : n / most;
    return nth + (step == 1 ? 1 : support_integer(random, 1, 2 * step - 1));
}

/* --- faults */

static void opening_fails_cleanly(void **state) {
    (void)state;
    octet_error error = {0};
    backend *b = NULL;
    uint64_t random = 1;
    int failed = 0;
    if (device_index < 0)
        skip();
    const faults_held before = faults_balance();
    faults_arm(FAULT_ANY_ONCE, -1);
    support_ok(open_device(&b, &error), &error);
    const int64_t n = faults_counted();
    backend_destroy(&b);
    assert_balance(before, -1);
    assert_true(n > 20);
    for (int64_t nth = 0; nth < n; nth = next_call(nth, n, 8, &random)) {
        error = (octet_error){0};
        faults_arm(FAULT_ANY_ONCE, nth);
        const octet_status status = open_device(&b, &error);
        faults_arm(0, -1);
        if (status) {
            assert_failed_well(status, &error);
            assert_null(b);
        }
        failed += status != OCTET_OK;
        backend_destroy(&b);
        assert_balance(before, nth);
    }
    assert_true(failed > 5);
}

/* Some calls can be done without: then the outcome is what it is without a fault. */
static void check_fault(backend *b, unsigned kinds, int64_t nth, const outcome *expected) {
    octet_error error = {0};
    outcome got;
    const faults_held before = faults_balance();
    faults_arm(kinds, nth);
    const octet_status status = work(b, &got, &error);
    faults_arm(0, -1);
    assert_balance(before, nth);
    if (status)
        assert_failed_well(status, &error);
    else
        assert_memory_equal(&got, expected, sizeof got);
    if (kinds == FAULT_MEMORY) {
        assert_int_equal(status, OCTET_NO_MEMORY);
        support_contains(error.text, "out of device memory");
        support_contains(error.text, " bytes in one piece");
    }
}

static void check_faults(backend *b, unsigned kinds, int64_t most, const outcome *expected) {
    octet_error error = {0};
    outcome got;
    uint64_t random = kinds;
    faults_arm(kinds, -1);
    support_ok(work(b, &got, &error), &error);
    const int64_t n = faults_counted();
    assert_true(n > 1);
    for (int64_t nth = 0; nth < n; nth = next_call(nth, n, most, &random))
        check_fault(b, kinds, nth, expected);
    support_ok(work(b, &got, &error), &error);
    assert_memory_equal(&got, expected, sizeof got);
}

static void faults_pass_and_leave_nothing(void **state) {
    (void)state;
    octet_error error = {0};
    outcome expected;
    backend *b = NULL;
    if (device_index < 0)
        skip();
    const faults_held before = faults_balance();
    support_ok(open_device(&b, &error), &error);
    support_ok(work(b, &expected, &error), &error);
    check_faults(b, FAULT_HOST, 8, &expected);
    check_faults(b, FAULT_MEMORY, 6, &expected);
    check_faults(b, FAULT_OBJECT, 6, &expected);
    check_faults(b, FAULT_SUBMIT, 6, &expected);
    check_faults(b, FAULT_WAIT, 6, &expected);
    backend_destroy(&b);
    assert_balance(before, -1);
}

/* Pipelines are made once: each fault needs a device that has none. */
static void shaders_that_fail_are_named(void **state) {
    (void)state;
    octet_error error = {0};
    outcome expected, got;
    backend *b = NULL;
    uint64_t random = 1;
    if (device_index < 0)
        skip();
    const faults_held before = faults_balance();
    support_ok(open_device(&b, &error), &error);
    faults_arm(FAULT_PIPELINE, -1);
    support_ok(work(b, &expected, &error), &error);
    const int64_t n = faults_counted();
    backend_destroy(&b);
    assert_true(n > 20);
    for (int64_t nth = 0; nth < n; nth = next_call(nth, n, 2, &random)) {
        error = (octet_error){0};
        support_ok(open_device(&b, &error), &error);
        faults_arm(FAULT_PIPELINE, nth);
        const octet_status status = work(b, &got, &error);
        faults_arm(0, -1);
        assert_failed_well(status, &error);
        support_contains(error.text, "shader ");
        support_ok(work(b, &got, &error), &error);
        assert_memory_equal(&got, &expected, sizeof got);
        backend_destroy(&b);
        assert_balance(before, nth);
    }
}

static void lost_device_is_an_error(void **state) {
    (void)state;
    octet_error error = {0};
    outcome got;
    backend *b = NULL;
    uint64_t random = 1;
    int failed = 0;
    if (device_index < 0)
        skip();
    const faults_held before = faults_balance();
    support_ok(open_device(&b, &error), &error);
    faults_arm(FAULT_LOST, -1);
    support_ok(work(b, &got, &error), &error);
    const int64_t n = faults_counted();
    backend_destroy(&b);
    for (int64_t nth = 0; nth < n; nth = next_call(nth, n, 3, &random)) {
        error = (octet_error){0};
        support_ok(open_device(&b, &error), &error);
        faults_arm(FAULT_LOST, nth);
        const octet_status status = work(b, &got, &error); /* 0: lost when it was done */
        if (status)
            support_contains(error.text, "device lost");
        failed += status != OCTET_OK;
        assert_failed_well(work(b, &got, &error), &error); /* it stays lost */
        support_contains(error.text, "device lost");
        backend_destroy(&b);
        faults_arm(0, -1);
        assert_balance(before, nth);
    }
    assert_true(failed > 1);
}

/* Before anything is taken or run. */
static void too_large_a_model_is_said_to_be(void **state) {
    (void)state;
    static const char json[] = "{\"context\": 64, \"levels\": [{\"dim\": 256, \"layers\": 2,"
                               " \"heads\": 2, \"patch\": 4}, {\"dim\": 64, \"layers\": 1,"
                               " \"heads\": 1}]}";
    octet_error error = {0};
    config large;
    model *m = NULL;
    trainer *t = NULL;
    backend *b = NULL;
    double needed;
    if (device_index < 0)
        skip();
    support_ok(config_parse(&large, json, sizeof json - 1, "config", &error), &error);
    faults_limit(2000000, 0);
    support_ok(open_device(&b, &error), &error);
    faults_limit(0, 0);
    faults_arm(FAULT_MEMORY | FAULT_SUBMIT, -1);
    assert_int_equal(model_create(&m, b, &large, &error), OCTET_NO_MEMORY);
    support_contains(error.text, "the device has 2.0 MB");
    assert_int_equal(sscanf(error.text, "the model's weights need %lf MB", &needed), 1);
    assert_true(needed > 5 && needed < 8); /* 12 dim^2 a layer, of 4 bytes */
    assert_int_equal(trainer_create(&t, b, &large, bytes_to_learn, 5, 20, &error), OCTET_NO_MEMORY);
    support_contains(error.text, "the device has 2.0 MB");
    assert_int_equal(sscanf(error.text, "training needs %lf MB", &needed), 1);
    assert_true(needed > 20); /* live, validated, gradients, moments */
    assert_int_equal(faults_counted(), 0);
    faults_arm(0, -1);
    backend_destroy(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_fails_cleanly),
        cmocka_unit_test(faults_pass_and_leave_nothing),
        cmocka_unit_test(shaders_that_fail_are_named),
        cmocka_unit_test(lost_device_is_an_error),
        cmocka_unit_test(too_large_a_model_is_said_to_be),
    };
    return cmocka_run_group_tests_name("vulkan faults", tests, set_up, tear_down);
}
