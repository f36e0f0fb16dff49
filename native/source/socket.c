/* SPDX-License-Identifier: Apache-2.0 */
#include "socket_state.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NT_BUFFERS_BYTES ((size_t)NT_BATCH_PACKETS * NT_SOCKET_BUFFER_BYTES)

static uint8_t *nt_socket_payload(const struct nt_socket_source *self, uint32_t at)
{
	return self->buffers + (size_t)at * NT_SOCKET_BUFFER_BYTES + NT_SOCKET_HEADROOM;
}

/* Takes stamp and TTL out of a message's control data. */
static void nt_socket_read_control(struct msghdr *message, struct nt_packet *packet, struct nt_frame_facts *facts)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		struct timespec stamp;
		int hops;

		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&stamp, CMSG_DATA(part), sizeof(stamp));
			packet->stamp_ns = (int64_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec;
			packet->stamp_clock = NT_CLOCK_UTC;
		} else if ((part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TTL) ||
			   (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_HOPLIMIT)) {
			memcpy(&hops, CMSG_DATA(part), sizeof(hops));
			facts->ttl = (uint8_t)hops;
		}
	}
}

/* Message `at` has been received for `flow`: makes a packet of it. */
static void nt_socket_take(struct nt_socket_source *self, struct nt_socket_flow *flow, uint32_t at, struct nt_packet *packet)
{
	struct nt_frame_facts facts = flow->facts;
	const struct sockaddr_in6 *sender = &self->senders[at];
	uint32_t header_bytes = nt_frame_header_bytes(facts.family);

	*packet = (struct nt_packet){
		.data = nt_socket_payload(self, at) - header_bytes,
		.capture_length = header_bytes + self->messages[at].msg_len,
		.wire_length = header_bytes + self->messages[at].msg_len,
		.flow_id = flow->flow_id,
		.flags = NT_RECORD_REBUILT_HEADER,
		.ts_kind = NT_TS_KERNEL,
		.stamp_clock = NT_CLOCK_UNKNOWN,
	};
	nt_socket_read_control(&self->messages[at].msg_hdr, packet, &facts);
	facts.payload_bytes = self->messages[at].msg_len;
	facts.source_port = ntohs(sender->sin6_port); /* at the same place in both families */
	if (facts.family == NT_FAMILY_IPV4)
		memcpy(facts.source, &((const struct sockaddr_in *)sender)->sin_addr, 4);
	else
		memcpy(facts.source, &sender->sin6_addr, 16);
	nt_frame_write_header(nt_socket_payload(self, at) - header_bytes, &facts);
}

/* Messages from `first` to before `limit` are received into; the kernel overwrote their lengths last time. */
static void nt_socket_prepare(struct nt_socket_source *self, uint32_t first, uint32_t limit)
{
	for (uint32_t at = first; at < limit; at++) {
		self->messages[at].msg_hdr.msg_namelen = sizeof(self->senders[at]);
		self->messages[at].msg_hdr.msg_controllen = NT_SOCKET_CONTROL_BYTES;
	}
}

/* Only sockets that have something are asked: any number of flows costs one call when all are quiet. */
static int nt_socket_find_ready(struct nt_socket_source *self, int timeout_ms)
{
	int found = epoll_wait(self->epoll_fd, self->ready, NT_BATCH_PACKETS, timeout_ms);

	self->ready_next = 0;
	self->ready_count = found > 0 ? (uint32_t)found : 0;
	return found < 0 && errno != EINTR ? -errno : 0;
}

static int nt_socket_poll(struct nt_source *source, struct nt_batch *batch)
{
	struct nt_socket_source *self = (struct nt_socket_source *)source;
	int error = 0;

	batch->count = 0;
	if (self->ready_next == self->ready_count)
		error = nt_socket_find_ready(self, 0);
	while (!error && self->ready_next < self->ready_count && batch->count < batch->limit) {
		struct nt_socket_flow *flow = &self->flows[self->ready[self->ready_next].data.u32];
		uint32_t room = batch->limit - batch->count;
		int got;

		nt_socket_prepare(self, batch->count, batch->limit);
		got = recvmmsg(flow->fd, &self->messages[batch->count], room, MSG_DONTWAIT, NULL);
		for (int taken = 0; taken < got; taken++, batch->count++)
			nt_socket_take(self, flow, batch->count, &batch->packets[batch->count]);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			error = -errno;
		self->ready_next++; /* even if more waits there: the others come first, and epoll names it again */
	}
	return batch->count ? (int)batch->count : error;
}

static void nt_socket_release(struct nt_source *source, const struct nt_batch *batch)
{
	(void)source;
	(void)batch;
}

static void nt_socket_wait(struct nt_source *source, int timeout_ms)
{
	struct nt_socket_source *self = (struct nt_socket_source *)source;

	if (self->ready_next == self->ready_count)
		nt_socket_find_ready(self, timeout_ms);
}

static void nt_socket_read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	struct nt_socket_source *self = (struct nt_socket_source *)source;
	uint32_t memory[SK_MEMINFO_VARS];

	for (uint32_t at = 0; at < self->flow_count; at++) {
		struct nt_socket_flow *flow = &self->flows[at];
		socklen_t bytes = sizeof(memory);

		if (getsockopt(flow->fd, SOL_SOCKET, SO_MEMINFO, memory, &bytes) < 0 ||
		    bytes <= SK_MEMINFO_DROPS * sizeof(memory[0]))
			return;
		self->drops += memory[SK_MEMINFO_DROPS] - flow->last_drops;
		flow->last_drops = memory[SK_MEMINFO_DROPS];
	}
	stats->socket_drops = self->drops;
}

static void nt_socket_close(struct nt_source *source)
{
	struct nt_socket_source *self = (struct nt_socket_source *)source;

	for (uint32_t at = 0; at < self->flow_count; at++)
		close(self->flows[at].fd);
	if (self->epoll_fd >= 0)
		close(self->epoll_fd);
	if (self->buffers)
		munmap(self->buffers, NT_BUFFERS_BYTES);
	free(self->flows);
	free(self);
}

const struct nt_source_ops nt_socket_ops = {
	.poll = nt_socket_poll,
	.release = nt_socket_release,
	.read_stats = nt_socket_read_stats,
	.wait = nt_socket_wait,
	.close = nt_socket_close,
};

static int nt_socket_allocate(struct nt_socket_source *self, uint32_t flow_count)
{
	void *buffers = mmap(NULL, NT_BUFFERS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (buffers == MAP_FAILED)
		return -errno;
	self->buffers = buffers;
	self->flows = calloc(flow_count, sizeof(*self->flows));
	self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!self->flows || self->epoll_fd < 0)
		return -errno;
	for (uint32_t at = 0; at < NT_BATCH_PACKETS; at++) {
		self->parts[at] = (struct iovec){nt_socket_payload(self, at), NT_SOCKET_BUFFER_BYTES - NT_SOCKET_HEADROOM};
		self->messages[at].msg_hdr = (struct msghdr){
			.msg_name = &self->senders[at],
			.msg_iov = &self->parts[at],
			.msg_iovlen = 1,
			.msg_control = self->controls[at],
		};
	}
	return 0;
}

static int nt_socket_add_flow(struct nt_socket_source *self, const struct nt_plan_source *plan, const struct nt_flow *flow,
			      uint32_t id, struct nt_fault *fault)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = self->flow_count};
	struct nt_socket_flow *added = &self->flows[self->flow_count];
	int granted, fd = nt_socket_flow_open(flow, plan->receive_buffer_bytes, fault);
	socklen_t bytes = sizeof(granted);

	if (fd < 0)
		return fd;
	added->fd = fd;
	added->flow_id = id;
	added->facts.family = flow->family;
	added->facts.destination_port = flow->port;
	memcpy(added->facts.destination, flow->group, sizeof(flow->group));
	self->flow_count++;
	if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return nt_fault_set(fault, -errno, "%s: cannot watch a socket: %s", plan->interface, strerror(errno));
	/* The kernel doubles what is asked for, to make room for its own overhead. */
	if (plan->receive_buffer_bytes && !getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &bytes) &&
	    (uint32_t)granted / 2 < plan->receive_buffer_bytes)
		snprintf(self->source.note, sizeof(self->source.note),
			 "receive buffer: asked for %u bytes, got %d: raise net.core.rmem_max", plan->receive_buffer_bytes,
			 granted / 2);
	return 0;
}

int nt_socket_open(struct nt_source **source, const struct nt_plan_source *plan, const struct nt_flow *flows, const uint32_t *ids,
		   uint32_t flow_count, struct nt_fault *fault)
{
	struct nt_socket_source *self;
	int error;

	if (!flow_count)
		return nt_fault_set(fault, -EINVAL,
				    "%s: a socket source needs a flow: expected at least one on this interface, found none",
				    plan->interface);
	self = calloc(1, sizeof(*self));
	if (!self)
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for the socket source", plan->interface);
	self->epoll_fd = -1;
	self->source.ops = &nt_socket_ops;
	self->source.kind = NT_SOURCE_SOCKET;
	self->source.stamp_kind = NT_STAMPED_BY(NT_TS_KERNEL);
	self->source.stamp_domain = NT_CLOCK_UTC;
	self->source.numbers_flows = 1;
	snprintf(self->source.interface, sizeof(self->source.interface), "%s", plan->interface);
	snprintf(self->source.name, sizeof(self->source.name), "socket:%s:0", plan->interface);
	error = nt_socket_allocate(self, flow_count);
	if (error)
		nt_fault_set(fault, error, "%s: no memory for the socket source's buffers: %s", plan->interface, strerror(-error));
	for (uint32_t at = 0; !error && at < flow_count; at++)
		error = nt_socket_add_flow(self, plan, &flows[at], ids[at], fault);
	if (error)
		nt_socket_close(&self->source);
	else
		*source = &self->source;
	return error;
}
