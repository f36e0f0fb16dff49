/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a private ring as columns. */
#include "columns/columns.h"
#include "ring/writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 64u
#define RING_BYTES (1u << 20)

static const uint8_t MULTICAST_FRAME[] = {
	0x01, 0x00, 0x5e, 0x01, 0x02, 0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,                     /* Ethernet */
	0x45, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x10, 0x11, 0xaf, 0xc7, 10,   0,    0, 1, 239, 1, 2, 3, /* IPv4 */
	0x30, 0x39, 0x3a, 0x98, 0x00, 0x0c, 0x00, 0x00,                                                         /* UDP */
	'a',  'b',  'c',  'd',                                                                                  /* payload */
	0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6,                                                               /* trailer */
};
#define HEADER_BYTES 42u
#define PAYLOAD_BYTES 4u

struct fixture {
	struct nt_ring ring;
	struct nt_writer writer;
	struct nt_reader reader;
	struct nt_address_book book;
	struct nt_columns columns;
};

static void *buffer(size_t bytes)
{
	void *memory = malloc(bytes); /* not zeroed: the fill must not count on it */

	assert_non_null(memory);
	memset(memory, 0xA5, bytes);
	return memory;
}

static void make_columns(struct nt_columns *columns, uint32_t rows, uint32_t bytes)
{
	struct nt_binary_column *binaries[] = {&columns->header, &columns->payload, &columns->trailer};

	columns->row_capacity = rows;
	columns->byte_capacity = bytes;
	columns->ring_seq = buffer(rows * 8u);
	columns->ts = buffer(rows * 8u);
	columns->ts_kind = buffer(rows * 4u);
	columns->ts_raw = buffer(rows * 8u);
	columns->ts_raw_valid = buffer((rows + 7) / 8);
	columns->rx_delay_ns = buffer(rows * 8u);
	columns->rx_delay_valid = buffer((rows + 7) / 8);
	columns->flow_id = buffer(rows * 4u);
	columns->flow_seq = buffer(rows * 8u);
	columns->source = buffer(rows);
	columns->src_ip = buffer(rows * 4u);
	columns->dst_ip = buffer(rows * 4u);
	columns->address_valid = buffer((rows + 7) / 8);
	columns->src_port = buffer(rows * 2u);
	columns->dst_port = buffer(rows * 2u);
	columns->port_valid = buffer((rows + 7) / 8);
	columns->vlan = buffer(rows * 2u);
	columns->vlan_valid = buffer((rows + 7) / 8);
	columns->wire_len = buffer(rows * 4u);
	columns->payload_len = buffer(rows * 4u);
	columns->lost_before = buffer(rows * 4u);
	columns->flags = buffer(rows * 2u);
	columns->epoch = buffer(rows * 4u);
	columns->epoch_valid = buffer((rows + 7) / 8);
	for (size_t i = 0; i < 3; i++) {
		binaries[i]->offsets = buffer((rows + 1) * 4u);
		binaries[i]->data = buffer(bytes);
	}
}

static void free_columns(struct nt_columns *columns)
{
	void *buffers[] = {columns->ring_seq,
			   columns->ts,
			   columns->ts_kind,
			   columns->ts_raw,
			   columns->ts_raw_valid,
			   columns->rx_delay_ns,
			   columns->rx_delay_valid,
			   columns->flow_id,
			   columns->flow_seq,
			   columns->source,
			   columns->src_ip,
			   columns->dst_ip,
			   columns->address_valid,
			   columns->src_port,
			   columns->dst_port,
			   columns->port_valid,
			   columns->vlan,
			   columns->vlan_valid,
			   columns->wire_len,
			   columns->payload_len,
			   columns->lost_before,
			   columns->flags,
			   columns->epoch,
			   columns->epoch_valid,
			   columns->header.offsets,
			   columns->header.data,
			   columns->payload.offsets,
			   columns->payload.data,
			   columns->trailer.offsets,
			   columns->trailer.data};

	for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
		free(buffers[i]);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	assert_int_equal(nt_ring_make_private(&fixture->ring, RING_BYTES, NULL), 0);
	nt_writer_init(&fixture->writer, &fixture->ring, 1);
	assert_int_equal(nt_reader_init(&fixture->reader, &fixture->ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_address_book_init(&fixture->book), 0);
	make_columns(&fixture->columns, ROWS, nt_columns_frame_max(&fixture->ring) + 8192);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	free_columns(&fixture->columns);
	nt_address_book_free(&fixture->book);
	nt_reader_free(&fixture->reader);
	nt_ring_close(&fixture->ring);
	free(fixture);
	return 0;
}

static struct nt_record *write_frame(struct fixture *fixture, const uint8_t *frame, uint32_t bytes, int32_t rx_delay_ns)
{
	uint32_t length = NT_RECORD_HEADER_BYTES + bytes;
	struct nt_record *record;

	assert_int_equal(nt_writer_reserve(&fixture->writer, &length, 1), 1);
	record = nt_writer_next(&fixture->writer, length);
	record->flags = 0;
	record->source = 3;
	record->ts_kind = NT_TS_XDP;
	record->ts_ns = 1700000000123456789;
	record->flow_seq = 77;
	record->flow_id = 5;
	record->rx_delay_ns = rx_delay_ns;
	record->capture_length = bytes;
	record->wire_length = bytes;
	memcpy(record + 1, frame, bytes);
	nt_writer_publish(&fixture->writer);
	return record;
}

/* As write_frame, with the stamp that ts was taken instead of behind the frame. */
static struct nt_record *write_with_raw_stamp(struct fixture *fixture, const uint8_t *frame, uint32_t bytes, int64_t raw_ns)
{
	uint8_t room[256];
	struct nt_record *record;

	memcpy(room, frame, bytes);
	memcpy(room + bytes, &raw_ns, sizeof(raw_ns));
	record = write_frame(fixture, room, bytes + NT_RECORD_RAW_STAMP_BYTES, NT_RX_DELAY_UNKNOWN);
	record->flags = NT_RECORD_BAD_STAMP | NT_RECORD_RAW_STAMP;
	record->capture_length = record->wire_length = bytes;
	return record;
}

static bool bit(const uint8_t *bitmap, uint32_t row)
{
	return bitmap[row >> 3] >> (row & 7) & 1;
}

static int fill(struct fixture *fixture)
{
	nt_columns_begin(&fixture->columns);
	return nt_columns_fill(&fixture->reader, &fixture->book, &fixture->columns);
}

static void an_empty_ring_gives_no_rows(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(fill(fixture), 0);
	assert_int_equal(fixture->columns.rows, 0);
	assert_int_equal(fixture->columns.header.offsets[0], 0);
}

static void a_multicast_frame_becomes_one_row(void **state)
{
	struct fixture *fixture = *state;
	struct nt_columns *columns = &fixture->columns;

	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 400);
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(columns->rows, 1);
	assert_int_equal(columns->ring_seq[0], 1);
	assert_int_equal(columns->ts[0], 1700000000123456789);
	assert_int_equal(columns->ts_kind[0], NT_TS_XDP);
	assert_int_equal(columns->rx_delay_ns[0], 400);
	assert_true(bit(columns->rx_delay_valid, 0));
	assert_int_equal(columns->flow_id[0], 5);
	assert_int_equal(columns->flow_seq[0], 77);
	assert_int_equal(columns->source[0], 3);
	assert_int_equal(columns->src_port[0], 12345);
	assert_int_equal(columns->dst_port[0], 15000);
	assert_false(bit(columns->vlan_valid, 0));
	assert_int_equal(columns->vlan_nulls, 1);
	assert_int_equal(columns->payload_len[0], PAYLOAD_BYTES);
	assert_int_equal(columns->flags[0], 0);
	assert_int_equal(columns->epoch[0], 1);
	assert_int_equal(columns->header.offsets[1], HEADER_BYTES);
	assert_memory_equal(columns->header.data, MULTICAST_FRAME, HEADER_BYTES);
	assert_memory_equal(columns->payload.data, "abcd", PAYLOAD_BYTES);
	assert_int_equal(columns->trailer.offsets[1], 7);
	assert_memory_equal(columns->trailer.data, MULTICAST_FRAME + HEADER_BYTES + PAYLOAD_BYTES, 7);
	assert_memory_equal(fixture->book.addresses[columns->dst_ip[0]].bytes, MULTICAST_FRAME + 30, 4);
}

/* The frame as it was, in three pieces; the flags say where the first ends. */
static void a_frame_of_another_link_is_read_as_its_record_says(void **state)
{
	static const uint8_t cooked[] = {0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0};
	struct fixture *fixture = *state;
	struct nt_columns *columns = &fixture->columns;
	uint8_t frame[sizeof(cooked) + sizeof(MULTICAST_FRAME)];

	memcpy(frame, cooked, sizeof(cooked));
	memcpy(frame + sizeof(cooked), MULTICAST_FRAME + 12, sizeof(MULTICAST_FRAME) - 12);
	write_frame(fixture, frame, sizeof(MULTICAST_FRAME) + 2, 0)->flags = NT_RECORD_LINUX_SLL | NT_RECORD_BAD_STAMP;
	write_frame(fixture, MULTICAST_FRAME + 14, sizeof(MULTICAST_FRAME) - 14, 0)->flags = NT_RECORD_RAW_IP;
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(columns->rows, 2);
	assert_int_equal(columns->flags[0], NT_RECORD_LINUX_SLL | NT_RECORD_BAD_STAMP);
	assert_int_equal(columns->flags[1], NT_RECORD_RAW_IP);
	assert_int_equal(columns->header.offsets[1], HEADER_BYTES + 2);
	assert_int_equal(columns->header.offsets[2], HEADER_BYTES + 2 + HEADER_BYTES - 14);
	assert_int_equal(columns->payload.offsets[2], 2 * PAYLOAD_BYTES);
	assert_memory_equal(columns->header.data, frame, HEADER_BYTES + 2);
	assert_memory_equal(columns->payload.data, "abcdabcd", 8);
	assert_int_equal(columns->dst_ip[0], columns->dst_ip[1]);
	assert_int_equal(columns->dst_port[0], 15000);
	assert_int_equal(columns->dst_port[1], 15000);
}

static void a_stamp_behind_the_frame_is_a_column_and_no_part_of_the_frame(void **state)
{
	struct fixture *fixture = *state;
	struct nt_columns *columns = &fixture->columns;

	for (int64_t row = 0; row < 18; row++)
		if (row % 3)
			write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
		else
			write_with_raw_stamp(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), INT64_MIN + row);
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(columns->rows, 18);
	for (uint32_t row = 0; row < 18; row++) {
		assert_int_equal(bit(columns->ts_raw_valid, row), row % 3 == 0);
		assert_int_equal(columns->ts_raw[row], row % 3 ? 0 : INT64_MIN + row);
		assert_int_equal(columns->flags[row], row % 3 ? 0 : NT_RECORD_BAD_STAMP);
		assert_int_equal(columns->trailer.offsets[row + 1], 7 * (row + 1));
		assert_int_equal(columns->wire_len[row], sizeof(MULTICAST_FRAME));
	}
	assert_int_equal(columns->ts_raw_nulls, 12);
	assert_int_equal(columns->trailer.data[6], 0xf6);
}

static void a_record_too_short_for_the_stamp_that_it_names_is_refused(void **state)
{
	struct fixture *fixture = *state;

	write_frame(fixture, MULTICAST_FRAME, 4, 0)->flags = NT_RECORD_RAW_STAMP;
	assert_int_equal(fill(fixture), -EBADMSG);
	assert_int_equal(fixture->columns.rows, 0);
}

static void an_unknown_receive_delay_is_null_and_a_negative_one_is_not(void **state)
{
	struct fixture *fixture = *state;

	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), NT_RX_DELAY_UNKNOWN);
	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), NT_RX_DELAY_MIN);
	assert_int_equal(fill(fixture), 0);
	assert_false(bit(fixture->columns.rx_delay_valid, 0));
	assert_true(bit(fixture->columns.rx_delay_valid, 1));
	assert_int_equal(fixture->columns.rx_delay_ns[1], NT_RX_DELAY_MIN);
	assert_int_equal(fixture->columns.rx_delay_nulls, 1);
}

static void nulls_are_right_in_every_bit_of_dirty_buffers(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t i = 0; i < 21; i++)
		write_frame(fixture, MULTICAST_FRAME, i % 3 ? sizeof(MULTICAST_FRAME) : 14, i % 2 ? 7 : NT_RX_DELAY_UNKNOWN);
	assert_int_equal(fill(fixture), 0);
	for (uint32_t row = 0; row < 21; row++) {
		assert_int_equal(bit(fixture->columns.rx_delay_valid, row), row % 2);
		assert_int_equal(bit(fixture->columns.address_valid, row), row % 3 != 0);
		assert_int_equal(bit(fixture->columns.port_valid, row), row % 3 != 0);
		assert_false(bit(fixture->columns.vlan_valid, row));
		assert_true(bit(fixture->columns.epoch_valid, row));
	}
	assert_int_equal(fixture->columns.rx_delay_nulls, 11);
	assert_int_equal(fixture->columns.address_nulls, 7);
	assert_int_equal(fixture->columns.port_nulls, 7);
	assert_int_equal(fixture->columns.vlan_nulls, 21);
	assert_int_equal(fixture->columns.epoch_nulls, 0);
}

static void a_fill_ends_at_the_row_capacity_and_the_next_goes_on(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t i = 0; i < ROWS + 3; i++)
		write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(fixture->columns.rows, ROWS);
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(fixture->columns.rows, 3);
	assert_int_equal(fixture->columns.ring_seq[0], ROWS + 1);
}

static void a_fill_ends_before_the_largest_record_would_not_fit(void **state)
{
	struct fixture *fixture = *state;
	uint32_t largest = nt_columns_frame_max(&fixture->ring);
	uint8_t *frame = calloc(1, largest);

	assert_non_null(frame);
	fixture->columns.byte_capacity = largest;
	write_frame(fixture, frame, largest, 0);
	write_frame(fixture, frame, 14, 0);
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(fixture->columns.rows, 1);
	assert_int_equal(fixture->columns.payload.offsets[1], largest - 14);
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(fixture->columns.rows, 1);
	fixture->columns.byte_capacity = largest - 1;
	assert_int_equal(fill(fixture), -EINVAL);
	free(frame);
}

static void a_stamp_kind_that_no_writer_knows_is_refused_after_the_rows_before_it(void **state)
{
	struct fixture *fixture = *state;

	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0)->ts_kind = NT_TS_FILE + 1;
	assert_int_equal(fill(fixture), -EBADMSG);
	assert_int_equal(fixture->columns.rows, 1);
}

static void a_capture_length_beyond_its_record_is_refused(void **state)
{
	struct fixture *fixture = *state;

	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0)->capture_length++;
	assert_int_equal(fill(fixture), -EBADMSG);
	assert_int_equal(fixture->columns.rows, 0);
}

static void a_record_whose_addresses_find_no_room_is_not_taken(void **state)
{
	struct fixture *fixture = *state;
	struct nt_address_book *book = &fixture->book;
	struct nt_address_book usable = *book;

	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
	book->capacity = 1u << 30; /* full, and as large as a book may become */
	book->count = book->capacity;
	assert_int_equal(fill(fixture), -ENOMEM);
	assert_int_equal(fixture->columns.rows, 0);
	assert_int_equal(fixture->reader.records, 0);
	*book = usable;
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(fixture->columns.rows, 1);
	assert_int_equal(fixture->columns.ring_seq[0], 1);
	assert_int_equal(fixture->reader.lost, 0);
}

static void records_of_two_writers_carry_two_epochs(void **state)
{
	struct fixture *fixture = *state;
	uint64_t next_seq;

	for (uint32_t i = 0; i < 5; i++)
		write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
	assert_int_equal(nt_ring_restart(&fixture->ring, 0, &next_seq, NULL), 0);
	nt_writer_init(&fixture->writer, &fixture->ring, next_seq);
	for (uint32_t i = 0; i < 12; i++)
		write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(fixture->columns.rows, 17);
	for (uint32_t row = 0; row < 17; row++) {
		assert_int_equal(fixture->columns.epoch[row], row < 5 ? 1 : 2);
		assert_true(bit(fixture->columns.epoch_valid, row));
	}
}

static void a_fill_goes_on_behind_the_rows_of_the_one_before(void **state)
{
	struct fixture *fixture = *state;
	struct nt_columns *columns = &fixture->columns;
	uint64_t next_seq;

	for (uint32_t i = 0; i < 5; i++)
		write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), i % 2 ? 7 : NT_RX_DELAY_UNKNOWN);
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(nt_ring_restart(&fixture->ring, 0, &next_seq, NULL), 0);
	nt_writer_init(&fixture->writer, &fixture->ring, next_seq);
	for (uint32_t i = 5; i < ROWS + 3; i++)
		write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), i % 2 ? 7 : NT_RX_DELAY_UNKNOWN);
	assert_int_equal(nt_columns_fill(&fixture->reader, &fixture->book, columns), 0);
	assert_int_equal(columns->rows, ROWS);
	for (uint32_t row = 0; row < ROWS; row++) {
		assert_int_equal(columns->ring_seq[row], row + 1);
		assert_int_equal(bit(columns->rx_delay_valid, row), row % 2);
		assert_int_equal(columns->epoch[row], row < 5 ? 1 : 2);
		assert_true(bit(columns->epoch_valid, row));
		assert_memory_equal(columns->payload.data + columns->payload.offsets[row], "abcd", PAYLOAD_BYTES);
	}
	assert_int_equal(columns->rx_delay_nulls, ROWS / 2);
	assert_int_equal(nt_columns_fill(&fixture->reader, &fixture->book, columns), 0);
	assert_int_equal(columns->rows, ROWS);
}

static void the_frames_of_several_fills_share_the_room_of_one(void **state)
{
	struct fixture *fixture = *state;
	uint32_t largest = nt_columns_frame_max(&fixture->ring);

	fixture->columns.byte_capacity = largest + sizeof(MULTICAST_FRAME);
	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
	assert_int_equal(fill(fixture), 0);
	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
	write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
	assert_int_equal(nt_columns_fill(&fixture->reader, &fixture->book, &fixture->columns), 0);
	assert_int_equal(fixture->columns.rows, 2);
	assert_int_equal(fill(fixture), 0);
	assert_int_equal(fixture->columns.rows, 1);
}

static void a_lapped_reader_says_on_its_next_row_what_it_lost(void **state)
{
	struct fixture *fixture = *state;
	uint64_t seen = 0;

	for (uint32_t i = 0; i < 20000; i++) /* about twice around */
		write_frame(fixture, MULTICAST_FRAME, sizeof(MULTICAST_FRAME), 0);
	assert_int_equal(fill(fixture), 0);
	assert_true(fixture->columns.lost > 0);
	assert_int_equal(fixture->columns.lost_before[0], fixture->columns.ring_seq[0] - 1);
	do {
		seen += fixture->columns.rows;
		assert_int_equal(fill(fixture), 0);
	} while (fixture->columns.rows);
	assert_int_equal(seen + fixture->reader.lost, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_empty_ring_gives_no_rows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_multicast_frame_becomes_one_row, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_frame_of_another_link_is_read_as_its_record_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stamp_behind_the_frame_is_a_column_and_no_part_of_the_frame, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_record_too_short_for_the_stamp_that_it_names_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_unknown_receive_delay_is_null_and_a_negative_one_is_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nulls_are_right_in_every_bit_of_dirty_buffers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_fill_ends_at_the_row_capacity_and_the_next_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_fill_ends_before_the_largest_record_would_not_fit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stamp_kind_that_no_writer_knows_is_refused_after_the_rows_before_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_capture_length_beyond_its_record_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_record_whose_addresses_find_no_room_is_not_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(records_of_two_writers_carry_two_epochs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_fill_goes_on_behind_the_rows_of_the_one_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_frames_of_several_fills_share_the_room_of_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lapped_reader_says_on_its_next_row_what_it_lost, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
