/* SPDX-License-Identifier: Apache-2.0 */
/* What a packet's stamp is worth: read in its own clock, made UTC, and believed where the packet can have come then. Reads no clock. */
#ifndef NT_LOOP_STAMP_H
#define NT_LOOP_STAMP_H

#include "state.h"

#define NT_STAMP_ANY_NS INT64_MIN

/* Of one batch: a packet that was not there when the inlet was last seen empty came after that, and before the batch was polled. */
struct nt_stamp_interval {
	int64_t from_ns; /* UTC; NT_STAMP_ANY_NS: the inlet was never seen empty, its packets may be of any age */
	int64_t until_ns;
	int64_t nic_tai_minus_utc_ns;
};

/* A host clock that was set back since would have the inlet empty in the future. */
static inline struct nt_stamp_interval nt_stamp_interval_of(const struct nt_loop *loop, const struct nt_inlet *inlet,
							    const struct nt_poll_time *now)
{
	int64_t bound_ns = loop->options.stamp_bound_ns;
	int64_t empty_ns = inlet->empty_ns < now->utc_ns ? inlet->empty_ns : now->utc_ns;
	int64_t offset_ns = inlet->source->nic_tai_offset_ns;

	return (struct nt_stamp_interval){
		.from_ns = inlet->empty_ns ? empty_ns - bound_ns : NT_STAMP_ANY_NS,
		.until_ns = now->utc_ns + bound_ns,
		.nic_tai_minus_utc_ns = offset_ns == NT_TAI_OFFSET_KERNEL ? now->tai_minus_utc_ns : offset_ns,
	};
}

/* The stamp is kept behind the frame where a record has room for it: the frame is worth more. */
static inline void nt_stamp_keep_raw(struct nt_packet *packet, uint64_t record_bytes_max)
{
	if (NT_RECORD_HEADER_BYTES + (uint64_t)packet->capture_length + NT_RECORD_RAW_STAMP_BYTES <= record_bytes_max)
		packet->flags |= NT_RECORD_RAW_STAMP;
	packet->stamp_clock = NT_CLOCK_UNKNOWN;
}

/* Leaves `stamp_ns` in UTC and `stamp_clock` NT_CLOCK_UTC, or that NT_CLOCK_UNKNOWN where the poll time has to do. `file` and `user`
 * are not checked: a file's time is not this host's, and our own clock is what the others are measured by. */
static inline void nt_stamp_judge(struct nt_loop *loop, struct nt_packet *packet, struct nt_poll_time *now,
				  const struct nt_stamp_interval *interval)
{
	enum nt_clock_domain domain = packet->stamp_clock;

	if (domain == NT_CLOCK_UNKNOWN) {
		packet->flags |= NT_RECORD_UNSTAMPED;
		return;
	}
	if (domain == NT_CLOCK_FREE) {
		packet->flags |= NT_RECORD_UNSTAMPED;
		nt_stamp_keep_raw(packet, loop->ring->max_record_bytes);
		return;
	}
	if (domain == NT_CLOCK_TAI && packet->ts_kind == NT_TS_NIC)
		packet->stamp_ns = nt_ns_minus(packet->stamp_ns, interval->nic_tai_minus_utc_ns);
	else
		packet->stamp_ns = nt_poll_time_to_utc(now, loop->clock, domain, packet->stamp_ns);
	packet->stamp_clock = NT_CLOCK_UTC;
	if (packet->ts_kind > NT_TS_KERNEL || (packet->stamp_ns >= interval->from_ns && packet->stamp_ns <= interval->until_ns))
		return;
	packet->flags |= NT_RECORD_BAD_STAMP;
	nt_stamp_keep_raw(packet, loop->ring->max_record_bytes);
}

/* NT_RECORD_BACKWARDS when the stamp is earlier than the one before of its flow. What cannot be right says nothing about others. */
static inline uint16_t nt_stamp_follow(int64_t *last_ts_ns, int64_t ts_ns, uint16_t flags)
{
	int64_t before_ns = *last_ts_ns;

	if (flags & NT_RECORD_BAD_STAMP)
		return 0;
	*last_ts_ns = ts_ns;
	return before_ns && ts_ns < before_ns ? NT_RECORD_BACKWARDS : 0; /* a file's first stamp may be one before 1970 */
}

/* What the newest packet of a batch was stamped by, for the slot: before its stamp is judged. Of a clock that no UTC can be made of the
 * source itself knows more. */
static inline void nt_stamp_notice(struct nt_inlet *inlet, const struct nt_packet *packet)
{
	if (packet->stamp_clock != NT_CLOCK_UNKNOWN && packet->stamp_clock != NT_CLOCK_FREE)
		__atomic_store_n(&inlet->stamps, (uint32_t)packet->stamp_clock << 8 | NT_STAMPED_BY(packet->ts_kind),
				 __ATOMIC_RELAXED);
}

#endif
