/* SPDX-License-Identifier: Apache-2.0 */
/* Negative control: a reader that believes its copies without looking at tail_intent again. The hammer must catch it. */
#define NT_BREAK_RECHECK 1
#include "../../native/ring/chunk.c"

#include "ring_hammer.h"

static void the_hammer_catches_a_reader_that_does_not_check_again(void **state)
{
	struct hammer *hammer = *state;

	hammer_run(hammer, &hammer->slow.broken, 1);
	assert_true(hammer->slow.broken > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_hammer_catches_a_reader_that_does_not_check_again, hammer_begin, hammer_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
