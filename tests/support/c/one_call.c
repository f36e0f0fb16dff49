/* SPDX-License-Identifier: Apache-2.0 */
/* To be preloaded: each thread of the program makes one system call, getppid, when it reads the clock for the 500th time. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WHEN 500

static int (*read_clock)(clockid_t, struct timespec *);
static __thread unsigned int reads __attribute__((tls_model("initial-exec"))); /* any other model may allocate, by system calls */

__attribute__((constructor)) static void find(void)
{
	*(void **)&read_clock = dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (++reads == WHEN)
		syscall(SYS_getppid);
	return read_clock ? read_clock(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
}
