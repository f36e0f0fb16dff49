/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

#include <string.h>

#define SEQUENCE_MAX (INT64_MAX - UINT16_MAX) /* so that a sequence plus a count is one too */
#define SECOND_NS 1000000000ull
#define SEND_MIN_NS (365ull * 86400 * SECOND_NS) /* 1971: a clock that was never set says 1970 */

/* Whatever its width, a number is read as eight bytes: this many have to be readable behind the last one that is used. */
#define SLACK 8u
#define COPY_BYTES (NT_HEADER_BYTES_MAX + 8u + SLACK)

static inline uint64_t load(const uint8_t *bytes, unsigned width, bool big_endian)
{
	unsigned unused = 64 - 8 * width;
	uint64_t value;

	memcpy(&value, bytes, 8);
	return big_endian ? __builtin_bswap64(value) >> unused : value << unused >> unused;
}

/* The header, with as many bytes behind it as `load` may touch: in its place, or of a short packet a copy. */
static inline const uint8_t *readable(const struct nt_framing *framing, const uint8_t *header, uint32_t room, uint8_t *copy)
{
	uint32_t wanted = framing->header_bytes, count_end = (uint32_t)framing->count.offset + framing->count.width;

	if (count_end > wanted)
		wanted = count_end;
	if (room >= wanted + SLACK)
		return header;
	memset(copy, 0, COPY_BYTES);
	memcpy(copy, header, room < wanted ? room : wanted);
	return copy;
}

static inline uint64_t masked(const struct nt_number *place, uint64_t value)
{
	return place->mask ? (value & place->mask) >> __builtin_ctzll(place->mask) : value;
}

static inline uint64_t number(const struct nt_number *place, const uint8_t *header, bool big_endian)
{
	return masked(place, load(header + place->offset, place->width, big_endian));
}

static inline uint64_t sign_extended(uint64_t value, unsigned width)
{
	unsigned unused = 64 - 8 * width;

	return (uint64_t)((int64_t)(value << unused) >> unused);
}

/* Up to 16 bytes, the first one lowest. */
static inline struct nt_label_bytes label_bytes(const struct nt_number *place, const uint8_t *header)
{
	const uint8_t *bytes = header + place->offset;

	if (!place->width)
		return (struct nt_label_bytes){0};
	if (place->width <= 8)
		return (struct nt_label_bytes){.low = load(bytes, place->width, false)};
	return (struct nt_label_bytes){.low = load(bytes, 8, false), .high = load(bytes + 8, place->width - 8u, false)};
}

static struct nt_label text(const uint8_t *bytes, unsigned width)
{
	struct nt_label label = {.kind = NT_LABEL_TEXT};
	uint8_t padded[NT_LABEL_BYTES_MAX] = {0};

	while (width && (bytes[width - 1] == ' ' || !bytes[width - 1]))
		width--;
	memcpy(padded, bytes, width);
	memcpy(&label.low, padded, 8);
	memcpy(&label.high, padded + 8, 8);
	return label;
}

struct nt_label nt_label_of(const struct nt_number *place, bool big_endian, struct nt_label_bytes found)
{
	struct nt_label label = {.kind = place->width ? place->kind : NT_LABEL_NONE};
	uint8_t bytes[NT_LABEL_BYTES_MAX + SLACK] = {0};

	memcpy(bytes, &found.low, 8);
	memcpy(bytes + 8, &found.high, 8);
	if (label.kind == NT_LABEL_TEXT)
		return text(bytes, place->width);
	if (label.kind != NT_LABEL_NONE)
		label.low = masked(place, load(bytes, place->width, big_endian));
	if (label.kind == NT_LABEL_SIGNED && !place->mask)
		label.low = sign_extended(label.low, place->width);
	return label;
}

static int64_t send_time(const struct nt_framing *framing, const uint8_t *header)
{
	static const struct {
		uint64_t unit_ns, first, last; /* from 1971 to 2262 */
	} forms[] = {
		[NT_SEND_NS] = {1, SEND_MIN_NS, INT64_MAX},
		[NT_SEND_US] = {1000, SEND_MIN_NS / 1000, INT64_MAX / 1000},
		[NT_SEND_MS] = {1000000, SEND_MIN_NS / 1000000, INT64_MAX / 1000000},
		[NT_SEND_S] = {SECOND_NS, SEND_MIN_NS / SECOND_NS, INT64_MAX / SECOND_NS},
		[NT_SEND_S_NS] = {SECOND_NS, SEND_MIN_NS / SECOND_NS, INT64_MAX / SECOND_NS},
	};
	uint64_t value = number(&framing->send, header, framing->big_endian), ns = 0, sum;

	if (framing->send_form == NT_SEND_S_NS)
		ns = number(&framing->send_ns, header, framing->big_endian);
	if (ns >= SECOND_NS || value < forms[framing->send_form].first || value > forms[framing->send_form].last)
		return NT_SEND_UNKNOWN;
	sum = value * forms[framing->send_form].unit_ns + ns;
	return sum <= (uint64_t)INT64_MAX ? (int64_t)sum : NT_SEND_UNKNOWN;
}

static bool is_expected(const struct nt_framing *framing, const uint8_t *header)
{
	for (unsigned i = 0; i < framing->expect_count; i++) {
		const struct nt_expect *expect = &framing->expect[i];
		uint64_t value = number(&expect->number, header, framing->big_endian);
		unsigned at = 0;

		while (at < expect->value_count && expect->values[at] != value)
			at++;
		if (at == expect->value_count)
			return false;
	}
	return true;
}

/* Of one header; `room` bytes are captured from its start on. */
static inline int status_of(const struct nt_framing *framing, const uint8_t *header, uint32_t room)
{
	if (room < framing->header_bytes || !is_expected(framing, header))
		return NT_FEED_BAD;
	if (!framing->status.width)
		return NT_FEED_DATA;
	return framing->status_of[number(&framing->status, header, framing->big_endian) & 0xFF];
}

/* The count decides what the flag left open. */
static int count_messages(const struct nt_framing *framing, const uint8_t *header, uint32_t room, struct nt_feed_packet *packet)
{
	const struct nt_number *place = &framing->count;
	bool is_empty = packet->status == NT_FEED_HEARTBEAT || packet->status == NT_FEED_END;
	uint64_t count = 1;

	if (place->width && (uint32_t)place->offset + place->width > room) {
		packet->count = 0;
		return is_empty ? packet->status : NT_FEED_BAD;
	}
	if (place->width)
		count = number(place, header, framing->big_endian);
	if (count > UINT16_MAX)
		return NT_FEED_BAD;
	packet->count = is_empty ? 0 : (uint32_t)count;
	if (packet->status != NT_FEED_DATA)
		return packet->status;
	if (framing->has_unsequenced && (uint64_t)packet->seq == framing->unsequenced)
		return NT_FEED_UNSEQUENCED;
	if (framing->has_end_count && count == framing->end_count) {
		packet->count = 0;
		return NT_FEED_END;
	}
	if (framing->has_heartbeat_count && count == framing->heartbeat_count) {
		packet->count = 0;
		return NT_FEED_HEARTBEAT;
	}
	return NT_FEED_DATA;
}

static bool read_sequence(const struct nt_framing *framing, const uint8_t *header, struct nt_feed_packet *packet)
{
	uint64_t seq = number(&framing->sequence, header, framing->big_endian);

	if (framing->sequence_high.width) {
		uint64_t high = number(&framing->sequence_high, header, framing->big_endian);

		if (high >> 31 || seq >> 32)
			return false;
		seq |= high << 32;
	}
	packet->seq = (int64_t)seq;
	return seq <= (uint64_t)SEQUENCE_MAX;
}

/* Several headers in a datagram: the first that carries data names the sequence, all that do are counted. */
static void follow_chain(const struct nt_framing *framing, const uint8_t *payload, uint32_t captured, uint32_t payload_length,
			 struct nt_feed_packet *packet)
{
	uint32_t at = 0, count = 0;
	int status = packet->status;

	while (at < payload_length) {
		uint8_t copy[COPY_BYTES];
		uint32_t room = at <= captured ? captured - at : 0;
		const uint8_t *header = readable(framing, payload + (at <= captured ? at : 0), room, copy);
		int here = status_of(framing, header, room);
		int64_t bytes;

		if (here == NT_FEED_BAD) {
			packet->status = NT_FEED_BAD;
			return;
		}
		bytes = (int64_t)(number(&framing->chain, header, framing->big_endian) & UINT32_MAX) + framing->chain_add;
		if (bytes < framing->header_bytes || bytes > (int64_t)payload_length - at ||
		    (here == NT_FEED_DATA && !count && !read_sequence(framing, header, packet))) {
			packet->status = NT_FEED_BAD;
			return;
		}
		if (here == NT_FEED_DATA) {
			status = NT_FEED_DATA;
			count++;
		}
		at += (uint32_t)bytes;
	}
	packet->status = status;
	if (count)
		packet->count = count;
}

static bool is_whole(const struct nt_framing *framing, const uint8_t *header, uint32_t payload_length)
{
	uint64_t stated;

	if (!framing->length.width)
		return true;
	stated = number(&framing->length, header, framing->big_endian);
	return stated <= UINT32_MAX && (int64_t)stated + framing->length_add == (int64_t)payload_length;
}

/* Most datagrams of a framing that chains its headers have one. */
static inline bool is_alone(const struct nt_framing *framing, const uint8_t *header, uint32_t payload_length)
{
	return (int64_t)(number(&framing->chain, header, framing->big_endian) & UINT32_MAX) + framing->chain_add ==
	       (int64_t)payload_length;
}

void nt_feed_decode(const struct nt_framing *framing, enum nt_feed_role role, const uint8_t *payload, uint32_t captured,
		    uint32_t payload_length, bool is_fragment, struct nt_feed_packet *packet)
{
	uint8_t copy[COPY_BYTES];
	const uint8_t *header = readable(framing, payload, captured, copy);

	packet->status = is_fragment ? NT_FEED_BAD : status_of(framing, header, captured);
	if (packet->status == NT_FEED_BAD)
		return;
	if (!is_whole(framing, header, payload_length) || !read_sequence(framing, header, packet)) {
		packet->status = NT_FEED_BAD;
		return;
	}
	packet->status = count_messages(framing, header, captured, packet);
	if (packet->status != NT_FEED_BAD && framing->chain.width && !is_alone(framing, header, payload_length))
		follow_chain(framing, payload, captured, payload_length, packet);
	if (packet->status == NT_FEED_BAD)
		return;
	if (packet->status == NT_FEED_DATA && role != NT_ROLE_INCREMENTAL)
		packet->status = role == NT_ROLE_SNAPSHOT ? NT_FEED_SNAPSHOT : NT_FEED_RETRANSMIT;
	packet->session = label_bytes(&framing->session, header);
	packet->key = label_bytes(&framing->key, header);
	packet->send_ns = framing->send_form ? send_time(framing, header) : NT_SEND_UNKNOWN;
}
