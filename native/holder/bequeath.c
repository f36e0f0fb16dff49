/* SPDX-License-Identifier: Apache-2.0 */
/* The leaving side of succession.h. Takes no privilege: it only passes descriptors on. */
#include "succession.h"

#include "pass.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int nt_bequeath_refuse(int connection, enum nt_will_status status)
{
	const struct nt_will will = {.magic = NT_WILL_MAGIC, .version = NT_WILL_VERSION, .status = status};

	return nt_pass(connection, &will, sizeof(will), NULL, 0);
}

/* The plan as it was when all was opened: its file is another by now. */
static int copy_plan(const struct nt_plan *plan)
{
	size_t done = 0;
	int fd = memfd_create("nanotape-plan", MFD_CLOEXEC);

	while (fd >= 0 && done < plan->bytes) {
		ssize_t put = write(fd, (const char *)plan->mapping + done, plan->bytes - done);

		if (put <= 0) {
			int error = put < 0 ? -errno : -EIO;

			close(fd);
			return error;
		}
		done += (size_t)put;
	}
	return fd < 0 ? -errno : fd;
}

static int pass_will(int connection, const struct nt_holder *holder, int listener)
{
	const struct nt_will will = {
		.magic = NT_WILL_MAGIC,
		.version = NT_WILL_VERSION,
		.status = NT_WILL_OK,
		.holder_id = holder->id,
		.program_count = holder->program_count,
		.lane_count = holder->lane_count,
	};
	const int plan = copy_plan(holder->plan);
	const int fds[NT_WILL_FDS] = {listener, plan};
	int error = plan < 0 ? plan : nt_pass(connection, &will, sizeof(will), fds, NT_WILL_FDS);

	if (plan >= 0)
		close(plan);
	return error;
}

static int pass_program(int connection, const struct nt_program *program)
{
	struct nt_will_program facts = {
		.ifindex = (uint32_t)program->ifindex,
		.stamp_kind = program->stamp_kind,
		.skb_mode = program->skb_mode,
	};
	const int fds[NT_WILL_PROGRAM_FDS] = {
		[NT_WILL_LINK] = program->link_fd,
		[NT_WILL_CODE] = program->code_fd,
		[NT_WILL_SOCKETS] = program->maps.sockets_fd,
		[NT_WILL_COUNTERS] = program->maps.counters_fd,
		[NT_WILL_SEQUENCES] = program->maps.sequences_fd,
	};

	memcpy(facts.interface, program->interface, sizeof(facts.interface));
	return nt_pass(connection, &facts, sizeof(facts), fds, NT_WILL_PROGRAM_FDS);
}

int nt_bequeath(int connection, const struct nt_holder *holder, int listener)
{
	int error;

	for (uint32_t i = 0; i < holder->lane_count; i++)
		if (holder->lanes[i].facts.kind != NT_SOURCE_AFXDP)
			return nt_bequeath_refuse(connection, NT_WILL_PACKET);
	error = pass_will(connection, holder, listener);
	for (uint32_t i = 0; !error && i < holder->program_count; i++)
		error = pass_program(connection, &holder->programs[i]);
	for (uint32_t i = 0; !error && i < holder->lane_count; i++)
		error = nt_lane_pass(connection, &holder->lanes[i]);
	return error;
}

/* The same program once more is no change. */
int nt_bequeath_revoke(const struct nt_holder *holder, struct nt_fault *fault)
{
	for (uint32_t i = 0; i < holder->program_count; i++) {
		const struct nt_program *program = &holder->programs[i];
		int error = bpf_link_update(program->link_fd, program->code_fd, NULL);

		if (error)
			return nt_fault_set(fault, error,
					    "%s: the heir of this holder died, and its XDP program cannot be replaced again: %s",
					    program->interface, strerror(-error));
	}
	return 0;
}
