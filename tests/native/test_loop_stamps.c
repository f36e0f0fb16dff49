/* SPDX-License-Identifier: Apache-2.0 */
/* Which stamps are believed, what stands in the ring instead of one that is not, and that UTC is right to the nanosecond whatever clock
 * the stamp was in. The test sets the host's clock for each poll. */
#include "loop/state.h"
#include "ring/reader.h"
#include "scripted_source.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define UTC (1790000000 * SECOND + 123456789)
#define MONOTONIC (5 * SECOND)
#define BOUND SECOND
#define PTP_OFFSET (37 * SECOND)

static struct nt_ring ring;
static struct scripted source;
static struct nt_reader reader;
static struct nt_source_ops timed_ops;
static int64_t utc_ns, tai_offset_ns;                                        /* what the host's clocks say now */
static int64_t poll_at_ns[SCRIPT_BATCHES], tai_offset_at_ns[SCRIPT_BATCHES]; /* and at each poll */
static struct nt_loop_options options;

static int64_t host_clock(clockid_t clock)
{
	return clock == CLOCK_TAI ? utc_ns + tai_offset_ns : clock == CLOCK_MONOTONIC ? utc_ns - UTC + MONOTONIC : utc_ns;
}

static int timed_poll(struct nt_source *of, struct nt_batch *batch)
{
	if (source.next < source.batches) {
		utc_ns = poll_at_ns[source.next];
		tai_offset_ns = tai_offset_at_ns[source.next];
	}
	return scripted_poll(of, batch);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(nt_ring_make_private(&ring, 1u << 20, NULL), 0);
	scripted_init(&source, "afxdp:test0:0");
	timed_ops = scripted_ops;
	timed_ops.poll = timed_poll;
	source.source.ops = &timed_ops;
	source.source.nic_tai_offset_ns = PTP_OFFSET;
	options = (struct nt_loop_options){.core = -1, .stamp_bound_ns = BOUND};
	assert_int_equal(nt_reader_init(&reader, &ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_reader_seek(&reader, NT_START_OLDEST, 0), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_reader_free(&reader);
	nt_ring_close(&ring);
	return 0;
}

/* One more poll, at `at_ns` with the kernel's TAI ahead by `offset_ns`; without packets the source is empty then. */
static void poll_with_offset(int64_t at_ns, int64_t offset_ns)
{
	poll_at_ns[source.batches] = at_ns;
	tai_offset_at_ns[source.batches] = offset_ns;
	source.batches++;
}

static void poll_at(int64_t at_ns)
{
	poll_with_offset(at_ns, PTP_OFFSET);
}

/* The source had a packet, and was empty after it: from `at_ns` on nothing older can come. */
static void seen_empty(int64_t at_ns)
{
	poll_at(at_ns);
	scripted_packet(&source, 60, 0, at_ns)->stamp_clock = NT_CLOCK_UTC;
	poll_at(at_ns);
}

static struct nt_packet *stamped(uint8_t ts_kind, uint8_t clock, int64_t stamp_ns)
{
	struct nt_packet *packet = scripted_packet(&source, 100, 0, stamp_ns);

	packet->ts_kind = ts_kind;
	packet->stamp_clock = clock;
	return packet;
}

static const struct nt_loop_counters *run(void)
{
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;
	uint32_t slot;

	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 1, &options, NULL), 0);
	loop->clock = host_clock;
	slot = loop->inlets[0].slot;
	nt_loop_run(loop);
	nt_loop_destroy(loop);
	return &ring.sources[slot].loop;
}

static const struct nt_record *next_record(void)
{
	const struct nt_record *record = nt_reader_next(&reader, NULL);

	assert_non_null(record);
	return record;
}

static int64_t raw_of(const struct nt_record *record)
{
	int64_t raw;

	assert_true(record->flags & NT_RECORD_RAW_STAMP);
	assert_int_equal(record->length, NT_RECORD_HEADER_BYTES + record->capture_length + NT_RECORD_RAW_STAMP_BYTES);
	assert_memory_equal(record + 1, source.frame, record->capture_length);
	memcpy(&raw, (const uint8_t *)(record + 1) + record->capture_length, sizeof(raw));
	return raw;
}

static void believed(int64_t ts_ns)
{
	const struct nt_record *record = next_record();

	assert_int_equal(record->ts_ns, ts_ns);
	assert_int_equal(record->flags, 0);
	assert_int_equal(record->length, NT_RECORD_HEADER_BYTES + record->capture_length);
}

/* The packet has its time of arrival all the same: that of the poll. */
static void replaced(int64_t poll_ns, int64_t raw_ns)
{
	const struct nt_record *record = next_record();

	assert_int_equal(record->flags, NT_RECORD_BAD_STAMP | NT_RECORD_RAW_STAMP);
	assert_int_equal(raw_of(record), raw_ns);
	assert_int_equal(record->ts_ns, poll_ns);
	assert_int_equal(record->ts_kind, NT_TS_USER);
	assert_int_equal(record->rx_delay_ns, NT_RX_DELAY_UNKNOWN);
}

static void a_stamp_is_believed_up_to_the_bound_and_replaced_one_nanosecond_beyond(void **state)
{
	const struct nt_loop_counters *counters;

	(void)state;
	seen_empty(UTC);
	poll_at(UTC + 10 * SECOND);
	stamped(NT_TS_XDP, NT_CLOCK_UTC, UTC - BOUND);
	stamped(NT_TS_XDP, NT_CLOCK_UTC, UTC - BOUND - 1)->flow_id = 2;
	stamped(NT_TS_KERNEL, NT_CLOCK_UTC, UTC + 10 * SECOND + BOUND + 1)->flow_id = 3;
	stamped(NT_TS_NIC, NT_CLOCK_UTC, UTC + 10 * SECOND + BOUND)->flow_id = 4;
	counters = run();
	believed(UTC);
	next_record(); /* earlier than the one before of its flow, which is another matter */
	replaced(UTC + 10 * SECOND, UTC - BOUND - 1);
	replaced(UTC + 10 * SECOND, UTC + 10 * SECOND + BOUND + 1);
	believed(UTC + 10 * SECOND + BOUND);
	assert_int_equal(counters->bad_stamps, 2);
	assert_int_equal(counters->bytes, 60 + 4 * 100);
	assert_int_equal(counters->last_packet_ns, UTC + 10 * SECOND + BOUND);
}

/* What waited while nobody polled may be of any age: it is not known to be wrong. */
static void before_it_was_seen_empty_a_source_may_hold_packets_of_any_age(void **state)
{
	(void)state;
	poll_at(UTC);
	stamped(NT_TS_XDP, NT_CLOCK_TAI, UTC - 3600 * SECOND + PTP_OFFSET);
	poll_at(UTC + SECOND);
	stamped(NT_TS_XDP, NT_CLOCK_TAI, UTC - 3599 * SECOND + PTP_OFFSET);
	assert_int_equal(run()->bad_stamps, 0);
	believed(UTC - 3600 * SECOND);
	believed(UTC - 3599 * SECOND);
}

/* The poll that brings nothing reads no clock: what is known is that it was later than the poll before. */
static void a_backlog_that_came_since_the_source_was_empty_is_believed(void **state)
{
	(void)state;
	seen_empty(UTC);
	poll_at(UTC + 30 * SECOND);
	for (int64_t at = 0; at < 30; at++)
		stamped(NT_TS_KERNEL, NT_CLOCK_UTC, UTC + at * SECOND);
	assert_int_equal(run()->bad_stamps, 0);
}

static void a_clock_that_was_set_back_makes_no_stamp_bad(void **state)
{
	(void)state;
	seen_empty(UTC);
	poll_at(UTC - 100 * SECOND);
	stamped(NT_TS_KERNEL, NT_CLOCK_UTC, UTC - 100 * SECOND - 5)->flow_id = 2;
	assert_int_equal(run()->bad_stamps, 0);
}

static void a_stamp_that_is_replaced_makes_no_other_go_backwards(void **state)
{
	(void)state;
	seen_empty(UTC);
	poll_at(UTC + SECOND);
	stamped(NT_TS_XDP, NT_CLOCK_UTC, UTC + 3600 * SECOND);
	stamped(NT_TS_XDP, NT_CLOCK_UTC, UTC + 5);
	assert_int_equal(run()->backwards, 0);
	believed(UTC);
	replaced(UTC + SECOND, UTC + 3600 * SECOND);
	believed(UTC + 5);
}

static void a_files_and_our_own_stamps_are_not_measured_by_our_clock(void **state)
{
	(void)state;
	seen_empty(UTC);
	poll_at(UTC + SECOND);
	stamped(NT_TS_FILE, NT_CLOCK_UTC, UTC - 1000000 * SECOND)->flow_id = 2;
	stamped(NT_TS_USER, NT_CLOCK_UTC, UTC + 1000000 * SECOND)->flow_id = 3;
	assert_int_equal(run()->bad_stamps, 0);
	believed(UTC);
	believed(UTC - 1000000 * SECOND);
	believed(UTC + 1000000 * SECOND);
}

static void without_a_bound_it_is_a_second(void **state)
{
	(void)state;
	options.stamp_bound_ns = 0;
	poll_at(UTC);
	stamped(NT_TS_XDP, NT_CLOCK_UTC, UTC + SECOND);
	stamped(NT_TS_XDP, NT_CLOCK_UTC, UTC + SECOND + 1);
	assert_int_equal(run()->bad_stamps, 1);
}

/* A frame that fills the largest record is kept without what its stamp was. */
static void a_frame_is_worth_more_than_the_stamp_that_was_not_believed(void **state)
{
	uint32_t largest = (uint32_t)ring.max_record_bytes - NT_RECORD_HEADER_BYTES;
	const struct nt_record *record;
	struct nt_packet *packet;

	(void)state;
	poll_at(UTC);
	for (uint32_t less = 0; less <= 8; less += 8) {
		packet = stamped(NT_TS_XDP, NT_CLOCK_UTC, UTC + 3600 * SECOND);
		packet->capture_length = packet->wire_length = largest - less;
	}
	assert_int_equal(run()->oversize, 0);
	record = next_record();
	assert_int_equal(record->flags, NT_RECORD_BAD_STAMP);
	assert_int_equal(record->capture_length, largest);
	assert_memory_equal(record + 1, source.frame, largest);
	replaced(UTC, UTC + 3600 * SECOND);
}

static void no_bits_that_a_stamp_may_have_do_any_harm(void **state)
{
	static const int64_t odd[] = {INT64_MIN, INT64_MAX, -1, 0};
	static const uint8_t clocks[] = {NT_CLOCK_UTC, NT_CLOCK_TAI, NT_CLOCK_MONOTONIC};

	(void)state;
	seen_empty(UTC);
	poll_at(UTC + SECOND);
	for (size_t at = 0; at < 12; at++)
		stamped(at & 1 ? NT_TS_NIC : NT_TS_XDP, clocks[at / 4], odd[at % 4]);
	assert_int_equal(run()->bad_stamps, 12);
}

static void a_nics_clock_in_utc_or_tai_is_right_to_the_nanosecond(void **state)
{
	(void)state;
	poll_with_offset(UTC, 0); /* a kernel that knows no TAI has no part in it */
	stamped(NT_TS_NIC, nt_source_nic_clock(NT_CLOCK_UTC), UTC - 7);
	stamped(NT_TS_NIC, nt_source_nic_clock(NT_CLOCK_TAI), UTC - 6 + PTP_OFFSET);
	assert_int_equal(run()->bad_stamps, 0);
	believed(UTC - 7);
	believed(UTC - 6);
}

static void without_an_offset_of_its_own_a_nics_tai_goes_by_the_kernels_at_that_moment(void **state)
{
	(void)state;
	source.source.nic_tai_offset_ns = NT_TAI_OFFSET_KERNEL;
	poll_with_offset(UTC, 37 * SECOND);
	stamped(NT_TS_NIC, NT_CLOCK_TAI, UTC - 7 + 37 * SECOND);
	poll_with_offset(UTC + SECOND, 38 * SECOND);
	stamped(NT_TS_NIC, NT_CLOCK_TAI, UTC + SECOND - 5 + 38 * SECOND);
	assert_int_equal(run()->bad_stamps, 0);
	believed(UTC - 7);
	believed(UTC + SECOND - 5);
}

static void a_counter_that_nobody_set_is_kept_beside_the_poll_time(void **state)
{
	static const uint32_t domains[] = {NT_CLOCK_FREE, NT_CLOCK_UNKNOWN};
	const struct nt_loop_counters *counters;

	(void)state;
	poll_at(UTC);
	for (int at = 0; at < 2; at++)
		stamped(NT_TS_NIC, nt_source_nic_clock(domains[at]), 123456789 + at);
	counters = run();
	for (int at = 0; at < 2; at++) {
		const struct nt_record *record = next_record();

		assert_int_equal(record->flags, NT_RECORD_UNSTAMPED | NT_RECORD_RAW_STAMP);
		assert_int_equal(raw_of(record), 123456789 + at);
		assert_int_equal(record->ts_ns, UTC);
		assert_int_equal(record->ts_kind, NT_TS_USER);
	}
	assert_int_equal(counters->unstamped, 2);
	assert_int_equal(counters->bad_stamps, 0);
}

/* 37 s late: the NIC's clock counts TAI, and is taken for UTC. */
static void tai_taken_for_utc_is_found_out(void **state)
{
	(void)state;
	poll_at(UTC);
	stamped(NT_TS_NIC, NT_CLOCK_UTC, UTC - 7 + PTP_OFFSET);
	assert_int_equal(run()->bad_stamps, 1);
	replaced(UTC, UTC - 7 + PTP_OFFSET);
}

/* 37 s early: its clock counts UTC, and is taken for TAI. Once the source was seen empty, no packet can be that old. */
static void utc_taken_for_tai_is_found_out(void **state)
{
	(void)state;
	seen_empty(UTC);
	poll_at(UTC + 30 * SECOND);
	stamped(NT_TS_NIC, NT_CLOCK_TAI, UTC + 30 * SECOND - 7);
	assert_int_equal(run()->bad_stamps, 1);
	believed(UTC);
	replaced(UTC + 30 * SECOND, UTC + 30 * SECOND - 7 - PTP_OFFSET);
}

static void a_clock_that_never_was_set_is_found_out_when_it_is_taken_for_utc(void **state)
{
	(void)state;
	seen_empty(UTC);
	poll_at(UTC + SECOND);
	stamped(NT_TS_NIC, NT_CLOCK_UTC, 3600 * SECOND);
	assert_int_equal(run()->bad_stamps, 1);
}

/* The XDP program's clock is the kernel's TAI, whatever that is ahead by. */
static void an_xdp_stamp_is_right_to_the_nanosecond_whatever_the_kernels_offset_becomes(void **state)
{
	static const int64_t offsets_ns[] = {0, 37 * SECOND, 37 * SECOND, 38 * SECOND, 0};

	(void)state;
	seen_empty(UTC - SECOND);
	for (int64_t at = 0; at < 5; at++) {
		poll_with_offset(UTC + at * SECOND, offsets_ns[at]);
		stamped(NT_TS_XDP, NT_CLOCK_TAI, UTC + at * SECOND - 1000 + at + offsets_ns[at]);
	}
	assert_int_equal(run()->bad_stamps, 0);
	believed(UTC - SECOND);
	for (int64_t at = 0; at < 5; at++)
		believed(UTC + at * SECOND - 1000 + at);
}

/* A packet that was stamped before the kernel learned of the 37 s and polled after it: nobody can say which offset its stamp has. */
static void a_stamp_from_before_the_offset_changed_is_not_believed_by_the_new_one(void **state)
{
	(void)state;
	seen_empty(UTC);
	poll_with_offset(UTC + SECOND, 37 * SECOND);
	stamped(NT_TS_XDP, NT_CLOCK_TAI, UTC + SECOND - 1000);
	assert_int_equal(run()->bad_stamps, 1);
	believed(UTC);
	replaced(UTC + SECOND, UTC + SECOND - 1000 - 37 * SECOND);
}

/* What the slot says after a run of one poll whose packets are of `ts_kind` and `clock`. */
static const struct nt_source_counters *told_after(uint8_t ts_kind, uint8_t clock, int64_t kernel_offset_ns)
{
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;
	uint64_t next_seq;
	uint32_t slot;

	source.batches = source.next = 0;
	memset(source.script, 0, sizeof(source.script));
	assert_int_equal(nt_ring_restart(&ring, 0, &next_seq, NULL), 0);
	poll_with_offset(UTC, kernel_offset_ns);
	stamped(ts_kind, clock, UTC);
	assert_int_equal(nt_loop_create(&loop, &ring, next_seq, 0, sources, 1, &options, NULL), 0);
	loop->clock = host_clock;
	slot = loop->inlets[0].slot;
	nt_loop_run(loop);
	nt_loop_publish_stats(loop); /* as the helper does */
	nt_loop_destroy(loop);
	return &ring.sources[slot];
}

static void expect_told(const struct nt_source_counters *slot, uint32_t ts_kind, uint32_t domain, int64_t offset_ns)
{
	assert_int_equal(slot->stamp_kind, NT_STAMPED_BY(ts_kind));
	assert_int_equal(slot->stamp_domain, domain);
	assert_int_equal(slot->stamp_offset_ns, offset_ns);
}

static void the_slot_says_by_what_the_newest_packet_was_stamped(void **state)
{
	(void)state;
	expect_told(told_after(NT_TS_XDP, NT_CLOCK_TAI, 37 * SECOND), NT_TS_XDP, NT_CLOCK_TAI, 37 * SECOND);
	expect_told(told_after(NT_TS_XDP, NT_CLOCK_TAI, 0), NT_TS_XDP, NT_CLOCK_TAI, 0);
	expect_told(told_after(NT_TS_KERNEL, NT_CLOCK_UTC, 37 * SECOND), NT_TS_KERNEL, NT_CLOCK_UTC, 0);
	expect_told(told_after(NT_TS_XDP, NT_CLOCK_MONOTONIC, 37 * SECOND), NT_TS_XDP, NT_CLOCK_MONOTONIC, MONOTONIC - UTC);
	nt_source_set_nic(&source.source, NT_CLOCK_TAI, 36);
	expect_told(told_after(NT_TS_NIC, NT_CLOCK_TAI, 0), NT_TS_NIC, NT_CLOCK_TAI, 36 * SECOND);
	nt_source_set_nic(&source.source, NT_CLOCK_TAI, -1);
	expect_told(told_after(NT_TS_NIC, NT_CLOCK_TAI, 38 * SECOND), NT_TS_NIC, NT_CLOCK_TAI, 38 * SECOND);
}

/* Before its first packet, and where its clock says nothing that UTC can be made of. */
static void the_slot_says_what_the_source_knows_of_stamps_to_come(void **state)
{
	static const uint32_t domains[] = {NT_CLOCK_FREE, NT_CLOCK_UNKNOWN};

	(void)state;
	assert_int_equal(told_after(NT_TS_NIC, NT_CLOCK_UNKNOWN, 0)->stamp_kind, 0);
	source.source.stamp_kind = NT_STAMPED_BY(NT_TS_NIC);
	for (int at = 0; at < 2; at++) {
		source.source.stamp_domain = domains[at];
		expect_told(told_after(NT_TS_NIC, nt_source_nic_clock(domains[at]), 0), NT_TS_NIC, domains[at], 0);
	}
	source.source.stamp_kind = NT_STAMPED_BY(NT_TS_KERNEL);
	source.source.stamp_domain = NT_CLOCK_UTC;
	expect_told(told_after(NT_TS_KERNEL, NT_CLOCK_UNKNOWN, 0), NT_TS_KERNEL, NT_CLOCK_UTC, 0);
}

static struct nt_loop *threaded; /* a loop with its helper, on the host's own clock */
static uint32_t idle_polls_since_told;

/* Idle until the helper has told the time and one more poll found nothing; then one packet, whose stamp is 37 s early. */
static int poll_when_told(struct nt_source *of, struct nt_batch *batch)
{
	int64_t seen_ns = __atomic_load_n(&threaded->seen_ns, __ATOMIC_RELAXED);

	(void)of;
	if (idle_polls_since_told == 2)
		return -ENODATA;
	if (!seen_ns || !idle_polls_since_told++)
		return 0;
	batch->count = 1;
	batch->packets[0] = (struct nt_packet){
		.data = source.frame,
		.capture_length = 60,
		.wire_length = 60,
		.stamp_ns = seen_ns - PTP_OFFSET,
		.ts_kind = NT_TS_NIC,
		.stamp_clock = NT_CLOCK_UTC,
	};
	return 1;
}

/* No packet before it says that the source was empty: the helper tells the time meanwhile. */
static void the_first_packet_of_a_quiet_source_is_checked_too(void **state)
{
	struct nt_source *sources[] = {&source.source};
	struct nt_fault fault;

	(void)state;
	timed_ops.poll = poll_when_told;
	timed_ops.position = NULL;
	options.sleep_idle = true;
	idle_polls_since_told = 0;
	assert_int_equal(nt_loop_create(&threaded, &ring, 1, 0, sources, 1, &options, &fault), 0);
	assert_int_equal(nt_loop_start(threaded, &fault), 0);
	while (!nt_loop_ended(threaded))
		sched_yield();
	assert_int_equal(nt_loop_stop(threaded), 0);
	nt_loop_destroy(threaded);
	assert_int_equal(next_record()->flags, NT_RECORD_BAD_STAMP | NT_RECORD_RAW_STAMP);
	assert_int_equal(ring.sources[0].loop.bad_stamps, 1);
}

#define STAMP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAMP_TEST(a_stamp_is_believed_up_to_the_bound_and_replaced_one_nanosecond_beyond),
		STAMP_TEST(before_it_was_seen_empty_a_source_may_hold_packets_of_any_age),
		STAMP_TEST(a_backlog_that_came_since_the_source_was_empty_is_believed),
		STAMP_TEST(a_clock_that_was_set_back_makes_no_stamp_bad),
		STAMP_TEST(a_stamp_that_is_replaced_makes_no_other_go_backwards),
		STAMP_TEST(a_files_and_our_own_stamps_are_not_measured_by_our_clock),
		STAMP_TEST(without_a_bound_it_is_a_second),
		STAMP_TEST(a_frame_is_worth_more_than_the_stamp_that_was_not_believed),
		STAMP_TEST(no_bits_that_a_stamp_may_have_do_any_harm),
		STAMP_TEST(a_nics_clock_in_utc_or_tai_is_right_to_the_nanosecond),
		STAMP_TEST(without_an_offset_of_its_own_a_nics_tai_goes_by_the_kernels_at_that_moment),
		STAMP_TEST(a_counter_that_nobody_set_is_kept_beside_the_poll_time),
		STAMP_TEST(tai_taken_for_utc_is_found_out),
		STAMP_TEST(utc_taken_for_tai_is_found_out),
		STAMP_TEST(a_clock_that_never_was_set_is_found_out_when_it_is_taken_for_utc),
		STAMP_TEST(an_xdp_stamp_is_right_to_the_nanosecond_whatever_the_kernels_offset_becomes),
		STAMP_TEST(a_stamp_from_before_the_offset_changed_is_not_believed_by_the_new_one),
		STAMP_TEST(the_first_packet_of_a_quiet_source_is_checked_too),
		STAMP_TEST(the_slot_says_by_what_the_newest_packet_was_stamped),
		STAMP_TEST(the_slot_says_what_the_source_knows_of_stamps_to_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
