/* SPDX-License-Identifier: Apache-2.0 */
/* The books of a packet source. The kernel forgets its counters when they are read; they are added up in the page that outlives the
 * process that read them. */
#include "packet_state.h"

#include "../atomic.h"

#include <sys/socket.h>

#ifndef SOL_PACKET
#define SOL_PACKET 263
#endif

/* What was released up to a position. The place of `taken` that counts is written again only after the position has moved on. */
static uint64_t read_taken(const struct nt_packet_state *state, uint64_t *at)
{
	uint64_t taken;

	do {
		*at = nt_load_acquire(&state->position);
		taken = nt_load_acquire(&state->taken[NT_PACKET_SEQUENCE(*at) & 1]);
	} while (NT_PACKET_SEQUENCE(nt_load_relaxed(&state->position)) != NT_PACKET_SEQUENCE(*at));
	return taken + NT_PACKET_RELEASED(*at);
}

/* Packets from the position on, those of the block that the kernel still fills among them. */
static uint64_t count_waiting(const struct nt_packet_source *packet, uint64_t at)
{
	uint64_t first = NT_PACKET_SEQUENCE(at);
	uint64_t count = 0;

	for (uint64_t sequence = first; sequence < first + packet->block_count; sequence++) {
		const struct tpacket_block_desc *block = nt_packet_block(packet, sequence);

		if (__atomic_load_n(&block->hdr.bh1.seq_num, __ATOMIC_ACQUIRE) != sequence)
			break; /* not begun yet */
		count += __atomic_load_n(&block->hdr.bh1.num_pkts, __ATOMIC_RELAXED);
	}
	return count > NT_PACKET_RELEASED(at) ? count - NT_PACKET_RELEASED(at) : 0;
}

static void add_fresh(struct nt_packet_state *state)
{
	uint64_t now = state->readings & 1;
	const struct tpacket_stats_v3 *fresh = &state->fresh[now];
	const struct nt_packet_counts *old = &state->counts[now];

	state->counts[!now] = (struct nt_packet_counts){
		.offered = old->offered + fresh->tp_packets,
		.drops = old->drops + fresh->tp_drops,
		.freezes = old->freezes + fresh->tp_freeze_q_cnt,
	};
	memset(&state->fresh[!now], 0, sizeof(state->fresh[!now]));
	nt_store_release(&state->readings, state->readings + 1);
}

/* The kernel writes its counters into the page that outlives us, and forgets them: in one system call, which a kill does not cut. */
static bool read_kernel(const struct nt_packet_source *packet)
{
	struct nt_packet_state *state = packet->state;
	struct tpacket_stats_v3 *fresh = &state->fresh[state->readings & 1];
	socklen_t bytes = sizeof(*fresh);

	if (fresh->tp_packets || fresh->tp_freeze_q_cnt) /* a predecessor died before it could add them */
		add_fresh(state);
	fresh = &state->fresh[state->readings & 1];
	if (getsockopt(packet->socket_fd, SOL_PACKET, PACKET_STATISTICS, fresh, &bytes))
		return false;
	add_fresh(state);
	return true;
}

/* What came in and neither was taken nor dropped waits. Packets go on coming while we count; so many of them may be in the ring that
 * were there before the kernel was asked, and those that came until after: between the two, the kernel's own figure is the exact one.
 * Outside (the loop moved on and the kernel filled blocks anew; or a packet is missing) it is what was seen that is told. */
static uint64_t settle_waiting(uint64_t before, uint64_t after, uint64_t remainder)
{
	if (before <= remainder && remainder <= after)
		return remainder;
	/* A block may be seen with its new sequence and its old number of packets. */
	return before > remainder ? remainder : before;
}

/* Downstream first, so that what is in flight meanwhile never makes more taken than offered. */
void nt_packet_read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	struct nt_packet_source *packet = nt_packet_own(source);
	const struct nt_packet_counts *counts;
	uint64_t at;

	stats->rx_taken = read_taken(packet->state, &at);
	stats->rx_occupancy = count_waiting(packet, at);
	if (!read_kernel(packet))
		return;
	counts = &packet->state->counts[packet->state->readings & 1];
	stats->offered = counts->offered;
	stats->socket_drops = counts->drops;
	stats->rx_occupancy =
		settle_waiting(stats->rx_occupancy, count_waiting(packet, at), counts->offered - counts->drops - stats->rx_taken);
}
