/* SPDX-License-Identifier: Apache-2.0 */
/* Tells, in a source's slot, by what its packets are stamped. For threads that may take their time. */
#include "stamp.h"

/* Clock minus UTC, now; 0 where there is no such thing. */
static int64_t nt_stamp_offset(const struct nt_source *source, uint32_t kind, uint32_t domain, nt_clock_reader clock)
{
	struct nt_poll_time now;

	if (domain == NT_CLOCK_UNKNOWN || domain == NT_CLOCK_FREE)
		return 0;
	if (domain == NT_CLOCK_TAI && kind == NT_STAMPED_BY(NT_TS_NIC) && source->nic_tai_offset_ns != NT_TAI_OFFSET_KERNEL)
		return source->nic_tai_offset_ns;
	nt_poll_time_read(&now, clock);
	return -nt_poll_time_to_utc(&now, clock, domain, 0);
}

/* What the newest packet had, or else what the source says of those to come. */
void nt_stamps_tell(const struct nt_inlet *inlet, nt_clock_reader clock)
{
	uint32_t seen = __atomic_load_n(&inlet->stamps, __ATOMIC_RELAXED);
	uint32_t kind = seen ? seen & 0xFF : inlet->source->stamp_kind;
	uint32_t domain = seen ? seen >> 8 : inlet->source->stamp_domain;
	struct nt_source_counters *slot = inlet->counters;

	__atomic_store_n(&slot->stamp_offset_ns, nt_stamp_offset(inlet->source, kind, domain, clock), __ATOMIC_RELAXED);
	__atomic_store_n(&slot->stamp_domain, domain, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->stamp_kind, kind, __ATOMIC_RELAXED);
}
