/* SPDX-License-Identifier: Apache-2.0 */
/* The receivers over the lane that the plan's holder lends. The stamp is the XDP program's, CLOCK_TAI. */
#include "latency.h"

#include "../clock.h"
#include "../holder/lend.h"
#include "../loop/loop.h"
#include "../ring/reader.h"
#include "../source/afxdp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct nt_lane {
	struct nt_borrowed borrowed;
	struct nt_source *source;
};

static int lane_open(struct nt_lane *lane, const struct nt_latency *run, struct nt_fault *fault)
{
	int error;

	memset(lane, 0, sizeof(*lane));
	error = nt_borrow(&lane->borrowed, run->plan.header->holder_socket, fault);
	if (error)
		return error;
	if (lane->borrowed.lanes[0].facts.kind != NT_SOURCE_AFXDP)
		error = nt_fault_set(fault, -EPROTO, "%s: expected a holder that lends AF_XDP, found another source",
				     run->plan.header->holder_socket);
	if (!error)
		error = nt_afxdp_adopt(&lane->source, &lane->borrowed.lanes[0], lane->borrowed.holder_id, fault);
	if (error)
		nt_borrow_end(&lane->borrowed);
	return error;
}

static void lane_close(struct nt_lane *lane)
{
	nt_source_close(lane->source);
	nt_borrow_end(&lane->borrowed);
}

static void add_batch(struct nt_samples *samples, const struct nt_batch *batch)
{
	int64_t now_ns = nt_clock_ns(CLOCK_TAI);

	for (uint32_t at = 0; at < batch->count; at++)
		nt_samples_add(samples, now_ns - batch->packets[at].stamp_ns);
}

static int bare_run(struct nt_latency *run, struct nt_source *source, struct nt_fault *fault)
{
	static struct nt_batch batch;
	int got = 0;

	batch.limit = run->plan.header->batch;
	while (got > 0 || (got == 0 && !nt_latency_is_over(run))) {
		batch.count = batch.unselected = 0;
		got = source->ops->poll(source, &batch);
		if (got <= 0)
			continue;
		add_batch(&run->samples, &batch);
		source->ops->release(source, &batch);
	}
	return got < 0 ? nt_fault_set(fault, got, "%s: the source broke: %s", source->name, strerror(-got)) : 0;
}

int nt_latency_bare(struct nt_latency *run, struct nt_fault *fault)
{
	struct nt_lane lane;
	int error = lane_open(&lane, run, fault);

	if (error)
		return error;
	error = nt_latency_pin(run->plan.header->core, fault);
	if (!error) {
		nt_latency_sender_go(run);
		error = bare_run(run, lane.source, fault);
	}
	lane_close(&lane);
	return error;
}

/* Stands before a source and looks at the clock when the loop gives a batch back: then it is published, and counted, too. */
struct nt_watched {
	struct nt_source source;
	struct nt_source *inner;
	struct nt_samples *samples; /* NULL: somebody else looks */
};

static struct nt_watched *own(struct nt_source *source)
{
	return (struct nt_watched *)source; /* it is the first member */
}

static int watched_poll(struct nt_source *source, struct nt_batch *batch)
{
	struct nt_source *inner = own(source)->inner;

	return inner->ops->poll(inner, batch);
}

static void watched_release(struct nt_source *source, const struct nt_batch *batch)
{
	struct nt_source *inner = own(source)->inner;

	if (own(source)->samples)
		add_batch(own(source)->samples, batch);
	inner->ops->release(inner, batch);
}

static void watched_read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	struct nt_source *inner = own(source)->inner;

	inner->ops->read_stats(inner, stats);
}

static void watched_wake(struct nt_source *source)
{
	struct nt_source *inner = own(source)->inner;

	inner->ops->wake(inner);
}

static uint64_t watched_position(const struct nt_source *source)
{
	const struct nt_source *inner = ((const struct nt_watched *)source)->inner;

	return inner->ops->position(inner);
}

static void watched_close(struct nt_source *source)
{
	(void)source; /* the inner one is the lane's */
}

static const struct nt_source_ops watched_ops = {
	.poll = watched_poll,
	.release = watched_release,
	.read_stats = watched_read_stats,
	.wake = watched_wake,
	.position = watched_position,
	.close = watched_close,
};

static void watched_make(struct nt_watched *watched, struct nt_source *inner, struct nt_samples *samples)
{
	watched->source = *inner;
	watched->source.ops = &watched_ops;
	watched->inner = inner;
	watched->samples = samples;
}

static int loop_run(struct nt_latency *run, struct nt_ring *ring, uint64_t next_seq, struct nt_source *source, uint64_t holder_id,
		    struct nt_fault *fault)
{
	const struct nt_plan_header *header = run->plan.header;
	const struct nt_loop_options options = {
		.core = header->core,
		.realtime = (int)header->realtime,
		.seccomp = header->seccomp,
		.batch = header->batch,
		.prefetch = header->prefetch,
	};
	struct nt_loop *loop;
	int error = nt_loop_create(&loop, ring, next_seq, holder_id, &source, 1, &options, fault);

	if (error)
		return error;
	/* The helper inherits it: as on a host whose isolated cores are left alone, it works beside the loop's core. */
	error = nt_latency_pin(run->options.sender_core, fault);
	if (!error)
		error = nt_loop_start(loop, fault);
	if (!error) {
		run->caged = nt_loop_facts(loop)->seccomp != NT_SECCOMP_OFF;
		nt_latency_sender_go(run);
		error = nt_latency_sender_join(run, fault);
		nt_loop_stop(loop);
	}
	nt_loop_destroy(loop);
	return error;
}

/* The holder's packets go into a ring like any other; `opened`, if given, prepares whoever reads it. */
static int capture(struct nt_latency *run, struct nt_samples *samples,
		   int (*opened)(struct nt_latency *run, struct nt_fault *fault), struct nt_fault *fault)
{
	const struct nt_ring_options *wanted = &run->plan.header->ring;
	struct nt_lane lane;
	struct nt_ring ring;
	struct nt_watched watched;
	uint64_t next_seq;
	int error = lane_open(&lane, run, fault);

	if (error)
		return error;
	error = nt_ring_attach_writer(&ring, wanted, lane.borrowed.holder_id, &next_seq, fault);
	if (!error) {
		run->rings = true;
		run->huge = ring.descriptor->memory_kind != NT_MEMORY_SHM;
		watched_make(&watched, lane.source, samples);
		error = opened ? opened(run, fault) : 0;
		if (!error)
			error = loop_run(run, &ring, next_seq, &watched.source, lane.borrowed.holder_id, fault);
		nt_ring_close(&ring);
	}
	lane_close(&lane);
	return error;
}

int nt_latency_loop(struct nt_latency *run, struct nt_fault *fault)
{
	return capture(run, &run->samples, NULL, fault);
}

struct nt_spinning_reader {
	struct nt_ring ring;
	struct nt_reader reader;
};

/* In the sender's thread, while it waits for the next packet's time. */
static void read_some(struct nt_latency *run)
{
	struct nt_spinning_reader *spinning = run->receiver;
	const struct nt_record *record = nt_reader_next(&spinning->reader, NULL);

	if (record)
		nt_samples_add(&run->samples, nt_clock_ns(CLOCK_REALTIME) - record->ts_ns);
}

static int reader_open(struct nt_latency *run, struct nt_fault *fault)
{
	struct nt_spinning_reader *spinning = run->receiver;
	const struct nt_ring_options *wanted = &run->plan.header->ring;
	char path[sizeof(wanted->shm_directory) + sizeof(wanted->name) + 8];
	int error;

	snprintf(path, sizeof(path), "%s/%s.ring", wanted->shm_directory, wanted->name);
	error = nt_ring_open(&spinning->ring, path, fault);
	if (error)
		return error;
	error = nt_reader_init(&spinning->reader, &spinning->ring, NT_RESUME_QUARTER, fault);
	if (error)
		nt_ring_close(&spinning->ring);
	else
		run->meanwhile = read_some;
	return error;
}

int nt_latency_reader(struct nt_latency *run, struct nt_fault *fault)
{
	struct nt_spinning_reader spinning;
	int error;

	run->receiver = &spinning;
	error = capture(run, NULL, reader_open, fault);
	if (run->meanwhile) { /* the sender's thread has ended, or was never let go */
		nt_reader_free(&spinning.reader);
		nt_ring_close(&spinning.ring);
	}
	return error;
}
