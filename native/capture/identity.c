/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NT_CAPABILITY_WORDS 2
#define NT_REALTIME_MAX 99
#define NT_CAPABILITIES_MAX 64

/* As far as it goes: whoever needs more says so when it turns out not to suffice. */
static void nt_raise_limit(int resource, rlim_t wanted)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return;
	if (limit.rlim_max < wanted) {
		struct rlimit higher = {wanted, wanted};

		if (!setrlimit(resource, &higher))
			return;
	}
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(resource, &limit);
}

/* While we are still root: afterwards the kernel no longer lets us. */
static void nt_clear_bounding_set(void)
{
	for (unsigned long capability = 0; capability < NT_CAPABILITIES_MAX; capability++)
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1)
			prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int nt_change_ids(uid_t user, gid_t group, struct nt_fault *fault)
{
	if (geteuid() != 0) {
		if ((user == NT_IDENTITY_KEEP || user == geteuid()) && (group == NT_IDENTITY_KEEP || group == getegid()))
			return 0;
		return nt_fault_set(fault, -EPERM, "cannot become user %u, group %u: expected to be started as root, found user %u",
				    user, group, geteuid());
	}
	if (setgroups(0, NULL))
		return nt_fault_set(fault, -errno, "cannot leave the supplementary groups: %s", strerror(errno));
	if (group != NT_IDENTITY_KEEP && setresgid(group, group, group))
		return nt_fault_set(fault, -errno, "cannot become group %u: %s", group, strerror(errno));
	nt_clear_bounding_set();
	if (user != NT_IDENTITY_KEEP && setresuid(user, user, user))
		return nt_fault_set(fault, -errno, "cannot become user %u: %s", user, strerror(errno));
	return 0;
}

static int nt_drop_capabilities(struct nt_fault *fault)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[NT_CAPABILITY_WORDS];

	memset(data, 0, sizeof(data));
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, data) || syscall(SYS_capget, &header, data))
		return nt_fault_set(fault, -errno, "cannot drop the capabilities: %s", strerror(errno));
	for (int word = 0; word < NT_CAPABILITY_WORDS; word++)
		if (data[word].effective || data[word].permitted || data[word].inheritable)
			return nt_fault_set(
				fault, -EPERM,
				"capabilities: expected none left, found some: the capture process does not run with any");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return nt_fault_set(fault, -errno, "cannot set no_new_privs: %s", strerror(errno));
	return 0;
}

int nt_identity_drop(uid_t user, gid_t group, struct nt_fault *fault)
{
	int error;

	nt_raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
	nt_raise_limit(RLIMIT_RTPRIO, NT_REALTIME_MAX);
	nt_raise_limit(RLIMIT_NOFILE, 65536);
	error = nt_change_ids(user, group, fault);
	return error ? error : nt_drop_capabilities(fault);
}
