/* sandbox_test.c: what a decoder's process may and may not do, and how its end is told. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/sandbox.h"
#include "support.h"

static octet_error error;
static char witness[] = "/tmp/octet_sandbox_XXXXXX";
static int witness_fd;

static const sandbox_limits limits = {
    .memory_bytes = (uint64_t)64 << 20, .cpu_seconds = 2, .silent_seconds = 20};

static char *volatile kept; /* memory that no compiler may do without */

/* What the attempts gave: 0, or the errno of the refusal. */
typedef struct attempts {
    int32_t open_read, open_write, socket, fork, exec, kill_parent, write_elsewhere, executable;
    int32_t compute; /* memory can be had and used */
} attempts;

static int32_t result(long value) {
    return value < 0 ? errno : 0;
}

static void try_all(void *context, int fd) {
    attempts a = {0};
    a.open_read = result(open("/etc/passwd", O_RDONLY));
    a.open_write = result(open(witness, O_WRONLY | O_TRUNC));
    a.socket = result(socket(AF_INET, SOCK_STREAM, 0));
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    a.fork = result(child);
    /* Without the filter it would succeed. The filter refuses the question as well. */
    if (prctl(PR_GET_SECCOMP) != 0)
        a.exec = result(execl("/bin/true", "true", (char *)NULL));
    a.kill_parent = result(kill(*(const pid_t *)context, 0));
    a.write_elsewhere = result(write(witness_fd, "x", 1));
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    a.executable = code == MAP_FAILED ? errno : 0;
    char *memory = malloc(8 << 20);
    kept = memory;
    if (memory)
        memset(memory, 1, 8 << 20);
    a.compute = memory && memory[(8 << 20) - 1] == 1;
    free(memory);
    (void)sandbox_write(fd, &a, sizeof a);
}

static void nothing_but_an_answer(void **state) {
    (void)state;
    sandbox s;
    attempts a;
    pid_t parent = getpid();
    support_ok(sandbox_start(&s, &limits, try_all, &parent, "x", &error), &error);
    support_ok(sandbox_read(&s, &a, sizeof a, "x", &error), &error);
    assert_int_equal(sandbox_read(&s, &a, 1, "x", &error), OCTET_CORRUPT);
    support_contains(error.text, "x: the decoder ended without an answer");
    int filtered = s.guard == OCTET_GUARD_FILTER;
    sandbox_finish(&s);
    print_message("guard: %s\n", filtered ? "filter" : "limits alone");
    assert_int_equal(a.compute, 1);
    assert_int_not_equal(a.open_read, 0);
    assert_int_not_equal(a.open_write, 0);
    assert_int_not_equal(a.socket, 0);
    assert_int_equal(a.write_elsewhere, EBADF * !filtered + EPERM * filtered);
    if (filtered) {
        assert_int_equal(a.open_read, EPERM);
        assert_int_equal(a.socket, EPERM);
        assert_int_equal(a.fork, EPERM);
        assert_int_equal(a.exec, EPERM);
        assert_int_equal(a.kill_parent, EPERM);
        assert_int_equal(a.executable, EPERM);
    }
    struct stat info;
    assert_int_equal(fstat(witness_fd, &info), 0);
    assert_int_equal(info.st_size, 4);
}

/* --- ends */

static void die(void *context, int fd) {
    (void)fd;
    signal(*(const int *)context, SIG_DFL);
    *(volatile char *)NULL = 1;
}

static void spin(void *context, int fd) {
    (void)fd;
    for (volatile long i = 0;; i++)
        if (i < 0)
            *(volatile int *)context = 1;
}

static void hold_on(void *context, int fd) {
    (void)context, (void)fd;
    /* No call that waits is allowed; a stopped process waits. */
    raise(SIGSTOP);
    for (volatile long i = 0; i >= 0; i++)
        ;
}

static void say_half(void *context, int fd) {
    (void)context;
    (void)sandbox_write(fd, "half", 4);
}

static void hoard(void *context, int fd) {
    (void)context;
    uint32_t mib = 0;
    while (mib < 4096) {
        char *more = malloc(1 << 20);
        kept = more;
        if (!more)
            break;
        memset(more, 1, 1 << 20);
        mib++;
    }
    (void)sandbox_write(fd, &mib, sizeof mib);
}

/* Reads eight bytes of a child's answer; how that ends, and after how long. */
static octet_status hear(void (*work)(void *, int), void *context, const sandbox_limits *l,
                         void *out, size_t n, double *seconds) {
    sandbox s;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    octet_status status = sandbox_start(&s, l, work, context, "x", &error);
    support_ok(status, &error);
    status = sandbox_read(&s, out, n, "x", &error);
    sandbox_finish(&s);
    clock_gettime(CLOCK_MONOTONIC, &end);
    *seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    return status;
}

static void ends_are_told(void **state) {
    (void)state;
    char bytes[8];
    double seconds;
    int number = SIGSEGV;
    assert_int_equal(hear(die, &number, &limits, bytes, 8, &seconds), OCTET_CORRUPT);
    support_contains(error.text, "x: the decoder ");
    assert_int_equal(hear(say_half, NULL, &limits, bytes, 8, &seconds), OCTET_CORRUPT);
    support_contains(error.text, "ended without an answer");
    assert_int_equal(hear(spin, &number, &limits, bytes, 8, &seconds), OCTET_CORRUPT);
    support_contains(error.text, "died of signal 9");
    sandbox_limits short_silence = limits;
    short_silence.silent_seconds = 1;
    short_silence.cpu_seconds = 100;
    assert_int_equal(hear(hold_on, NULL, &short_silence, bytes, 8, &seconds), OCTET_CORRUPT);
    support_contains(error.text, "silent for 1 s");
    assert_true(seconds < 10);
}

static void memory_is_bounded(void **state) {
    (void)state;
    uint32_t mib;
    double seconds;
    support_ok(hear(hoard, NULL, &limits, &mib, sizeof mib, &seconds), &error);
    print_message("%u MiB of 64\n", mib);
    assert_true(mib >= 32 && mib <= 64);
}

static int set_up(void **state) {
    (void)state;
    const int fd = mkstemp(witness);
    /* Never the number that the child's answer goes to. */
    witness_fd = fcntl(fd, F_DUPFD, 100);
    close(fd);
    return witness_fd >= 0 && write(witness_fd, "keep", 4) == 4 ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    close(witness_fd);
    return unlink(witness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_an_answer),
        cmocka_unit_test(ends_are_told),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
