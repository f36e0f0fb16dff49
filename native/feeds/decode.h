/* SPDX-License-Identifier: Apache-2.0 */
/* What a packet's header says, read by a framing's table. Never reads past the captured bytes. */
#ifndef NT_FEED_DECODE_H
#define NT_FEED_DECODE_H

#include "framing.h"

#define NT_SEND_UNKNOWN INT64_MIN

/* A session or key: a number in `low`, or text, first byte lowest, without what pads it. */
struct nt_label {
	uint64_t low;
	uint64_t high;
	uint64_t kind; /* enum nt_label_kind */
};

/* The bytes of a label as they stand in a header: what is equal here is equal as a label, and quicker to compare. */
struct nt_label_bytes {
	uint64_t low;
	uint64_t high;
};

struct nt_feed_packet {
	struct nt_label_bytes session;
	struct nt_label_bytes key;
	int64_t seq;     /* of the first message; of a heartbeat or an end what it carries */
	int64_t send_ns; /* UTC; NT_SEND_UNKNOWN */
	uint32_t count;  /* messages; 0: heartbeat or end */
	int32_t status;  /* enum nt_feed_status; of NT_FEED_BAD all else is undefined */
};

/* `captured` bytes of a payload that has `payload_length` on the wire. */
void nt_feed_decode(const struct nt_framing *framing, enum nt_feed_role role, const uint8_t *payload, uint32_t captured,
		    uint32_t payload_length, bool is_fragment, struct nt_feed_packet *packet);

/* What the bytes of a session or key mean. */
struct nt_label nt_label_of(const struct nt_number *place, bool big_endian, struct nt_label_bytes bytes);

#endif
