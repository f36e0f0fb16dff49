/* SPDX-License-Identifier: Apache-2.0 */
/* What the packet source's files share. */
#ifndef NT_PACKET_STATE_H
#define NT_PACKET_STATE_H

#include "packet.h"

#include <stdbool.h>

#define NT_PACKET_RELEASED(position) ((uint32_t)((position) & ((1u << NT_PACKET_POSITION_SHIFT) - 1)))
#define NT_PACKET_SEQUENCE(position) ((position) >> NT_PACKET_POSITION_SHIFT)

/* A source over one packet socket. */
struct nt_packet_source {
	struct nt_source source;
	const struct nt_selector *selector;
	struct nt_packet_state *state;
	uint8_t *ring;
	uint8_t *copies;                  /* of frames whose tag was put back; as large as a block */
	struct tpacket_block_desc *block; /* in hand */
	uint64_t sequence;                /* of it */
	uint32_t block_bytes;
	uint32_t block_count;
	uint32_t total;    /* packets of the block in hand; 0: it is not ours yet */
	uint32_t released; /* of these */
	uint32_t offset;   /* in the block, of the first that is not released */
	uint32_t polled;   /* packets of the last poll */
	uint32_t polled_offset;
	uint32_t copied_bytes;
	int socket_fd;
};

static inline struct nt_packet_source *nt_packet_own(const struct nt_source *source)
{
	return (struct nt_packet_source *)source; /* it is the first member */
}

static inline struct tpacket_block_desc *nt_packet_block(const struct nt_packet_source *packet, uint64_t sequence)
{
	uint64_t place = (sequence - 1) % packet->block_count;

	return (struct tpacket_block_desc *)(void *)(packet->ring + place * packet->block_bytes);
}

static inline bool nt_packet_is_ours(const struct tpacket_block_desc *block)
{
	return __atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER; /* B, pairs with A */
}

static inline void nt_packet_give_back(struct tpacket_block_desc *block)
{
	__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE); /* D */
}

static inline uint64_t nt_packet_position(uint64_t sequence, uint32_t released)
{
	return sequence << NT_PACKET_POSITION_SHIFT | released;
}

/* packet.c: how many packets of the block in hand are there to be polled, 0 while the kernel has it; -EPROTO when it is not what the
 * kernel and the state make it. */
int nt_packet_look(struct nt_packet_source *packet);

extern const struct nt_source_ops nt_packet_ops;

/* packet_stats.c, packet_adopt.c */
void nt_packet_read_stats(struct nt_source *source, struct nt_source_stats *stats);
void nt_packet_close(struct nt_source *source);

#endif
