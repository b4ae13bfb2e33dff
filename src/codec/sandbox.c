/* sandbox.c: see sandbox.h. The child calls nothing but system calls before it is confined. */
#define _GNU_SOURCE
#include "codec/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_FD = 3 }; /* the child's only descriptor */

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define FILTER_ARCH AUDIT_ARCH_RISCV64
#endif

/* --- the child --- */

#ifdef FILTER_ARCH

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)
/* Memory, but none that can be executed: argument 2 holds the protection. */
#define ALLOW_DATA(call)                                                                           \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 4), LOAD(args[2]),                          \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0), RETURN(SECCOMP_RET_ALLOW), REFUSE
#define ALLOW_ANSWER                                                                               \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 4), LOAD(args[0]),                           \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ANSWER_FD, 0, 1), RETURN(SECCOMP_RET_ALLOW), REFUSE

/* Every call that is not named fails with EPERM. (All machines above are little-endian: the first
 * half of an argument is its low one.) */
static bool install_filter(void) {
    static const struct sock_filter code[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0),
        REFUSE,
        LOAD(nr),
        ALLOW_ANSWER,
        ALLOW_DATA(mmap),
        ALLOW_DATA(mprotect),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(brk),
        ALLOW(madvise),
        ALLOW(clock_gettime),
        ALLOW(gettimeofday),
        ALLOW(rt_sigreturn),
        ALLOW(sigaltstack), /* of its own memory; sanitizers ask for it before a longjmp */
        ALLOW(exit),
        ALLOW(exit_group),
        REFUSE,
    };
    const struct sock_fprog filter = {sizeof code / sizeof *code, (struct sock_filter *)code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

#else

static bool install_filter(void) {
    return false;
}

#endif

/* Bytes of private memory that the process has, by the kernel's count ("data" of statm, in pages,
 * the sixth number); UINT64_MAX: not known. */
static uint64_t data_bytes(void) {
    char text[256];
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n <= 0) {
        return UINT64_MAX;
    }
    text[n] = '\0';
    const char *at = text;
    for (int i = 0; i < 5 && at != NULL; i++) {
        at = strchr(at, ' ');
        at += at != NULL;
    }
    uint64_t pages = 0;
    for (; at != NULL && *at >= '0' && *at <= '9'; at++) {
        pages = 10 * pages + (uint64_t)(*at - '0');
    }
    return at != NULL ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : UINT64_MAX;
}

static bool limit(int resource, uint64_t most) {
    struct rlimit now;
    if (getrlimit(resource, &now) != 0) {
        return false;
    }
    const rlim_t hard = now.rlim_max < most ? now.rlim_max : (rlim_t)most;
    return setrlimit(resource, &(struct rlimit){hard, hard}) == 0;
}

/* Leaves the process nothing but the descriptor fd, as ANSWER_FD. */
static bool drop_descriptors(int fd) {
    if (fd != ANSWER_FD && dup2(fd, ANSWER_FD) < 0) {
        return false;
    }
    for (int i = 0; i < ANSWER_FD; i++) {
        (void)close(i);
    }
#ifdef SYS_close_range
    if (syscall(SYS_close_range, ANSWER_FD + 1, ~0u, 0) == 0) {
        return true;
    }
#endif
    const long most = sysconf(_SC_OPEN_MAX);
    for (int i = ANSWER_FD + 1; i < most; i++) {
        (void)close(i);
    }
    return true;
}

/* In order: what needs files comes before they are gone. */
static bool confine(const sandbox_limits *limits, int fd, octet_guard *guard) {
    const uint64_t have = data_bytes();
    const uint64_t most = have <= UINT64_MAX - limits->memory_bytes ? have + limits->memory_bytes
                                                                    : limits->memory_bytes;
    const bool held = limit(RLIMIT_DATA, most) && limit(RLIMIT_CPU, limits->cpu_seconds) &&
                      limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) && drop_descriptors(fd) &&
                      limit(RLIMIT_NOFILE, 0) && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
                      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    *guard = held && install_filter() ? OCTET_GUARD_FILTER : OCTET_GUARD_PROCESS;
    return held;
}

int sandbox_write(int fd, const void *data, size_t bytes) {
    const uint8_t *next = data;
    while (bytes > 0) {
        const ssize_t n = write(fd, next, bytes);
        if (n > 0) {
            next += n;
            bytes -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/* --- the parent --- */

octet_status sandbox_start(sandbox *s, const sandbox_limits *limits,
                           void (*work)(void *context, int fd), void *context, const char *name,
                           octet_error *error) {
    int ends[2];
    *s = (sandbox){.pid = -1, .fd = -1, .silent_seconds = limits->silent_seconds};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        const int code = errno;
        return error_set(error, OCTET_ERROR, "%s: no pipe for a decoder: %s", name, strerror(code));
    }
    s->pid = fork();
    if (s->pid == 0) {
        octet_guard guard;
        const bool held = confine(limits, ends[1], &guard);
        const uint8_t guard_byte = (uint8_t)guard;
        if (held && sandbox_write(ANSWER_FD, &guard_byte, 1) == 0) {
            work(context, ANSWER_FD);
        }
        /* Not by _exit, which sanitizers make into more than the filter allows. */
        for (;;) {
            (void)syscall(SYS_exit_group, held ? 0 : 1);
        }
    }
    const int code = errno;
    (void)close(ends[1]);
    s->fd = ends[0];
    if (s->pid < 0) {
        return error_set(error, OCTET_ERROR, "%s: no process for a decoder: %s", name,
                         strerror(code));
    }
    uint8_t guard_byte;
    if (sandbox_read(s, &guard_byte, 1, name, NULL) != OCTET_OK) {
        return error_set(error, OCTET_ERROR, "%s: the decoder's process cannot be confined", name);
    }
    s->guard = guard_byte == OCTET_GUARD_FILTER ? OCTET_GUARD_FILTER : OCTET_GUARD_PROCESS;
    return OCTET_OK;
}

/* The child has closed its end. One that ends gets a second for it, so that its own reason is told;
 * one that only pretends must not be waited for. */
static octet_status fail_ended(sandbox *s, const char *name, octet_error *error) {
    const struct timespec pause = {0, 10000000};
    int result = 0;
    pid_t ended = 0;
    for (int i = 0; i < 100 && ended == 0; i++) {
        ended = waitpid(s->pid, &result, WNOHANG);
        if (ended == 0) {
            (void)nanosleep(&pause, NULL);
        }
    }
    s->pid = ended == 0 ? s->pid : -1;
    if (ended > 0 && WIFSIGNALED(result)) {
        return error_set(error, OCTET_CORRUPT, "%s: the decoder died of signal %d (%s)%s", name,
                         WTERMSIG(result), strsignal(WTERMSIG(result)),
                         WTERMSIG(result) == SIGKILL ? ", perhaps at its limit of time" : "");
    }
    return error_set(error, OCTET_CORRUPT, "%s: the decoder ended without an answer", name);
}

octet_status sandbox_read(sandbox *s, void *data, size_t bytes, const char *name,
                          octet_error *error) {
    uint8_t *next = data;
    while (bytes > 0) {
        struct pollfd ready = {s->fd, POLLIN, 0};
        const int polled = poll(&ready, 1, 1000 * s->silent_seconds);
        if (polled == 0) {
            return error_set(error, OCTET_CORRUPT, "%s: the decoder was silent for %d s", name,
                             s->silent_seconds);
        }
        const ssize_t n = polled > 0 ? read(s->fd, next, bytes) : -1;
        if (n == 0) {
            return fail_ended(s, name, error);
        }
        if (n > 0) {
            next += n;
            bytes -= (size_t)n;
        } else if (errno != EINTR) {
            const int code = errno;
            return error_set(error, OCTET_ERROR, "%s: cannot hear the decoder: %s", name,
                             strerror(code));
        }
    }
    return OCTET_OK;
}

void sandbox_finish(sandbox *s) {
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    if (s->pid > 0) {
        (void)kill(s->pid, SIGKILL);
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    *s = (sandbox){.pid = -1, .fd = -1};
}
