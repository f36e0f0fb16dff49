/* SPDX-License-Identifier: Apache-2.0 */
/* The proof that the loop makes no system call: a filter on its thread. Any but those of a thread's end is a question to the helper
 * thread, which counts it and lets it through (system_calls.c), or kills the process. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define NT_CLOCKSOURCE_PATH "/sys/devices/system/clocksource/clocksource0/current_clocksource"

/* What glibc does when a thread function returns, and what ends a process. */
static const uint32_t NT_CALLS_ALLOWED[] = {
	SYS_exit, SYS_exit_group, SYS_futex, SYS_munmap, SYS_madvise, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_restart_syscall,
};
#define NT_CALLS (sizeof(NT_CALLS_ALLOWED) / sizeof(NT_CALLS_ALLOWED[0]))

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

const char *nt_seccomp_needless(const struct nt_loop *loop)
{
	if (loop->options.sleep_idle)
		return "the loop sleeps when idle, and sleeping is a system call";
	for (uint32_t at = 0; at < loop->inlet_count; at++)
		if (loop->inlets[at].source->kind == NT_SOURCE_SOCKET)
			return "a socket source receives through system calls";
	for (uint32_t at = 0; at < loop->inlet_count; at++)
		if (loop->inlets[at].source->kind == NT_SOURCE_PCAP)
			return "a pcap source reads its file through system calls";
	return "";
}

const char *nt_seccomp_obstacle(const struct nt_loop *loop)
{
	const char *needless = nt_seccomp_needless(loop);

	if (needless[0] || nt_clock_needs_no_call())
		return needless;
	return "reading this clock source is a system call (" NT_CLOCKSOURCE_PATH ")";
}

/* Another architecture's calls have numbers of their own: none of them is allowed. */
static unsigned short nt_filter_write(struct sock_filter *filter, uint32_t action)
{
	unsigned short size = 0;

	filter[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	filter[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0, NT_CALLS + 1);
	filter[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t at = 0; at < NT_CALLS; at++)
		filter[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NT_CALLS_ALLOWED[at], NT_CALLS - at, 0);
	filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	filter[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return size;
}

/* Asked before the filter is on: afterwards a call whose question we cannot answer would fail, or hang. */
static bool nt_kernel_lets_through(void)
{
	struct seccomp_notif_sizes sizes;
	unsigned int major, minor;
	struct utsname host;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0 || sizes.seccomp_notif != sizeof(struct seccomp_notif) ||
	    sizes.seccomp_notif_resp != sizeof(struct seccomp_notif_resp))
		return false;
	return !uname(&host) && sscanf(host.release, "%u.%u", &major, &minor) == 2 && (major > 5 || (major == 5 && minor >= 5));
}

static int nt_filter_fault(struct nt_fault *fault, int error)
{
	if (error == -EBUSY)
		return nt_fault_set(fault, error,
				    "another program is told of this process's system calls, and there can be but one");
	return nt_fault_set(fault, error, "the kernel refuses the filter (%s)", strerror(-error));
}

int nt_seccomp_enter(uint32_t mode, int *listener, struct nt_fault *fault)
{
	bool counts = mode == NT_SECCOMP_COUNT;
	struct sock_filter filter[NT_CALLS + 5];
	struct sock_fprog program = {.filter = filter};
	/* SPEC_ALLOW: kernels before 5.16 would turn speculation off for the very thread that must be fast. */
	unsigned int flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW | (counts ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
	int got;

	if (counts && !nt_kernel_lets_through())
		return nt_fault_set(fault, -ENOTSUP, "the kernel cannot tell of a call and let it through (Linux 5.5 can)");
	program.len = nt_filter_write(filter, counts ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_KILL_PROCESS);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return nt_filter_fault(fault, -errno);
	got = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (got < 0)
		return nt_filter_fault(fault, -errno);
	*listener = counts ? got : -1;
	return 0;
}
