/* SPDX-License-Identifier: Apache-2.0 */
/* The packet source: what it makes of the packets in a block. */
#include "packet_fixture.h"

static void a_packet_comes_with_its_stamp_and_its_flow(void **state)
{
	struct nt_source *source = adopt();
	const struct nt_packet *packet = &batch.packets[0];

	(void)state;
	assert_string_equal(source->name, "packet:eth1:1");
	assert_int_equal(source->numbers_flows, 1);
	assert_int_equal(source->holder_id, 77);
	receive(7);
	assert_int_equal(poll_source(source), 0); /* the kernel has the block */
	kernel_retire(&kernel);
	assert_int_equal(poll_source(source), 1);
	assert_int_equal(number_of(packet), 7);
	assert_int_equal(packet->stamp_ns, 1007 * 1000000000ll + 7);
	assert_int_equal(packet->stamp_clock, NT_CLOCK_UTC);
	assert_int_equal(packet->ts_kind, NT_TS_KERNEL);
	assert_int_equal(packet->flow_id, 5);
	assert_int_equal(packet->flow_seq, 0);
	assert_int_equal(packet->flags, 0);
	assert_int_equal(packet->capture_length, FRAME_BYTES);
	assert_int_equal(packet->wire_length, FRAME_BYTES);
	nt_source_close(source);
}

static void receive_tagged(uint32_t status, uint16_t tpid, uint32_t wire)
{
	uint8_t frame[FRAME_BYTES];
	const struct kernel_packet packet = {frame, FRAME_BYTES, wire, status, 0xE123, tpid, 1, 2};

	write_frame(frame, GROUP, 9);
	kernel_receive(&kernel, &packet);
	kernel_retire(&kernel);
}

static void assert_tagged(struct nt_source *source, uint16_t tpid, uint32_t wire)
{
	const struct nt_packet *packet = &batch.packets[0];
	uint8_t frame[FRAME_BYTES];

	write_frame(frame, GROUP, 9);
	assert_int_equal(poll_source(source), 1);
	assert_int_equal(packet->capture_length, FRAME_BYTES + 4);
	assert_int_equal(packet->wire_length, wire + 4);
	assert_memory_equal(packet->data, frame, 12);
	assert_memory_equal(packet->data + 12, ((uint8_t[]){(uint8_t)(tpid >> 8), (uint8_t)tpid, 0xE1, 0x23}), 4);
	assert_memory_equal(packet->data + 16, frame + 12, FRAME_BYTES - 12);
	assert_int_equal(packet->flow_id, 5); /* of any VLAN */
	source->ops->release(source, &batch);
}

static void a_tag_that_the_kernel_took_out_is_put_back(void **state)
{
	struct nt_source *source = adopt();
	uint8_t before[KERNEL_BLOCK_BYTES];

	(void)state;
	receive_tagged(TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID, 0x88A8, 100);
	memcpy(before, kernel.ring, sizeof(before));
	assert_int_equal(poll_source(source), 1);
	assert_memory_equal(kernel.ring, before, sizeof(before)); /* a successor must find it as it was */
	assert_tagged(source, 0x88A8, 100);
	receive_tagged(TP_STATUS_VLAN_VALID, 0, FRAME_BYTES); /* a kernel that does not say which kind */
	assert_tagged(source, 0x8100, FRAME_BYTES);
	nt_source_close(source);
}

static void a_batch_of_tagged_packets_keeps_each_of_them(void **state)
{
	struct nt_source *source = adopt();
	uint8_t frame[FRAME_BYTES];
	struct kernel_packet packet = {frame, FRAME_BYTES, FRAME_BYTES, TP_STATUS_VLAN_VALID, 7, 0, 1, 2};
	uint32_t count = 0;

	(void)state;
	while (kernel_block(&kernel, 0)->hdr.bh1.block_status == TP_STATUS_KERNEL) {
		write_frame(frame, GROUP, count++);
		kernel_receive(&kernel, &packet);
	}
	assert_int_equal(take(source, 0), count - 1); /* the last one opened the next block */
	nt_source_close(source);
}

static void what_is_not_selected_is_counted_and_given_back(void **state)
{
	struct nt_source *source = adopt();

	(void)state;
	receive_unselected();
	receive(1);
	receive_unselected();
	kernel_retire(&kernel);
	assert_int_equal(poll_source(source), 1);
	assert_int_equal(batch.unselected, 2);
	source->ops->release(source, &batch);
	receive_unselected();
	kernel_retire(&kernel);
	assert_int_equal(poll_source(source), 0);
	assert_int_equal(batch.unselected, 1);
	source->ops->release(source, &batch);
	assert_int_equal(kernel_block(&kernel, 0)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	assert_int_equal(kernel_block(&kernel, 1)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	assert_int_equal(stats_of(source).rx_taken, 4);
	nt_source_close(source);
}

static void what_cannot_be_parsed_is_marked(void **state)
{
	struct nt_source *source = adopt();
	uint8_t frame[FRAME_BYTES];
	const struct kernel_packet packet = {.frame = frame, .captured = 20, .wire = 20};

	(void)state;
	write_frame(frame, GROUP, 0);
	kernel_receive(&kernel, &packet);
	kernel_retire(&kernel);
	assert_int_equal(poll_source(source), 1);
	assert_int_equal(batch.packets[0].flags, NT_RECORD_UNPARSED);
	assert_int_equal(batch.packets[0].flow_id, NT_FLOW_OTHER);
	nt_source_close(source);
}

/* In one poll: were nothing brought, the loop would take the source for empty, and what waits for newer than it is. */
static void a_block_without_packets_is_stepped_over(void **state)
{
	struct nt_source *source = adopt();

	(void)state;
	kernel_retire(&kernel);
	receive(0);
	kernel_retire(&kernel);
	assert_int_equal(take(source, 0), 1);
	kernel_retire(&kernel);
	assert_int_equal(poll_source(source), 0);
	nt_source_close(source);
}

static uint32_t large_block = LARGE_BLOCK;

static void a_batch_has_as_many_packets_as_asked_at_most(void **state)
{
	struct nt_source *source = adopt();
	uint32_t next = 0;

	(void)state;
	batch.limit = 64;
	for (uint32_t i = 0; i < 150; i++)
		receive(i);
	kernel_retire(&kernel);
	assert_int_equal(take(source, 0), 64);
	assert_int_equal(take(source, 64), 128);
	source = kill_and_adopt(source);
	next = take(source, 128);
	assert_int_equal(next, 150);
	assert_int_equal(poll_source(source), 0);
	nt_source_close(source);
	batch.limit = NT_BATCH_PACKETS;
}

static void a_poll_judges_256_packets_at_most(void **state)
{
	struct nt_source *source = adopt();

	(void)state;
	for (uint32_t i = 0; i < 600; i++)
		receive_unselected();
	receive(0);
	kernel_retire(&kernel);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(poll_source(source), 0);
		assert_int_equal(batch.unselected, 256);
		source->ops->release(source, &batch);
	}
	assert_int_equal(poll_source(source), 1);
	assert_int_equal(batch.unselected, 600 - 512);
	nt_source_close(source);
}

static void a_packet_that_reaches_beyond_its_block_breaks_the_source(void **state)
{
	struct nt_source *source = adopt();
	struct tpacket3_hdr *header = (struct tpacket3_hdr *)(void *)(kernel.ring + KERNEL_FIRST);

	(void)state;
	receive(0);
	receive(1);
	kernel_retire(&kernel);
	header->tp_snaplen = KERNEL_BLOCK_BYTES;
	assert_int_equal(poll_source(source), -EPROTO);
	header->tp_snaplen = FRAME_BYTES;
	header->tp_next_offset = KERNEL_BLOCK_BYTES - 8;
	assert_int_equal(poll_source(source), -EPROTO);
	header->tp_next_offset = UINT32_MAX;
	assert_int_equal(poll_source(source), -EPROTO);
	nt_source_close(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_packet_comes_with_its_stamp_and_its_flow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_tag_that_the_kernel_took_out_is_put_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_batch_of_tagged_packets_keeps_each_of_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_selected_is_counted_and_given_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_parsed_is_marked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_block_without_packets_is_stepped_over, set_up, tear_down),
		cmocka_unit_test_prestate_setup_teardown(a_batch_has_as_many_packets_as_asked_at_most, set_up, tear_down,
							 &large_block),
		cmocka_unit_test_prestate_setup_teardown(a_poll_judges_256_packets_at_most, set_up, tear_down, &large_block),
		cmocka_unit_test_setup_teardown(a_packet_that_reaches_beyond_its_block_breaks_the_source, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
