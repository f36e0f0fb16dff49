/* SPDX-License-Identifier: Apache-2.0 */
/* The hot path, whole. It allocates nothing, logs nothing and, when it spins, makes no system call (seccomp.c proves it).
 *
 * A batch goes poll -> publish -> count -> release. Killed anywhere in between, the successor finds either nothing in the ring and
 * the batch still in the source, or the batch in both, which handover.c sees: no packet is lost, none stands twice. */
#include "state.h"

#include "../atomic.h"
#include "../clock.h"

#include <errno.h>
#include <string.h>

#define NT_PREFETCH_BYTES 256u
#define NT_DRAIN_NS 1000000000
#define NT_WAIT_ONE_MS 20 /* the only source: a stop waits at most this long */
#define NT_WAIT_TURN_MS 1 /* one of several: the others wait meanwhile */
#define NT_NAP_NS 50000

/* What one batch adds to the counters. */
struct nt_batch_sums {
	uint64_t packets, bytes, oversize, repeated, unstamped, backwards, delay_max_ns;
	int64_t last_packet_ns;
};

static inline void nt_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

static inline void nt_prefetch_frame(const struct nt_packet *packet)
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

/* Copies one packet into its place in the ring. */
static inline void nt_loop_put(struct nt_loop *loop, struct nt_inlet *inlet, const struct nt_packet *packet,
			       struct nt_poll_time *now, struct nt_batch_sums *sums)
{
	struct nt_record *record = nt_writer_next(&loop->writer, NT_RECORD_HEADER_BYTES + packet->capture_length);
	struct nt_flow_trace *trace = &inlet->flows[packet->flow_id];
	uint16_t flags = packet->flags;
	uint8_t ts_kind = packet->ts_kind;
	int32_t rx_delay_ns = NT_RX_DELAY_UNKNOWN;
	int64_t ts_ns = now->utc_ns;

	if (packet->stamp_clock == NT_CLOCK_UNKNOWN) {
		flags |= NT_RECORD_UNSTAMPED;
		ts_kind = NT_TS_USER;
		sums->unstamped++;
	} else {
		int64_t delay_ns;

		ts_ns = nt_poll_time_to_utc(now, loop->clock, packet->stamp_clock, packet->stamp_ns);
		delay_ns = now->utc_ns - ts_ns;
		rx_delay_ns = nt_rx_delay_saturate(delay_ns);
		if (delay_ns > 0 && (uint64_t)delay_ns > sums->delay_max_ns)
			sums->delay_max_ns = (uint64_t)delay_ns;
		nt_count(&inlet->counters->loop.delay_histogram[nt_delay_bucket(delay_ns)], 1);
		if (ts_ns < trace->last_ts_ns) {
			flags |= NT_RECORD_BACKWARDS;
			sums->backwards++;
		}
		trace->last_ts_ns = ts_ns;
	}
	if (packet->capture_length < packet->wire_length)
		flags |= NT_RECORD_TRUNCATED;
	sums->last_packet_ns = ts_ns;
	sums->bytes += packet->capture_length;

	record->flags = flags;
	record->source = (uint8_t)inlet->slot;
	record->ts_kind = ts_kind;
	record->ts_ns = ts_ns;
	record->flow_seq = packet->flow_seq;
	record->flow_id = packet->flow_id;
	record->rx_delay_ns = rx_delay_ns;
	record->capture_length = packet->capture_length;
	record->wire_length = packet->wire_length;
	memcpy(record + 1, packet->data, packet->capture_length);
}

/* Leaves out what must not go into the ring; the others keep their order. Returns how many go, with their records' lengths. */
static uint32_t nt_loop_choose(struct nt_loop *loop, struct nt_inlet *inlet, const struct nt_packet **chosen, uint32_t *lengths,
			       struct nt_batch_sums *sums)
{
	uint64_t frame_max = loop->ring->max_record_bytes - NT_RECORD_HEADER_BYTES;
	uint32_t count = 0;

	for (uint32_t at = 0; at < loop->batch.count; at++) {
		struct nt_packet *packet = &loop->batch.packets[at];

		if (packet->flow_id > NT_RING_FLOWS_MAX)
			packet->flow_id = NT_FLOW_OTHER;
		if (inlet->may_repeat && packet->flow_seq && packet->flow_seq <= inlet->flows[packet->flow_id].highest_seq) {
			sums->repeated++;
		} else if (packet->capture_length > frame_max) {
			sums->oversize++;
		} else {
			nt_prefetch_frame(packet);
			lengths[count] = NT_RECORD_HEADER_BYTES + packet->capture_length;
			chosen[count++] = packet;
		}
	}
	inlet->may_repeat = false;
	return count;
}

/* The sums of one batch go into shared memory at once. `packets` first: handover.c mends it, should we die right before. */
static void nt_loop_account(struct nt_inlet *inlet, uint32_t polled, const struct nt_batch_sums *sums)
{
	struct nt_loop_counters *total = &inlet->counters->loop;

	nt_count(&total->packets, sums->packets);
	nt_count(&total->bytes, sums->bytes);
	nt_count(&total->batches, 1);
	nt_count(&total->polls_busy, 1);
	nt_count(&total->batch_histogram[nt_batch_bucket(polled)], 1);
	if (sums->oversize)
		nt_count(&total->oversize, sums->oversize);
	if (sums->repeated)
		nt_count(&total->repeated, sums->repeated);
	if (sums->unstamped)
		nt_count(&total->unstamped, sums->unstamped);
	if (sums->backwards)
		nt_count(&total->backwards, sums->backwards);
	if (sums->delay_max_ns > total->delay_max_ns)
		nt_store_relaxed(&total->delay_max_ns, sums->delay_max_ns);
	if (sums->packets)
		__atomic_store_n(&total->last_packet_ns, sums->last_packet_ns, __ATOMIC_RELAXED);
}

/* Puts the polled batch into the ring, in as many publications as the ring's largest batch makes of it. */
static int nt_loop_take(struct nt_loop *loop, struct nt_inlet *inlet)
{
	const struct nt_packet *chosen[NT_BATCH_PACKETS];
	uint32_t lengths[NT_BATCH_PACKETS];
	struct nt_batch_sums sums = {0};
	struct nt_poll_time now;
	uint32_t count;

	nt_poll_time_read(&now, loop->clock);
	count = nt_loop_choose(loop, inlet, chosen, lengths, &sums);
	for (uint32_t done = 0; done < count;) {
		uint32_t end = done + nt_writer_reserve(&loop->writer, lengths + done, count - done);

		if (end == done)
			return -EMSGSIZE; /* what max_record_bytes allows fits into any batch: the ring is not what it says */
		sums.packets += end - done;
		while (done < end)
			nt_loop_put(loop, inlet, chosen[done++], &now, &sums);
		nt_writer_publish(&loop->writer);
	}
	nt_loop_account(inlet, loop->batch.count, &sums);
	return 0;
}

/* One inlet's turn: true when it brought packets. */
static bool nt_loop_turn(struct nt_loop *loop, struct nt_inlet *inlet)
{
	struct nt_source *source = inlet->source;
	int got = source->ops->poll(source, &loop->batch);

	if (got > 0) {
		got = nt_loop_take(loop, inlet);
		if (!got) {
			source->ops->release(source, &loop->batch);
			return true;
		}
	}
	if (!got) {
		nt_count(&inlet->counters->loop.polls_idle, 1);
		inlet->drained = true;
		return false;
	}
	inlet->ended = true;
	if (got != -ENODATA) {
		loop->error = got;
		loop->broken = source;
	}
	return false;
}

/* Nothing waited anywhere: spins, or lets the kernel wake us where sleeping is allowed. */
static void nt_loop_idle(struct nt_loop *loop)
{
	static const struct timespec nap = {.tv_nsec = NT_NAP_NS};
	struct nt_inlet *inlet;

	if (!loop->options.sleep_idle) {
		nt_relax();
		return;
	}
	inlet = &loop->inlets[loop->wait_turn++ % loop->inlet_count];
	if (inlet->source->ops->wait && !inlet->ended)
		inlet->source->ops->wait(inlet->source, loop->inlet_count == 1 ? NT_WAIT_ONE_MS : NT_WAIT_TURN_MS);
	else
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

/* A generator has no queue: what it has not made yet waits nowhere, and an endless one would never be drained. */
static int64_t nt_loop_begin_drain(struct nt_loop *loop)
{
	for (uint32_t at = 0; at < loop->inlet_count; at++)
		loop->inlets[at].drained = loop->inlets[at].source->kind == NT_SOURCE_SYNTHETIC;
	return loop->clock(CLOCK_MONOTONIC) + NT_DRAIN_NS;
}

void nt_loop_run(struct nt_loop *loop)
{
	int64_t drain_until_ns = 0; /* 0: not asked to stop */
	bool more = true;

	while (more) {
		bool busy = false;

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
