/* SPDX-License-Identifier: Apache-2.0 */
/* The thread beside the loop: it makes the system calls that the loop may not, publishes what lies before the loop, and answers for the
 * system calls that the loop makes all the same. */
#include "state.h"

#include "../atomic.h"
#include "../clock.h"
#include "system_calls.h"

#include <string.h>
#include <unistd.h>

#define NT_WAKE_NS 10000000
#define NT_WAKES_PER_STATS 10

void nt_loop_publish_stats(struct nt_loop *loop)
{
	for (uint32_t at = 0; at < loop->inlet_count; at++) {
		struct nt_inlet *inlet = &loop->inlets[at];
		struct nt_source_stats raw;

		nt_source_stats_unknown(&raw);
		inlet->source->ops->read_stats(inlet->source, &raw);
		nt_stamps_tell(inlet, loop->clock);
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

static void nt_helper_close_listener(struct nt_loop *loop)
{
	int listener = __atomic_exchange_n(&loop->listener, -1, __ATOMIC_ACQ_REL);

	if (listener >= 0)
		close(listener);
}

/* Until the next turn. A system call that the loop makes meanwhile is let through at once. */
static void nt_helper_rest(struct nt_loop *loop)
{
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + NT_WAKE_NS, left_ns;

	while ((left_ns = until_ns - nt_clock_ns(CLOCK_MONOTONIC)) > 0) {
		const struct timespec left = {.tv_nsec = left_ns};
		int listener = __atomic_load_n(&loop->listener, __ATOMIC_ACQUIRE);

		if (listener < 0)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &left, NULL);
		else if (!nt_system_calls_answer(listener, left_ns, loop->ring->descriptor))
			nt_helper_close_listener(loop);
	}
}

static void *nt_helper_run(void *argument)
{
	struct nt_loop *loop = argument;

	nt_helper_place(loop);
	for (uint64_t turn = 1; !nt_load_acquire(&loop->helper_stop); turn++) {
		nt_helper_wake(loop);
		__atomic_store_n(&loop->seen_ns, loop->clock(CLOCK_REALTIME), __ATOMIC_RELAXED);
		if (turn % NT_WAKES_PER_STATS == 0)
			nt_loop_publish_stats(loop);
		nt_helper_rest(loop);
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
	nt_helper_close_listener(loop);
}
