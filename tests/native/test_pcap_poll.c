/* SPDX-License-Identifier: Apache-2.0 */
/* When the pcap source hands packets out: at their pace, as they arrive, and from where a predecessor stopped. */
#include "pcap_fixture.h"
#include "clock.h"

#define MS_NS INT64_C(1000000)

static const uint8_t FRAME[60] = {1, 2, 3};
static struct nt_selector *all;

static int set_up(void **state)
{
	(void)state;
	all = select_all();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_selector_destroy(all);
	return 0;
}

static void packets_come_when_they_are_due_at_any_speed(void **state)
{
	static const uint64_t paces[] = {NT_PLAN_AS_RECORDED, NT_PLAN_AS_RECORDED / 2, 10 * NT_PLAN_AS_RECORDED};

	(void)state;
	for (size_t at = 0; at < 3; at++) {
		struct capture *capture = classic_begin(HOST, true, 65535, 1);
		struct nt_source *source;
		int64_t due_ns[40];

		for (uint32_t number = 0; number < 40; number++) {
			classic_put(capture, 100, number * 1000003, FRAME, 60, 60);
			due_ns[number] = INT64_C(1000003) * number * NT_PLAN_AS_RECORDED / (int64_t)paces[at];
		}
		source = open_paced(capture, paces[at], all);
		assert_true(play(source, capture, due_ns) >= due_ns[39]);
		nt_source_close(source);
		free(capture);
	}
}

/* None of these gaps is waited out; what follows each is as far behind it as in the file. */
static void a_stamp_that_says_nothing_is_due_at_once_and_those_behind_it_by_it(void **state)
{
	struct capture *capture = classic_begin(HOST, false, 65535, 1);
	const int64_t due_ns[] = {0, 5 * MS_NS, 5 * MS_NS, 10 * MS_NS, 10 * MS_NS, 15 * MS_NS, 15 * MS_NS, 15 * MS_NS, 20 * MS_NS};
	struct nt_source *source;

	(void)state;
	classic_put(capture, 1000000, 0, FRAME, 60, 60);
	classic_put(capture, 1000000, 5000, FRAME, 60, 60);
	classic_put(capture, 1000, 0, FRAME, 60, 60); /* backwards */
	classic_put(capture, 1000, 5000, FRAME, 60, 60);
	classic_put(capture, 1000 + 86401, 0, FRAME, 60, 60); /* more than a day ahead */
	classic_put(capture, 1000 + 86401, 5000, FRAME, 60, 60);
	classic_put(capture, 1000 + 86401, UINT32_MAX, FRAME, 60, 60); /* out of range: more than an hour ahead */
	classic_put(capture, 1000 + 86401, 6000, FRAME, 60, 60);
	classic_put(capture, 1000 + 86401, 11000, FRAME, 60, 60);
	source = open_paced(capture, NT_PLAN_AS_RECORDED, all);
	play(source, capture, due_ns);
	nt_source_close(source);
	free(capture);
}

static void a_wait_lasts_no_longer_than_it_may(void **state)
{
	struct capture *capture = classic_begin(HOST, true, 65535, 1);
	struct nt_source *source;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};

	(void)state;
	classic_put(capture, 1, 0, FRAME, 60, 60);
	classic_put(capture, 80000, 0, FRAME, 60, 60); /* most of a day */
	source = open_paced(capture, NT_PLAN_AS_RECORDED, all);
	assert_int_equal(source->ops->poll(source, &batch), 1);
	for (int round = 0; round < 5; round++) {
		source->ops->wait(source, 2);
		assert_int_equal(source->ops->poll(source, &batch), 0);
		assert_int_equal(batch.unselected, 0);
	}
	nt_source_close(source);
	free(capture);
}

/* Byte by byte: a poll never waits for the rest of a packet, and brings each as soon as it is whole. */
static void a_slow_pipe_holds_nobody_up(void **state)
{
	struct capture *captures[] = {classic_begin(SWAPPED, true, 65535, 1), ng_begin(SWAPPED, 1, 0, 9, 0)};

	(void)state;
	for (int form = 0; form < 2; form++) {
		struct capture *capture = captures[form];
		struct nt_plan_source plan = pcap_plan(0);
		struct nt_source *source;
		struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
		uint32_t taken = 0;
		int ends[2];

		for (uint32_t at = 0; at < 4; at++) {
			if (form == 0) {
				classic_put(capture, 1, at, FRAME, 10 + at, 60);
			} else {
				ng_put(capture, 0, at, FRAME, 10 + at, 60, at);
				ng_put_other(capture, 5, 8);
			}
		}
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		assert_int_equal(write(ends[1], capture->bytes, capture->expected[0].end), capture->expected[0].end);
		assert_int_equal(nt_pcap_open(&source, &plan, ends[0], all, NULL), 0);
		for (size_t at = capture->expected[0].end; at <= capture->size; at++) {
			uint32_t whole = 0;

			while (whole < capture->packets && capture->expected[whole].end <= at)
				whole++;
			while (taken < whole) {
				assert_int_equal(source->ops->poll(source, &batch), 1);
				assert_packet(&batch.packets[0], capture, taken++);
				source->ops->release(source, &batch);
			}
			assert_int_equal(source->ops->poll(source, &batch), 0);
			source->ops->wait(source, 0);
			if (at < capture->size)
				assert_int_equal(write(ends[1], capture->bytes + at, 1), 1);
		}
		assert_int_equal(taken, 4);
		close(ends[1]);
		assert_int_equal(source->ops->poll(source, &batch), -ENODATA);
		assert_int_equal(source->damaged, 0);
		nt_source_close(source);
		free(capture);
	}
}

static struct capture *capture_of(uint32_t count)
{
	struct capture *capture = classic_begin(HOST, true, 65535, 1);

	for (uint32_t at = 0; at < count; at++)
		classic_put(capture, 1, at, FRAME, 60, 60);
	return capture;
}

/* Any number of them, in the middle of a batch or beyond the end. */
static void a_successor_goes_on_where_its_predecessor_stopped(void **state)
{
	struct capture *capture = capture_of(3000);

	(void)state;
	for (uint32_t skip = 0; skip <= 3100; skip = skip < 4 ? skip + 1 : skip * 3 / 2) {
		struct nt_source *source = open_bytes(capture->bytes, capture->size, false, all);
		struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
		uint32_t taken = 0;
		int got;

		nt_pcap_skip(source, skip);
		assert_int_equal(source->ops->position(source), skip);
		for (; (got = source->ops->poll(source, &batch)) >= 0; source->ops->wait(source, 20)) {
			for (int at = 0; at < got; at++)
				assert_packet(&batch.packets[at], capture, skip + taken++);
			assert_int_equal(source->ops->position(source), skip + taken - (uint32_t)got);
			if (got)
				source->ops->release(source, &batch);
			assert_int_equal(source->ops->position(source), skip + taken);
		}
		assert_int_equal(got, -ENODATA);
		assert_int_equal(taken, skip < 3000 ? 3000 - skip : 0);
		assert_int_equal(offered(source), taken);
		nt_source_close(source);
	}
	free(capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(packets_come_when_they_are_due_at_any_speed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stamp_that_says_nothing_is_due_at_once_and_those_behind_it_by_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_wait_lasts_no_longer_than_it_may, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_slow_pipe_holds_nobody_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_successor_goes_on_where_its_predecessor_stopped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
