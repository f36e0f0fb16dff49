/* SPDX-License-Identifier: Apache-2.0 */
/* Capture files in memory: put together, or read, as their formats are written down, without libpcap. */
#ifndef NT_TEST_CAPTURE_FILE_H
#define NT_TEST_CAPTURE_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CAPTURE_BYTES (1u << 20)
#define CAPTURE_PACKETS 4096u
#define CAPTURE_BLOCKS (CAPTURE_PACKETS + 16)

enum order { HOST = 0, SWAPPED = 1 };

struct expected {
	uint64_t begin, end; /* of its record or block in the file */
	uint64_t frame_at;
	uint32_t captured, wire;
	int64_t stamp_ns;
	bool bad_stamp;
};

/* A capture file, and what a reader of it must find. */
struct capture {
	uint8_t bytes[CAPTURE_BYTES];
	size_t size;
	size_t header_bytes; /* cut inside of these it is no capture file */
	enum order order;
	bool nanoseconds;
	uint32_t link_type;
	uint32_t packets;
	struct expected expected[CAPTURE_PACKETS];
	uint32_t boundaries; /* cut here, a file is just shorter */
	uint64_t boundary[CAPTURE_BLOCKS];
};

static inline uint32_t ordered32(const struct capture *capture, uint32_t value)
{
	return capture->order == SWAPPED ? __builtin_bswap32(value) : value;
}

static inline uint16_t ordered16(const struct capture *capture, uint16_t value)
{
	return capture->order == SWAPPED ? __builtin_bswap16(value) : value;
}

static inline void put(struct capture *capture, const void *bytes, size_t count)
{
	assert_true(capture->size + count <= CAPTURE_BYTES);
	memcpy(capture->bytes + capture->size, bytes, count);
	capture->size += count;
}

static inline void put16(struct capture *capture, uint16_t value)
{
	value = ordered16(capture, value);
	put(capture, &value, sizeof(value));
}

static inline void put32(struct capture *capture, uint32_t value)
{
	value = ordered32(capture, value);
	put(capture, &value, sizeof(value));
}

static inline uint32_t get32(const struct capture *capture, size_t at)
{
	uint32_t value;

	assert_true(at + sizeof(value) <= capture->size);
	memcpy(&value, capture->bytes + at, sizeof(value));
	return ordered32(capture, value);
}

static inline void put_boundary(struct capture *capture)
{
	assert_true(capture->boundaries < CAPTURE_BLOCKS);
	capture->boundary[capture->boundaries++] = capture->size;
}

/* What was put since `begin` is a packet. */
static inline struct expected *put_expected(struct capture *capture, uint64_t begin, uint64_t frame_at, uint32_t captured,
					    uint32_t wire, int64_t stamp_ns)
{
	struct expected *expected = &capture->expected[capture->packets++];

	assert_true(capture->packets <= CAPTURE_PACKETS);
	*expected = (struct expected){
		.begin = begin,
		.end = capture->size,
		.frame_at = frame_at,
		.captured = captured,
		.wire = wire > captured ? wire : captured,
		.stamp_ns = stamp_ns,
	};
	put_boundary(capture);
	return expected;
}

static inline struct capture *classic_begin(enum order order, bool nanoseconds, uint32_t snap_length, uint32_t link_type)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	assert_non_null(capture);
	capture->order = order;
	capture->nanoseconds = nanoseconds;
	capture->link_type = link_type;
	put32(capture, nanoseconds ? 0xA1B23C4D : 0xA1B2C3D4);
	put16(capture, 2);
	put16(capture, 4);
	put32(capture, 0);
	put32(capture, 0);
	put32(capture, snap_length);
	put32(capture, link_type);
	capture->header_bytes = capture->size;
	put_boundary(capture);
	return capture;
}

static inline struct expected *classic_put(struct capture *capture, uint32_t seconds, uint32_t fraction, const uint8_t *frame,
					   uint32_t captured, uint32_t wire)
{
	uint64_t begin = capture->size;
	int64_t fraction_ns = (int64_t)fraction * (capture->nanoseconds ? 1 : 1000);
	struct expected *expected;

	put32(capture, seconds);
	put32(capture, fraction);
	put32(capture, captured);
	put32(capture, wire);
	put(capture, frame, captured);
	expected = put_expected(capture, begin, begin + 16, captured, wire, seconds * INT64_C(1000000000) + fraction_ns);
	expected->bad_stamp = fraction_ns >= 1000000000;
	return expected;
}

static inline uint64_t block_begin(struct capture *capture, uint32_t type)
{
	uint64_t begin = capture->size;

	put32(capture, type);
	put32(capture, 0);
	return begin;
}

static inline void block_end(struct capture *capture, uint64_t begin)
{
	static const uint8_t zeros[3];
	uint32_t length;

	put(capture, zeros, (4 - capture->size % 4) % 4);
	length = (uint32_t)(capture->size - begin + 4);
	put32(capture, length);
	length = ordered32(capture, length);
	memcpy(capture->bytes + begin + 4, &length, sizeof(length));
}

static inline void ng_put_section(struct capture *capture)
{
	uint64_t begin = block_begin(capture, 0x0A0D0D0A);

	put32(capture, 0x1A2B3C4D);
	put16(capture, 1);
	put16(capture, 0);
	put32(capture, UINT32_MAX); /* of unknown length */
	put32(capture, UINT32_MAX);
	block_end(capture, begin);
	put_boundary(capture);
}

/* `resolution`: of if_tsresol; 6 without the option. `offset_s`: of if_tsoffset; 0: without. */
static inline void ng_put_interface(struct capture *capture, uint16_t link_type, uint32_t snap_length, uint8_t resolution,
				    int64_t offset_s)
{
	uint64_t begin = block_begin(capture, 1);

	put16(capture, link_type);
	put16(capture, 0);
	put32(capture, snap_length);
	if (resolution != 6) {
		put16(capture, 9);
		put16(capture, 1);
		put(capture, (uint8_t[4]){resolution}, 4);
	}
	if (offset_s) {
		put16(capture, 14);
		put16(capture, 8);
		put32(capture, (uint32_t)(capture->order == HOST ? offset_s : offset_s >> 32));
		put32(capture, (uint32_t)(capture->order == HOST ? offset_s >> 32 : offset_s));
	}
	put32(capture, 0); /* the end of options */
	block_end(capture, begin);
	put_boundary(capture);
}

static inline struct capture *ng_begin(enum order order, uint16_t link_type, uint32_t snap_length, uint8_t resolution,
				       int64_t offset_s)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	assert_non_null(capture);
	capture->order = order;
	capture->link_type = link_type;
	ng_put_section(capture);
	ng_put_interface(capture, link_type, snap_length, resolution, offset_s);
	capture->header_bytes = capture->size;
	capture->boundary[0] = capture->size; /* not between section and interface */
	capture->boundaries = 1;
	return capture;
}

/* An enhanced packet block; what its stamp means, the caller knows. */
static inline struct expected *ng_put(struct capture *capture, uint32_t interface, uint64_t stamp, const uint8_t *frame,
				      uint32_t captured, uint32_t wire, int64_t stamp_ns)
{
	uint64_t begin = block_begin(capture, 6);
	uint64_t frame_at;

	put32(capture, interface);
	put32(capture, (uint32_t)(stamp >> 32));
	put32(capture, (uint32_t)stamp);
	put32(capture, captured);
	put32(capture, wire);
	frame_at = capture->size;
	put(capture, frame, captured);
	block_end(capture, begin);
	return put_expected(capture, begin, frame_at, captured, wire, stamp_ns);
}

/* A simple packet block: no stamp. */
static inline struct expected *ng_put_simple(struct capture *capture, const uint8_t *frame, uint32_t captured, uint32_t wire)
{
	uint64_t begin = block_begin(capture, 3);
	uint64_t frame_at;

	put32(capture, wire);
	frame_at = capture->size;
	put(capture, frame, captured);
	block_end(capture, begin);
	return put_expected(capture, begin, frame_at, captured, wire, 0);
}

/* Any block that is not a packet: 5 interface statistics, 4 name resolution, ... */
static inline void ng_put_other(struct capture *capture, uint32_t type, uint32_t bytes)
{
	uint64_t begin = block_begin(capture, type);

	for (uint32_t at = 0; at < bytes; at += 4)
		put32(capture, 0x11111111u * (at % 15));
	block_end(capture, begin);
	put_boundary(capture);
}

/* A classic file from elsewhere, read as its format is written down. NULL: too large for a capture. */
static inline struct capture *capture_load(const char *path)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	FILE *file = fopen(path, "rb");

	assert_non_null(capture);
	assert_non_null(file);
	capture->size = fread(capture->bytes, 1, CAPTURE_BYTES, file);
	fclose(file);
	if (capture->size == CAPTURE_BYTES) {
		free(capture);
		return NULL;
	}
	capture->order =
		(get32(capture, 0) & 0xF0F0F0F0) == 0xA0B0C0D0 || (get32(capture, 0) & 0xF0F0F0F0) == 0xA0B03040 ? HOST : SWAPPED;
	capture->nanoseconds = get32(capture, 0) == 0xA1B23C4D;
	assert_true(capture->nanoseconds || get32(capture, 0) == 0xA1B2C3D4);
	capture->link_type = get32(capture, 20) & 0xFFFF;
	capture->header_bytes = 24;
	capture->boundary[capture->boundaries++] = 24;
	for (uint64_t at = 24; at < capture->size;) {
		uint32_t captured = get32(capture, at + 8);
		int64_t fraction_ns = (int64_t)get32(capture, at + 4) * (capture->nanoseconds ? 1 : 1000);
		struct expected *expected = &capture->expected[capture->packets++];

		*expected = (struct expected){.begin = at, .end = at + 16 + captured, .frame_at = at + 16, .captured = captured};
		expected->wire = get32(capture, at + 12) > captured ? get32(capture, at + 12) : captured;
		expected->stamp_ns = get32(capture, at) * INT64_C(1000000000) + fraction_ns;
		expected->bad_stamp = fraction_ns >= 1000000000;
		at = expected->end;
		assert_true(at <= capture->size && capture->packets < CAPTURE_PACKETS);
		capture->boundary[capture->boundaries++] = at;
	}
	return capture;
}

/* Where the folder of real captures is: ../shared/captures beside the repository; NANOTAPE_CAPTURES names another. NULL: nowhere. */
static inline const char *captures_folder(void)
{
	static char folder[4096];
	const char *named = getenv("NANOTAPE_CAPTURES");
	const char *end = strstr(__FILE__, "tests/native/");

	if (named)
		snprintf(folder, sizeof(folder), "%s", named);
	else
		snprintf(folder, sizeof(folder), "%.*s../shared/captures", end ? (int)(end - __FILE__) : 0, __FILE__);
	if (access(folder, R_OK) == 0)
		return folder;
	print_message("no folder of captures at %s (NANOTAPE_CAPTURES names another)\n", folder);
	return NULL;
}

#endif
