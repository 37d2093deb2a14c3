/* Writes down what a process does to the files of one folder through libc, so that a power cut can be played afterwards: see
 * disk.go. SQLite goes through libc, the Go program around it does not; its memory map (-shm) is no part of what has to survive.
 *
 *   CRASH_DISK_DIR   the folder, an absolute path without symbolic links
 *   CRASH_DISK_LOG   the log, which is appended to
 *   CRASH_DISK_KILL  before:N or after:N: die at the Nth operation
 *
 * A record is the head below, the path and the data, in the byte order of the machine. Changes are written down before they are
 * made: if the process dies in between, the next one makes the same change again or another one in its place. A sync is
 * written down when it has returned: until then nobody relies on it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct head {
	uint64_t at; /* nanoseconds of CLOCK_MONOTONIC */
	uint64_t offset;
	uint32_t op; /* 'w' write, 't' truncate to offset, 's' sync, 'u' unlink */
	uint32_t path;
	uint64_t data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char dir[4096];
static size_t dir_len;
static int log_fd = -1;
static long count, kill_before = -1, kill_after = -1;

static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate)(int, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);

__attribute__((constructor)) static void start(void) {
	real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	real_write = dlsym(RTLD_NEXT, "write");
	real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
	real_fsync = dlsym(RTLD_NEXT, "fsync");
	real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	real_unlink = dlsym(RTLD_NEXT, "unlink");
	real_rename = dlsym(RTLD_NEXT, "rename");
	const char *d = getenv("CRASH_DISK_DIR"), *l = getenv("CRASH_DISK_LOG"), *k = getenv("CRASH_DISK_KILL");
	if (d == NULL || l == NULL)
		return;
	dir_len = strlen(d);
	if (dir_len >= sizeof dir)
		abort();
	memcpy(dir, d, dir_len);
	log_fd = open(l, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (log_fd < 0)
		abort();
	if (k != NULL && strncmp(k, "before:", 7) == 0)
		kill_before = atol(k + 7);
	if (k != NULL && strncmp(k, "after:", 6) == 0)
		kill_after = atol(k + 6);
}

/* Whether a path is the folder or in it, and not the memory map. */
static int ours(const char *path) {
	size_t n = strlen(path);
	if (log_fd < 0 || strncmp(path, dir, dir_len) != 0 || (path[dir_len] != '/' && path[dir_len] != 0))
		return 0;
	return n < 4 || strcmp(path + n - 4, "-shm") != 0;
}

static int path_of(int fd, char *path, size_t size) {
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, size - 1);
	if (n < 0)
		return 0;
	path[n] = 0;
	return ours(path);
}

static void die(void) {
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static void begin(void) {
	pthread_mutex_lock(&lock);
	if (++count == kill_before)
		die();
}

static void end(void) {
	if (count == kill_after)
		die();
	pthread_mutex_unlock(&lock);
}

static void note(uint32_t op, const char *path, uint64_t offset, const void *data, size_t n) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	struct head h = {(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, offset, op, (uint32_t)strlen(path), n};
	struct iovec v[3] = {{&h, sizeof h}, {(void *)path, h.path}, {(void *)data, n}};
	if (writev(log_fd, v, 3) != (ssize_t)(sizeof h + h.path + n))
		abort();
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset) {
	char path[4096];
	if (!path_of(fd, path, sizeof path))
		return real_pwrite(fd, data, n, offset);
	begin();
	note('w', path, (uint64_t)offset, data, n);
	ssize_t done = real_pwrite(fd, data, n, offset);
	end();
	return done;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) { return pwrite64(fd, data, n, offset); }

ssize_t write(int fd, const void *data, size_t n) {
	char path[4096];
	if (!path_of(fd, path, sizeof path))
		return real_write(fd, data, n);
	begin();
	note('w', path, (uint64_t)lseek64(fd, 0, SEEK_CUR), data, n);
	ssize_t done = real_write(fd, data, n);
	end();
	return done;
}

int ftruncate64(int fd, off64_t size) {
	char path[4096];
	if (!path_of(fd, path, sizeof path))
		return real_ftruncate(fd, size);
	begin();
	note('t', path, (uint64_t)size, NULL, 0);
	int result = real_ftruncate(fd, size);
	end();
	return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int sync_by(int (*real)(int), int fd) {
	char path[4096];
	if (!path_of(fd, path, sizeof path))
		return real(fd);
	begin();
	int result = real(fd);
	if (result == 0)
		note('s', path, 0, NULL, 0);
	end();
	return result;
}

int fsync(int fd) { return sync_by(real_fsync, fd); }

int fdatasync(int fd) { return sync_by(real_fdatasync, fd); }

int unlink(const char *path) {
	if (!ours(path))
		return real_unlink(path);
	begin();
	note('u', path, 0, NULL, 0);
	int result = real_unlink(path);
	end();
	return result;
}

/* SQLite renames nothing; should it ever, the log would be wrong, so it must not pass unseen. */
int rename(const char *from, const char *to) {
	if (ours(from) || ours(to))
		abort();
	return real_rename(from, to);
}
