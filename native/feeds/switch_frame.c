/* SPDX-License-Identifier: Apache-2.0 */
#include "switch_frame.h"

#include "../ring/layout.h"

#include <stddef.h>
#include <string.h>

enum ether_type { IPV4 = 0x0800, IPV6 = 0x86DD, TAG_8021Q = 0x8100, TAG_8021AD = 0x88A8, TAG_OLD = 0x9100, ARISTA = 0xD28B };
enum { TAGS_MAX = 4, ETHERNET_BYTES = 14, SLL_BYTES = 16, SLL2_BYTES = 20, TAG_BYTES = 4, IPV4_BYTES = 20, IPV6_BYTES = 40 };
enum { ARISTA_BYTES_48 = 10, ARISTA_BYTES_64 = 12 }; /* subtype, version, stamp; without the type that follows */

/* Header and payload column, read on. A thing that stands across their border is not there: the column decoder sets none so. */
struct cursor {
	struct nt_switch_span here, next;
	uint32_t taken;
};

static const uint8_t *take(struct cursor *cursor, uint32_t bytes)
{
	const uint8_t *at;

	if (!cursor->here.bytes) {
		cursor->here = cursor->next;
		cursor->next.bytes = 0;
	}
	if (cursor->here.bytes < bytes)
		return NULL;
	at = cursor->here.data;
	cursor->here.data += bytes;
	cursor->here.bytes -= bytes;
	cursor->taken += bytes;
	return at;
}

/* Behind 0xD28B: whose stamp may be taken, and the type of what follows it; 0: cut short. */
static uint16_t take_arista(struct nt_switch_frame *frame, struct cursor *cursor)
{
	const uint8_t *at = take(cursor, 4);
	uint32_t rest;

	if (!at)
		return 0;
	rest = (at[3] >> 4 == 2 ? ARISTA_BYTES_48 : ARISTA_BYTES_64) - 4;
	if (!take(cursor, rest))
		return 0;
	frame->stamp = (struct nt_switch_span){at, 4 + rest};
	at = take(cursor, 2);
	return at ? (uint16_t)nt_switch_number(at, 2) : 0;
}

static uint16_t take_ethernet(struct nt_switch_frame *frame, struct cursor *cursor)
{
	const uint8_t *at = take(cursor, ETHERNET_BYTES);
	uint16_t type;

	if (!at)
		return 0;
	frame->source_mac = nt_switch_number(at + 6, 6);
	type = (uint16_t)nt_switch_number(at + 12, 2);
	return type == ARISTA ? take_arista(frame, cursor) : type;
}

/* The type behind the tags, whatever link they follow. */
static uint16_t take_tags(struct cursor *cursor, uint16_t type)
{
	for (int tags = 0; tags < TAGS_MAX && (type == TAG_8021Q || type == TAG_8021AD || type == TAG_OLD); tags++) {
		const uint8_t *at = take(cursor, TAG_BYTES);

		if (!at)
			return 0;
		type = (uint16_t)nt_switch_number(at + 2, 2);
	}
	return type;
}

static uint16_t take_link(struct nt_switch_frame *frame, struct cursor *cursor)
{
	uint16_t flags = frame->row->flags;
	const uint8_t *at;

	if (flags & NT_RECORD_RAW_IP) {
		struct cursor ahead = *cursor;

		at = take(&ahead, 1);
		return !at ? 0 : at[0] >> 4 == 4 ? IPV4 : IPV6;
	}
	if (flags & (NT_RECORD_LINUX_SLL | NT_RECORD_LINUX_SLL2)) {
		at = take(cursor, flags & NT_RECORD_LINUX_SLL ? SLL_BYTES : SLL2_BYTES);
		if (!at)
			return 0;
		return take_tags(cursor, (uint16_t)nt_switch_number(flags & NT_RECORD_LINUX_SLL ? at + 14 : at, 2));
	}
	return take_tags(cursor, take_ethernet(frame, cursor));
}

/* What IP says of its own length, and of its protocol. */
static void read_network(struct nt_switch_frame *frame)
{
	const uint8_t *ip = frame->network.data;
	uint32_t bytes = frame->network.bytes, header, total;

	if (frame->type == IPV4 && bytes >= IPV4_BYTES && ip[0] >> 4 == 4) {
		header = (ip[0] & 15u) * 4;
		total = (uint32_t)nt_switch_number(ip + 2, 2);
		frame->protocol = ip[9];
	} else if (frame->type == IPV6 && bytes >= IPV6_BYTES && ip[0] >> 4 == 6) {
		header = IPV6_BYTES;
		total = (uint32_t)nt_switch_number(ip + 4, 2);
		total = total ? IPV6_BYTES + total : 0;
		frame->protocol = ip[6];
	} else {
		return;
	}
	if (header < IPV4_BYTES || total < header)
		return;
	frame->network_size = total;
	frame->network_header = header;
}

/* What lies behind byte `end` of the frame, which is never before the payload. */
static void set_tail(struct nt_switch_frame *frame, uint32_t end)
{
	const struct nt_switch_row *row = frame->row;
	uint32_t before = row->header.bytes + row->payload.bytes;

	if (end >= before && end - before <= row->trailer.bytes) {
		frame->tail = (struct nt_switch_span){row->trailer.data + (end - before), row->trailer.bytes - (end - before)};
	} else if (end >= row->header.bytes && end < before && !row->trailer.bytes) {
		frame->tail = (struct nt_switch_span){row->payload.data + (end - row->header.bytes), before - end};
	} else {
		return;
	}
	if (!frame->tail_known)
		return;
	while (frame->padding < frame->tail.bytes && end + frame->padding < NT_SWITCH_FRAME_LEAST &&
	       !frame->tail.data[frame->padding])
		frame->padding++;
}

void nt_switch_locate(struct nt_switch_frame *frame, const struct nt_switch_row *row)
{
	struct cursor cursor = {.here = row->header, .next = row->payload};
	uint32_t begin;

	memset(frame, 0, sizeof(*frame));
	frame->row = row;
	frame->type = take_link(frame, &cursor);
	begin = cursor.taken;
	if (!frame->type)
		return; /* cut short within the link's header */
	frame->network = cursor.here.bytes ? cursor.here : cursor.next;
	read_network(frame);
	frame->tail_known = frame->network_size != 0;
	if (row->wire_len > row->header.bytes + row->payload.bytes + row->trailer.bytes)
		return; /* its end was not captured */
	set_tail(frame, begin + frame->network_size);
}

static uint32_t crc_step(uint32_t crc, struct nt_switch_span span)
{
	for (uint32_t i = 0; i < span.bytes; i++) {
		crc ^= span.data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
	}
	return crc;
}

bool nt_switch_has_fcs(const struct nt_switch_row *row)
{
	uint32_t crc = crc_step(crc_step(crc_step(0xFFFFFFFFu, row->header), row->payload), row->trailer);

	return crc == 0xDEBB20E3u; /* what remains of any message that ends in its own CRC */
}
