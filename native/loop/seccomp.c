/* SPDX-License-Identifier: Apache-2.0 */
/* The proof that the loop makes no system call: a filter on its thread, under which any but those of a thread's end kill the
 * process. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <string.h>
#include <unistd.h>

#define NT_CLOCKSOURCE_PATH "/sys/devices/system/clocksource/clocksource0/current_clocksource"

/* Clock sources that the vDSO reads without the kernel. Under any other, clock_gettime is a system call. */
static bool nt_clock_needs_no_call(void)
{
	static const char *const names[] = {"tsc\n", "kvm-clock\n", "arch_sys_counter\n", "hyperv_clocksource_tsc_page\n"};
	char found[64];
	int fd = open(NT_CLOCKSOURCE_PATH, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, found, sizeof(found) - 1);

	if (fd >= 0)
		close(fd);
	if (got < 0)
		return false;
	found[got] = '\0';
	for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++)
		if (!strcmp(found, names[at]))
			return true;
	return false;
}

const char *nt_seccomp_obstacle(const struct nt_loop *loop)
{
	if (loop->options.sleep_idle)
		return "the loop sleeps when idle, and sleeping is a system call";
	for (uint32_t at = 0; at < loop->inlet_count; at++)
		if (loop->inlets[at].source->kind == NT_SOURCE_SOCKET)
			return "a socket source receives through system calls";
	for (uint32_t at = 0; at < loop->inlet_count; at++)
		if (loop->inlets[at].source->kind == NT_SOURCE_PCAP)
			return "a pcap source reads its file through system calls";
	if (!nt_clock_needs_no_call())
		return "reading this clock source is a system call (" NT_CLOCKSOURCE_PATH ")";
	return "";
}

int nt_seccomp_prepare(void **prepared, struct nt_fault *fault)
{
	/* What glibc does when a thread function returns. */
	static const int calls[] = {
		SCMP_SYS(exit),    SCMP_SYS(exit_group),     SCMP_SYS(futex),        SCMP_SYS(munmap),
		SCMP_SYS(madvise), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error = filter ? 0 : -ENOMEM;

	/* Kernels before 5.16 would turn speculation off for the very thread that must be fast; where this is not known, it is not
	 * needed. */
	if (filter)
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	for (size_t at = 0; !error && at < sizeof(calls) / sizeof(calls[0]); at++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[at], 0);
	if (error) {
		nt_seccomp_release(filter);
		return nt_fault_set(fault, error, "cannot make the capture loop's system call filter: %s; set seccomp = false",
				    strerror(-error));
	}
	*prepared = filter;
	return 0;
}

int nt_seccomp_enter(void *prepared, struct nt_fault *fault)
{
	int error = seccomp_load(prepared);

	if (error)
		return nt_fault_set(fault, error, "cannot forbid system calls to the capture loop: %s; set seccomp = false",
				    strerror(-error));
	return 0;
}

void nt_seccomp_release(void *prepared)
{
	if (prepared)
		seccomp_release(prepared);
}
