/* SPDX-License-Identifier: Apache-2.0 */
/* The thread beside the loop: it makes the system calls that the loop may not, and publishes what lies before the loop. */
#include "state.h"

#include "../atomic.h"

#include <string.h>

#define NT_WAKE_NS 10000000
#define NT_WAKES_PER_STATS 10

void nt_loop_publish_stats(struct nt_loop *loop)
{
	for (uint32_t at = 0; at < loop->inlet_count; at++) {
		struct nt_inlet *inlet = &loop->inlets[at];
		struct nt_source_stats raw;

		nt_source_stats_unknown(&raw);
		inlet->source->ops->read_stats(inlet->source, &raw);
		nt_books_publish(inlet->counters, &raw, loop->clock(CLOCK_REALTIME));
	}
}

static void nt_helper_wake(struct nt_loop *loop)
{
	for (uint32_t at = 0; at < loop->inlet_count; at++) {
		struct nt_source *source = loop->inlets[at].source;

		if (source->ops->wake)
			source->ops->wake(source);
	}
}

static void *nt_helper_run(void *argument)
{
	static const struct timespec pause = {.tv_nsec = NT_WAKE_NS};
	struct nt_loop *loop = argument;

	for (uint64_t turn = 1; !nt_load_acquire(&loop->helper_stop); turn++) {
		nt_helper_wake(loop);
		if (turn % NT_WAKES_PER_STATS == 0)
			nt_loop_publish_stats(loop);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	return NULL;
}

int nt_helper_start(struct nt_loop *loop, struct nt_fault *fault)
{
	int error = pthread_create(&loop->helper, NULL, nt_helper_run, loop);

	if (error)
		return nt_fault_set(fault, -error, "cannot start the capture loop's helper thread: %s", strerror(error));
	loop->helper_runs = true;
	return 0;
}

void nt_helper_stop(struct nt_loop *loop)
{
	if (!loop->helper_runs)
		return;
	nt_store_release(&loop->helper_stop, 1);
	pthread_join(loop->helper, NULL);
	loop->helper_runs = false;
}
