/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with descriptors: what comes is what was sent, and no descriptor is left open that nobody asked for. */
#include "holder/pass.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int pair[2];

static int set_up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
}

static int tear_down(void **state)
{
	(void)state;
	nt_close_fds(pair, 2);
	return 0;
}

static uint32_t count_open(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint32_t count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void test_what_is_passed_comes_with_its_descriptors(void **state)
{
	uint64_t sent = 5, came = 0;
	int pipes[2], fds[2];
	uint32_t count;
	char byte = 0;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(nt_pass(pair[0], &sent, sizeof(sent), pipes, 2), 0);
	assert_int_equal(nt_take(pair[1], &came, sizeof(came), fds, 2, &count), sizeof(came));
	assert_int_equal(came, 5);
	assert_int_equal(count, 2);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	nt_close_fds(pipes, 2);
	nt_close_fds(fds, 2);
}

static void test_descriptors_that_nobody_has_room_for_are_closed(void **state)
{
	uint64_t number = 5;
	const int fds[3] = {pair[0], pair[0], pair[0]};
	int taken;
	uint32_t count, before;

	(void)state;
	before = count_open();
	assert_int_equal(nt_pass(pair[0], &number, sizeof(number), fds, 3), 0);
	assert_int_equal(nt_take(pair[1], &number, sizeof(number), &taken, 1, &count), sizeof(number));
	assert_int_equal(count, 1);
	close(taken);
	assert_int_equal(count_open(), before);
}

static void test_a_message_of_another_length_is_none_and_leaves_nothing_open(void **state)
{
	const char words[16] = "another length";
	uint64_t number;
	int taken;
	uint32_t count, before = count_open();

	(void)state;
	for (size_t bytes = 4; bytes <= 16; bytes += 12) {
		assert_int_equal(nt_pass(pair[0], words, bytes, &pair[0], 1), 0);
		assert_int_equal(nt_take(pair[1], &number, sizeof(number), &taken, 1, &count), -EBADMSG);
		assert_int_equal(count, 0);
		assert_int_equal(taken, -1);
	}
	assert_int_equal(count_open(), before);
}

static void test_the_end_and_who_does_not_read_are_seen(void **state)
{
	uint64_t number = 5;
	int error, taken;
	uint32_t count;

	(void)state;
	assert_int_equal(nt_pass(pair[0], &number, sizeof(number), NULL, NT_PASS_FDS_MAX + 1), -E2BIG);
	while ((error = nt_pass(pair[0], &number, sizeof(number), NULL, 0)) == 0)
		;
	assert_int_equal(error, -EAGAIN);
	close(pair[1]);
	assert_int_equal(nt_pass(pair[0], &number, sizeof(number), NULL, 0), -ECONNRESET); /* what it had not read went with it */
	assert_int_equal(nt_pass(pair[0], &number, sizeof(number), NULL, 0), -EPIPE);
	close(pair[0]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	close(pair[0]);
	assert_int_equal(nt_take(pair[1], &number, sizeof(number), &taken, 1, &count), 0);
	pair[0] = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_passed_comes_with_its_descriptors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_descriptors_that_nobody_has_room_for_are_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_message_of_another_length_is_none_and_leaves_nothing_open, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_end_and_who_does_not_read_are_seen, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
