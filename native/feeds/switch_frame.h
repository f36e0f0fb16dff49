/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a frame a switch may have left something: behind the source MAC address, and behind the IP datagram. The end of that is what
 * IP says, never what is left of the frame: short frames are filled up with zeros. */
#ifndef NT_SWITCH_FRAME_H
#define NT_SWITCH_FRAME_H

#include "switch.h"

#define NT_SWITCH_FRAME_LEAST 60u /* bytes that Ethernet fills a frame up to, without FCS */

struct nt_switch_span {
	const uint8_t *data;
	uint32_t bytes;
};

/* The three columns of one row; one behind the other they are the frame. */
struct nt_switch_row {
	struct nt_switch_span header, payload, trailer;
	int64_t ts;
	uint32_t wire_len;
	uint16_t flags;
};

struct nt_switch_frame {
	const struct nt_switch_row *row;
	struct nt_switch_span stamp;   /* behind ethertype 0xD28B; no data: there is none */
	struct nt_switch_span network; /* behind the link's header and its tags; all of it that lies in one column */
	struct nt_switch_span tail;    /* behind the IP datagram, or where there is none the network's end; no data: cut short */
	uint64_t source_mac;
	uint32_t padding;      /* of the tail: zeros that fill the frame up */
	uint32_t network_size; /* of the datagram, as IP says; 0: no IP */
	uint32_t network_header;
	uint16_t type; /* of the network */
	uint8_t protocol;
	bool tail_known; /* by IP */
};

void nt_switch_locate(struct nt_switch_frame *frame, const struct nt_switch_row *row);

/* Whether the last four bytes are the FCS of all before them. */
bool nt_switch_has_fcs(const struct nt_switch_row *row);

static inline uint64_t nt_switch_number(const uint8_t *at, uint32_t bytes)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

#endif
