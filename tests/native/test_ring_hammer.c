/* SPDX-License-Identifier: Apache-2.0 */
#include "ring_hammer.h"

static void expect_exact_books(const struct hammer_reader *books, uint64_t next_seq)
{
	assert_int_equal(books->broken, 0);
	assert_int_equal(books->next_seq, next_seq);
	assert_int_equal(books->records + books->lost, next_seq - 1);
}

static void every_byte_is_right_and_the_books_are_exact_while_writers_are_killed(void **state)
{
	struct hammer *hammer = *state;
	uint64_t next_seq = hammer_run(hammer, HAMMER_KILLS);

	print_message("%llu records; fast: %llu lost in %llu events; slow: %llu lost in %llu events\n",
		      (unsigned long long)next_seq - 1, (unsigned long long)hammer->fast.lost,
		      (unsigned long long)hammer->fast.loss_events, (unsigned long long)hammer->slow.lost,
		      (unsigned long long)hammer->slow.loss_events);
	expect_exact_books(&hammer->fast, next_seq);
	expect_exact_books(&hammer->slow, next_seq);
	assert_true(hammer->slow.loss_events > 10); /* or nothing was hammered */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_byte_is_right_and_the_books_are_exact_while_writers_are_killed, hammer_begin,
						hammer_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
