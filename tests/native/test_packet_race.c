/* SPDX-License-Identifier: Apache-2.0 */
/* The packet source beside a kernel that hands blocks over at any moment: between any two of its looks, too. */
#include "atomic.h"
#include "clock.h"
#include "packet_fixture.h"

#include <pthread.h>
#include <sched.h>

#define BLOCKS 100000u
#define DEADLINE_NS 60000000000

static struct tpacket_hdr_v1 *active_block(void)
{
	return &kernel_block(&kernel, kernel.active)->hdr.bh1;
}

/* One packet a block, as soon as there is a block to fill: the consumer is always at the newest, and looks while it is handed over. */
static void *hand_over(void *argument)
{
	(void)argument;
	for (uint32_t number = 0; number < BLOCKS; number++) {
		while (__atomic_load_n(&active_block()->block_status, __ATOMIC_ACQUIRE) != TP_STATUS_KERNEL)
			sched_yield();
		if (number)
			kernel_open_block(&kernel);
		receive(number);
		kernel.last->tp_next_offset = 0;
		kernel.last = NULL;
		__atomic_store_n(&active_block()->block_status, TP_STATUS_USER, __ATOMIC_RELEASE);
		kernel.active = (kernel.active + 1) % KERNEL_BLOCKS;
	}
	return NULL;
}

static void a_block_that_is_handed_over_between_two_looks_is_read(void **state)
{
	struct nt_source *source = adopt();
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;
	uint32_t next = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, hand_over, NULL), 0);
	while (next < BLOCKS && nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
		next = take(source, next);
	assert_int_equal(next, BLOCKS);
	pthread_join(thread, NULL);
	nt_source_close(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_block_that_is_handed_over_between_two_looks_is_read, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
