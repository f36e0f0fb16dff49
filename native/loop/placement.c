/* SPDX-License-Identifier: Apache-2.0 */
/* Where and how the loop's thread runs. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NT_ISOLATED_PATH "/sys/devices/system/cpu/isolated"

bool nt_core_list_has(const char *list, int core)
{
	while (*list >= '0' && *list <= '9') {
		char *end;
		long first = strtol(list, &end, 10);
		long last = *end == '-' ? strtol(end + 1, &end, 10) : first;

		if (core >= first && core <= last)
			return true;
		list = *end == ',' ? end + 1 : end;
	}
	return false;
}

static bool nt_core_is_isolated(int core)
{
	char list[4096];
	int fd = open(NT_ISOLATED_PATH, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);

	if (fd >= 0)
		close(fd);
	if (got < 0)
		return false;
	list[got] = '\0';
	return nt_core_list_has(list, core);
}

static int nt_pin(int core, struct nt_fault *fault)
{
	cpu_set_t set;

	if (core < 0)
		return 0;
	if (core >= CPU_SETSIZE)
		return nt_fault_set(fault, -EINVAL, "core %d: expected 0 to %d", core, CPU_SETSIZE - 1);
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return nt_fault_set(fault, -errno,
				    "core %d: cannot run there (%s): this host has %ld cores online; choose another core or none",
				    core, strerror(errno), sysconf(_SC_NPROCESSORS_ONLN));
	return 0;
}

static void nt_take_realtime(const struct nt_loop_options *options, struct nt_loop_facts *facts)
{
	struct sched_param priority = {.sched_priority = options->realtime};
	size_t room = sizeof(facts->realtime_reason);

	if (options->realtime <= 0)
		return;
	if (options->core < 0)
		snprintf(facts->realtime_reason, room, "the loop is not pinned to a core");
	else if (!nt_core_is_isolated(options->core))
		snprintf(facts->realtime_reason, room,
			 "core %d is not in " NT_ISOLATED_PATH ": a spinning SCHED_FIFO thread would starve it", options->core);
	else if (sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
		snprintf(facts->realtime_reason, room, "SCHED_FIFO %d: %s; raise RLIMIT_RTPRIO", options->realtime,
			 strerror(errno));
	else
		facts->realtime = true;
}

void nt_helper_place(const struct nt_loop *loop)
{
	cpu_set_t set;

	if (loop->options.core < 0 || loop->options.core >= CPU_SETSIZE || sched_getaffinity(0, sizeof(set), &set) < 0)
		return;
	CPU_CLR(loop->options.core, &set);
	if (CPU_COUNT(&set))
		sched_setaffinity(0, sizeof(set), &set);
}

int nt_loop_place(struct nt_loop *loop, struct nt_fault *fault)
{
	int error = nt_pin(loop->options.core, fault);

	if (!error)
		nt_take_realtime(&loop->options, &loop->facts);
	return error;
}
