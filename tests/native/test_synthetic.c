/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"
#include "loop/state.h"
#include "ring/reader.h"
#include "clock.h"
#include "source/frame.h"
#include "source/synthetic.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct nt_plan_source plan;
static struct nt_flow flow;

static int set_up(void **state)
{
	static const uint8_t group[] = {239, 192, 7, 9};

	(void)state;
	plan = (struct nt_plan_source){.kind = NT_SOURCE_SYNTHETIC, .interface = "made0", .synthetic_frame_bytes = 242};
	flow = (struct nt_flow){.id = 5, .family = NT_FAMILY_IPV4, .port = 30001, .vlan = NT_VLAN_NONE, .interface = "made0"};
	memcpy(flow.group, group, sizeof(group));
	return 0;
}

static struct nt_source *open_source(void)
{
	struct nt_source *source;

	assert_int_equal(nt_synthetic_open(&source, &plan, &flow, 5, NULL), 0);
	return source;
}

/* Addresses, lengths and both checksums, recomputed here over the whole frame. */
static void assert_frame_is_well_formed(const uint8_t *frame, uint32_t bytes)
{
	static const uint8_t mac[] = {0x01, 0x00, 0x5E, 0x40, 0x07, 0x09}; /* 192 & 127 = 64 */
	uint32_t udp_bytes = bytes - 34, sum;

	assert_memory_equal(frame, mac, sizeof(mac));
	assert_memory_equal(frame + 12, "\x08\x00\x45", 3);
	assert_int_equal(frame[16] << 8 | frame[17], bytes - 14);
	assert_int_equal(nt_checksum_finish(nt_checksum_add(0, frame + 14, 20)), 0);
	assert_memory_equal(frame + 30, flow.group, 4);
	assert_int_equal(frame[36] << 8 | frame[37], 30001);
	assert_int_equal(frame[38] << 8 | frame[39], udp_bytes);
	sum = nt_checksum_add(17 + udp_bytes, frame + 26, 8);
	assert_int_equal(nt_checksum_finish(nt_checksum_add(sum, frame + 34, udp_bytes)), 0);
}

static void assert_payload_is_of(const uint8_t *payload, uint32_t bytes, uint64_t number)
{
	for (uint32_t at = 0; at < 8; at++)
		assert_int_equal(payload[at], (uint8_t)(number >> (56 - 8 * at)));
	for (uint32_t at = 8; at < bytes; at++)
		if (payload[at] != nt_synthetic_byte(number, at))
			fail_msg("packet %llu byte %u", (unsigned long long)number, at);
}

static void frames_are_well_formed_at_every_size(void **state)
{
	static const uint32_t sizes[] = {60, 61, 242, 1514, 9216};
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};

	(void)state;
	for (size_t at = 0; at < sizeof(sizes) / sizeof(sizes[0]); at++) {
		struct nt_source *source;

		plan.synthetic_frame_bytes = sizes[at];
		source = open_source();
		for (uint64_t number = 1; number <= 640; number++) {
			const struct nt_packet *packet = &batch.packets[(number - 1) % NT_BATCH_PACKETS];

			if ((number - 1) % NT_BATCH_PACKETS == 0)
				assert_int_equal(source->ops->poll(source, &batch), NT_BATCH_PACKETS);
			assert_int_equal(packet->flow_seq, number);
			assert_int_equal(packet->capture_length, sizes[at]);
			assert_frame_is_well_formed(packet->data, sizes[at]);
			assert_payload_is_of(packet->data + 42, sizes[at] - 42, number);
		}
		source->ops->close(source);
	}
}

static void a_finite_source_makes_its_count_and_ends(void **state)
{
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	struct nt_source *source;

	(void)state;
	batch.limit = 64;
	plan.synthetic_count = 70;
	source = open_source();
	assert_int_equal(source->ops->poll(source, &batch), 64);
	assert_int_equal(source->ops->poll(source, &batch), 6);
	assert_int_equal(source->ops->poll(source, &batch), -ENODATA);
	source->ops->close(source);
}

static void a_rate_is_kept_by_the_clock(void **state)
{
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
	struct nt_source *source;
	int64_t began_ns, elapsed_ns;
	uint64_t made = 0;

	(void)state;
	plan.synthetic_rate_pps = 100000;
	source = open_source();
	began_ns = nt_clock_ns(CLOCK_MONOTONIC);
	while ((elapsed_ns = nt_clock_ns(CLOCK_MONOTONIC) - began_ns) < 100000000)
		made += (uint64_t)source->ops->poll(source, &batch);
	assert_in_range(made, 9000, (uint64_t)elapsed_ns / 10000 + 1);
	source->ops->close(source);
}

static void bad_settings_are_refused_in_one_line(void **state)
{
	struct nt_source *source;
	struct nt_fault fault;

	(void)state;
	plan.synthetic_frame_bytes = 59;
	assert_int_equal(nt_synthetic_open(&source, &plan, &flow, 5, &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "60 to 9216, found 59"));
	set_up(NULL);
	flow.family = NT_FAMILY_IPV6;
	assert_int_equal(nt_synthetic_open(&source, &plan, &flow, 5, &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "IPv4"));
}

static void a_million_packets_go_through_the_ring_and_each_byte_is_right(void **state)
{
	const struct nt_loop_options options = {.core = -1};
	struct nt_source *source;
	struct nt_reader reader;
	struct nt_ring ring;
	uint64_t seen = 0;

	(void)state;
	assert_int_equal(nt_ring_make_private(&ring, 1u << 22, NULL), 0);
	assert_int_equal(nt_reader_init(&reader, &ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_reader_seek(&reader, NT_START_OLDEST, 0), 0);
	plan.synthetic_count = 8000;
	for (uint64_t round = 0; round < 125; round++) {
		const struct nt_record *record;
		struct nt_loop *loop;

		source = open_source();
		assert_int_equal(nt_loop_create(&loop, &ring, seen + 1, 0, &source, 1, &options, NULL), 0);
		nt_loop_run(loop);
		nt_loop_destroy(loop);
		source->ops->close(source);
		while ((record = nt_reader_next(&reader, NULL))) {
			assert_int_equal(record->ring_seq, ++seen);
			assert_payload_is_of((const uint8_t *)(record + 1) + 42, 200, record->flow_seq);
		}
		assert_int_equal(seen, (round + 1) * 8000);
	}
	assert_int_equal(reader.lost, 0);
	assert_int_equal(ring.sources[0].loop.packets, 1000000);
	nt_reader_free(&reader);
	nt_ring_close(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(frames_are_well_formed_at_every_size, set_up),
		cmocka_unit_test_setup(a_finite_source_makes_its_count_and_ends, set_up),
		cmocka_unit_test_setup(a_rate_is_kept_by_the_clock, set_up),
		cmocka_unit_test_setup(bad_settings_are_refused_in_one_line, set_up),
		cmocka_unit_test_setup(a_million_packets_go_through_the_ring_and_each_byte_is_right, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
