/* SPDX-License-Identifier: Apache-2.0 */
/* Stamps that stand whole in each frame: seconds and a fraction. Layouts: docs/switch-stamps.md. */
#ifndef NT_SWITCH_STAMP_H
#define NT_SWITCH_STAMP_H

#include "switch_frame.h"

#define NT_SWITCH_NS_PER_S 1000000000u

struct nt_switch_stamp {
	int64_t ns;        /* since 1970, as sent */
	uint32_t sub_ns;   /* 2^-24 ns beyond it; Arista 7130 only */
	uint32_t sequence; /* of the switch; Arista 7130 only */
	uint16_t device;
	uint16_t port;
	uint16_t flags; /* enum nt_switch_flag */
	bool has_device;
	bool has_port;
	bool has_sequence;
	bool valid;  /* its fields can be; false: it is a stamp, but no time */
	bool is_utc; /* says so itself: no TAI offset is to be subtracted */
};

/* Each reads the trailer that `span` ends with; false: there is none. */
bool nt_switch_read_7130(struct nt_switch_stamp *stamp, struct nt_switch_span span);
bool nt_switch_read_cpacket(struct nt_switch_stamp *stamp, struct nt_switch_span span);
bool nt_switch_read_hpt(struct nt_switch_stamp *stamp, struct nt_switch_span span);
bool nt_switch_read_ixia(struct nt_switch_stamp *stamp, struct nt_switch_span span);

/* Behind ethertype 0xD28B; the seconds of the short form wrap in 18.2 h, and are taken to be those nearest to `near_ns`. */
bool nt_switch_read_7280(struct nt_switch_stamp *stamp, struct nt_switch_span span, int64_t near_ns);

/* Bytes of a form's trailer, without FCS behind it. */
uint32_t nt_switch_trailer_bytes(uint32_t form);

#endif
