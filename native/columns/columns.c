/* SPDX-License-Identifier: Apache-2.0 */
#include "columns.h"

#include <errno.h>
#include <string.h>

#define COLUMN_FLAGS 0x3FFFu /* the last two bits are the ring's own */

static inline void set_bit(uint8_t *bitmap, uint32_t row, bool value)
{
	uint8_t before = row & 7 ? bitmap[row >> 3] : 0; /* what lies there at first is whatever the memory held */

	bitmap[row >> 3] = before | (uint8_t)((unsigned)value << (row & 7));
}

static inline void append_bytes(struct nt_binary_column *column, uint32_t row, const uint8_t *bytes, uint32_t count)
{
	int32_t at = column->offsets[row];

	memcpy(column->data + at, bytes, count);
	column->offsets[row + 1] = at + (int32_t)count;
}

static inline void append_raw_stamp(struct nt_columns *columns, uint32_t row, const struct nt_record *record)
{
	bool has_raw = (record->flags & NT_RECORD_RAW_STAMP) != 0;
	int64_t raw = 0;

	if (has_raw)
		memcpy(&raw, (const uint8_t *)(record + 1) + record->capture_length, sizeof(raw));
	columns->ts_raw[row] = raw;
	set_bit(columns->ts_raw_valid, row, has_raw);
	columns->ts_raw_nulls += !has_raw;
}

static inline void append_record(struct nt_columns *columns, uint32_t row, const struct nt_record *record, uint64_t lost)
{
	bool delay_known = record->rx_delay_ns != NT_RX_DELAY_UNKNOWN;

	columns->ring_seq[row] = (int64_t)record->ring_seq;
	columns->ts[row] = record->ts_ns;
	columns->ts_kind[row] = record->ts_kind;
	append_raw_stamp(columns, row, record);
	columns->rx_delay_ns[row] = delay_known ? record->rx_delay_ns : 0;
	set_bit(columns->rx_delay_valid, row, delay_known);
	columns->rx_delay_nulls += !delay_known;
	columns->flow_id[row] = record->flow_id;
	columns->flow_seq[row] = record->flow_seq;
	columns->source[row] = record->source;
	columns->wire_len[row] = record->wire_length;
	columns->lost_before[row] = lost > UINT32_MAX ? UINT32_MAX : (uint32_t)lost;
	columns->lost += lost;
}

static inline void append_frame(struct nt_columns *columns, uint32_t row, const struct nt_frame *frame)
{
	bool has_vlan = frame->vlan != NT_VLAN_NONE;

	columns->src_port[row] = frame->src_port;
	columns->dst_port[row] = frame->dst_port;
	set_bit(columns->port_valid, row, frame->has_ports);
	columns->port_nulls += !frame->has_ports;
	columns->vlan[row] = has_vlan ? frame->vlan : 0;
	set_bit(columns->vlan_valid, row, has_vlan);
	columns->vlan_nulls += !has_vlan;
	columns->payload_len[row] = frame->payload_length;
}

/* There is room for both: see nt_columns_fill. */
static inline void append_addresses(struct nt_columns *columns, uint32_t row, struct nt_address_book *book,
				    const struct nt_frame *frame)
{
	bool known = frame->family != 0;

	columns->src_ip[row] = known ? nt_address_index(book, frame->family, frame->src) : 0;
	columns->dst_ip[row] = known ? nt_address_index(book, frame->family, frame->dst) : 0;
	set_bit(columns->address_valid, row, known);
	columns->address_nulls += !known;
}

static int append_row(struct nt_columns *columns, struct nt_address_book *book, const struct nt_record *record, uint64_t lost)
{
	const uint8_t *bytes = (const uint8_t *)(record + 1);
	uint32_t row = columns->rows;
	uint32_t beside_frame = nt_record_bytes_beside_frame(record->flags);
	struct nt_frame frame;

	if (record->length < beside_frame || record->capture_length > record->length - beside_frame || record->ts_kind > NT_TS_FILE)
		return -EBADMSG;
	nt_frame_parse(&frame, bytes, record->capture_length, record->wire_length, record->flags);
	append_addresses(columns, row, book, &frame);
	append_record(columns, row, record, lost);
	append_frame(columns, row, &frame);
	columns->flags[row] = (uint16_t)((record->flags & COLUMN_FLAGS) | frame.flags);
	append_bytes(&columns->header, row, bytes, frame.header_bytes);
	append_bytes(&columns->payload, row, bytes + frame.header_bytes, frame.payload_bytes);
	append_bytes(&columns->trailer, row, bytes + frame.header_bytes + frame.payload_bytes, frame.trailer_bytes);
	columns->rows = row + 1;
	return 0;
}

/* First row from `row` on that is of another epoch than `row`: an epoch is a run of rows, so halving finds its end. */
static uint32_t end_of_epoch(const struct nt_ring *ring, const struct nt_columns *columns, uint32_t row, uint64_t epoch)
{
	uint32_t inside = row, outside = columns->rows;

	if (nt_ring_epoch_of(ring, (uint64_t)columns->ring_seq[columns->rows - 1]) == epoch)
		return columns->rows;
	while (outside - inside > 1) {
		uint32_t middle = inside + (outside - inside) / 2;

		if (nt_ring_epoch_of(ring, (uint64_t)columns->ring_seq[middle]) == epoch)
			inside = middle;
		else
			outside = middle;
	}
	return outside;
}

/* Of the rows from `row` on. */
static void fill_epochs(const struct nt_ring *ring, struct nt_columns *columns, uint32_t row)
{
	while (row < columns->rows) {
		uint64_t epoch = nt_ring_epoch_of(ring, (uint64_t)columns->ring_seq[row]);
		uint32_t end = end_of_epoch(ring, columns, row, epoch);

		if (!epoch)
			columns->epoch_nulls += end - row;
		for (; row < end; row++) {
			columns->epoch[row] = (uint32_t)epoch;
			set_bit(columns->epoch_valid, row, epoch != 0);
		}
	}
}

uint32_t nt_columns_frame_max(const struct nt_ring *ring)
{
	return (uint32_t)(ring->max_record_bytes - NT_RECORD_HEADER_BYTES);
}

void nt_columns_begin(struct nt_columns *columns)
{
	columns->rows = 0;
	columns->rx_delay_nulls = 0;
	columns->address_nulls = 0;
	columns->port_nulls = 0;
	columns->vlan_nulls = 0;
	columns->epoch_nulls = 0;
	columns->ts_raw_nulls = 0;
	columns->lost = 0;
	columns->header.offsets[0] = 0;
	columns->payload.offsets[0] = 0;
	columns->trailer.offsets[0] = 0;
}

static uint32_t used_bytes(const struct nt_columns *columns)
{
	uint32_t rows = columns->rows;

	return (uint32_t)columns->header.offsets[rows] + (uint32_t)columns->payload.offsets[rows] +
	       (uint32_t)columns->trailer.offsets[rows];
}

int nt_columns_fill(struct nt_reader *reader, struct nt_address_book *book, struct nt_columns *columns)
{
	uint32_t frame_max = nt_columns_frame_max(reader->ring);
	uint32_t first = columns->rows;
	uint32_t room = columns->byte_capacity;
	int error = 0;

	if (room < frame_max || room > INT32_MAX)
		return -EINVAL;
	room -= used_bytes(columns);
	while (columns->rows < columns->row_capacity && room >= frame_max) {
		const struct nt_record *record;

		/* Before the record is taken: one that is taken has to have a row. */
		error = nt_address_book_make_room(book, 2);
		if (error)
			break;
		record = nt_reader_next(reader, &error);
		if (!record)
			break;
		error = record->capture_length > frame_max ? -EBADMSG : append_row(columns, book, record, reader->lost_before);
		if (error)
			break;
		room -= record->capture_length;
	}
	fill_epochs(reader->ring, columns, first);
	return error;
}
