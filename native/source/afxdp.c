/* SPDX-License-Identifier: Apache-2.0 */
/* The borrower's side of an AF_XDP lane. Between the borrower and the kernel lie two rings of N places for N frames:
 *
 *     kernel                                              borrower
 *     fills a frame, stores rx.producer      (A) ------>  loads rx.producer (acquire), reads descriptor and frame (B)
 *                                                         publishes the packets in nanotape's ring
 *     may reuse the descriptor's place      <------ (C)   stores rx.consumer (release): this is the commit
 *                                                         clears the frames' metadata, writes their addresses to the fill ring
 *     loads fill.producer, takes the frames <------ (D)   stores fill.producer (release)
 *
 * At rest fill.producer = N + rx.consumer. A borrower that dies before C has given nothing back: its successor sees the last batch
 * again, metadata and all, and the loop knows it by rx.consumer, its position. One that dies between C and D leaves fill.producer
 * behind by the packets of that batch: these are published, their frames are nobody's. Their descriptors still stand in the RX ring,
 * since the kernel, short of as many frames, cannot fill their places; so the successor finishes the batch at adoption. Were D stored
 * before C, a death in between would leave a batch to be seen again whose metadata is cleared and whose frames the kernel fills. */
#include "afxdp.h"

#include "../ring/layout.h"
#include "../xdp/select.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

struct nt_afxdp {
	struct nt_source source;
	uint8_t *frames;
	const struct xdp_desc *rx;
	uint64_t *fill;
	const uint32_t *rx_producer;
	uint32_t *rx_consumer;
	uint32_t *fill_producer;
	const uint32_t *fill_flags;
	uint32_t mask;       /* of both rings */
	uint32_t consumer;   /* own copy of *rx_consumer */
	uint64_t chunk_mask; /* of an address: the beginning of its frame */
	int socket_fd;
	uint64_t wakeups;                       /* helper thread only */
	const struct nt_xdp_counters *counters; /* all queues */
	void *rx_map;
	void *fill_map;
	size_t rx_bytes;
	size_t fill_bytes;
	size_t frames_bytes;
};

static struct nt_afxdp *own(struct nt_source *source)
{
	return (struct nt_afxdp *)source; /* it is the first member */
}

static struct nt_xdp_meta *meta_of(uint8_t *frame)
{
	return (struct nt_xdp_meta *)(void *)(frame - sizeof(struct nt_xdp_meta));
}

/* The metadata only: the loop does as much for the frames themselves. */
static void prefetch(const struct nt_afxdp *afxdp, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		__builtin_prefetch(meta_of(afxdp->frames + afxdp->rx[(afxdp->consumer + i) & afxdp->mask].addr));
}

static uint8_t clock_of(uint8_t stamp_kind)
{
	if (stamp_kind == NT_XDP_STAMP_TAI)
		return NT_CLOCK_TAI;
	return stamp_kind == NT_XDP_STAMP_MONOTONIC ? NT_CLOCK_MONOTONIC : NT_CLOCK_UNKNOWN;
}

static void describe(struct nt_packet *packet, uint8_t *frame, uint32_t length)
{
	const struct nt_xdp_meta *meta = meta_of(frame);

	packet->data = frame;
	packet->capture_length = packet->wire_length = length;
	if (meta->magic == NT_XDP_META_MAGIC) {
		packet->stamp_ns = (int64_t)meta->stamp_ns;
		packet->flow_seq = meta->flow_seq;
		packet->flow_id = meta->flow_id;
		packet->flags = meta->flags & NT_XDP_META_UNPARSED ? NT_RECORD_UNPARSED : 0;
		packet->ts_kind = NT_TS_XDP;
		packet->stamp_clock = clock_of(meta->stamp_kind);
	} else {
		packet->stamp_ns = 0;
		packet->flow_seq = 0;
		packet->flow_id = NT_FLOW_OTHER;
		packet->flags = NT_RECORD_UNSTAMPED;
		packet->ts_kind = NT_TS_USER;
		packet->stamp_clock = NT_CLOCK_UNKNOWN;
	}
}

static int poll_batch(struct nt_source *source, struct nt_batch *batch)
{
	struct nt_afxdp *afxdp = own(source);
	uint32_t count = __atomic_load_n(afxdp->rx_producer, __ATOMIC_ACQUIRE) - afxdp->consumer; /* B, pairs with A */

	if (count > batch->limit)
		count = batch->limit;
	prefetch(afxdp, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct xdp_desc *desc = &afxdp->rx[(afxdp->consumer + i) & afxdp->mask];

		describe(&batch->packets[i], afxdp->frames + desc->addr, desc->len);
	}
	batch->count = count;
	return (int)count;
}

/* Second half of a release: the frames of the `count` descriptors before the consumer go back to the kernel. */
static void refill(struct nt_afxdp *afxdp, uint32_t count)
{
	uint32_t producer = *afxdp->fill_producer;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t address = afxdp->rx[(afxdp->consumer - count + i) & afxdp->mask].addr;

		meta_of(afxdp->frames + address)->magic = 0;
		afxdp->fill[(producer + i) & afxdp->mask] = address & afxdp->chunk_mask;
	}
	__atomic_store_n(afxdp->fill_producer, producer + count, __ATOMIC_RELEASE); /* D */
}

static void release_batch(struct nt_source *source, const struct nt_batch *batch)
{
	struct nt_afxdp *afxdp = own(source);

	afxdp->consumer += batch->count;
	__atomic_store_n(afxdp->rx_consumer, afxdp->consumer, __ATOMIC_RELEASE); /* C */
	refill(afxdp, batch->count);
}

/* The 32-bit consumer index, extended: at most the RX ring's depth away from what the other counters say. */
static uint64_t taken_since_bind(const struct nt_afxdp *afxdp, const struct nt_source_stats *stats)
{
	uint64_t lost = (stats->rx_dropped == NT_COUNT_UNKNOWN ? 0 : stats->rx_dropped) +
			(stats->rx_ring_full == NT_COUNT_UNKNOWN ? 0 : stats->rx_ring_full);
	uint64_t near = stats->xdp_redirected - stats->rx_occupancy - lost;
	uint32_t consumer = __atomic_load_n(afxdp->rx_consumer, __ATOMIC_RELAXED);

	return near + (uint64_t)(int64_t)(int32_t)(consumer - (uint32_t)near);
}

/* Downstream first, so that what is in flight meanwhile never makes more captured than redirected. */
static void read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	struct nt_afxdp *afxdp = own(source);
	const struct nt_xdp_counters *counters = &afxdp->counters[source->queue];
	struct xdp_statistics kernel = {0};
	socklen_t bytes = sizeof(kernel);
	bool known = getsockopt(afxdp->socket_fd, SOL_XDP, XDP_STATISTICS, &kernel, &bytes) == 0;
	bool complete = known && bytes >= sizeof(kernel);                          /* Linux 5.9 */
	uint32_t consumer = __atomic_load_n(afxdp->rx_consumer, __ATOMIC_ACQUIRE); /* before the producer: it never overtakes it */

	stats->rx_occupancy = __atomic_load_n(afxdp->rx_producer, __ATOMIC_ACQUIRE) - consumer;
	stats->rx_dropped = known ? kernel.rx_dropped : NT_COUNT_UNKNOWN;
	stats->rx_invalid = known ? kernel.rx_invalid_descs : NT_COUNT_UNKNOWN;
	stats->rx_ring_full = complete ? kernel.rx_ring_full : NT_COUNT_UNKNOWN;
	stats->rx_fill_empty = complete ? kernel.rx_fill_ring_empty_descs : NT_COUNT_UNKNOWN;
	stats->xdp_unstamped = __atomic_load_n(&counters->unstamped, __ATOMIC_RELAXED);
	stats->xdp_redirected = __atomic_load_n(&counters->redirected, __ATOMIC_RELAXED);
	stats->xdp_passed_no_socket = __atomic_load_n(&counters->passed_no_socket, __ATOMIC_RELAXED);
	stats->xdp_passed_unmatched = __atomic_load_n(&counters->passed_unmatched, __ATOMIC_RELAXED);
	stats->xdp_seen = __atomic_load_n(&counters->seen, __ATOMIC_ACQUIRE);
	stats->socket_drops = NT_COUNT_UNKNOWN;
	stats->offered = NT_COUNT_UNKNOWN;
	stats->wakeups = afxdp->wakeups;
	stats->rx_taken = taken_since_bind(afxdp, stats);
}

/* A driver that ran out of frames waits to be told that there are new ones. */
static void wake(struct nt_source *source)
{
	struct nt_afxdp *afxdp = own(source);

	if (!(__atomic_load_n(afxdp->fill_flags, __ATOMIC_ACQUIRE) & XDP_RING_NEED_WAKEUP))
		return;
	afxdp->wakeups++;
	recvfrom(afxdp->socket_fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void wait_for_packet(struct nt_source *source, int timeout_ms)
{
	struct pollfd watched = {.fd = own(source)->socket_fd, .events = POLLIN};

	poll(&watched, 1, timeout_ms);
}

/* Wraps after 2^32 packets; it is compared with that of the last batch, which lies at most NT_BATCH_PACKETS before it. */
static uint64_t position(const struct nt_source *source)
{
	return ((const struct nt_afxdp *)source)->consumer;
}

static void unmap(const void *address, size_t bytes)
{
	if (address && address != MAP_FAILED)
		munmap((void *)address, bytes);
}

static void close_source(struct nt_source *source)
{
	struct nt_afxdp *afxdp = own(source);

	unmap(afxdp->rx_map, afxdp->rx_bytes);
	unmap(afxdp->fill_map, afxdp->fill_bytes);
	unmap(afxdp->frames, afxdp->frames_bytes);
	unmap(afxdp->counters, NT_XDP_QUEUES_MAX * sizeof(struct nt_xdp_counters));
	free(afxdp);
}

static const struct nt_source_ops afxdp_ops = {
	.poll = poll_batch,
	.release = release_batch,
	.read_stats = read_stats,
	.wake = wake,
	.wait = wait_for_packet,
	.position = position,
	.close = close_source,
};

static int check_facts(const struct nt_borrowed_lane *lane, struct nt_fault *fault)
{
	const struct nt_lend_lane *facts = &lane->facts;
	uint64_t needed = (uint64_t)facts->frames * facts->frame_bytes;
	struct stat status;

	if (facts->frames < NT_AFXDP_FRAMES_MIN || (facts->frames & (facts->frames - 1)) != 0 || facts->frame_bytes < 2048 ||
	    (facts->frame_bytes & (facts->frame_bytes - 1)) != 0 || facts->queue >= NT_XDP_QUEUES_MAX || facts->umem_bytes < needed)
		return nt_fault_set(fault, -EPROTO,
				    "%s: queue %u: the holder lends %u frames of %u bytes in %llu bytes: not a lane",
				    facts->interface, facts->queue, facts->frames, facts->frame_bytes,
				    (unsigned long long)facts->umem_bytes);
	if (fstat(lane->umem_fd, &status) || (uint64_t)status.st_size < facts->umem_bytes)
		return nt_fault_set(fault, -EPROTO, "%s: queue %u: the UMEM lent is smaller than the holder says", facts->interface,
				    facts->queue);
	return 0;
}

static void *map_shared(int fd, size_t bytes, int protection, off_t offset)
{
	return mmap(NULL, bytes, protection, MAP_SHARED | MAP_POPULATE, fd, offset);
}

static int map_lane(struct nt_afxdp *afxdp, const struct nt_borrowed_lane *lane, struct nt_fault *fault)
{
	const struct nt_lend_lane *facts = &lane->facts;
	const int both = PROT_READ | PROT_WRITE;
	struct xdp_mmap_offsets offsets = {0};
	socklen_t bytes = sizeof(offsets);

	if (getsockopt(lane->socket_fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &bytes) || bytes != sizeof(offsets))
		return nt_fault_set(fault, -EPROTO, "%s: queue %u: the socket lent is no AF_XDP socket of Linux 5.4 or newer",
				    facts->interface, facts->queue);
	afxdp->rx_bytes = offsets.rx.desc + facts->frames * sizeof(struct xdp_desc);
	afxdp->fill_bytes = offsets.fr.desc + facts->frames * sizeof(uint64_t);
	afxdp->frames_bytes = facts->umem_bytes;
	afxdp->rx_map = map_shared(lane->socket_fd, afxdp->rx_bytes, both, XDP_PGOFF_RX_RING);
	afxdp->fill_map = map_shared(lane->socket_fd, afxdp->fill_bytes, both, (off_t)XDP_UMEM_PGOFF_FILL_RING);
	afxdp->frames = map_shared(lane->umem_fd, afxdp->frames_bytes, both, 0);
	afxdp->counters = map_shared(lane->counters_fd, NT_XDP_QUEUES_MAX * sizeof(struct nt_xdp_counters), PROT_READ, 0);
	if (afxdp->rx_map == MAP_FAILED || afxdp->fill_map == MAP_FAILED || afxdp->frames == MAP_FAILED ||
	    afxdp->counters == MAP_FAILED)
		return nt_fault_set(fault, -errno, "%s: queue %u: the lane lent cannot be mapped: %s", facts->interface,
				    facts->queue, strerror(errno));
	afxdp->rx_producer = (uint32_t *)(void *)((uint8_t *)afxdp->rx_map + offsets.rx.producer);
	afxdp->rx_consumer = (uint32_t *)(void *)((uint8_t *)afxdp->rx_map + offsets.rx.consumer);
	afxdp->rx = (struct xdp_desc *)(void *)((uint8_t *)afxdp->rx_map + offsets.rx.desc);
	afxdp->fill_producer = (uint32_t *)(void *)((uint8_t *)afxdp->fill_map + offsets.fr.producer);
	afxdp->fill_flags = (uint32_t *)(void *)((uint8_t *)afxdp->fill_map + offsets.fr.flags);
	afxdp->fill = (uint64_t *)(void *)((uint8_t *)afxdp->fill_map + offsets.fr.desc);
	return 0;
}

/* Finishes the release in which the last borrower died, if it did. */
static int mend(struct nt_afxdp *afxdp, const struct nt_borrowed_lane *lane, struct nt_fault *fault)
{
	uint32_t owed;

	afxdp->consumer = *afxdp->rx_consumer;
	owed = lane->facts.frames + afxdp->consumer - *afxdp->fill_producer;
	if (owed > NT_BATCH_PACKETS)
		return nt_fault_set(
			fault, -EPROTO,
			"%s: queue %u: the fill ring is %d frames behind the RX ring, expected 0 to %u: restart the holder",
			lane->facts.interface, lane->facts.queue, (int)owed, NT_BATCH_PACKETS);
	if (owed)
		refill(afxdp, owed);
	return 0;
}

static void name_source(struct nt_afxdp *afxdp, const struct nt_borrowed_lane *lane, uint64_t holder_id)
{
	struct nt_source *source = &afxdp->source;

	source->ops = &afxdp_ops;
	snprintf(source->name, sizeof(source->name), "afxdp:%s:%u", lane->facts.interface, lane->facts.queue);
	snprintf(source->interface, sizeof(source->interface), "%s", lane->facts.interface);
	source->kind = NT_SOURCE_AFXDP;
	source->stamp_kind = NT_STAMPED_BY(NT_TS_XDP);
	source->stamp_domain = NT_CLOCK_TAI; /* before Linux 6.1 monotonic, as the first packet shows */
	source->queue = lane->facts.queue;
	source->zero_copy = lane->facts.zero_copy;
	source->skb_mode = lane->facts.skb_mode;
	source->holder_id = holder_id;
	afxdp->socket_fd = lane->socket_fd;
	afxdp->mask = lane->facts.frames - 1;
	afxdp->chunk_mask = ~(uint64_t)(lane->facts.frame_bytes - 1);
}

int nt_afxdp_adopt(struct nt_source **source, const struct nt_borrowed_lane *lane, uint64_t holder_id, struct nt_fault *fault)
{
	struct nt_afxdp *afxdp;
	int error = check_facts(lane, fault);

	if (error)
		return error;
	afxdp = calloc(1, sizeof(*afxdp));
	if (!afxdp)
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for a source", lane->facts.interface);
	name_source(afxdp, lane, holder_id);
	error = map_lane(afxdp, lane, fault);
	if (!error)
		error = mend(afxdp, lane, fault);
	if (error) {
		close_source(&afxdp->source);
		return error;
	}
	*source = &afxdp->source;
	return 0;
}
