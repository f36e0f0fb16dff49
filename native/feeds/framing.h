/* SPDX-License-Identifier: Apache-2.0 */
/* A feed's packet header as a table: the same words as config/framing.py, which says what each means. Offsets count from the start of
 * the UDP payload; whoever fills this in has checked that all but `count` lies inside `header_bytes`. */
#ifndef NT_FRAMING_H
#define NT_FRAMING_H

#include <stdbool.h>
#include <stdint.h>

#define NT_HEADER_BYTES_MAX 255u /* offsets, too, are at most that */
#define NT_EXPECT_MAX 4u
#define NT_EXPECT_VALUES 4u
#define NT_LABEL_BYTES_MAX 16u

/* Codes of the column feed_status; NT_FEED_NONE: no framing is decoded. */
enum nt_feed_status {
	NT_FEED_NONE = -1,
	NT_FEED_DATA = 0,
	NT_FEED_HEARTBEAT,
	NT_FEED_RETRANSMIT,
	NT_FEED_SNAPSHOT,
	NT_FEED_RESET,
	NT_FEED_END,
	NT_FEED_UNSEQUENCED,
	NT_FEED_BAD,
};

enum nt_label_kind { NT_LABEL_NONE = 0, NT_LABEL_UNSIGNED, NT_LABEL_SIGNED, NT_LABEL_TEXT };

enum nt_send_form { NT_SEND_NONE = 0, NT_SEND_NS, NT_SEND_US, NT_SEND_MS, NT_SEND_S, NT_SEND_S_NS };

enum nt_feed_role { NT_ROLE_INCREMENTAL = 0, NT_ROLE_SNAPSHOT, NT_ROLE_RETRANSMIT };

struct nt_number {
	uint16_t offset;
	uint8_t width; /* 1 to 8; 0: there is none. Of text up to 16 */
	uint8_t kind;  /* enum nt_label_kind */
	uint64_t mask; /* 0: all bits; else those that count, moved down */
};

struct nt_expect {
	struct nt_number number;
	uint32_t value_count;
	uint64_t values[NT_EXPECT_VALUES];
};

struct nt_framing {
	uint8_t big_endian;
	uint8_t header_bytes;
	uint8_t heartbeat_next; /* heartbeats and ends carry the next sequence */
	uint8_t send_form;      /* enum nt_send_form */
	uint8_t expect_count;
	uint8_t has_heartbeat_count;
	uint8_t has_end_count;
	uint8_t has_unsequenced;
	uint8_t has_heartbeat_idle;
	struct nt_number sequence;
	struct nt_number sequence_high;
	struct nt_number count; /* may lie behind the header */
	struct nt_number session;
	struct nt_number key;
	struct nt_number status;
	struct nt_number send;
	struct nt_number send_ns;
	struct nt_number length;
	struct nt_number chain;
	int32_t length_add;
	int32_t chain_add;
	uint64_t heartbeat_count;
	uint64_t end_count;
	uint64_t unsequenced;
	uint64_t heartbeat_idle;
	struct nt_expect expect[NT_EXPECT_MAX];
	int8_t status_of[256]; /* enum nt_feed_status of each value of `status` */
};

#endif
