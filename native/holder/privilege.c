/* SPDX-License-Identifier: Apache-2.0 */
#include "holder.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NT_CAPABILITY_WORDS 2

static int read_capabilities(struct __user_cap_data_struct data[NT_CAPABILITY_WORDS])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	memset(data, 0, NT_CAPABILITY_WORDS * sizeof(*data));
	return syscall(SYS_capget, &header, data) ? -errno : 0;
}

bool nt_privilege_has(unsigned int capability)
{
	struct __user_cap_data_struct data[NT_CAPABILITY_WORDS];

	return read_capabilities(data) == 0 && (data[capability / 32].effective >> capability % 32 & 1);
}

/* AF_XDP memory counts against RLIMIT_MEMLOCK unless CAP_IPC_LOCK is there; a soft limit may be raised to the hard one. */
static bool may_lock_memory(uint64_t bytes)
{
	struct rlimit limit;

	if (nt_privilege_has(CAP_IPC_LOCK))
		return true;
	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return false;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur >= bytes;
}

/* The least that will have to be locked; 0: no afxdp source. */
static uint64_t least_umem(const struct nt_plan *plan)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < plan->header->source_count; i++)
		if (plan->sources[i].kind == NT_SOURCE_AFXDP)
			bytes += (uint64_t)plan->sources[i].descriptors * plan->sources[i].frame_bytes;
	return bytes;
}

/* CAP_NET_RAW is all that a packet source takes. CAP_PERFMON: without it the verifier forbids packet offsets that vary (IP options,
 * extension headers), and would slow the program by speculation barriers. */
int nt_privilege_check(const struct nt_plan *plan, struct nt_fault *fault)
{
	const uint64_t umem_bytes = least_umem(plan);
	const bool spare = !umem_bytes;
	const bool administrator = nt_privilege_has(CAP_SYS_ADMIN);
	const struct {
		const char *name;
		bool there;
	} needs[] = {
		{"CAP_NET_ADMIN", spare || nt_privilege_has(CAP_NET_ADMIN)},
		{"CAP_NET_RAW", nt_privilege_has(CAP_NET_RAW)},
		{"CAP_BPF", spare || administrator || nt_privilege_has(CAP_BPF)},
		{"CAP_PERFMON", spare || administrator || nt_privilege_has(CAP_PERFMON)},
		{"CAP_IPC_LOCK", spare || may_lock_memory(umem_bytes)},
	};
	char missing[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (!needs[i].there)
			used += (size_t)snprintf(missing + used, sizeof(missing) - used, " %s", needs[i].name);
	if (used == 0)
		return 0;
	return nt_fault_set(
		fault, -EPERM,
		"the holder lacks%s: run it as root, or give its service these as AmbientCapabilities (the capture process needs none)",
		missing);
}

/* Where nobody is root the capture process is the holder's own user, and may not reach into it (ptrace, pidfd_getfd) all the same.
 * The leak sanitizer reaches into its own process so. */
static int close_to_others(void)
{
#ifdef __SANITIZE_ADDRESS__
	return 0;
#else
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* Lending, leaving groups, detaching and removing our own socket take none, nor does being a member again after a link flap: the
 * kernel keeps memberships. Should the socket's directory be another user's, the socket stays, and the next holder clears it away. */
int nt_privilege_drop(struct nt_fault *fault)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[NT_CAPABILITY_WORDS] = {0};

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &header, none) || close_to_others())
		return nt_fault_set(fault, -errno, "the holder cannot drop its capabilities: %s", strerror(errno));
	return 0;
}
