/* Makes the disk under one folder fail, for the tests: see testdata/e2e/disk_test.go. SQLite goes through libc, the Go program around it
 * does not.
 *
 *   FAULT_DIR    the folder, an absolute path without symbolic links
 *   FAULT_WRITE  N: from the Nth write on, the disk is full (ENOSPC); a write that would not make a file larger fails too, as
 *                on a file system that copies on write
 *   FAULT_SYNC   N: the Nth fsync, and every later one, fails (EIO)
 *   FAULT_WHILE  a file: only as long as it is there
 *   FAULT_COUNT  a file that gets a line for each write (w) and sync (s)
 *   FAULT_NAME   a host name that getaddrinfo does not know for now (EAI_AGAIN) or at all (EAI_NONAME): NAME:again, NAME:none
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long writes, syncs;

/* Whether fd is a file of the folder. */
static int ours(int fd) {
	const char *dir = getenv("FAULT_DIR");
	char link[64], path[4096];
	if (dir == NULL)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return 0;
	path[n] = 0;
	return strncmp(path, dir, strlen(dir)) == 0;
}

static int fails(int fd, const char *variable, atomic_long *count, char op) {
	if (!ours(fd))
		return 0;
	const char *log = getenv("FAULT_COUNT"), *from = getenv(variable), *file = getenv("FAULT_WHILE");
	long n = atomic_fetch_add(count, 1) + 1;
	if (log != NULL) {
		int l = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
		char line[2] = {op, '\n'};
		ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
		if (l < 0 || real(l, line, 2) != 2)
			abort();
		close(l);
	}
	return from != NULL && n >= atol(from) && (file == NULL || access(file, F_OK) == 0);
}

static int full(int fd) {
	if (!fails(fd, "FAULT_WRITE", &writes, 'w'))
		return 0;
	errno = ENOSPC;
	return 1;
}

static int broken(int fd) {
	if (!fails(fd, "FAULT_SYNC", &syncs, 's'))
		return 0;
	errno = EIO;
	return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset) {
	ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
	return full(fd) ? -1 : real(fd, data, n, offset);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) { return pwrite64(fd, data, n, offset); }

ssize_t write(int fd, const void *data, size_t n) {
	ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
	return full(fd) ? -1 : real(fd, data, n);
}

int fsync(int fd) {
	int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
	return broken(fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
	int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
	return broken(fd) ? -1 : real(fd);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
	const char *name = getenv("FAULT_NAME");
	size_t n = host == NULL ? 0 : strlen(host);
	if (name == NULL || host == NULL || strncmp(name, host, n) != 0 || name[n] != ':')
		return real(host, service, hints, result);
	return strcmp(name + n, ":again") == 0 ? EAI_AGAIN : EAI_NONAME;
}
