/* SPDX-License-Identifier: Apache-2.0 */
#include "ring_run.h"

#include "../atomic.h"
#include "../clock.h"
#include "../source/frame.h"
#include "ring_readers.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define NT_LOOK_NS 1000000
#define NT_CHECKED_RECORDS 1000u

/* The memory source with a clock around it: when it was first asked, and when it had come to its end. */
struct nt_timed_source {
	struct nt_source source;
	struct nt_source *inner;
	int64_t began_ns, ended_ns; /* CLOCK_MONOTONIC */
};

struct nt_bench_ring {
	const struct nt_bench_ring_options *options;
	struct nt_bench_ring_result *result;
	struct nt_fault *fault;
	struct nt_ring ring;
	uint64_t next_seq;
	struct nt_timed_source timed;
	struct nt_loop *loop;
	struct nt_bench_readers readers;
};

static int nt_timed_poll(struct nt_source *source, struct nt_batch *batch)
{
	struct nt_timed_source *self = (struct nt_timed_source *)source;
	int got;

	if (!self->began_ns)
		self->began_ns = nt_clock_ns(CLOCK_MONOTONIC);
	got = self->inner->ops->poll(self->inner, batch);
	if (got == -ENODATA)
		self->ended_ns = nt_clock_ns(CLOCK_MONOTONIC);
	return got;
}

static void nt_timed_release(struct nt_source *source, const struct nt_batch *batch)
{
	struct nt_timed_source *self = (struct nt_timed_source *)source;

	self->inner->ops->release(self->inner, batch);
}

static void nt_timed_read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	struct nt_timed_source *self = (struct nt_timed_source *)source;

	self->inner->ops->read_stats(self->inner, stats);
}

static int nt_bench_ring_source(struct nt_bench_ring *bench)
{
	static const struct nt_source_ops ops = {.poll = nt_timed_poll,
						 .release = nt_timed_release,
						 .read_stats = nt_timed_read_stats};
	const struct nt_plan_source plan = {
		.kind = NT_SOURCE_SYNTHETIC,
		.interface = "memory",
		.synthetic_frame_bytes = bench->options->frame_bytes,
		.synthetic_count = bench->options->packets,
	};
	int error = nt_synthetic_open(&bench->timed.inner, &plan, NULL, 0, bench->fault);

	if (error)
		return error;
	bench->timed.source = *bench->timed.inner;
	bench->timed.source.ops = &ops;
	return 0;
}

static int nt_bench_ring_loop(struct nt_bench_ring *bench)
{
	const struct nt_bench_ring_options *options = bench->options;
	const struct nt_loop_options wanted = {
		.core = options->core,
		.seccomp = NT_SECCOMP_KILL,
		.batch = options->batch,
		.prefetch = options->prefetch,
	};
	struct nt_source *sources[] = {&bench->timed.source};
	const struct timespec nap = {.tv_nsec = NT_LOOK_NS};
	int error = nt_loop_create(&bench->loop, &bench->ring, bench->next_seq, 0, sources, 1, &wanted, bench->fault);

	if (!error)
		error = nt_bench_readers_start(&bench->readers, options, bench->fault);
	if (!error)
		error = nt_loop_start(bench->loop, bench->fault);
	while (!error && !nt_loop_ended(bench->loop))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	if (!error) {
		bench->result->seccomp = nt_loop_facts(bench->loop)->seccomp;
		error = nt_loop_stop(bench->loop);
	}
	nt_bench_readers_stop(&bench->readers, bench->result->readers);
	if (!error)
		bench->result->ring_ns = (double)(bench->timed.ended_ns - bench->timed.began_ns) / (double)options->packets;
	return error;
}

static bool nt_bench_is_as_made(const struct nt_record *record, uint32_t frame_bytes)
{
	const uint8_t *payload = (const uint8_t *)(record + 1) + NT_FRAME_HEADER_IPV4;
	uint64_t number;

	memcpy(&number, payload, sizeof(number));
	if (record->capture_length != frame_bytes || __builtin_bswap64(number) != record->ring_seq)
		return false;
	for (uint32_t at = sizeof(number); at < frame_bytes - NT_FRAME_HEADER_IPV4; at++)
		if (payload[at] != nt_synthetic_byte(record->ring_seq, at))
			return false;
	return true;
}

/* How many records are compared: half a ring at most, so that they are still there. */
static uint64_t nt_bench_wanted(const struct nt_bench_ring *bench)
{
	uint64_t held = bench->ring.capacity / 2 / nt_record_span(NT_RECORD_HEADER_BYTES + bench->options->frame_bytes);
	uint64_t wanted = held < NT_CHECKED_RECORDS ? held : NT_CHECKED_RECORDS;

	return wanted < bench->options->packets ? wanted : bench->options->packets;
}

/* Reads the newest records back, as any reader would. */
static int nt_bench_ring_check(struct nt_bench_ring *bench)
{
	struct nt_bench_ring_result *result = bench->result;
	uint64_t packets = bench->options->packets, wanted = nt_bench_wanted(bench);
	const struct nt_record *record;
	struct nt_reader reader;
	int error = nt_reader_init(&reader, &bench->ring, NT_RESUME_OLDEST, bench->fault);

	if (error)
		return error;
	error = nt_reader_seek(&reader, NT_START_SEQUENCE, packets - wanted + 1);
	while (!error && (record = nt_reader_next(&reader, &error))) {
		result->newest_seq = record->ring_seq;
		result->checked += nt_bench_is_as_made(record, bench->options->frame_bytes);
	}
	nt_reader_free(&reader);
	if (error || result->newest_seq != packets || result->checked != wanted)
		return nt_fault_set(bench->fault, -EILSEQ,
				    "ring: expected its newest %llu records up to %llu as they were made, found %llu up to %llu",
				    (unsigned long long)wanted, (unsigned long long)packets, (unsigned long long)result->checked,
				    (unsigned long long)result->newest_seq);
	return 0;
}

/* The ring's data are overwritten from here on: nobody reads them any more. */
static int nt_bench_ring_memcpy(struct nt_bench_ring *bench)
{
	uint32_t frame_bytes = bench->options->frame_bytes;
	uint64_t span = nt_record_span(NT_RECORD_HEADER_BYTES + frame_bytes), at = 0, left = bench->options->packets;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	struct nt_plan_source plan = {.kind = NT_SOURCE_SYNTHETIC, .interface = "memory", .synthetic_frame_bytes = frame_bytes};
	struct nt_source *source;
	int error = nt_synthetic_open(&source, &plan, NULL, 0, bench->fault);
	int64_t began_ns;

	if (error)
		return error;
	source->ops->poll(source, &batch);
	nt_bench_pin(bench->options->core);
	began_ns = nt_clock_ns(CLOCK_MONOTONIC);
	while (left) {
		uint32_t count = left < batch.count ? (uint32_t)left : batch.count;

		for (uint32_t packet = 0; packet < count; packet++) {
			if (at + span > bench->ring.capacity)
				at = 0;
			memcpy(bench->ring.data + at + NT_RECORD_HEADER_BYTES, batch.packets[packet].data, frame_bytes);
			at += span;
		}
		left -= count;
	}
	bench->result->memcpy_ns = (double)(nt_clock_ns(CLOCK_MONOTONIC) - began_ns) / (double)bench->options->packets;
	nt_source_close(source);
	return 0;
}

static int nt_bench_ring_measure(struct nt_bench_ring *bench)
{
	int error = nt_bench_ring_source(bench);

	if (error)
		return error;
	nt_bench_pin(bench->options->reader_core);
	error = nt_bench_ring_loop(bench);
	if (!error)
		error = nt_bench_ring_check(bench);
	if (!error)
		error = nt_bench_ring_memcpy(bench);
	nt_loop_destroy(bench->loop);
	nt_source_close(bench->timed.inner);
	return error;
}

int nt_bench_ring_run(const struct nt_bench_ring_options *options, struct nt_bench_ring_result *result, struct nt_fault *fault)
{
	struct nt_bench_ring bench = {.options = options, .result = result, .fault = fault};
	int error = nt_ring_attach_writer(&bench.ring, &options->ring, 0, &bench.next_seq, fault);

	if (error)
		return error;
	result->memory_kind = bench.ring.descriptor->memory_kind;
	error = nt_bench_ring_measure(&bench);
	nt_ring_close(&bench.ring);
	nt_ring_remove(options->ring.shm_directory, options->ring.name, NULL);
	return error;
}
