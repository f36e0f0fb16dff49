/* SPDX-License-Identifier: Apache-2.0 */
#include "ring_readers.h"

#include "../atomic.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

void nt_bench_pin(int core)
{
	cpu_set_t set;

	if (core < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *nt_bench_reader_thread(void *argument)
{
	struct nt_bench_reader *self = argument;

	nt_bench_pin(self->core);
	while (!self->error) {
		bool stopped = nt_load_acquire(self->stop); /* before the look: what was published until then is seen */

		if (nt_reader_next(&self->reader, &self->error))
			continue;
		if (stopped)
			break;
		sched_yield(); /* the others are on this core too */
	}
	return NULL;
}

static int nt_bench_reader_start(struct nt_bench_reader *self, const char *path, struct nt_fault *fault)
{
	int error = nt_ring_open(&self->ring, path, fault);

	if (error)
		return error;
	error = nt_reader_init(&self->reader, &self->ring, NT_RESUME_QUARTER, fault);
	if (!error)
		error = nt_reader_seek(&self->reader, NT_START_SEQUENCE, 1);
	if (!error)
		error = -pthread_create(&self->thread, NULL, nt_bench_reader_thread, self);
	if (error) {
		nt_reader_free(&self->reader);
		nt_ring_close(&self->ring);
		nt_fault_set(fault, error, "ring: cannot start a reader: %s", strerror(-error));
	}
	return error;
}

int nt_bench_readers_start(struct nt_bench_readers *readers, const struct nt_bench_ring_options *options, struct nt_fault *fault)
{
	char path[sizeof(options->ring.shm_directory) + sizeof(options->ring.name) + 8];
	int error = 0;

	snprintf(path, sizeof(path), "%s/%s.ring", options->ring.shm_directory, options->ring.name);
	while (!error && readers->running < options->readers) {
		struct nt_bench_reader *next = &readers->each[readers->running];

		next->stop = &readers->stop;
		next->core = options->reader_core;
		error = nt_bench_reader_start(next, path, fault);
		readers->running += !error;
	}
	return error;
}

void nt_bench_readers_stop(struct nt_bench_readers *readers, struct nt_bench_reader_result *results)
{
	nt_store_release(&readers->stop, 1);
	for (uint32_t at = 0; at < readers->running; at++) {
		struct nt_bench_reader *one = &readers->each[at];

		pthread_join(one->thread, NULL);
		results[at] = (struct nt_bench_reader_result){one->reader.records, one->reader.lost, one->error};
		nt_reader_free(&one->reader);
		nt_ring_close(&one->ring);
	}
}
