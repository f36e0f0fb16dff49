/* SPDX-License-Identifier: Apache-2.0 */
/* published = raw - base, so that the books of a ring start at nought and go on, whatever the kernel's counters do. All arithmetic
 * is modulo 2^64: a base may be "negative". */
#include "state.h"

#include "../atomic.h"

#include <string.h>

#define NT_STAT(field) (offsetof(struct nt_source_stats, field) / sizeof(uint64_t))
#define NT_STATS (sizeof(struct nt_source_stats) / sizeof(uint64_t))

/* Counters of the source, in contrast to a level, a time and what the books themselves keep. */
static bool nt_stat_counts(size_t at)
{
	return at != NT_STAT(rx_occupancy) && at != NT_STAT(updated_ns) && at != NT_STAT(lost_with_holder);
}

static uint64_t *nt_stats_words(struct nt_source_stats *stats)
{
	return (uint64_t *)stats;
}

static uint64_t nt_known(uint64_t value)
{
	return value == NT_COUNT_UNKNOWN ? 0 : value;
}

/* What the XDP program saw it redirected or passed on. */
static uint64_t nt_seen_of(const struct nt_source_stats *stats)
{
	return stats->xdp_redirected + nt_known(stats->xdp_passed_unmatched) + nt_known(stats->xdp_passed_no_socket);
}

/* A new ring meets a holder that has been at work. What it redirected before is what was taken or dropped before: so the books
 * balance from nought even while packets arrive. Where the source cannot say what was taken, occupancy is the next best. */
static void nt_base_from_raw(struct nt_source_stats *base, const struct nt_source_stats *raw)
{
	*base = *raw;
	base->rx_occupancy = base->lost_with_holder = 0;
	base->updated_ns = 0;
	if (raw->xdp_redirected == NT_COUNT_UNKNOWN)
		return;
	if (raw->rx_taken != NT_COUNT_UNKNOWN)
		base->xdp_redirected = raw->rx_taken + nt_known(raw->rx_dropped) + nt_known(raw->rx_ring_full);
	else
		base->xdp_redirected = raw->xdp_redirected - nt_known(raw->rx_occupancy);
	if (raw->xdp_seen != NT_COUNT_UNKNOWN)
		base->xdp_seen = nt_seen_of(base);
}

/* Whoever counted for the published figures is gone, and what waited in a holder's RX ring with it. If the helper died before it
 * could publish the last tenth of a second, more was made or redirected than it said: at least what stands in the ring. Otherwise
 * what is missing was in the RX ring, or on its way there: nobody takes it any more. The figures were not read at one instant, and
 * will never be read again, so that what was seen has to be brought into line too. */
static void nt_close_old_figures(struct nt_source_counters *slot)
{
	struct nt_source_stats *last = &slot->stats;
	uint64_t taken = slot->loop.packets + slot->loop.oversize;
	uint64_t arrived = taken + nt_known(last->rx_dropped) + nt_known(last->rx_ring_full) + last->lost_with_holder;

	if (last->offered != NT_COUNT_UNKNOWN && last->offered < taken)
		last->offered = taken;
	if (last->xdp_redirected == NT_COUNT_UNKNOWN)
		return;
	if (last->xdp_redirected < arrived)
		last->xdp_redirected = arrived;
	else
		last->lost_with_holder += last->xdp_redirected - arrived;
	if (last->xdp_seen != NT_COUNT_UNKNOWN)
		last->xdp_seen = nt_seen_of(last);
	last->rx_occupancy = 0;
}

void nt_books_open(struct nt_source_counters *slot, uint64_t holder_id, const struct nt_source_stats *raw)
{
	bool known_holder = holder_id && slot->holder_id == holder_id;
	uint64_t *base = nt_stats_words(&slot->base);

	if (!slot->stats.updated_ns && holder_id) {
		nt_base_from_raw(&slot->base, raw);
	} else if (!known_holder) {
		nt_close_old_figures(slot);
		for (size_t at = 0; at < NT_STATS; at++)
			base[at] = -nt_known(nt_stats_words(&slot->stats)[at]);
	}
	slot->base.wakeups = -nt_known(slot->stats.wakeups); /* every process counts its own, whoever the holder is */
	__atomic_store_n(&slot->holder_id, holder_id, __ATOMIC_RELEASE);
}

void nt_books_publish(struct nt_source_counters *slot, const struct nt_source_stats *raw, int64_t now_utc_ns)
{
	struct nt_source_stats copy = *raw;
	const uint64_t *from = nt_stats_words(&copy);
	const uint64_t *base = nt_stats_words(&slot->base);
	uint64_t *to = nt_stats_words(&slot->stats);

	for (size_t at = 0; at < NT_STATS; at++)
		if (nt_stat_counts(at))
			nt_store_relaxed(&to[at], from[at] == NT_COUNT_UNKNOWN ? NT_COUNT_UNKNOWN : from[at] - base[at]);
	nt_store_relaxed(&to[NT_STAT(rx_occupancy)], raw->rx_occupancy);
	__atomic_store_n(&slot->stats.updated_ns, now_utc_ns, __ATOMIC_RELEASE);
}
