/* SPDX-License-Identifier: Apache-2.0 */
#include "discover.h"

#include "../clock.h"
#include "../source/packet.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* 128 MiB of ring: a second, whether its blocks are handed over for their age or, from some 400,000 packets a second on, full. The
 * caller draws what was found meanwhile. */
#define RING_FRAMES 65536u
#define RING_FRAME_BYTES 2048u

struct nt_discover {
	struct nt_sightings *sightings;
	struct nt_selector *selector;
	struct nt_source *source;
	struct nt_packet_socket socket;
	bool socket_is_open;
	uint64_t unselected;
	uint64_t dropped;
	struct nt_batch batch;
};

static int check_up(const char *interface, struct nt_fault *fault)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = 0;

	if (fd < 0)
		return nt_fault_set(fault, -errno, "%s: no socket to ask about it: %s", interface, strerror(errno));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFFLAGS, &request))
		error = nt_fault_set(fault, -errno, "%s: flags cannot be read: %s", interface, strerror(errno));
	else if (!(request.ifr_flags & IFF_UP))
		error = nt_fault_set(fault, -ENETDOWN, "%s: expected an interface that is up, it is down: ip link set %s up",
				     interface, interface);
	close(fd);
	return error;
}

static int check_interface(const char *interface, int *ifindex, struct nt_fault *fault)
{
	*ifindex = strlen(interface) < IFNAMSIZ ? (int)if_nametoindex(interface) : 0;
	if (*ifindex == 0)
		return nt_fault_set(fault, -ENODEV,
				    "%s: no such interface in this network namespace (ip link shows those there are)", interface);
	return check_up(interface, fault);
}

static struct nt_plan_source plan_of(const char *interface, const struct nt_discover_options *options)
{
	struct nt_plan_source plan = {
		.kind = NT_SOURCE_PACKET,
		.join = NT_JOIN_NONE,
		.descriptors = RING_FRAMES,
		.frame_bytes = RING_FRAME_BYTES,
		.select = options->select,
		.promiscuous = options->promiscuous,
		.fanout = 1,
	};

	snprintf(plan.interface, sizeof(plan.interface), "%s", interface);
	return plan;
}

/* The socket is this process's own: what a holder would lend is filled in here. */
static int adopt(struct nt_discover *discover, const struct nt_plan_source *plan, int ifindex, struct nt_fault *fault)
{
	struct nt_borrowed_lane lane = {
		.facts =
			{
				.ifindex = (uint32_t)ifindex,
				.kind = NT_SOURCE_PACKET,
				.frames = plan->descriptors,
				.frame_bytes = plan->frame_bytes,
				.block_bytes = discover->socket.block_bytes,
				.block_count = discover->socket.block_count,
			},
		.socket_fd = discover->socket.fd,
		.umem_fd = discover->socket.state_fd,
		.counters_fd = -1,
	};

	memcpy(lane.facts.interface, plan->interface, sizeof(lane.facts.interface));
	return nt_packet_adopt(&discover->source, &lane, 0, discover->selector, fault);
}

static int open_socket(struct nt_discover *discover, const char *interface, const struct nt_discover_options *options,
		       struct nt_fault *fault)
{
	struct nt_plan_source plan = plan_of(interface, options);
	int ifindex;
	int error = check_interface(interface, &ifindex, fault);

	if (!error)
		error = nt_selector_create(&discover->selector, options->select, NULL, 0, interface, fault);
	if (!error)
		error = nt_packet_sockets_open(&discover->socket, 1, &plan, NULL, 0, fault);
	if (error)
		return error;
	discover->socket_is_open = true;
	return adopt(discover, &plan, ifindex, fault);
}

int nt_discover_open(struct nt_discover **discover, const char *interface, const struct nt_discover_options *options,
		     struct nt_fault *fault)
{
	struct nt_discover *made = calloc(1, sizeof(*made));
	int error;

	if (!made)
		return nt_fault_set(fault, -ENOMEM, "%s: no memory to listen with", interface);
	error = nt_sightings_create(&made->sightings, &options->filter);
	if (error)
		nt_fault_set(fault, error, "%s: no table of what is seen: %s", interface, strerror(-error));
	else
		error = open_socket(made, interface, options, fault);
	if (error) {
		nt_discover_close(made);
		return error;
	}
	*discover = made;
	return 0;
}

static void take_batch(struct nt_discover *discover)
{
	const struct nt_batch *batch = &discover->batch;
	int64_t now_ns = nt_clock_ns(CLOCK_REALTIME);

	for (uint32_t i = 0; i < batch->count; i++) {
		const struct nt_packet *packet = &batch->packets[i];
		int64_t stamp_ns = packet->stamp_clock == NT_CLOCK_UTC ? packet->stamp_ns : now_ns;

		nt_sightings_take(discover->sightings, packet->data, packet->capture_length, packet->wire_length, stamp_ns);
	}
	discover->unselected += batch->unselected;
}

static void wait_for_packet(struct nt_discover *discover, int64_t left_ns)
{
	int milliseconds = (int)(left_ns / 1000000 + 1);
	struct pollfd packet = {.fd = discover->socket.fd, .events = POLLIN};

	if (discover->source->ops->wait)
		discover->source->ops->wait(discover->source, milliseconds);
	else
		poll(&packet, 1, milliseconds);
}

static void read_drops(struct nt_discover *discover)
{
	struct nt_source_stats stats;

	nt_source_stats_unknown(&stats);
	discover->source->ops->read_stats(discover->source, &stats);
	discover->dropped = stats.socket_drops;
}

int nt_discover_run(struct nt_discover *discover, uint32_t milliseconds)
{
	const struct nt_source_ops *ops = discover->source->ops;
	int64_t end_ns = nt_clock_ns(CLOCK_MONOTONIC) + (int64_t)milliseconds * 1000000;
	int64_t left_ns;
	int found;

	do {
		discover->batch.limit = NT_BATCH_PACKETS;
		discover->batch.count = 0;
		discover->batch.unselected = 0;
		found = ops->poll(discover->source, &discover->batch);
		if (found < 0)
			return found;
		left_ns = end_ns - nt_clock_ns(CLOCK_MONOTONIC);
		if (found > 0 || discover->batch.unselected > 0) {
			take_batch(discover);
			ops->release(discover->source, &discover->batch);
		} else if (left_ns > 0) {
			wait_for_packet(discover, left_ns);
		}
	} while (left_ns > 0);
	read_drops(discover);
	return 0;
}

void nt_discover_close(struct nt_discover *discover)
{
	if (!discover)
		return;
	if (discover->source)
		nt_source_close(discover->source);
	if (discover->selector)
		nt_selector_destroy(discover->selector);
	if (discover->socket_is_open)
		nt_packet_sockets_close(&discover->socket, 1);
	nt_sightings_destroy(discover->sightings);
	free(discover);
}

const struct nt_sightings *nt_discover_sightings(const struct nt_discover *discover)
{
	return discover->sightings;
}

uint64_t nt_discover_dropped(const struct nt_discover *discover)
{
	return discover->dropped;
}

uint64_t nt_discover_unselected(const struct nt_discover *discover)
{
	return discover->unselected;
}
