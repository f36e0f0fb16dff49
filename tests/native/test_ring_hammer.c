/* SPDX-License-Identifier: Apache-2.0 */
#define NT_TEST_HOOKS 1
#include "../../native/ring/chunk.c"

#include "ring_hammer.h"

#define STROKES 20

static uint64_t *torn;

/* The copy began on sound bytes (else it would not have begun), so what is overtaken here was overtaken while it was made. */
static void count_torn(const struct nt_reader *reader)
{
	if (nt_load_relaxed(&reader->ring->positions->tail_intent) - reader->position > reader->ring->capacity)
		__atomic_fetch_add(torn, 1, __ATOMIC_RELAXED);
}

static void expect_exact_books(const struct hammer_reader *books, uint64_t next_seq)
{
	assert_int_equal(books->broken, 0);
	assert_int_equal(books->next_seq, next_seq);
	assert_int_equal(books->records + books->lost, next_seq - 1);
}

static void every_byte_is_right_and_the_books_are_exact_while_writers_are_killed(void **state)
{
	struct hammer *hammer = *state;
	uint64_t next_seq;

	torn = &hammer->torn;
	nt_chunk_test_hook = count_torn;
	next_seq = hammer_run(hammer, torn, STROKES);
	print_message("%llu records, %llu torn copies; fast: %llu lost in %llu events; slow: %llu lost in %llu events\n",
		      (unsigned long long)next_seq - 1, (unsigned long long)hammer->torn, (unsigned long long)hammer->fast.lost,
		      (unsigned long long)hammer->fast.loss_events, (unsigned long long)hammer->slow.lost,
		      (unsigned long long)hammer->slow.loss_events);
	expect_exact_books(&hammer->fast, next_seq);
	expect_exact_books(&hammer->slow, next_seq);
	assert_true(hammer->torn >= STROKES); /* or nothing was hammered */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_byte_is_right_and_the_books_are_exact_while_writers_are_killed, hammer_begin,
						hammer_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
