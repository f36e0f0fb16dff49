/* SPDX-License-Identifier: Apache-2.0 */
#include "system_calls.h"

#include "../atomic.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static void nt_system_call_count(struct nt_ring_descriptor *ring, uint32_t number)
{
	__atomic_store_n(&ring->last_system_call, number + 1, __ATOMIC_RELAXED);
	nt_store_release(&ring->system_calls, nt_load_relaxed(&ring->system_calls) + 1); /* who sees it sees a number too */
}

bool nt_system_calls_answer(int listener, int64_t wait_ns, struct nt_ring_descriptor *ring)
{
	const struct timespec wait = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
	struct pollfd watched = {.fd = listener, .events = POLLIN};
	struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
	struct seccomp_notif question;

	if (ppoll(&watched, 1, &wait, NULL) <= 0)
		return true;
	if (!(watched.revents & POLLIN))
		return false;
	memset(&question, 0, sizeof(question)); /* the kernel insists */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) < 0)
		return errno == EINTR || errno == ENOENT; /* a signal took the question back */
	nt_system_call_count(ring, (uint32_t)question.data.nr);
	answer.id = question.id;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0 || errno == ENOENT;
}

bool nt_system_calls_tell(struct nt_call_teller *teller, const struct nt_ring_descriptor *ring, int64_t now_ns, char *line,
			  size_t bytes)
{
	uint64_t made = nt_load_acquire(&ring->system_calls), more = made - teller->told;
	char name[64];

	if (!more || now_ns < teller->quiet_until_ns)
		return false;
	nt_system_call_name(__atomic_load_n(&ring->last_system_call, __ATOMIC_RELAXED) - 1, name, sizeof(name));
	if (more == 1)
		snprintf(line, bytes,
			 "loop: it made a system call (%s), which it must not while it captures: %llu in all; report this", name,
			 (unsigned long long)made);
	else
		snprintf(
			line, bytes,
			"loop: it made %llu system calls (the last: %s), which it must not while it captures: %llu in all; report this",
			(unsigned long long)more, name, (unsigned long long)made);
	teller->told = made;
	teller->quiet_until_ns = now_ns > INT64_MAX - NT_CALLS_TELL_NS ? INT64_MAX : now_ns + NT_CALLS_TELL_NS;
	return true;
}

void nt_system_call_name(uint32_t number, char *name, size_t bytes)
{
	char *found = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);

	if (found)
		snprintf(name, bytes, "%s", found);
	else
		snprintf(name, bytes, "number %u", number);
	free(found);
}
