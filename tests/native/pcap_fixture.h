/* SPDX-License-Identifier: Apache-2.0 */
/* The pcap source over files in memory, and what it must hand out of them. */
#ifndef NT_TEST_PCAP_FIXTURE_H
#define NT_TEST_PCAP_FIXTURE_H

#include "capture_file.h"
#include "clock.h"
#include "source/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

/* A descriptor that brings these bytes: of a file that can be sought in, or of a pipe. */
static inline int bytes_fd(const uint8_t *bytes, size_t count, bool as_pipe)
{
	int ends[2];

	if (!as_pipe) {
		ends[0] = memfd_create("capture", MFD_CLOEXEC);
		assert_true(ends[0] >= 0);
		assert_int_equal(write(ends[0], bytes, count), count);
		assert_int_equal(lseek(ends[0], 0, SEEK_SET), 0);
		return ends[0];
	}
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	if (count > 65536)
		assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= (int)count);
	assert_int_equal(write(ends[1], bytes, count), count);
	close(ends[1]);
	return ends[0];
}

static inline struct nt_selector *select_all(void)
{
	struct nt_selector *selector;

	assert_int_equal(nt_selector_create(&selector, NT_SELECT_ALL, NULL, 0, "file0", NULL), 0);
	return selector;
}

static inline struct nt_plan_source pcap_plan(uint64_t pace_ppm)
{
	struct nt_plan_source plan = {.kind = NT_SOURCE_PCAP, .interface = "file0", .select = NT_SELECT_ALL, .file = "day.pcap"};

	plan.pace_ppm = pace_ppm;
	return plan;
}

static inline struct nt_source *open_bytes(const uint8_t *bytes, size_t count, bool as_pipe, const struct nt_selector *selector)
{
	struct nt_plan_source plan = pcap_plan(0);
	struct nt_fault fault = {0};
	struct nt_source *source = NULL;

	if (nt_pcap_open(&source, &plan, bytes_fd(bytes, count, as_pipe), selector, &fault))
		fail_msg("%s", fault.text);
	return source;
}

/* Why these bytes are refused. */
static inline int refusal(const uint8_t *bytes, size_t count, bool as_pipe, struct nt_fault *fault)
{
	struct nt_selector *selector = select_all();
	struct nt_plan_source plan = pcap_plan(0);
	struct nt_source *source;
	int error = nt_pcap_open(&source, &plan, bytes_fd(bytes, count, as_pipe), selector, fault);

	if (!error)
		nt_source_close(source);
	nt_selector_destroy(selector);
	return error;
}

static inline void assert_packet(const struct nt_packet *packet, const struct capture *capture, uint32_t number)
{
	const struct expected *expected = &capture->expected[number];

	assert_int_equal(packet->capture_length, expected->captured);
	assert_int_equal(packet->wire_length, expected->wire);
	assert_memory_equal(packet->data, capture->bytes + expected->frame_at, expected->captured);
	assert_int_equal(packet->stamp_ns, expected->stamp_ns);
	assert_int_equal(packet->ts_kind, NT_TS_FILE);
	assert_int_equal(packet->flow_seq, 0);
	assert_int_equal(!!(packet->flags & NT_RECORD_BAD_STAMP), expected->bad_stamp);
}

/* Takes all that the source brings; the first `sure` must be as expected. Returns how many came. */
static inline uint32_t drain(struct nt_source *source, const struct capture *capture, uint32_t sure)
{
	static struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	uint32_t taken = 0;
	int got;

	while ((got = source->ops->poll(source, &batch)) >= 0) {
		assert_int_equal(got, batch.count);
		for (int at = 0; at < got; at++, taken++)
			if (taken < sure)
				assert_packet(&batch.packets[at], capture, taken);
		source->ops->release(source, &batch);
		assert_true(taken <= CAPTURE_BYTES / 16); /* no more than a file can hold */
	}
	assert_int_equal(got, -ENODATA);
	assert_int_equal(source->ops->poll(source, &batch), -ENODATA);
	assert_int_equal(batch.count + batch.unselected, 0);
	return taken;
}

static inline struct nt_source *open_paced(const struct capture *capture, uint64_t pace_ppm, const struct nt_selector *selector)
{
	struct nt_plan_source plan = pcap_plan(pace_ppm);
	struct nt_source *source;

	assert_int_equal(nt_pcap_open(&source, &plan, bytes_fd(capture->bytes, capture->size, false), selector, NULL), 0);
	return source;
}

/* Plays it to its end, each packet not before its time. Returns how long it took. */
static inline int64_t play(struct nt_source *source, const struct capture *capture, const int64_t *due_ns)
{
	int64_t began_ns = nt_clock_ns(CLOCK_MONOTONIC);
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	uint32_t taken = 0;
	int got;

	while ((got = source->ops->poll(source, &batch)) >= 0) {
		int64_t now_ns = nt_clock_ns(CLOCK_MONOTONIC);

		for (int at = 0; at < got; at++, taken++) {
			assert_packet(&batch.packets[at], capture, taken);
			assert_true(now_ns - began_ns >= due_ns[taken]);
		}
		source->ops->release(source, &batch);
		if (!got)
			source->ops->wait(source, 20);
	}
	assert_int_equal(got, -ENODATA);
	assert_int_equal(taken, capture->packets);
	return nt_clock_ns(CLOCK_MONOTONIC) - began_ns;
}

static inline uint64_t offered(struct nt_source *source)
{
	struct nt_source_stats stats;

	nt_source_stats_unknown(&stats);
	source->ops->read_stats(source, &stats);
	return stats.offered;
}

#endif
