/* Stands before the C library (LD_PRELOAD) and lets writes to a database fail. Says nothing, changes nothing else.
 *
 * DISK_FAULT="FOLDER NTH ERRNO MANY" in the environment: the NTH write, sync or change of size of a file below FOLDER whose
 * name belongs to a database fails with ERRNO; MANY times (0: from then on always). A full disk takes half of the first.
 * How many there have been, and how many failed, is in DISK_FAULT_LOG at the end. Counts in each process by itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long seen, failed;

static int of_database(int fd, const char *folder) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0) return 0;
    const char *name = strrchr(path, '/');
    return name && strstr(name, ".db") && !strstr(name, ".lock");
}

/* Whether this one is to fail; errno is set then. */
static int fails(int fd) {
    const char *asked = getenv("DISK_FAULT");
    char folder[2048];
    long nth, number, many;
    if (!asked || sscanf(asked, "%2047s %ld %ld %ld", folder, &nth, &number, &many) != 4) return 0;
    int before = errno;
    if (!of_database(fd, folder)) { errno = before; return 0; }
    seen++;
    int is_now = seen >= nth && (many == 0 || seen < nth + many);
    failed += is_now;
    int log = -1;
    const char *told = getenv("DISK_FAULT_LOG");
    if (told && (log = open(told, O_WRONLY | O_CREAT | O_TRUNC, 0600)) >= 0) {
        dprintf(log, "%ld %ld", seen, failed);
        close(log);
    }
    errno = is_now ? (int)number : before;
    return is_now;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define IS_HALF (failed == 1 && errno == ENOSPC && size > 1)

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return !fails(fd) ? REAL(pwrite64)(fd, data, size, at) : IS_HALF ? REAL(pwrite64)(fd, data, size / 2, at) : -1;
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }
ssize_t write(int fd, const void *data, size_t size) {
    return !fails(fd) ? REAL(write)(fd, data, size) : IS_HALF ? REAL(write)(fd, data, size / 2) : -1;
}
int fsync(int fd) { return fails(fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails(fd) ? -1 : REAL(fdatasync)(fd); }
int ftruncate64(int fd, off64_t size) { return fails(fd) ? -1 : REAL(ftruncate64)(fd, size); }
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int posix_fallocate64(int fd, off64_t from, off64_t size) {
    return fails(fd) ? errno : REAL(posix_fallocate64)(fd, from, size);
}
int posix_fallocate(int fd, off_t from, off_t size) { return posix_fallocate64(fd, from, size); }
