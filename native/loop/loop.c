/* SPDX-License-Identifier: Apache-2.0 */
/* The hot path, whole. It allocates nothing, logs nothing and, when it spins, makes no system call (seccomp.c proves it).
 *
 * A batch goes poll -> note -> publish -> count -> release. Killed anywhere in between, the successor finds the batch still in the
 * source, and by the note how much of it is in the ring (handover.c): no packet is lost, none stands twice. */
#include "stamp.h"

#include "../atomic.h"
#include "../clock.h"
#include "../ticks.h"

#include <errno.h>
#include <string.h>

#define NT_PREFETCH_BYTES 256u
#define NT_DRAIN_NS 1000000000
#define NT_WAIT_ONE_MS 20 /* the only source: a stop waits at most this long */
#define NT_WAIT_TURN_MS 1 /* one of several: the others wait meanwhile */
#define NT_NAP_NS 50000
#define NT_NAP_WORTH_PACKETS 8u /* in the poll before */

static inline void nt_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

/* The first bytes of a frame that is yet to be copied; a long one's rest is found by the processor itself. */
static inline void nt_loop_fetch(const struct nt_packet *packet)
{
	for (uint32_t at = 0; at < packet->capture_length && at < NT_PREFETCH_BYTES; at += 64)
		__builtin_prefetch(packet->data + at);
}

static inline uint32_t nt_delay_bucket(int64_t delay_ns)
{
	uint32_t bucket = delay_ns < 1 ? 0 : 64 - (uint32_t)__builtin_clzll((uint64_t)delay_ns);

	return bucket < NT_DELAY_BUCKETS ? bucket : NT_DELAY_BUCKETS - 1;
}

static inline uint32_t nt_batch_bucket(uint32_t packets)
{
	uint32_t bucket = 31 - (uint32_t)__builtin_clz(packets);

	return bucket < NT_BATCH_BUCKETS ? bucket : NT_BATCH_BUCKETS - 1;
}

/* How long ago the stamp was when the packet was polled. */
static inline int32_t nt_loop_delay(struct nt_loop_counters *total, int64_t delay_ns, struct nt_batch_sums *sums)
{
	if (delay_ns > 0 && (uint64_t)delay_ns > sums->delay_max_ns)
		sums->delay_max_ns = (uint64_t)delay_ns;
	nt_count(&total->delay_histogram[nt_delay_bucket(delay_ns)], 1);
	return nt_rx_delay_saturate(delay_ns);
}

/* Copies one packet into its place in the ring. */
static inline void nt_loop_put(struct nt_loop *loop, struct nt_inlet *inlet, const struct nt_packet *packet,
			       const struct nt_poll_time *now, struct nt_batch_sums *sums)
{
	uint16_t flags = packet->flags;
	struct nt_record *record = nt_writer_next(&loop->writer, nt_record_bytes_beside_frame(flags) + packet->capture_length);
	uint8_t ts_kind = NT_TS_USER;
	int32_t rx_delay_ns = NT_RX_DELAY_UNKNOWN;
	int64_t ts_ns = now->utc_ns;

	if (packet->stamp_clock != NT_CLOCK_UNKNOWN) {
		ts_kind = packet->ts_kind;
		ts_ns = packet->stamp_ns;
		flags |= nt_stamp_follow(&inlet->last_ts_ns[packet->flow_id], ts_ns, flags);
		if (ts_kind != NT_TS_FILE) /* when a file was read says nothing about its packets */
			rx_delay_ns = nt_loop_delay(&inlet->counters->loop, now->utc_ns - ts_ns, sums);
	}
	if (packet->capture_length < packet->wire_length)
		flags |= NT_RECORD_TRUNCATED;

	record->flags = flags;
	record->source = (uint8_t)inlet->slot;
	record->ts_kind = ts_kind;
	record->ts_ns = ts_ns;
	record->flow_seq = packet->flow_seq;
	record->flow_id = packet->flow_id;
	record->rx_delay_ns = rx_delay_ns;
	record->capture_length = packet->capture_length;
	record->wire_length = packet->wire_length;
	nt_sums_add(sums, record);
	memcpy(record + 1, packet->data, packet->capture_length);
	if (__builtin_expect(flags & NT_RECORD_RAW_STAMP, 0))
		memcpy((uint8_t *)(record + 1) + packet->capture_length, &packet->stamp_ns, NT_RECORD_RAW_STAMP_BYTES);
}

/* Leaves out what must not go into the ring; the others keep their order, and have their stamps judged. Returns how many go, with their
 * records' lengths. */
static uint32_t nt_loop_choose(struct nt_loop *loop, struct nt_inlet *inlet, const struct nt_packet **chosen, uint32_t *lengths,
			       struct nt_poll_time *now, struct nt_batch_sums *sums)
{
	const struct nt_stamp_interval interval = nt_stamp_interval_of(loop, inlet, now);
	uint64_t frame_max = loop->ring->max_record_bytes - NT_RECORD_HEADER_BYTES;
	uint32_t count = 0;

	for (uint32_t at = 0; at < loop->batch.count; at++) {
		struct nt_packet *packet = &loop->batch.packets[at];
		bool fits = packet->capture_length <= frame_max;

		if (packet->flow_id > NT_RING_FLOWS_MAX)
			packet->flow_id = NT_FLOW_OTHER;
		if (fits && inlet->standing) {
			inlet->standing--;
			sums->repeated++;
			continue;
		}
		/* What does not fit leaves a gap, as what a wire lost. */
		if (inlet->source->numbers_flows)
			packet->flow_seq = ++loop->flow_seqs[packet->flow_id];
		if (!fits) {
			sums->oversize++;
			continue;
		}
		nt_stamp_judge(loop, packet, now, &interval);
		lengths[count] = nt_record_bytes_beside_frame(packet->flags) + packet->capture_length;
		chosen[count++] = packet;
	}
	return count;
}

static void nt_count_some(uint64_t *counter, uint64_t increment)
{
	if (increment)
		nt_count(counter, increment);
}

/* `packets` first: handover.c mends it, should we die right before. */
void nt_loop_account(struct nt_loop_counters *total, const struct nt_batch_sums *sums)
{
	nt_count_some(&total->packets, sums->packets);
	nt_count_some(&total->oversize, sums->oversize);
	nt_count_some(&total->unselected, sums->unselected);
	nt_count_some(&total->bytes, sums->bytes);
	nt_count_some(&total->repeated, sums->repeated);
	nt_count_some(&total->unstamped, sums->unstamped);
	nt_count_some(&total->backwards, sums->backwards);
	nt_count_some(&total->other, sums->other);
	nt_count_some(&total->unparsed, sums->unparsed);
	nt_count_some(&total->bad_stamps, sums->bad_stamps);
	if (sums->delay_max_ns > total->delay_max_ns)
		nt_store_relaxed(&total->delay_max_ns, sums->delay_max_ns);
	if (sums->packets)
		__atomic_store_n(&total->last_packet_ns, sums->last_packet_ns, __ATOMIC_RELAXED);
}

static void nt_loop_count_poll(struct nt_loop_counters *total, uint32_t polled)
{
	nt_count(&total->polls_busy, 1);
	if (!polled)
		return;
	nt_count(&total->batches, 1);
	nt_count(&total->batch_histogram[nt_batch_bucket(polled)], 1);
}

/* Puts the polled batch into the ring, in as many publications as the ring's largest batch makes of it. */
static int nt_loop_take(struct nt_loop *loop, struct nt_inlet *inlet)
{
	const struct nt_packet *chosen[NT_BATCH_PACKETS];
	uint32_t lengths[NT_BATCH_PACKETS];
	struct nt_batch_sums sums = {.unselected = loop->batch.unselected};
	const uint32_t ahead = loop->options.prefetch;
	struct nt_poll_time now;
	uint32_t count;

	/* Before the clock is read, which takes as long as it takes them to come. */
	for (uint32_t at = 0; at < ahead && at < loop->batch.count; at++)
		nt_loop_fetch(&loop->batch.packets[at]);
	nt_poll_time_read(&now, loop->clock);
	if (!inlet->standing) /* else the predecessor's note goes on: this is its batch */
		nt_inlet_note(inlet);
	__atomic_store_n(&loop->seen_ns, now.utc_ns, __ATOMIC_RELAXED);
	if (loop->batch.count)
		nt_stamp_notice(inlet, &loop->batch.packets[loop->batch.count - 1]);
	count = nt_loop_choose(loop, inlet, chosen, lengths, &now, &sums);
	for (uint32_t done = 0; done < count;) {
		uint32_t end = done + nt_writer_reserve(&loop->writer, lengths + done, count - done);

		if (end == done)
			return -EMSGSIZE; /* what max_record_bytes allows fits into any batch: the ring is not what it says */
		for (; done < end; done++) {
			if (ahead && done + ahead < count)
				nt_loop_fetch(chosen[done + ahead]);
			nt_loop_put(loop, inlet, chosen[done], &now, &sums);
		}
		nt_writer_publish(&loop->writer);
	}
	nt_loop_account(&inlet->counters->loop, &sums);
	nt_loop_count_poll(&inlet->counters->loop, loop->batch.count);
	loop->newest_batch = loop->batch.count;
	return 0;
}

/* One inlet's turn: true when it brought packets, selected or not. */
static bool nt_loop_turn(struct nt_loop *loop, struct nt_inlet *inlet)
{
	struct nt_source *source = inlet->source;
	int64_t seen_ns = __atomic_load_n(&loop->seen_ns, __ATOMIC_RELAXED); /* before the poll: what is empty, was so later */
	int got;

	loop->batch.count = loop->batch.unselected = 0;
	/* The predecessor's batches may have been larger, and what stands of one has to come at once: its note names no part. */
	loop->batch.limit = inlet->standing ? NT_BATCH_PACKETS : loop->options.batch;
	got = source->ops->poll(source, &loop->batch);
	if (got > 0 || (!got && loop->batch.unselected)) {
		got = nt_loop_take(loop, inlet);
		if (!got) {
			source->ops->release(source, &loop->batch);
			return true;
		}
	}
	if (!got) {
		nt_count(&inlet->counters->loop.polls_idle, 1);
		inlet->drained = true;
		inlet->empty_ns = seen_ns;
		return false;
	}
	inlet->ended = true;
	if (got != -ENODATA) {
		loop->error = got;
		loop->broken = source;
	}
	return false;
}

/* Nothing waited anywhere: spins, or lets the kernel wake us where sleeping is allowed. While much arrives a nap is cheaper, for the
 * sender's core too: being woken costs as much as ten packets, and would be paid for every few. */
static void nt_loop_idle(struct nt_loop *loop)
{
	static const struct timespec nap = {.tv_nsec = NT_NAP_NS};
	struct nt_inlet *inlet;

	if (!loop->options.sleep_idle) {
		nt_relax();
		return;
	}
	inlet = &loop->inlets[loop->wait_turn++ % loop->inlet_count];
	if (loop->newest_batch < NT_NAP_WORTH_PACKETS && inlet->source->ops->wait && !inlet->ended)
		inlet->source->ops->wait(inlet->source, loop->inlet_count == 1 ? NT_WAIT_ONE_MS : NT_WAIT_TURN_MS);
	else
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	loop->newest_batch = 0;
}

/* A generator or a file has no queue: what it has not made, or read, yet waits nowhere, and an endless one would never be drained. */
static bool nt_source_has_queue(const struct nt_source *source)
{
	return source->kind != NT_SOURCE_SYNTHETIC && source->kind != NT_SOURCE_PCAP;
}

static int64_t nt_loop_begin_drain(struct nt_loop *loop)
{
	for (uint32_t at = 0; at < loop->inlet_count; at++)
		loop->inlets[at].drained = !nt_source_has_queue(loop->inlets[at].source);
	return loop->clock(CLOCK_MONOTONIC) + NT_DRAIN_NS;
}

/* The ticks are the cheapest clock there is: some 10 ns a round, in which a busy one moves up to a batch for each source. */
static inline void nt_loop_begin_round(struct nt_loop *loop)
{
	uint64_t now = nt_ticks();

	if (__builtin_expect(now - loop->round_ticks >= loop->gap_ticks, 0))
		nt_gaps_count(loop, now - loop->round_ticks);
	loop->round_ticks = now;
}

void nt_loop_run(struct nt_loop *loop)
{
	int64_t drain_until_ns = 0; /* 0: not asked to stop */
	bool more = true;

	loop->round_ticks = nt_ticks();
	while (more) {
		bool busy = false;

		nt_loop_begin_round(loop);

		if (!drain_until_ns && (nt_load_acquire(&loop->stop) || loop->broken))
			drain_until_ns = nt_loop_begin_drain(loop);
		more = false;
		for (uint32_t at = 0; at < loop->inlet_count; at++) {
			struct nt_inlet *inlet = &loop->inlets[at];

			if (inlet->ended || (drain_until_ns && inlet->drained))
				continue;
			busy |= nt_loop_turn(loop, inlet);
			more |= !inlet->ended;
		}
		if (drain_until_ns)
			more &= loop->clock(CLOCK_MONOTONIC) < drain_until_ns;
		else if (!busy)
			nt_loop_idle(loop);
	}
	nt_store_release(&loop->ended, 1);
}
