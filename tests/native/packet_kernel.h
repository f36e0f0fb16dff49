/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of a TPACKET_V3 ring, in memory: fills blocks, retires them, drops what has no room, counts and forgets. */
#ifndef NT_TEST_PACKET_KERNEL_H
#define NT_TEST_PACKET_KERNEL_H

#include "source/packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KERNEL_BLOCK_BYTES 4096u /* unless a test wants another size */
#define KERNEL_BLOCKS 4u
#define KERNEL_FIRST 48u /* offset of a block's first packet */
#define KERNEL_MAC 82u   /* offset of a frame from its header, as on Ethernet */

struct kernel_packet {
	const uint8_t *frame;
	uint32_t captured;
	uint32_t wire;
	uint32_t status; /* TP_STATUS_VLAN_* */
	uint16_t tci;
	uint16_t tpid;
	uint32_t seconds;
	uint32_t nanoseconds;
};

struct kernel {
	struct nt_borrowed_lane lane;
	uint8_t *ring;
	struct nt_packet_state *state; /* the borrower's page, to look into */
	struct tpacket3_hdr *last;
	uint32_t active; /* place of the block that is filled */
	uint64_t next_sequence;
	uint32_t used; /* bytes of it */
	bool frozen;
	struct tpacket_stats_v3 counters;
};

static inline struct tpacket_block_desc *kernel_block(const struct kernel *kernel, uint32_t place)
{
	return (struct tpacket_block_desc *)(void *)(kernel->ring + (size_t)place * kernel->lane.facts.block_bytes);
}

static inline void kernel_open_block(struct kernel *kernel)
{
	struct tpacket_hdr_v1 *block = &kernel_block(kernel, kernel->active)->hdr.bh1;

	block->seq_num = kernel->next_sequence++;
	block->num_pkts = 0;
	block->offset_to_first_pkt = KERNEL_FIRST;
	kernel->used = KERNEL_FIRST;
	kernel->frozen = false;
}

static inline bool kernel_may_fill(struct kernel *kernel)
{
	if (kernel->frozen && kernel_block(kernel, kernel->active)->hdr.bh1.block_status == TP_STATUS_KERNEL)
		kernel_open_block(kernel);
	return !kernel->frozen;
}

/* Hands the active block over, empty or not, and goes on to the next if that has been given back. */
static inline void kernel_retire(struct kernel *kernel)
{
	if (!kernel_may_fill(kernel))
		return;
	if (kernel->last)
		kernel->last->tp_next_offset = 0;
	kernel->last = NULL;
	kernel_block(kernel, kernel->active)->hdr.bh1.block_status = TP_STATUS_USER;
	kernel->active = (kernel->active + 1) % KERNEL_BLOCKS;
	kernel->frozen = true;
	if (!kernel_may_fill(kernel))
		kernel->counters.tp_freeze_q_cnt++;
}

/* false: dropped. */
static inline bool kernel_receive(struct kernel *kernel, const struct kernel_packet *packet)
{
	uint32_t bytes = (KERNEL_MAC + packet->captured + 7) & ~7u;
	struct tpacket3_hdr *header;

	kernel->counters.tp_packets++;
	if (kernel_may_fill(kernel) && kernel->used + bytes > kernel->lane.facts.block_bytes)
		kernel_retire(kernel);
	if (!kernel_may_fill(kernel)) {
		kernel->counters.tp_drops++;
		return false;
	}
	header = (struct tpacket3_hdr *)(void *)((uint8_t *)kernel_block(kernel, kernel->active) + kernel->used);
	*header = (struct tpacket3_hdr){
		.tp_next_offset = bytes,
		.tp_sec = packet->seconds,
		.tp_nsec = packet->nanoseconds,
		.tp_snaplen = packet->captured,
		.tp_len = packet->wire,
		.tp_status = TP_STATUS_USER | packet->status,
		.tp_mac = KERNEL_MAC,
		.tp_net = KERNEL_MAC + 14,
		.hv1 = {.tp_vlan_tci = packet->tci, .tp_vlan_tpid = packet->tpid},
	};
	memcpy((uint8_t *)header + KERNEL_MAC, packet->frame, packet->captured);
	kernel->last = header;
	kernel->used += bytes;
	kernel_block(kernel, kernel->active)->hdr.bh1.num_pkts++;
	return true;
}

static inline void *kernel_memory(int *fd, size_t bytes)
{
	*fd = memfd_create("nanotape-test", MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, (off_t)bytes))
		abort();
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
}

static inline void kernel_make(struct kernel *kernel, uint32_t block_bytes)
{
	memset(kernel, 0, sizeof(*kernel));
	kernel->ring = kernel_memory(&kernel->lane.socket_fd, (size_t)KERNEL_BLOCKS * block_bytes);
	kernel->state = kernel_memory(&kernel->lane.umem_fd, NT_PACKET_STATE_BYTES);
	if (kernel->ring == MAP_FAILED || kernel->state == MAP_FAILED)
		abort();
	kernel->lane.counters_fd = -1;
	kernel->lane.facts.kind = NT_SOURCE_PACKET;
	kernel->lane.facts.block_bytes = block_bytes;
	kernel->lane.facts.block_count = KERNEL_BLOCKS;
	kernel->lane.facts.queue = 1;
	memcpy(kernel->lane.facts.interface, "eth1", 5);
	kernel->next_sequence = 1;
	kernel_open_block(kernel);
}

static inline void kernel_free(struct kernel *kernel)
{
	munmap(kernel->ring, (size_t)KERNEL_BLOCKS * kernel->lane.facts.block_bytes);
	munmap(kernel->state, NT_PACKET_STATE_BYTES);
	close(kernel->lane.socket_fd);
	close(kernel->lane.umem_fd);
}

#endif
