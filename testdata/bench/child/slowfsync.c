/* Preloaded: makes fsync and fdatasync take longer, and counts them in a file of eight bytes that all can read. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t *count;
static useconds_t delay;

__attribute__((constructor)) static void start(void) {
	const char *path = getenv("BENCH_FSYNC_COUNT"), *us = getenv("BENCH_FSYNC_DELAY");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0) {
		void *p = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED)
			count = p;
		close(fd);
	}
	if (us)
		delay = (useconds_t)atoi(us);
}

static int slow(const char *name, int fd) {
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	if (count)
		__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
	if (delay)
		usleep(delay);
	return real(fd);
}

int fsync(int fd) { return slow("fsync", fd); }
int fdatasync(int fd) { return slow("fdatasync", fd); }
