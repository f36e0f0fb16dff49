/* SPDX-License-Identifier: Apache-2.0 */
/* Stamps that a switch wrote into frames, from the columns of a ring's batch (../columns/columns.h) into columns. Frames stay as they
 * are. Every read lies within the frame's own bytes; a stamp too far from the capture's is null and counted. */
#ifndef NT_SWITCH_H
#define NT_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

#define NT_SWITCH_DEVICES 8u           /* whose keyframes one source may carry; another takes the place of the oldest */
#define NT_SWITCH_HITS 8u              /* frames of one form that settle which it is */
#define NT_SWITCH_FCS_VOTES 16u        /* frames that settle whether the FCS is delivered */
#define NT_SWITCH_TAI_NS 37000000000ll /* TAI - UTC since 2017: only to name what looks like it, never to correct by it */

enum nt_switch_form {
	NT_SWITCH_OFF = 0,
	NT_SWITCH_AUTO = 1,
	NT_SWITCH_ARISTA_7130 = 2,
	NT_SWITCH_CPACKET = 3,
	NT_SWITCH_EXABLAZE_HPT = 4,
	NT_SWITCH_EXALINK = 5,
	NT_SWITCH_ARISTA_7150 = 6,
	NT_SWITCH_ARISTA_7280 = 7,
	NT_SWITCH_IXIA = 8,
};
#define NT_SWITCH_FORMS 9u

/* Bits of the column `flags`, beside those of enum nt_record_flag. */
enum nt_switch_flag {
	NT_SWITCH_DEGRADED = 1u << 11,    /* the switch says that its clock is not to be trusted */
	NT_SWITCH_DUPLICATE = 1u << 12,   /* the switch says that it saw this frame before */
	NT_SWITCH_IMPLAUSIBLE = 1u << 13, /* there is a stamp, but it cannot be right: ts_switch is null */
};

/* What a switch's counter stood at, at some instant of UTC (or of TAI, where the switch says so). */
struct nt_switch_keyframe {
	uint64_t device;       /* number, or MAC address; which is the form's */
	uint64_t utc_ns;       /* as sent */
	uint64_t counter;      /* ticks at that instant */
	uint64_t frequency_hz; /* 0: the place is free */
	int64_t captured_ns;   /* stamp of the capture */
	uint32_t form;         /* enum nt_switch_form */
	uint32_t reserved;
};

struct nt_switch_counts {
	uint64_t stamped;
	uint64_t implausible;      /* too far from the capture's stamp, or no time at all */
	uint64_t without_keyframe; /* a tick, but no keyframe younger than the counter's period */
	uint64_t tai_like;         /* of the implausible: about 37 s off */
	uint64_t keyframes;
	int64_t offset_ns; /* stamp - capture's stamp of the latest implausible one; INT64_MAX: none, or no time at all */
};

/* Of all sources of one interface. */
struct nt_switch {
	int64_t tai_ns;       /* subtracted, unless a stamp says itself that it is UTC */
	int64_t plausible_ns; /* farthest from the capture's stamp */
	uint32_t form;        /* enum nt_switch_form; NT_SWITCH_AUTO becomes what was found */
	uint32_t fcs_votes;
	uint32_t fcs_found; /* of these votes */
	uint32_t hits[NT_SWITCH_FORMS];
	struct nt_switch_keyframe keyframes[NT_SWITCH_DEVICES];
	struct nt_switch_counts counts;
};

struct nt_switch_bytes {
	const int32_t *offsets; /* rows + 1 */
	const uint8_t *data;
};

struct nt_switch_batch {
	uint32_t rows;
	uint32_t states;              /* entries of `by_source` */
	struct nt_switch **by_source; /* by slot of the ring's source table; NULL: not looked at */
	const int64_t *ts;
	const uint8_t *source;
	const uint16_t *flags;
	const uint32_t *wire_len;
	struct nt_switch_bytes header, payload, trailer;

	/* Filled; room for `rows` values, or as many bits. Slots that are null hold 0. */
	int64_t *ts_switch; /* UTC, ns */
	uint16_t *device;
	uint16_t *port;
	uint16_t *flags_out; /* `flags`, with those of enum nt_switch_flag */
	uint8_t *ts_valid;
	uint8_t *device_valid;
	uint8_t *port_valid;
	uint32_t ts_nulls;
	uint32_t device_nulls;
	uint32_t port_nulls;
};

void nt_switch_init(struct nt_switch *state, uint32_t form, int64_t tai_ns, int64_t plausible_ns);

/* In the order of the rows: a keyframe serves those behind it, of this batch and of later ones. */
void nt_switch_fill(struct nt_switch_batch *batch);

#endif
