/* Makes system calls fail and sets the time of day of processes, by LD_PRELOAD, as a page of memory says that the test may
 * write at any time (preload.py). Its rules are `call errno path`, one a line: a call by this name fails with this error if
 * the path of its file contains the text; `-` stands for any file, and for calls without one. Calls: flock, lock (of byte
 * ranges), open, write-open (with access(2) to write), write (with ftruncate), mkdir, fork, thread, socket, socketpair. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct page { int64_t ahead_seconds; int32_t hits; char rules[4096 - 12]; };
static struct page *page;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULT_PAGE");
    int file = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at != MAP_FAILED) page = at;
    close(file);
}

static int fault(const char *call, const char *path) {
    const char *rules = page ? page->rules : "";
    char name[32], text[512];
    int number, length;
    while (sscanf(rules, "%31s %d %511s%n", name, &number, text, &length) == 3) {
        if (!strcmp(name, call) && (!strcmp(text, "-") || (path && strstr(path, text)))) {
            __sync_fetch_and_add(&page->hits, 1);
            return number;
        }
        rules += length;
    }
    return 0;
}

static int fault_of(const char *call, int descriptor) {
    char link[64], path[4096];
    if (!page || !page->rules[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return fault(call, path);
}

#define FAIL_IF(condition) do { int number = (condition); if (number) { errno = number; return -1; } } while (0)

int flock(int descriptor, int operation) {
    FAIL_IF(fault_of("flock", descriptor));
    return ((int (*)(int, int))dlsym(RTLD_NEXT, "flock"))(descriptor, operation);
}

#define FCNTL(name) \
    int name(int descriptor, int command, ...) { \
        va_list arguments; \
        va_start(arguments, command); \
        void *argument = va_arg(arguments, void *); \
        va_end(arguments); \
        if (command == F_SETLK || command == F_SETLKW) FAIL_IF(fault_of("lock", descriptor)); \
        return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, #name))(descriptor, command, argument); \
    }
FCNTL(fcntl)
FCNTL(fcntl64)

static int open_fault(const char *path, int flags) {
    int is_written = (flags & (O_WRONLY | O_RDWR | O_CREAT)) && (!(flags & O_DIRECTORY) || (flags & O_TMPFILE) == O_TMPFILE);
    int number = is_written ? fault("write-open", path) : 0;
    return number ? number : fault("open", path);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode_t mode = va_arg(arguments, mode_t); \
        va_end(arguments); \
        FAIL_IF(open_fault(path, flags)); \
        return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode_t mode = va_arg(arguments, mode_t); \
        va_end(arguments); \
        FAIL_IF(open_fault(path, flags)); \
        return ((int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, #name))(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

/* Calls so frequent that their functions are looked up once. */
#define REAL(name, type) static type real; if (!real) real = (type)dlsym(RTLD_NEXT, name)

ssize_t write(int descriptor, const void *from, size_t size) {
    typedef ssize_t (*Write)(int, const void *, size_t);
    REAL("write", Write);
    FAIL_IF(fault_of("write", descriptor));
    return real(descriptor, from, size);
}

ssize_t pwrite64(int descriptor, const void *from, size_t size, off64_t at) {
    typedef ssize_t (*Write)(int, const void *, size_t, off64_t);
    REAL("pwrite64", Write);
    FAIL_IF(fault_of("write", descriptor));
    return real(descriptor, from, size, at);
}

ssize_t pwrite(int descriptor, const void *from, size_t size, off_t at) { return pwrite64(descriptor, from, size, at); }

int ftruncate64(int descriptor, off64_t size) {
    FAIL_IF(fault_of("write", descriptor));
    return ((int (*)(int, off64_t))dlsym(RTLD_NEXT, "ftruncate64"))(descriptor, size);
}

int ftruncate(int descriptor, off_t size) { return ftruncate64(descriptor, size); }

int access(const char *path, int mode) {
    if (mode & W_OK) FAIL_IF(fault("write-open", path));
    return ((int (*)(const char *, int))dlsym(RTLD_NEXT, "access"))(path, mode);
}

int mkdir(const char *path, mode_t mode) {
    FAIL_IF(fault("mkdir", path));
    return ((int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir"))(path, mode);
}

pid_t fork(void) {
    FAIL_IF(fault("fork", 0));
    return ((pid_t (*)(void))dlsym(RTLD_NEXT, "fork"))();
}

/* vfork cannot be wrapped, since its caller's frame is used twice: fork does the same, more slowly. */
pid_t vfork(void) {
    return fork();
}

int socket(int domain, int type, int protocol) {
    FAIL_IF(fault("socket", 0));
    return ((int (*)(int, int, int))dlsym(RTLD_NEXT, "socket"))(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int pair[2]) {
    FAIL_IF(fault("socketpair", 0));
    return ((int (*)(int, int, int, int[2]))dlsym(RTLD_NEXT, "socketpair"))(domain, type, protocol, pair);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*begin)(void *), void *argument) {
    int number = fault("thread", 0);
    if (number) return number;
    return ((int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT, "pthread_create"))(
        thread, attributes, begin, argument);
}

/* The monotonic clock goes on, as it does when an administrator or NTP sets the time. */
int clock_gettime(clockid_t clock, struct timespec *out) {
    int result = syscall(SYS_clock_gettime, clock, out);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && page) out->tv_sec += page->ahead_seconds;
    return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
