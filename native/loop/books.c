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

static uint64_t nt_dropped(const struct nt_source_stats *stats)
{
	return nt_known(stats->rx_dropped) + nt_known(stats->rx_ring_full) + nt_known(stats->socket_drops);
}

/* Of what came in under the holder, that which waits no more. */
static uint64_t nt_arrived_before(const struct nt_source_stats *raw, uint64_t arrived)
{
	if (arrived == NT_COUNT_UNKNOWN)
		return arrived;
	return raw->rx_taken != NT_COUNT_UNKNOWN ? raw->rx_taken + nt_dropped(raw) : arrived - nt_known(raw->rx_occupancy);
}

/* A new ring meets a holder that has been at work. What came in before is what was taken or dropped before: so the books balance
 * from nought even while packets arrive. Where the source cannot say what was taken, occupancy is the next best. */
static void nt_base_from_raw(struct nt_source_stats *base, const struct nt_source_stats *raw)
{
	*base = *raw;
	base->rx_occupancy = base->lost_with_holder = 0;
	base->updated_ns = 0;
	base->xdp_redirected = nt_arrived_before(raw, raw->xdp_redirected);
	base->offered = nt_arrived_before(raw, raw->offered);
	if (raw->xdp_redirected != NT_COUNT_UNKNOWN && raw->xdp_seen != NT_COUNT_UNKNOWN)
		base->xdp_seen = nt_seen_of(base);
}

/* What waited with a holder that is gone, or was on its way there, nobody takes any more. If the helper died before it could publish
 * the last tenth of a second, more came in than it said: at least what was taken. */
static void nt_close_holder(struct nt_source_counters *slot, uint64_t *came_in)
{
	struct nt_source_stats *last = &slot->stats;
	uint64_t arrived = nt_counters_taken(&slot->loop) + nt_dropped(last) + last->lost_with_holder;

	if (*came_in < arrived)
		*came_in = arrived;
	else
		last->lost_with_holder += *came_in - arrived;
	last->rx_occupancy = 0;
}

/* Whoever counted for the published figures is gone. They were not read at one instant, and will never be read again, so that what was
 * seen has to be brought into line too. What a generator made, or a file's reader read, and did not get into the ring went with the
 * process: as if it had never been. */
static void nt_close_old_figures(struct nt_source_counters *slot)
{
	struct nt_source_stats *last = &slot->stats;

	if (last->xdp_redirected != NT_COUNT_UNKNOWN) {
		nt_close_holder(slot, &last->xdp_redirected);
		if (last->xdp_seen != NT_COUNT_UNKNOWN)
			last->xdp_seen = nt_seen_of(last);
	} else if (last->offered != NT_COUNT_UNKNOWN) {
		if (slot->holder_id)
			nt_close_holder(slot, &last->offered);
		else
			last->offered = nt_counters_taken(&slot->loop);
	}
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

void nt_books_go_on(struct nt_source_counters *slot, uint64_t offered)
{
	nt_stats_words(&slot->base)[NT_STAT(offered)] = -offered;
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

/* What waits came after the last packet that was taken: each socket is first in, first out. */
void nt_books_end_intake(struct nt_source_counters *slot)
{
	struct nt_source_stats *stats = &slot->stats;

	if (stats->offered == NT_COUNT_UNKNOWN || stats->rx_occupancy == NT_COUNT_UNKNOWN)
		return;
	nt_store_relaxed(&stats->offered, stats->offered - stats->rx_occupancy);
	nt_store_relaxed(&stats->rx_occupancy, 0);
}
