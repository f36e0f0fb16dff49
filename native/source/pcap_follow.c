/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the reader has come far enough. Its file is read, not mapped: a reader that comes back makes a new one in its place, and
 * whoever owns it may cut it short at any moment. */
#include "pcap_state.h"

#include "../clock.h"
#include "../ring/reader.h"

#include <errno.h>
#include <string.h>

#define LOOK_NS 1000000

/* Of a recorder counts what it has written: should it be killed, the next one reads from there on. A reader that died in the middle of
 * an update stands where it stood before or after: either will do. */
static void look(struct nt_pcap_follow *follow)
{
	struct nt_reader_status status = {0};
	int error = nt_reader_status_load(&status, follow->path);

	follow->there = (!error || error == -EAGAIN) && status.magic == NT_READER_STATUS_MAGIC &&
			!memcmp(status.ring_id, follow->ring->descriptor->ring_id, sizeof(status.ring_id));
	follow->position = status.settled == NT_COUNT_UNKNOWN ? status.position : status.settled;
}

uint64_t nt_pcap_follow_room(struct nt_pcap_follow *follow)
{
	uint64_t half, tail, now_ns;

	if (!follow->ring)
		return UINT64_MAX;
	tail = nt_ring_tail(follow->ring);
	half = follow->ring->capacity / 2 - follow->ring->max_record_bytes; /* the padding where the ring wraps is less than that */
	/* While much room is left, what was seen last will do: a position never goes back. */
	if (!follow->there || tail - follow->position > half / 2) {
		now_ns = (uint64_t)nt_clock_ns(CLOCK_MONOTONIC);
		if (now_ns - (uint64_t)follow->looked_ns >= LOOK_NS) {
			look(follow);
			follow->looked_ns = (int64_t)now_ns;
		}
	}
	/* A position beyond the tail is none of this ring's: the difference is huge then. */
	if (!follow->there || tail - follow->position > half)
		return 0;
	return half - (tail - follow->position);
}

uint64_t nt_pcap_follow_cost(const struct nt_pcap_follow *follow, uint32_t capture_length)
{
	if (!follow->ring || NT_RECORD_HEADER_BYTES + (uint64_t)capture_length > follow->ring->max_record_bytes)
		return 0;
	return nt_record_span(NT_RECORD_HEADER_BYTES + capture_length);
}
