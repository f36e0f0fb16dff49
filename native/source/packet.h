/* SPDX-License-Identifier: Apache-2.0 */
/* Packet sockets with TPACKET_V3 rings: a copy of what the interface receives, on any driver, stamped by the kernel. The holder
 * opens them, with CAP_NET_RAW, and lends them; a capture process maps and drains them, and makes no system call to do so. */
#ifndef NT_SOURCE_PACKET_H
#define NT_SOURCE_PACKET_H

#include "../holder/lend.h"
#include "selector.h"
#include "source.h"

/* A page that the holder lends with each socket: how far the ring has been given back to the kernel, and what the kernel counted,
 * since it forgets its counters when they are read. Written by the one borrower. */
struct nt_packet_state {
	uint64_t position; /* sequence of the block in hand << 32 | packets of it that are released */
	uint64_t taken;    /* packets released, selected or not */
	uint64_t offered;  /* sum of PACKET_STATISTICS: tp_packets, which counts drops too */
	uint64_t drops;    /* sum of tp_drops */
	uint64_t freezes;  /* sum of tp_freeze_q_cnt */
	uint64_t reserved[3];
};

_Static_assert(sizeof(struct nt_packet_state) == 64, "packet state");

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

/* A source over a borrowed lane of kind NT_SOURCE_PACKET. The lane's descriptors stay the caller's; the selector must live as long as
 * the source. */
int nt_packet_adopt(struct nt_source **source, const struct nt_borrowed_lane *lane, uint64_t holder_id,
		    const struct nt_selector *selector, struct nt_fault *fault);

#endif
