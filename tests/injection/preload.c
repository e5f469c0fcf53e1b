/* Loaded before libc: calls fail and the clock jumps as a page that the test writes says. Its layout is preload.py's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct page { int64_t clock_seconds; int32_t flock_errno, write_errno, open_errno, fork_errno, hits; };
static volatile struct page *page;
static const char *under;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULT_PAGE");
    int fd = path ? open64(path, O_RDWR | O_CLOEXEC) : -1;
    under = getenv("FAULT_UNDER");
    if (fd < 0)
        return;
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        page = at;
    close(fd);
}

static int hit(int code)
{
    __sync_fetch_and_add(&page->hits, 1);
    errno = code;
    return -1;
}

static int is_under(const char *path)
{
    return under && path && strncmp(path, under, strlen(under)) == 0;
}

static int is_file_under(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return is_under(path);
}

#define REAL(name, result, ...) static result (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, name)
#define IF_FULL(fd) if (page && page->write_errno && is_file_under(fd)) return hit(page->write_errno)

int flock(int fd, int operation)
{
    REAL("flock", int, int, int);
    if (page && page->flock_errno && is_file_under(fd)) return hit(page->flock_errno);
    return real(fd, operation);
}

ssize_t write(int fd, const void *from, size_t size)
{
    REAL("write", ssize_t, int, const void *, size_t);
    IF_FULL(fd);
    return real(fd, from, size);
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at)
{
    REAL("pwrite64", ssize_t, int, const void *, size_t, off64_t);
    IF_FULL(fd);
    return real(fd, from, size, at);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { return pwrite64(fd, from, size, at); }

int ftruncate64(int fd, off64_t size)
{
    REAL("ftruncate64", int, int, off64_t);
    IF_FULL(fd);
    return real(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int is_refused(const char *path, int flags)
{
    int wants = page ? page->open_errno : 0;
    /* A file system that is read-only may be read. */
    return wants && is_under(path) && (wants != EROFS || (flags & (O_WRONLY | O_RDWR | O_CREAT)));
}

#define OPENS(name) int name(const char *path, int flags, ...) { \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); } \
    REAL(#name, int, const char *, int, ...); \
    if (is_refused(path, flags)) return hit(page->open_errno); \
    return real(path, flags, mode); }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name) int name(int at, const char *path, int flags, ...) { \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); } \
    REAL(#name, int, int, const char *, int, ...); \
    if (is_refused(path, flags)) return hit(page->open_errno); \
    return real(at, path, flags, mode); }
OPENS_AT(openat)
OPENS_AT(openat64)

pid_t fork(void)
{
    REAL("fork", pid_t, void);
    if (page && page->fork_errno) return hit(page->fork_errno);
    return real();
}

/* POSIX lets vfork be fork, which can be told apart from what it stands for. */
pid_t vfork(void) { return fork(); }

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL("clock_gettime", int, clockid_t, struct timespec *);
    int result = real(clock, now);
    if (result == 0 && page && clock == CLOCK_REALTIME) now->tv_sec += page->clock_seconds;
    return result;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
