/* SPDX-License-Identifier: Apache-2.0 */
/* The taking side of succession.h. What is taken over is looked at before anything is changed: whatever is not as it should be leaves
 * the holder that runs in charge. */
#include "succession.h"

#include "../xdp/select.h"
#include "listeners.h"
#include "pass.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define NT_INHERIT_TIMEOUT_S 5

static int broken(struct nt_fault *fault, const char *what)
{
	return nt_fault_set(fault, -EPROTO, "the holder that runs does not hand over (%s): restart the service", what);
}

static int ask(struct nt_inheritance *inheritance, int succession, struct nt_fault *fault)
{
	const struct nt_heir heir = {.magic = NT_WILL_MAGIC, .version = NT_WILL_VERSION};
	const struct timeval patience = {.tv_sec = NT_INHERIT_TIMEOUT_S};
	int pair[2];
	int error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return nt_fault_set(fault, -errno, "no connection for the holder that runs: %s", strerror(errno));
	inheritance->connection = pair[0];
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	error = nt_pass(succession, &heir, sizeof(heir), &pair[1], 1);
	close(pair[1]);
	close(succession); /* its end is how the holder learns of the supervisor's death */
	return error ? broken(fault, strerror(-error)) : 0;
}

static int load_plan(struct nt_plan *plan, int fd, struct nt_fault *fault)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return nt_plan_load(plan, path, fault);
}

static int receive_will(struct nt_inheritance *inheritance, struct nt_will *will, struct nt_fault *fault)
{
	int fds[NT_WILL_FDS];
	uint32_t count;
	ssize_t got = nt_take(inheritance->connection, will, sizeof(*will), fds, NT_WILL_FDS, &count);
	int error;

	inheritance->listener = fds[0];
	if (got <= 0)
		return broken(fault, got ? strerror((int)-got) : "it has ended");
	if (will->magic != NT_WILL_MAGIC || will->version != NT_WILL_VERSION || will->status == NT_WILL_OTHER_VERSION)
		error = nt_fault_set(fault, -EPROTO,
				     "the holder that runs hands over by version %u, expected %u: restart the service",
				     will->version, NT_WILL_VERSION);
	else if (will->status == NT_WILL_PACKET)
		error = nt_fault_set(fault, -EOPNOTSUPP,
				     "the holder that runs has packet sockets, whose filters are locked: restart the service");
	else if (will->status != NT_WILL_OK)
		error = nt_fault_set(fault, -EBUSY, "the holder that runs has another heir already: try again");
	else if (count != NT_WILL_FDS || will->program_count > NT_PLAN_SOURCES_MAX || will->lane_count > NT_LEND_LANES_MAX)
		error = broken(fault, "no will that can be read");
	else
		error = load_plan(&inheritance->before, fds[1], fault);
	nt_close_fds(&fds[1], 1);
	return error;
}

/* The same socket, the same address: or borrowers would not find us. */
static int check_listener(int listener, const struct nt_plan_header *header, struct nt_fault *fault)
{
	struct sockaddr_un address = {0};
	socklen_t bytes = sizeof(address) - 1;

	if (getsockname(listener, (struct sockaddr *)&address, &bytes) || address.sun_family != AF_UNIX)
		return broken(fault, "its socket is none");
	if (strncmp(address.sun_path, header->holder_socket, sizeof(header->holder_socket)) != 0)
		return nt_fault_set(fault, -ESTALE, "the holder that runs listens at %s, the plan expects %s: restart the service",
				    address.sun_path, header->holder_socket);
	return 0;
}

/* The link is on this interface still, and carries the holder's own program and no other. */
static int check_link(const struct nt_will_program *will, const int fds[NT_WILL_PROGRAM_FDS], struct nt_fault *fault)
{
	struct bpf_link_info link = {0};
	struct bpf_prog_info code = {0};
	uint32_t bytes = sizeof(link);

	if (bpf_obj_get_info_by_fd(fds[NT_WILL_LINK], &link, &bytes))
		return broken(fault, "its link is none");
	bytes = sizeof(code);
	if (bpf_obj_get_info_by_fd(fds[NT_WILL_CODE], &code, &bytes))
		return broken(fault, "its program is none");
	if (link.type != BPF_LINK_TYPE_XDP || link.xdp.ifindex != will->ifindex)
		return nt_fault_set(fault, -ESTALE,
				    "%s: the XDP program of the holder that runs is not attached any more: restart it",
				    will->interface);
	if (link.prog_id != code.id || strcmp(code.name, NT_XDP_PROGRAM_NAME) != 0)
		return nt_fault_set(fault, -ESTALE, "%s: carries another XDP program (id %u) than that of the holder that runs",
				    will->interface, link.prog_id);
	return 0;
}

static const struct nt_plan_source *planned(const struct nt_plan *plan, const char *interface)
{
	for (uint32_t i = 0; i < plan->header->source_count; i++)
		if (plan->sources[i].kind == NT_SOURCE_AFXDP && strcmp(plan->sources[i].interface, interface) == 0)
			return &plan->sources[i];
	return NULL;
}

static int inherit_program(struct nt_inheritance *inheritance, struct nt_holder *holder, const struct nt_will_program *will,
			   const int fds[NT_WILL_PROGRAM_FDS], struct nt_fault *fault)
{
	const struct nt_maps kept = {fds[NT_WILL_SOCKETS], fds[NT_WILL_COUNTERS], fds[NT_WILL_SEQUENCES]};
	struct nt_program *program = &holder->programs[holder->program_count];
	struct nt_interface interface;
	int error = nt_interface_read(&interface, will->interface, fault);

	if (!error && (!planned(holder->plan, will->interface) || (uint32_t)interface.index != will->ifindex))
		error = nt_fault_set(fault, -ESTALE, "%s: is not the interface that the holder that runs has: restart the service",
				     will->interface);
	if (!error)
		error = check_link(will, fds, fault);
	if (error)
		return error;
	inheritance->codes[inheritance->code_count++] = dup(fds[NT_WILL_CODE]);
	holder->program_count++;
	error = nt_program_load(program, &interface, holder->plan, &kept, will->stamp_kind, fault);
	program->skb_mode = will->skb_mode;
	program->link_fd = dup(fds[NT_WILL_LINK]);
	return error || program->link_fd >= 0 ? error : nt_fault_set(fault, -errno, "%s: %s", will->interface, strerror(errno));
}

static int receive_program(struct nt_inheritance *inheritance, struct nt_holder *holder, struct nt_fault *fault)
{
	struct nt_will_program will;
	int fds[NT_WILL_PROGRAM_FDS];
	uint32_t count;
	ssize_t got = nt_take(inheritance->connection, &will, sizeof(will), fds, NT_WILL_PROGRAM_FDS, &count);
	int error;

	if (got <= 0)
		return broken(fault, got ? strerror((int)-got) : "it has ended");
	will.interface[sizeof(will.interface) - 1] = '\0';
	error = count == NT_WILL_PROGRAM_FDS ? inherit_program(inheritance, holder, &will, fds, fault)
					     : broken(fault, "a program without its maps");
	nt_close_fds(fds, count);
	return error;
}

static int check_lane(const struct nt_holder *holder, const struct nt_lend_lane *facts, struct nt_fault *fault)
{
	const struct nt_plan_source *source = planned(holder->plan, facts->interface);

	if (!source || facts->kind != NT_SOURCE_AFXDP)
		return broken(fault, "a lane of no source of the plan");
	if (facts->frames != source->descriptors || facts->frame_bytes != source->frame_bytes)
		return nt_fault_set(
			fault, -ESTALE,
			"%s: the holder that runs has %u descriptors of %u bytes, the plan %u of %u: restart the service",
			facts->interface, facts->frames, facts->frame_bytes, source->descriptors, source->frame_bytes);
	return 0;
}

static int receive_lane(const struct nt_inheritance *inheritance, struct nt_holder *holder, struct nt_fault *fault)
{
	struct nt_lane *lane = &holder->lanes[holder->lane_count];
	int fds[NT_LEND_LANE_FDS];
	uint32_t count;
	ssize_t got = nt_take(inheritance->connection, &lane->facts, sizeof(lane->facts), fds, NT_LEND_LANE_FDS, &count);

	if (got <= 0)
		return broken(fault, got ? strerror((int)-got) : "it has ended");
	lane->facts.interface[sizeof(lane->facts.interface) - 1] = '\0';
	lane->socket_fd = fds[0];
	lane->memory.fd = fds[1];
	nt_close_fds(&fds[2], 1);
	holder->lane_count++;
	for (uint32_t i = 0; i < holder->program_count; i++)
		if (strcmp(holder->programs[i].interface, lane->facts.interface) == 0)
			lane->counters_fd = holder->programs[i].maps.counters_fd;
	return count == NT_LEND_LANE_FDS ? check_lane(holder, &lane->facts, fault) : broken(fault, "a lane without its memory");
}

/* A socket for each queue that there is now: packets of another would go to the kernel. */
static int check_queues(const struct nt_holder *holder, const struct nt_plan_source *source, struct nt_fault *fault)
{
	struct nt_interface interface;
	uint32_t lanes = 0;
	int error = nt_interface_read(&interface, source->interface, fault);

	for (uint32_t i = 0; i < holder->lane_count; i++)
		lanes += strcmp(holder->lanes[i].facts.interface, source->interface) == 0;
	if (!error && lanes != interface.queues)
		return nt_fault_set(fault, -ESTALE,
				    "%s: has %u RX queues, the holder that runs sockets for %u: restart the service",
				    source->interface, interface.queues, lanes);
	return error;
}

static bool selects_alike(const struct nt_flow *left, const struct nt_flow *right)
{
	return left->family == right->family && left->port == right->port && left->vlan == right->vlan &&
	       memcmp(left->group, right->group, sizeof(left->group)) == 0 &&
	       memcmp(left->source, right->source, sizeof(left->source)) == 0 &&
	       strncmp(left->interface, right->interface, sizeof(left->interface)) == 0;
}

static bool is_new(const struct nt_plan *before, const struct nt_flow *flow)
{
	for (uint32_t i = 0; i < before->header->flow_count; i++)
		if (selects_alike(&before->flows[i], flow))
			return false;
	return true;
}

/* Who reads what the holder takes already has been told; nobody goes blind by what is added. */
static int refuse_new_listeners(const struct nt_plan *plan, const struct nt_plan *before, struct nt_fault *fault)
{
	struct nt_flow *flows = calloc(plan->header->flow_count + 1, sizeof(*flows));
	struct nt_plan_header header = *plan->header;
	struct nt_plan added = {.header = &header, .sources = plan->sources, .flows = flows};
	int error = 0;

	if (!flows)
		return nt_fault_set(fault, -ENOMEM, "no memory for %u flows", plan->header->flow_count);
	header.flow_count = 0;
	for (uint32_t i = 0; i < plan->header->flow_count; i++)
		if (is_new(before, &plan->flows[i]))
			flows[header.flow_count++] = plan->flows[i];
	for (uint32_t i = 0; !error && header.flow_count && i < header.source_count; i++)
		if (plan->sources[i].kind == NT_SOURCE_AFXDP && !plan->sources[i].steal)
			error = nt_listeners_refuse(&added, &plan->sources[i], before, fault);
	free(flows);
	return error;
}

static int join(struct nt_holder *holder, struct nt_fault *fault)
{
	int error = 0;

	for (uint32_t i = 0; !error && i < holder->program_count; i++)
		error = nt_joins_open(&holder->joins, holder->plan, planned(holder->plan, holder->programs[i].interface),
				      holder->programs[i].ifindex, fault);
	return error;
}

int nt_inherit(struct nt_inheritance *inheritance, struct nt_holder *holder, int succession, struct nt_fault *fault)
{
	struct nt_will will;
	int error;

	memset(inheritance, 0, sizeof(*inheritance));
	inheritance->connection = inheritance->listener = -1;
	error = ask(inheritance, succession, fault);
	if (!error)
		error = receive_will(inheritance, &will, fault);
	if (!error)
		error = check_listener(inheritance->listener, holder->plan->header, fault);
	if (!error && will.program_count != holder->plan->header->source_count)
		error = nt_fault_set(fault, -ESTALE, "the holder that runs has %u interfaces, the plan %u: restart the service",
				     will.program_count, holder->plan->header->source_count);
	for (uint32_t i = 0; !error && i < will.program_count; i++)
		error = receive_program(inheritance, holder, fault);
	for (uint32_t i = 0; !error && i < will.lane_count; i++)
		error = receive_lane(inheritance, holder, fault);
	for (uint32_t i = 0; !error && i < holder->plan->header->source_count; i++)
		error = check_queues(holder, &holder->plan->sources[i], fault);
	if (!error)
		error = refuse_new_listeners(holder->plan, &inheritance->before, fault);
	if (!error)
		error = join(holder, fault);
	if (!error)
		holder->id = will.holder_id; /* the sockets are the same, and so are their counters */
	return error;
}

int nt_inherit_switch(const struct nt_inheritance *inheritance, const struct nt_holder *holder, struct nt_fault *fault)
{
	for (uint32_t i = 0; i < holder->program_count; i++) {
		const struct nt_program *program = &holder->programs[i];
		int error = bpf_link_update(program->link_fd, program->code_fd, NULL);

		if (!error)
			continue;
		while (i-- > 0)
			bpf_link_update(holder->programs[i].link_fd, inheritance->codes[i], NULL);
		return nt_fault_set(fault, error, "%s: the XDP program cannot be replaced: %s", program->interface,
				    strerror(-error));
	}
	return 0;
}

void nt_inherit_take(struct nt_inheritance *inheritance, const struct nt_holder *holder, struct nt_server *server)
{
	const struct nt_heir heir = {.magic = NT_WILL_MAGIC, .version = NT_WILL_VERSION};
	char byte;

	server->listener = inheritance->listener;
	inheritance->listener = -1;
	memcpy(server->path, holder->plan->header->holder_socket, sizeof(holder->plan->header->holder_socket));
	/* One that has just been killed needs no leave; one that stands still gets it when it goes on. */
	if (nt_pass(inheritance->connection, &heir, sizeof(heir), NULL, 0) == 0 && recv(inheritance->connection, &byte, 1, 0) < 0)
		nt_holder_say(NT_LEVEL_WARNING, "the holder before this one does not end: %s", strerror(errno));
}

void nt_inherit_close(struct nt_inheritance *inheritance)
{
	for (uint32_t i = 0; i < inheritance->code_count; i++)
		nt_close_fds(&inheritance->codes[i], 1);
	nt_close_fds(&inheritance->listener, 1);
	nt_close_fds(&inheritance->connection, 1);
	nt_plan_unload(&inheritance->before);
}
