/* SPDX-License-Identifier: Apache-2.0 */
/* Packet sockets with TPACKET_V3 rings: a copy of what the interface receives, on any driver, stamped by the kernel. The holder
 * opens them, with CAP_NET_RAW, and lends them; a capture process maps and drains them, and makes no system call to do so. */
#ifndef NT_SOURCE_PACKET_H
#define NT_SOURCE_PACKET_H

#include "../holder/lend.h"
#include "selector.h"
#include "source.h"

#include <linux/if_packet.h>
#include <stddef.h>

#define NT_PACKET_STATE_BYTES 4096u
#define NT_PACKET_POSITION_SHIFT 20u /* no block holds more packets: see NT_PACKET_BLOCK_BYTES_MAX */
#define NT_PACKET_BLOCK_BYTES_MAX (1u << 20)

struct nt_packet_counts {
	uint64_t offered; /* sum of PACKET_STATISTICS: tp_packets, which counts drops too */
	uint64_t drops;   /* sum of tp_drops */
	uint64_t freezes; /* sum of tp_freeze_q_cnt: how often the whole ring was ours */
};

/* A page that the holder lends with each socket: how far the ring has been given back to the kernel, and what the kernel counted,
 * since it forgets its counters when they are read. Written by the one borrower; zero at first. Whatever has two places is written in
 * the one that does not count yet, and counts with the store that follows: killed in between, nothing has happened. */
struct nt_packet_state {
	/* The loop's. */
	uint64_t position; /* sequence of the block in hand << NT_PACKET_POSITION_SHIFT | packets of it that are released */
	uint64_t taken[2]; /* packets released before that block, selected or not; at [sequence & 1] */
	uint64_t reserved0[13];
	/* The helper thread's. */
	uint64_t readings;                 /* how often PACKET_STATISTICS was added to the sums */
	struct nt_packet_counts counts[2]; /* at [readings & 1] */
	struct tpacket_stats_v3 fresh[2];  /* where the kernel writes what it then forgets; at [readings & 1] */
	uint64_t reserved1[6];
};

_Static_assert(offsetof(struct nt_packet_state, readings) == 128, "the helper's lines");
_Static_assert(sizeof(struct nt_packet_state) == 256, "packet state");

struct nt_packet_socket {
	int fd;
	int state_fd;
	uint32_t block_bytes;
	uint32_t block_count;
};

/* Opens `count` sockets on the interface, filtered and in one fanout where there are several; `promiscuous` as in the plan's source.
 * Takes what comes in, not what this host sends. All or none. */
int nt_packet_sockets_open(struct nt_packet_socket *sockets, uint32_t count, const struct nt_plan_source *source,
			   const struct nt_flow *flows, uint32_t flow_count, struct nt_fault *fault);
void nt_packet_sockets_close(struct nt_packet_socket *sockets, uint32_t count);

/* The interface takes frames that are not for it, as long as packet socket `fd` is open. 0 or a negative errno. */
int nt_packet_promiscuous(int fd, int ifindex);

/* A source over a borrowed lane of kind NT_SOURCE_PACKET. The lane's descriptors stay the caller's; the selector must live as long as
 * the source. */
int nt_packet_adopt(struct nt_source **source, const struct nt_borrowed_lane *lane, uint64_t holder_id,
		    const struct nt_selector *selector, struct nt_fault *fault);

#endif
