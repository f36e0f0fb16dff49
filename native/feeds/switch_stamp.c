/* SPDX-License-Identifier: Apache-2.0 */
#include "switch_stamp.h"

#include <string.h>

enum { METAMAKO_BYTES = 16, HPT_BYTES = 16, IXIA_BYTES = 15, FCS_BYTES = 4, WORD = 4 };
enum metamako_flag { METAMAKO_EXTENDED = 0x02, METAMAKO_DUPLICATE = 0x04, METAMAKO_DEGRADED = 0x10 };
enum metamako_tag { TAG_SEQUENCE = 0, TAG_SUB_NS = 1, TAG_SECONDARY = 0x1F };
enum { IXIA_SIGNATURE = 0xAF12, IXIA_STAMP_BYTES = 8, IXIA_TRAILER_BYTES = 10, IXIA_TYPE_LEAST = 3, IXIA_TYPE_MOST = 7 };

static void put_seconds(struct nt_switch_stamp *stamp, uint64_t seconds, uint64_t ns)
{
	stamp->ns = (int64_t)(seconds * NT_SWITCH_NS_PER_S + ns);
	stamp->valid = ns < NT_SWITCH_NS_PER_S;
}

/* Seconds 4, ns 4, flags 1, device 2, port 1 end the span; before them the FCS of the original frame, or extensions. */
static void read_metamako(struct nt_switch_stamp *stamp, struct nt_switch_span span)
{
	const uint8_t *at = span.data + span.bytes - (METAMAKO_BYTES - FCS_BYTES);

	memset(stamp, 0, sizeof(*stamp));
	stamp->device = (uint16_t)nt_switch_number(at + 9, 2);
	stamp->port = at[11];
	stamp->has_device = stamp->has_port = true;
	put_seconds(stamp, nt_switch_number(at, 4), nt_switch_number(at + 4, 4));
}

/* One extension, whose last word ends before `left` bytes of the span: bytes that it takes, 0 where they are not there.
 *
 *     data words | data 24, length 2, last 1, tag 5            length: further words before this one
 *     data words | tag 16, length 10, last 1, tag 5 = 0x1F     length + 1 likewise
 */
static uint32_t read_extension(struct nt_switch_stamp *stamp, struct nt_switch_span span, uint32_t left, bool *last)
{
	uint32_t word, tag, words;

	if (left < WORD)
		return 0;
	word = (uint32_t)nt_switch_number(span.data + left - WORD, WORD);
	tag = word & 0x1F;
	*last = word >> 5 & 1;
	words = tag == TAG_SECONDARY ? (word >> 6 & 0x3FF) + 1 : word >> 6 & 3;
	if ((words + 1) * WORD > left)
		return 0;
	if (tag == TAG_SEQUENCE) {
		stamp->sequence = word >> 8 & 0xFFFF;
		stamp->has_sequence = true;
	} else if (tag == TAG_SUB_NS) {
		stamp->sub_ns = word >> 8;
	}
	return (words + 1) * WORD;
}

bool nt_switch_read_7130(struct nt_switch_stamp *stamp, struct nt_switch_span span)
{
	uint32_t left;
	uint8_t flags;
	bool last;

	if (span.bytes < METAMAKO_BYTES)
		return false;
	read_metamako(stamp, span);
	left = span.bytes - (METAMAKO_BYTES - FCS_BYTES);
	flags = span.data[span.bytes - 4];
	stamp->flags |= flags & METAMAKO_DEGRADED ? NT_SWITCH_DEGRADED : 0;
	stamp->flags |= flags & METAMAKO_DUPLICATE ? NT_SWITCH_DUPLICATE : 0;
	last = !(flags & METAMAKO_EXTENDED);
	while (!last) {
		uint32_t bytes = read_extension(stamp, span, left, &last);

		if (!bytes) {
			stamp->valid = false;
			return true;
		}
		left -= bytes;
	}
	stamp->valid &= left >= FCS_BYTES;
	return true;
}

bool nt_switch_read_cpacket(struct nt_switch_stamp *stamp, struct nt_switch_span span)
{
	if (span.bytes < METAMAKO_BYTES)
		return false;
	read_metamako(stamp, span);
	return true;
}

/* FCS of the original frame 4, device 1, port 1, seconds 4, fraction 5 (2^-40 s), reserved 1. */
bool nt_switch_read_hpt(struct nt_switch_stamp *stamp, struct nt_switch_span span)
{
	const uint8_t *at;
	uint64_t fraction;

	if (span.bytes < HPT_BYTES)
		return false;
	at = span.data + span.bytes - HPT_BYTES;
	memset(stamp, 0, sizeof(*stamp));
	stamp->device = at[4];
	stamp->port = at[5];
	stamp->has_device = stamp->has_port = true;
	fraction = nt_switch_number(at + 10, 5);
	/* 40 bits times 30 do not fit 64; the low 9 bits of 10^9 are zero. */
	put_seconds(stamp, nt_switch_number(at + 6, 4), fraction * (NT_SWITCH_NS_PER_S >> 9) >> 31);
	return true;
}

/* Type 1, length 1, seconds 4, ns 4, length of all that 1, signature 2, checksum 2. */
bool nt_switch_read_ixia(struct nt_switch_stamp *stamp, struct nt_switch_span span)
{
	const uint8_t *at;

	if (span.bytes < IXIA_BYTES)
		return false;
	at = span.data + span.bytes - IXIA_BYTES;
	if (at[0] < IXIA_TYPE_LEAST || at[0] > IXIA_TYPE_MOST || at[1] != IXIA_STAMP_BYTES || at[10] != IXIA_TRAILER_BYTES ||
	    nt_switch_number(at + 11, 2) != IXIA_SIGNATURE)
		return false;
	memset(stamp, 0, sizeof(*stamp));
	put_seconds(stamp, nt_switch_number(at + 2, 4), nt_switch_number(at + 6, 4));
	return true;
}

static uint64_t nearest_seconds(uint64_t low16, int64_t near_ns)
{
	int64_t near_s = near_ns > 0 ? near_ns / (int64_t)NT_SWITCH_NS_PER_S : 0;
	int64_t seconds = (near_s & ~(int64_t)0xFFFF) | (int64_t)low16;

	if (seconds - near_s > 0x8000)
		seconds -= 0x10000;
	else if (near_s - seconds > 0x8000)
		seconds += 0x10000;
	return seconds < 0 ? 0 : (uint64_t)seconds;
}

/* Subtype 2 = 1, version 2 (timescale 8: 0 TAI, 1 UTC; form 4: 1 or 2; hardware 4), then 1: seconds 4, ns 4; 2: seconds 2, ns 4. */
bool nt_switch_read_7280(struct nt_switch_stamp *stamp, struct nt_switch_span span, int64_t near_ns)
{
	const uint8_t *at = span.data;

	if (span.bytes < 10 || nt_switch_number(at, 2) != 1 || at[2] > 1)
		return false;
	memset(stamp, 0, sizeof(*stamp));
	stamp->is_utc = at[2] == 1;
	if (at[3] >> 4 == 1 && span.bytes >= 12)
		put_seconds(stamp, nt_switch_number(at + 4, 4), nt_switch_number(at + 8, 4));
	else if (at[3] >> 4 == 2)
		put_seconds(stamp, nearest_seconds(nt_switch_number(at + 4, 2), near_ns), nt_switch_number(at + 6, 4));
	else
		return false;
	return true;
}

uint32_t nt_switch_trailer_bytes(uint32_t form)
{
	return form == NT_SWITCH_IXIA ? IXIA_BYTES : HPT_BYTES;
}
