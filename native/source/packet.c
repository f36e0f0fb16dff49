/* SPDX-License-Identifier: Apache-2.0 */
/* The borrower's side of a packet socket. The kernel fills the blocks of the ring in turn; block of sequence S, from 1, stands at
 * place (S - 1) % count and is ours while its status says USER:
 *
 *     kernel                                              borrower
 *     fills a block, stores USER             (A) ------>  loads its status (acquire), reads the packets (B)
 *                                                         publishes them in nanotape's ring, batch by batch
 *                                                         stores how many of the block it has released
 *                                                    (C)  after the last: stores that the next block is in hand, the commit
 *     may fill the block again              <------  (D)  stores KERNEL (release)
 *
 * A borrower that dies before C has given nothing back: its successor finds the position where it was, and is handed the same packets
 * in the same batches again. One that dies between C and D leaves a block that is USER with the sequence before the one in hand: the
 * successor gives it back at adoption. Were D stored before C, the kernel could fill the block with other packets, and the successor
 * would leave out as many of them.
 *
 * The kernel has taken the outermost tag out of the frame. It is put back in a copy: the ring's own bytes stay as they are. */
#include "packet_state.h"

#include "../atomic.h"
#include "../ring/layout.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#define NT_PACKET_JUDGED_MAX 256u /* in one poll, selected or not */
#define NT_PACKET_MACS 12u        /* bytes before the place of the tag */
#define NT_PACKET_TAG 4u
#define NT_PACKET_ALIGNMENT 8u
#define NT_PACKET_TPID 0x8100

/* NULL when it does not lie within its block. */
static const struct tpacket3_hdr *header_at(const struct nt_packet_source *packet, uint32_t offset)
{
	const struct tpacket3_hdr *header;

	if (offset % NT_PACKET_ALIGNMENT || offset > packet->block_bytes - sizeof(*header))
		return NULL;
	header = (const struct tpacket3_hdr *)(const void *)((const uint8_t *)packet->block + offset);
	if ((uint64_t)offset + header->tp_mac + header->tp_snaplen > packet->block_bytes)
		return NULL;
	return header;
}

/* The block in hand is done with. */
static void finish_block(struct nt_packet_source *packet)
{
	struct nt_packet_state *state = packet->state;
	uint64_t taken = state->taken[packet->sequence & 1] + packet->total;

	nt_store_release(&state->taken[(packet->sequence + 1) & 1], taken);
	nt_store_release(&state->position, nt_packet_position(packet->sequence + 1, 0)); /* C */
	nt_packet_give_back(packet->block);
	packet->sequence++;
	packet->block = nt_packet_block(packet, packet->sequence);
	packet->total = packet->released = packet->polled = 0;
}

/* Steps over what a predecessor released. */
static int skip_released(struct nt_packet_source *packet)
{
	for (uint32_t i = 0; i < packet->released; i++) {
		const struct tpacket3_hdr *header = header_at(packet, packet->offset);

		if (!header)
			return -EPROTO;
		packet->offset += header->tp_next_offset;
	}
	return 0;
}

/* Takes the block in hand, if the kernel has handed it over; as nt_packet_look. */
static int take_block(struct nt_packet_source *packet)
{
	const struct tpacket_hdr_v1 *block = &packet->block->hdr.bh1;

	if (packet->total)
		return (int)(packet->total - packet->released);
	if (!nt_packet_is_ours(packet->block))
		return 0;
	packet->total = block->num_pkts;
	packet->offset = block->offset_to_first_pkt;
	if (block->seq_num != packet->sequence || packet->total >> NT_PACKET_POSITION_SHIFT || packet->released > packet->total ||
	    skip_released(packet)) {
		packet->total = 0;
		return -EPROTO;
	}
	return (int)(packet->total - packet->released);
}

/* A block may have none at all: the kernel had no place in it for a very long frame. What waits behind it must not be taken for nothing:
 * the loop believes that a source without packets was empty. Whose the block is, is asked before it is looked into, and not again: one that
 * the kernel hands over in between would be given back unread. */
int nt_packet_look(struct nt_packet_source *packet)
{
	for (uint32_t blocks = 0; blocks < packet->block_count; blocks++) {
		int waiting;

		if (!packet->total && !nt_packet_is_ours(packet->block))
			break;
		waiting = take_block(packet);
		if (waiting)
			return waiting;
		finish_block(packet);
	}
	return 0;
}

/* A copy with the tag in its place; NULL when there is no room, which cannot be. */
static const uint8_t *put_tag_back(struct nt_packet_source *packet, const struct tpacket3_hdr *header)
{
	const uint8_t *frame = (const uint8_t *)header + header->tp_mac;
	uint8_t *copy = packet->copies + packet->copied_bytes;
	uint16_t tpid = header->tp_status & TP_STATUS_VLAN_TPID_VALID ? header->hv1.tp_vlan_tpid : NT_PACKET_TPID;

	if (header->tp_snaplen + NT_PACKET_TAG > packet->block_bytes - packet->copied_bytes)
		return NULL;
	memcpy(copy, frame, NT_PACKET_MACS);
	copy[NT_PACKET_MACS] = (uint8_t)(tpid >> 8);
	copy[NT_PACKET_MACS + 1] = (uint8_t)tpid;
	copy[NT_PACKET_MACS + 2] = (uint8_t)(header->hv1.tp_vlan_tci >> 8);
	copy[NT_PACKET_MACS + 3] = (uint8_t)header->hv1.tp_vlan_tci;
	memcpy(copy + NT_PACKET_MACS + NT_PACKET_TAG, frame + NT_PACKET_MACS, header->tp_snaplen - NT_PACKET_MACS);
	return copy;
}

static int describe(struct nt_packet_source *packet, const struct tpacket3_hdr *header, struct nt_packet *out)
{
	bool tagged = header->tp_status & TP_STATUS_VLAN_VALID && header->tp_snaplen >= NT_PACKET_MACS;

	*out = (struct nt_packet){
		.data = tagged ? put_tag_back(packet, header) : (const uint8_t *)header + header->tp_mac,
		.capture_length = header->tp_snaplen + (tagged ? NT_PACKET_TAG : 0),
		.wire_length = header->tp_len + (tagged ? NT_PACKET_TAG : 0),
		.stamp_ns = (int64_t)header->tp_sec * 1000000000 + header->tp_nsec,
		.ts_kind = NT_TS_KERNEL,
		.stamp_clock = NT_CLOCK_UTC,
	};
	return out->data ? 0 : -EPROTO;
}

static int judge(struct nt_packet_source *packet, const struct tpacket3_hdr *header, struct nt_batch *batch)
{
	struct nt_packet *out = &batch->packets[batch->count];
	struct nt_judgement judgement;
	int error = describe(packet, header, out);

	if (error)
		return error;
	judgement = nt_selector_judge(packet->selector, NT_LINK_ETHERNET, out->data, out->capture_length);
	if (!judgement.selected) {
		batch->unselected++;
		return 0;
	}
	out->flow_id = judgement.flow_id;
	out->flags = judgement.unparsed ? NT_RECORD_UNPARSED : 0;
	if (out->data == packet->copies + packet->copied_bytes)
		packet->copied_bytes += out->capture_length;
	batch->count++;
	return 0;
}

static int poll_batch(struct nt_source *source, struct nt_batch *batch)
{
	struct nt_packet_source *packet = nt_packet_own(source);
	int waiting = nt_packet_look(packet);
	uint32_t offset = packet->offset;

	batch->count = batch->unselected = 0;
	packet->polled = packet->copied_bytes = 0;
	if (waiting < 0)
		return waiting;
	while (packet->polled < (uint32_t)waiting && packet->polled < NT_PACKET_JUDGED_MAX && batch->count < batch->limit) {
		const struct tpacket3_hdr *header = header_at(packet, offset);
		int error = header ? judge(packet, header, batch) : -EPROTO;

		if (error)
			return error;
		offset += header->tp_next_offset;
		packet->polled++;
	}
	packet->polled_offset = offset;
	return (int)batch->count;
}

static void release_batch(struct nt_source *source, const struct nt_batch *batch)
{
	struct nt_packet_source *packet = nt_packet_own(source);

	(void)batch; /* what was left out is released with it */
	packet->released += packet->polled;
	packet->polled = 0;
	packet->offset = packet->polled_offset;
	if (packet->total && packet->released == packet->total)
		finish_block(packet);
	else
		nt_store_release(&packet->state->position, nt_packet_position(packet->sequence, packet->released));
}

static uint64_t position(const struct nt_source *source)
{
	return nt_load_relaxed(&nt_packet_own(source)->state->position);
}

static void wait_for_packet(struct nt_source *source, int timeout_ms)
{
	struct pollfd watched = {.fd = nt_packet_own(source)->socket_fd, .events = POLLIN};
	socklen_t bytes = sizeof(int);
	int error;

	/* An interface that went down is told of once; packets come again when it is up. */
	if (poll(&watched, 1, timeout_ms) > 0 && watched.revents & POLLERR)
		getsockopt(watched.fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
}

const struct nt_source_ops nt_packet_ops = {
	.poll = poll_batch,
	.release = release_batch,
	.read_stats = nt_packet_read_stats,
	.wait = wait_for_packet,
	.position = position,
	.close = nt_packet_close,
};
