/* SPDX-License-Identifier: Apache-2.0 */
/* A capture file that waits for the reader of the ring, so that nothing of it is lost. */
#include "pcap_fixture.h"
#include "clock.h"
#include "ring/reader.h"
#include "ring/writer.h"

#define MS_NS INT64_C(1000000)
#define RING_BYTES (1u << 16)
#define JUMBO_BYTES 40000u /* more than the half of the ring: it takes no such packet */
#define PACKETS 800u
#define PACKETS_OF_RING 798u

static const uint8_t FRAME[JUMBO_BYTES] = {1, 2, 3};
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

struct followed {
	struct nt_ring ring;
	struct nt_writer writer;
	struct nt_reader reader;
	struct nt_reader_status *status;
	struct capture *capture;
	struct nt_source *source;
	char path[64];
	uint32_t put, seen;
};

static void follow_set_up(struct followed *followed)
{
	memset(followed, 0, sizeof(*followed));
	snprintf(followed->path, sizeof(followed->path), "/tmp/nanotape-follow-%d", (int)getpid());
	unlink(followed->path);
	assert_int_equal(nt_ring_make_private(&followed->ring, RING_BYTES, NULL), 0);
	nt_writer_init(&followed->writer, &followed->ring, 1);
	assert_int_equal(nt_reader_init(&followed->reader, &followed->ring, NT_RESUME_OLDEST, NULL), 0);
	followed->capture = classic_begin(HOST, true, 65535, 1);
	for (uint32_t at = 0; at < PACKETS; at++)
		classic_put(followed->capture, 1, at, FRAME, at % 400 == 7 ? JUMBO_BYTES : 20 + at * 37 % 1900, 0);
	followed->source = open_bytes(followed->capture->bytes, followed->capture->size, false, all);
	assert_int_equal(nt_pcap_follow(followed->source, &followed->ring, followed->path, NULL), 0);
}

static void reader_comes(struct followed *followed)
{
	assert_int_equal(nt_reader_status_create(&followed->status, followed->path, "recorder", &followed->ring, NULL), 0);
}

static void follow_tear_down(struct followed *followed)
{
	nt_reader_status_close(followed->status, followed->path);
	nt_source_close(followed->source);
	nt_reader_free(&followed->reader);
	nt_ring_close(&followed->ring);
	free(followed->capture);
}

/* As the loop does: what fits goes into the ring. Returns what poll returned. */
static int pump(struct followed *followed)
{
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	int got = followed->source->ops->poll(followed->source, &batch);

	for (int at = 0; at < got; at++) {
		uint32_t length = NT_RECORD_HEADER_BYTES + batch.packets[at].capture_length;
		struct nt_record *record;

		assert_packet(&batch.packets[at], followed->capture, followed->put++);
		if (length > followed->ring.max_record_bytes)
			continue;
		assert_int_equal(nt_writer_reserve(&followed->writer, &length, 1), 1);
		record = nt_writer_next(&followed->writer, length);
		record->flags = 0;
		record->capture_length = batch.packets[at].capture_length;
		record->flow_id = followed->put;
		nt_writer_publish(&followed->writer);
	}
	if (got >= 0)
		followed->source->ops->release(followed->source, &batch);
	assert_true(nt_ring_tail(&followed->ring) - followed->reader.position <= RING_BYTES / 2);
	return got;
}

/* Until it has held back for 5 ms; -ENODATA where it came to its end. */
static int pump_all(struct followed *followed)
{
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + 5 * MS_NS;
	int got = 0;

	while (got >= 0 && nt_clock_ns(CLOCK_MONOTONIC) < until_ns) {
		got = pump(followed);
		if (got > 0)
			until_ns = nt_clock_ns(CLOCK_MONOTONIC) + 5 * MS_NS;
		else
			followed->source->ops->wait(followed->source, 20);
	}
	return got;
}

static void read_some(struct followed *followed, uint32_t records)
{
	const struct nt_record *record;

	while (records-- && (record = nt_reader_next(&followed->reader, NULL)))
		assert_int_equal(record->ring_seq, ++followed->seen);
	nt_reader_status_update(followed->status, &followed->reader);
}

static void a_file_waits_for_the_reader_and_nothing_of_it_is_lost(void **state)
{
	struct followed followed;
	uint32_t before;

	(void)state;
	follow_set_up(&followed);
	assert_int_equal(pump_all(&followed), 0); /* nobody has come yet */
	assert_int_equal(followed.put, 0);
	reader_comes(&followed);
	assert_int_equal(pump_all(&followed), 0); /* it does not move */
	assert_true(nt_ring_tail(&followed.ring) > RING_BYTES / 4);
	before = followed.put;
	assert_int_equal(pump_all(&followed), 0);
	assert_int_equal(followed.put, before);
	for (uint32_t turn = 0; pump_all(&followed) != -ENODATA; turn++) {
		assert_true(turn < 2000);
		read_some(&followed, 10);
	}
	while (followed.seen < PACKETS_OF_RING)
		read_some(&followed, 10);
	assert_int_equal(followed.put, PACKETS);
	assert_int_equal(followed.reader.lost, 0);
	assert_true(nt_ring_tail(&followed.ring) > 3 * RING_BYTES);
	follow_tear_down(&followed);
}

static void a_reader_that_comes_back_is_found_in_its_new_file(void **state)
{
	struct followed followed;
	uint32_t before;

	(void)state;
	follow_set_up(&followed);
	reader_comes(&followed);
	assert_int_equal(pump_all(&followed), 0);
	munmap(followed.status, sizeof(*followed.status)); /* it dies */
	before = followed.put;
	reader_comes(&followed);
	assert_int_equal(pump_all(&followed), 0);
	assert_int_equal(followed.put, before);
	read_some(&followed, 20);
	assert_int_equal(pump_all(&followed), 0);
	assert_true(followed.put > before);
	follow_tear_down(&followed);
}

/* What it has read but not written, its successor reads again. */
static void of_a_recorder_counts_what_it_has_written(void **state)
{
	struct followed followed;
	uint32_t before;

	(void)state;
	follow_set_up(&followed);
	reader_comes(&followed);
	nt_reader_status_settled(followed.status, 0);
	assert_int_equal(pump_all(&followed), 0);
	before = followed.put;
	read_some(&followed, PACKETS);
	assert_int_equal(pump_all(&followed), 0);
	assert_int_equal(followed.put, before);
	nt_reader_status_settled(followed.status, followed.reader.position);
	assert_int_equal(pump_all(&followed), 0);
	assert_true(followed.put > before);
	follow_tear_down(&followed);
}

static void another_ring_s_reader_or_a_torn_file_is_none(void **state)
{
	struct followed followed;

	(void)state;
	follow_set_up(&followed);
	reader_comes(&followed);
	followed.status->ring_id[3] ^= 1;
	assert_int_equal(pump_all(&followed), 0);
	assert_int_equal(followed.put, 0);
	followed.status->ring_id[3] ^= 1;
	followed.status->position = 64; /* beyond what was ever written */
	assert_int_equal(pump_all(&followed), 0);
	assert_int_equal(followed.put, 0);
	followed.status->position = 0;
	for (off_t size = sizeof(*followed.status) - 1; size > 0; size /= 2) {
		assert_int_equal(truncate(followed.path, size), 0);
		assert_int_equal(pump_all(&followed), 0);
		assert_int_equal(followed.put, 0);
	}
	munmap(followed.status, sizeof(*followed.status));
	reader_comes(&followed);
	assert_int_equal(pump_all(&followed), 0);
	assert_true(followed.put > 0);
	follow_tear_down(&followed);
}

static void what_was_held_back_does_not_have_to_catch_up(void **state)
{
	struct followed followed;
	int64_t due_ns[10], until_ns;

	(void)state;
	follow_set_up(&followed);
	nt_source_close(followed.source);
	free(followed.capture);
	followed.capture = classic_begin(HOST, true, 65535, 1);
	for (uint32_t at = 0; at < 10; at++) {
		classic_put(followed.capture, 1, at * 4 * MS_NS, FRAME, 60, 60);
		due_ns[at] = (at ? at - 1 : 0) * 4 * MS_NS; /* the first after the one that was held is due at once */
	}
	followed.source = open_paced(followed.capture, NT_PLAN_AS_RECORDED, all);
	assert_int_equal(nt_pcap_follow(followed.source, &followed.ring, followed.path, NULL), 0);
	until_ns = nt_clock_ns(CLOCK_MONOTONIC) + 50 * MS_NS;
	while (nt_clock_ns(CLOCK_MONOTONIC) < until_ns) {
		assert_int_equal(pump(&followed), 0);
		followed.source->ops->wait(followed.source, 20);
	}
	reader_comes(&followed);
	play(followed.source, followed.capture, due_ns);
	follow_tear_down(&followed);
}

static void a_path_that_is_none_is_refused(void **state)
{
	struct capture *capture = classic_begin(HOST, true, 65535, 1);
	struct nt_source *source = open_bytes(capture->bytes, capture->size, false, all);
	struct nt_fault fault = {0};
	struct nt_ring ring;

	(void)state;
	assert_int_equal(nt_ring_make_private(&ring, RING_BYTES, NULL), 0);
	assert_int_equal(nt_pcap_follow(source, &ring, "", &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "status file"));
	nt_source_close(source);
	nt_ring_close(&ring);
	free(capture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_waits_for_the_reader_and_nothing_of_it_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_that_comes_back_is_found_in_its_new_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_a_recorder_counts_what_it_has_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_ring_s_reader_or_a_torn_file_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_held_back_does_not_have_to_catch_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_path_that_is_none_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
