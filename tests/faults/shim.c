/* Preloaded into charlens and every program that it starts: counts the calls that change files
 * below a folder, and lets one of them go wrong. (Linux; built and used by writes.py.)
 *
 * The plan is a small file, named by $FAULTS_PLAN and mapped by every process, so that a program and
 * its children count together. A call is an open for writing, a write, a truncation, a sync or a
 * rename. At the n-th call the whole process group is killed, or the call fails: with EIO once, with
 * ENOSPC from then on, except for syncs and renames, which need no space. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL, FULL, FAIL };

struct plan {
    int how;         /* one of the above */
    int at;          /* n, from 1 */
    int calls;       /* so far */
    char folder[PATH_MAX];
};

static struct plan* plan;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Called by writes.py in a forked child, and at the start of every other program. */
__attribute__((constructor)) void faults_begin(void) {
    const char* path = getenv("FAULTS_PLAN");
    if (!path) return;
    int file = REAL(open)(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void* found = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) plan = found;
    close(file);
}

/* Whether this call has to fail; errno says how. */
static int fails(int needs_space) {
    int call = __atomic_add_fetch(&plan->calls, 1, __ATOMIC_SEQ_CST);
    if (plan->how == KILL && call == plan->at) {
        kill(0, SIGKILL);
        for (;;) pause();
    }
    if (plan->how == FULL && call >= plan->at && needs_space) return errno = ENOSPC, 1;
    if (plan->how == FAIL && call == plan->at) return errno = EIO, 1;
    return 0;
}

static int below(const char* path) {
    char full[PATH_MAX];
    if (!plan || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(full, sizeof full)) return 0;
        strncat(full, "/", sizeof full - strlen(full) - 1);
        strncat(full, path, sizeof full - strlen(full) - 1);
        path = full;
    }
    return !strncmp(path, plan->folder, strlen(plan->folder));
}

static int below_fd(int file) {
    char link[64], path[PATH_MAX];
    if (!plan) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT); }

#define MODE                                    \
    mode_t mode = 0;                            \
    if (flags & (O_CREAT | __O_TMPFILE)) {      \
        va_list more;                           \
        va_start(more, flags);                  \
        mode = va_arg(more, mode_t);            \
        va_end(more);                           \
    }

#define OPEN(name)                                                        \
    int name(const char* path, int flags, ...) {                          \
        MODE if (writes(flags) && below(path) && fails(1)) return -1;     \
        return REAL(name)(path, flags, mode);                             \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                      \
    int name(int at, const char* path, int flags, ...) {                  \
        MODE if (writes(flags) && below(path) && fails(1)) return -1;     \
        return REAL(name)(at, path, flags, mode);                         \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                           \
    FILE* name(const char* path, const char* mode) {                          \
        if (strpbrk(mode, "wa+") && below(path) && fails(1)) return NULL;     \
        return REAL(name)(path, mode);                                        \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* NumPy writes arrays through stdio, which calls no exported write. */
size_t fwrite(const void* data, size_t size, size_t count, FILE* file) {
    if (below_fd(fileno(file)) && fails(1)) return 0;
    return REAL(fwrite)(data, size, count, file);
}

ssize_t write(int file, const void* data, size_t size) {
    if (below_fd(file) && fails(1)) return -1;
    return REAL(write)(file, data, size);
}

ssize_t writev(int file, const struct iovec* parts, int count) {
    if (below_fd(file) && fails(1)) return -1;
    return REAL(writev)(file, parts, count);
}

#define PWRITE(name, offset)                                               \
    ssize_t name(int file, const void* data, size_t size, offset at) {     \
        if (below_fd(file) && fails(1)) return -1;                         \
        return REAL(name)(file, data, size, at);                           \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, offset)                          \
    int name(int file, offset size) {                   \
        if (below_fd(file) && fails(1)) return -1;      \
        return REAL(name)(file, size);                  \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                      \
    int name(int file) {                                \
        if (below_fd(file) && fails(0)) return -1;      \
        return REAL(name)(file);                        \
    }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char* from, const char* to) {
    if (below(to) && fails(0)) return -1;
    return REAL(rename)(from, to);
}

int renameat(int from_at, const char* from, int to_at, const char* to) {
    if (below(to) && fails(0)) return -1;
    return REAL(renameat)(from_at, from, to_at, to);
}
