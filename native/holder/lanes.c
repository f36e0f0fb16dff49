/* SPDX-License-Identifier: Apache-2.0 */
/* One AF_XDP socket and its UMEM for each RX queue; or the sockets of a packet source. The fill ring is stocked with every frame before the socket is bound, so that
 * fill.producer = frames + rx.consumer holds from the beginning; native/source/afxdp.c keeps it so. */
#include "holder.h"

#include "../clock.h"
#include "pass.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

#define NT_COMPLETION_DESCRIPTORS 64

static void stock_fill_ring(struct nt_lane *lane, uint32_t frames, uint32_t frame_bytes)
{
	uint32_t index;

	if (xsk_ring_prod__reserve(&lane->fill, frames, &index) != frames)
		return; /* cannot be: the ring has as many places, and is new */
	for (uint32_t i = 0; i < frames; i++)
		*xsk_ring_prod__fill_addr(&lane->fill, index + i) = (uint64_t)i * frame_bytes;
	xsk_ring_prod__submit(&lane->fill, frames);
}

static void close_socket(struct nt_lane *lane)
{
	if (lane->socket)
		xsk_socket__delete(lane->socket);
	else if (lane->socket_fd >= 0)
		close(lane->socket_fd); /* an heir's */
	lane->socket_fd = -1;
	if (lane->umem)
		xsk_umem__delete(lane->umem);
	lane->socket = NULL;
	lane->umem = NULL;
}

static int bind_once(struct nt_lane *lane, const struct nt_plan_source *source, const struct nt_interface *interface,
		     uint32_t queue)
{
	const struct xsk_umem_config umem = {
		.fill_size = source->descriptors,
		.comp_size = NT_COMPLETION_DESCRIPTORS,
		.frame_size = source->frame_bytes,
	};
	struct xsk_socket_config socket = {
		.rx_size = source->descriptors,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP,
	};
	int error;

	if (source->zero_copy == NT_OFF)
		socket.bind_flags |= XDP_COPY;
	else if (source->zero_copy == NT_REQUIRE)
		socket.bind_flags |= XDP_ZEROCOPY;
	error = xsk_umem__create(&lane->umem, lane->memory.frames, lane->memory.bytes, &lane->fill, &lane->completion, &umem);
	if (error) {
		lane->umem = NULL;
		return error;
	}
	stock_fill_ring(lane, source->descriptors, source->frame_bytes);
	error = xsk_socket__create(&lane->socket, interface->name, queue, lane->umem, &lane->receive, NULL, &socket);
	if (error) {
		lane->socket = NULL;
		close_socket(lane);
		return error;
	}
	lane->socket_fd = xsk_socket__fd(lane->socket);
	return 0;
}

static int explain_bind(struct nt_fault *fault, int error, const struct nt_plan_source *source,
			const struct nt_interface *interface, uint32_t queue)
{
	const char *name = interface->name;

	switch (error) {
	case -EBUSY:
		return nt_fault_set(
			fault, error,
			"%s: queue %u is taken by another AF_XDP socket: end that process (ss --xdp names it; a capture process whose holder died keeps it until it has drained)",
			name, queue);
	case -ENOBUFS:
		return nt_fault_set(
			fault, error,
			"%s: may not lock %llu bytes of UMEM: CAP_IPC_LOCK is needed, or a higher memlock limit (LimitMEMLOCK=infinity)",
			name, (unsigned long long)source->descriptors * source->frame_bytes);
	case -EPERM:
		return nt_fault_set(fault, error, "%s: an AF_XDP socket is not permitted: CAP_NET_RAW is needed", name);
	case -EAFNOSUPPORT:
		return nt_fault_set(fault, error, "%s: this kernel lacks AF_XDP sockets (CONFIG_XDP_SOCKETS, Linux 5.4)", name);
	case -ENETDOWN:
		return nt_fault_set(fault, error, "%s: went down: ip link set %s up", name, name);
	}
	if (source->zero_copy == NT_REQUIRE)
		return nt_fault_set(
			fault, error,
			"%s: driver %s gave no zero-copy on queue %u (%s), configuration demands it: set zero_copy = \"prefer\" to allow copy mode",
			name, interface->driver, queue, strerror(-error));
	return nt_fault_set(fault, error, "%s: queue %u (driver %s) cannot be bound to an AF_XDP socket: %s", name, queue,
			    interface->driver, strerror(-error));
}

static int bind_socket(struct nt_lane *lane, const struct nt_plan_source *source, const struct nt_interface *interface,
		       uint32_t queue, struct nt_fault *fault)
{
	int64_t deadline = nt_clock_ns(CLOCK_MONOTONIC) + NT_RETRY_NS;
	int error;

	while ((error = bind_once(lane, source, interface, queue)) == -EBUSY && nt_clock_ns(CLOCK_MONOTONIC) < deadline)
		poll(NULL, 0, NT_RETRY_STEP_MS);
	return error ? explain_bind(fault, error, source, interface, queue) : 0;
}

static int read_zero_copy(struct nt_lane *lane, struct nt_fault *fault)
{
	struct xdp_options options = {0};
	socklen_t bytes = sizeof(options);

	if (getsockopt(lane->socket_fd, SOL_XDP, XDP_OPTIONS, &options, &bytes))
		return nt_fault_set(fault, -errno, "%s: the kernel does not say whether it copies (XDP_OPTIONS, Linux 5.3): %s",
				    lane->facts.interface, strerror(errno));
	lane->facts.zero_copy = !!(options.flags & XDP_OPTIONS_ZEROCOPY);
	return 0;
}

static void state_interface(struct nt_lend_lane *facts, enum nt_source_kind kind, const struct nt_interface *interface,
			    uint32_t queue)
{
	memset(facts, 0, sizeof(*facts));
	facts->kind = kind;
	memcpy(facts->interface, interface->name, sizeof(facts->interface));
	memcpy(facts->driver, interface->driver, sizeof(facts->driver));
	facts->ifindex = (uint32_t)interface->index;
	facts->queue = queue;
}

static void state_facts(struct nt_lane *lane, const struct nt_plan_source *source, const struct nt_interface *interface,
			uint32_t queue, const struct nt_program *program)
{
	struct nt_lend_lane *facts = &lane->facts;

	state_interface(facts, NT_SOURCE_AFXDP, interface, queue);
	facts->frames = source->descriptors;
	facts->frame_bytes = source->frame_bytes;
	facts->skb_mode = program->skb_mode;
	facts->stamp_kind = program->stamp_kind;
	facts->umem_memory = lane->memory.memory;
	facts->umem_bytes = lane->memory.bytes;
	lane->counters_fd = program->maps.counters_fd;
}

int nt_lane_open(struct nt_lane *lane, const struct nt_plan_source *source, const struct nt_interface *interface, uint32_t queue,
		 const struct nt_program *program, struct nt_fault *fault)
{
	int error;

	memset(lane, 0, sizeof(*lane));
	lane->memory.fd = lane->socket_fd = -1;
	error = nt_umem_make(&lane->memory, source, interface, queue, fault);
	if (error)
		return error;
	state_facts(lane, source, interface, queue, program);
	error = bind_socket(lane, source, interface, queue, fault);
	if (!error)
		error = read_zero_copy(lane, fault);
	if (!error) {
		error = xsk_socket__update_xskmap(lane->socket, program->maps.sockets_fd);
		if (error)
			nt_fault_set(fault, error, "%s: the socket of queue %u cannot be entered into the XDP program's map: %s",
				     interface->name, queue, strerror(-error));
	}
	if (error)
		nt_lane_close(lane);
	return error;
}

int nt_lanes_open_packet(struct nt_lane *lanes, const struct nt_plan *plan, const struct nt_plan_source *source,
			 const struct nt_interface *interface, struct nt_fault *fault)
{
	struct nt_packet_socket sockets[NT_LEND_LANES_MAX];
	int error = nt_packet_sockets_open(sockets, source->fanout, source, plan->flows, plan->header->flow_count, fault);

	for (uint32_t i = 0; !error && i < source->fanout; i++) {
		memset(&lanes[i], 0, sizeof(lanes[i]));
		state_interface(&lanes[i].facts, NT_SOURCE_PACKET, interface, i);
		lanes[i].facts.block_bytes = sockets[i].block_bytes;
		lanes[i].facts.block_count = sockets[i].block_count;
		lanes[i].packet = sockets[i];
		lanes[i].memory.fd = lanes[i].socket_fd = -1;
	}
	return error;
}

int nt_lane_pass(int socket, const struct nt_lane *lane)
{
	const bool packet = lane->facts.kind == NT_SOURCE_PACKET;
	const int fds[NT_LEND_LANE_FDS] = {
		packet ? lane->packet.fd : lane->socket_fd,
		packet ? lane->packet.state_fd : lane->memory.fd,
		lane->counters_fd,
	};

	return nt_pass(socket, &lane->facts, sizeof(lane->facts), fds, packet ? NT_LEND_PACKET_FDS : NT_LEND_LANE_FDS);
}

void nt_lane_close(struct nt_lane *lane)
{
	if (lane->facts.kind == NT_SOURCE_PACKET)
		nt_packet_sockets_close(&lane->packet, 1);
	close_socket(lane);
	nt_umem_free(&lane->memory);
}
