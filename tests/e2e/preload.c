/* Makes system calls fail, by LD_PRELOAD. FAULTS holds rules, `call errno path`, one a line: a call by this name fails
 * with this error if the path of its file contains the text; `-` stands for any file, and for calls without one. Calls:
 * flock, lock (of byte ranges), open, write-open (with access(2) to write), mkdir, fork, thread, socket, socketpair. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int fault(const char *call, const char *path) {
    const char *rules = getenv("FAULTS");
    char name[32], text[512];
    int number, length;
    while (rules && sscanf(rules, "%31s %d %511s%n", name, &number, text, &length) == 3) {
        if (!strcmp(name, call) && (!strcmp(text, "-") || (path && strstr(path, text)))) return number;
        rules += length;
    }
    return 0;
}

static int fault_of(const char *call, int descriptor) {
    char link[64], path[4096];
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
    int number = (flags & (O_WRONLY | O_RDWR | O_CREAT)) && !(flags & O_DIRECTORY) ? fault("write-open", path) : 0;
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
