/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a ring as flat columns, in Arrow's memory layout: fixed-width values, bitmaps of what is not null (least significant bit
 * first), binary columns as 32-bit offsets and bytes. The caller owns every buffer; nothing is allocated but for new addresses. */
#ifndef NT_COLUMNS_H
#define NT_COLUMNS_H

#include "../ring/reader.h"
#include "address.h"
#include "parse.h"

struct nt_binary_column {
	int32_t *offsets; /* rows + 1 */
	uint8_t *data;    /* byte_capacity */
};

struct nt_columns {
	/* Set by the caller. Frames of all rows together take at most byte_capacity, so each data buffer needs that many bytes; a fill
	 * ends while the largest record would still fit, so it must be at least that (nt_columns_frame_max). */
	uint32_t row_capacity;
	uint32_t byte_capacity; /* below 2 GiB: offsets are signed */

	/* Set by nt_columns_begin and the fills. */
	uint32_t rows;
	uint32_t rx_delay_nulls;
	uint32_t address_nulls;
	uint32_t port_nulls;
	uint32_t vlan_nulls;
	uint32_t epoch_nulls;
	uint32_t ts_raw_nulls;
	uint64_t lost; /* sum of lost_before: may exceed 32 bits in one row, where the column saturates */

	/* Buffers: row_capacity values, or as many bits, rounded up to a byte. Slots that are null hold 0. */
	int64_t *ring_seq;
	int64_t *ts;      /* UTC, ns since 1970 */
	int32_t *ts_kind; /* enum nt_ts_kind */
	int64_t *ts_raw;  /* the stamp that ts was taken instead of */
	uint8_t *ts_raw_valid;
	int64_t *rx_delay_ns;
	uint8_t *rx_delay_valid;
	uint32_t *flow_id;
	uint64_t *flow_seq; /* 0: none */
	uint8_t *source;    /* index into the ring's source table */
	int32_t *src_ip;    /* index into the address book */
	int32_t *dst_ip;
	uint8_t *address_valid; /* of both */
	uint16_t *src_port;
	uint16_t *dst_port;
	uint8_t *port_valid; /* of both */
	uint16_t *vlan;
	uint8_t *vlan_valid;
	uint32_t *wire_len;
	uint32_t *payload_len; /* on the wire */
	uint32_t *lost_before; /* saturates */
	uint16_t *flags;       /* enum nt_record_flag, the decoder's included */
	uint32_t *epoch;
	uint8_t *epoch_valid;
	struct nt_binary_column header;
	struct nt_binary_column payload;
	struct nt_binary_column trailer;
};

/* Bytes of the largest frame that the ring can hold. */
uint32_t nt_columns_frame_max(const struct nt_ring *ring);

/* Forgets all rows: what is filled next comes first. */
void nt_columns_begin(struct nt_columns *columns);

/* Appends records until a capacity is reached or nothing more is published. Returns 0, or a negative errno when the ring holds what no
 * writer could have written or an address could not be entered; the rows before it are filled and valid all the same. */
int nt_columns_fill(struct nt_reader *reader, struct nt_address_book *book, struct nt_columns *columns);

#endif
