/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's life: slots and books, start, stop. */
#include "state.h"

#include "../atomic.h"
#include "../clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NT_LINE_BYTES 128
#define NT_BATCH_DEFAULT 64u
#define NT_STAMP_BOUND_DEFAULT_NS 1000000000

/* Zeroed by hand and locked where allowed: the loop must not fault on its own memory. */
static void *nt_allocate_resident(size_t bytes)
{
	size_t rounded = (bytes + NT_LINE_BYTES - 1) / NT_LINE_BYTES * NT_LINE_BYTES;
	void *memory = aligned_alloc(NT_LINE_BYTES, rounded);

	if (memory) {
		memset(memory, 0, rounded);
		mlock(memory, rounded);
	}
	return memory;
}

static int nt_inlet_open(struct nt_loop *loop, struct nt_source *source, struct nt_fault *fault)
{
	struct nt_inlet *inlet = &loop->inlets[loop->inlet_count];
	int error =
		nt_ring_source_slot(loop->ring, source->name, source->interface, source->kind, source->queue, &inlet->slot, fault);

	if (error)
		return error;
	for (uint32_t other = 0; other < loop->inlet_count; other++)
		if (loop->inlets[other].slot == inlet->slot)
			return nt_fault_set(fault, -EEXIST, "source %s: expected once, found twice", source->name);
	inlet->last_ts_ns = nt_allocate_resident(NT_FLOW_IDS * sizeof(*inlet->last_ts_ns));
	if (!inlet->last_ts_ns)
		return nt_fault_set(fault, -ENOMEM, "source %s: no memory for its flows", source->name);
	inlet->source = source;
	inlet->counters = &loop->ring->sources[inlet->slot];
	loop->inlet_count++;
	return 0;
}

static void nt_inlet_open_books(struct nt_inlet *inlet, nt_clock_reader clock)
{
	struct nt_source *source = inlet->source;
	struct nt_source_stats raw;

	inlet->counters->zero_copy = source->zero_copy;
	inlet->counters->skb_mode = source->skb_mode;
	nt_stamps_tell(inlet, clock);
	nt_source_stats_unknown(&raw);
	source->ops->read_stats(source, &raw);
	nt_books_open(inlet->counters, source->holder_id, &raw);
	nt_books_publish(inlet->counters, &raw, clock(CLOCK_REALTIME));
}

/* Whoever reads the ring is told whether somebody counts, and why not where that is this host's doing. */
static void nt_loop_tell_filter(const struct nt_loop *loop, uint32_t mode, const char *reason)
{
	struct nt_ring_descriptor *ring = loop->ring->descriptor;

	snprintf(ring->seccomp_reason, sizeof(ring->seccomp_reason), "%s", reason);
	__atomic_store_n(&ring->seccomp, mode, __ATOMIC_RELEASE);
}

int nt_loop_create(struct nt_loop **created, struct nt_ring *ring, uint64_t next_seq, uint64_t holder_id,
		   struct nt_source *const *sources, uint32_t source_count, const struct nt_loop_options *options,
		   struct nt_fault *fault)
{
	struct nt_loop *loop;
	int error = 0;

	if (!source_count || source_count > NT_LOOP_SOURCES_MAX)
		return nt_fault_set(fault, -EINVAL, "sources: expected 1 to %u, found %u", NT_LOOP_SOURCES_MAX, source_count);
	if (options->batch > NT_BATCH_PACKETS)
		return nt_fault_set(fault, -EINVAL, "batch: expected 1 to %u, found %u", NT_BATCH_PACKETS, options->batch);
	loop = nt_allocate_resident(sizeof(*loop));
	if (!loop)
		return nt_fault_set(fault, -ENOMEM, "no memory for the capture loop");
	loop->ring = ring;
	loop->clock = nt_clock_ns;
	loop->listener = -1;
	loop->gap_ticks = UINT64_MAX;                  /* until its thread is started */
	nt_loop_tell_filter(loop, NT_SECCOMP_OFF, ""); /* not the predecessor's */
	loop->options = *options;
	loop->options.batch = options->batch ? options->batch : NT_BATCH_DEFAULT;
	loop->options.stamp_bound_ns = options->stamp_bound_ns ? options->stamp_bound_ns : NT_STAMP_BOUND_DEFAULT_NS;
	sem_init(&loop->settled, 0, 0);
	nt_writer_init(&loop->writer, ring, next_seq);
	for (uint32_t at = 0; !error && at < source_count; at++)
		error = nt_inlet_open(loop, sources[at], fault);
	if (!error)
		error = nt_loop_take_over(loop, next_seq, holder_id, fault);
	if (error) {
		nt_loop_destroy(loop);
		return error;
	}
	for (uint32_t at = 0; at < source_count; at++)
		nt_inlet_open_books(&loop->inlets[at], loop->clock);
	*created = loop;
	return 0;
}

/* On the loop's thread, when all else is done. Where its calls cannot be counted they go uncounted: to capture matters more. */
static int nt_loop_enter_filter(struct nt_loop *loop)
{
	uint32_t mode = loop->facts.seccomp;
	struct nt_fault why = {0};
	int listener = -1;
	int error = mode == NT_SECCOMP_OFF ? 0 : nt_seccomp_enter(mode, &listener, &why);

	__atomic_store_n(&loop->listener, listener, __ATOMIC_RELEASE);
	if (!error)
		return 0;
	if (mode == NT_SECCOMP_KILL)
		return nt_fault_set(&loop->start_fault, error,
				    "cannot forbid system calls to the capture loop: %s; set loop.seccomp = \"off\"", why.text);
	loop->facts.seccomp = NT_SECCOMP_OFF;
	snprintf(loop->facts.seccomp_reason, sizeof(loop->facts.seccomp_reason), "%.*s",
		 (int)sizeof(loop->facts.seccomp_reason) - 1, why.text);
	return 0;
}

static void *nt_loop_thread(void *argument)
{
	struct nt_loop *loop = argument;
	int error = nt_loop_place(loop, &loop->start_fault);

	if (!error)
		error = nt_loop_enter_filter(loop);
	sem_post(&loop->settled);
	if (!error)
		nt_loop_run(loop);
	return NULL;
}

static void nt_loop_choose_filter(struct nt_loop *loop)
{
	const char *obstacle = loop->options.seccomp == NT_SECCOMP_OFF ? "" : nt_seccomp_obstacle(loop);

	snprintf(loop->facts.seccomp_reason, sizeof(loop->facts.seccomp_reason), "%s", obstacle);
	loop->facts.seccomp = obstacle[0] ? NT_SECCOMP_OFF : loop->options.seccomp;
}

/* The helper first: from its filter on, the loop's thread may have to be answered. With every signal blocked: the threads inherit the
 * mask, and whoever called us goes on to take the signals. */
static int nt_loop_spawn(struct nt_loop *loop, struct nt_fault *fault)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = nt_helper_start(loop, fault);
	if (!error) {
		error = pthread_create(&loop->thread, NULL, nt_loop_thread, loop);
		if (error)
			error = nt_fault_set(fault, -error, "cannot start the capture loop's thread: %s", strerror(error));
		else
			loop->thread_runs = true;
	}
	while (loop->thread_runs && sem_wait(&loop->settled) < 0)
		continue;
	if (!error && loop->start_fault.error) {
		error = loop->start_fault.error;
		if (fault)
			*fault = loop->start_fault;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

int nt_loop_start(struct nt_loop *loop, struct nt_fault *fault)
{
	int error;

	nt_loop_choose_filter(loop);
	nt_gaps_open(loop);
	error = nt_loop_spawn(loop, fault);
	if (error)
		nt_loop_stop(loop);
	else
		nt_loop_tell_filter(loop, loop->facts.seccomp, nt_seccomp_needless(loop)[0] ? "" : loop->facts.seccomp_reason);
	return error;
}

const struct nt_loop_facts *nt_loop_facts(const struct nt_loop *loop)
{
	return &loop->facts;
}

int nt_loop_stop(struct nt_loop *loop)
{
	bool ran = loop->thread_runs;

	nt_store_release(&loop->stop, 1);
	if (loop->thread_runs)
		pthread_join(loop->thread, NULL);
	loop->thread_runs = false;
	nt_helper_stop(loop);
	if (ran)
		nt_loop_publish_stats(loop);
	return loop->error;
}

void nt_loop_end_intake(struct nt_loop *loop)
{
	for (uint32_t at = 0; at < loop->inlet_count; at++)
		if (loop->inlets[at].source->kind == NT_SOURCE_PACKET && loop->inlets[at].drained)
			nt_books_end_intake(loop->inlets[at].counters);
}

bool nt_loop_ended(const struct nt_loop *loop)
{
	return nt_load_acquire(&loop->ended);
}

const struct nt_source *nt_loop_broken(const struct nt_loop *loop)
{
	return loop->broken;
}

void nt_loop_destroy(struct nt_loop *loop)
{
	if (!loop)
		return;
	if (loop->thread_runs)
		nt_loop_stop(loop);
	for (uint32_t at = 0; at < NT_LOOP_SOURCES_MAX; at++)
		free(loop->inlets[at].last_ts_ns);
	sem_destroy(&loop->settled);
	free(loop);
}
