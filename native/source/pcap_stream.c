/* SPDX-License-Identifier: Apache-2.0 */
#include "pcap_stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STREAM_BYTES (1u << 20) /* more than the largest record of the classic format */

#define MAGIC_MICRO 0xA1B2C3D4u
#define MAGIC_NANO 0xA1B23C4Du
#define MAGIC_PATCHED 0xA1B2CD34u
#define MAGIC_ORDER 0x1A2B3C4Du /* of a pcapng section */
enum block_type { BLOCK_INTERFACE = 1, BLOCK_PACKET = 2, BLOCK_SIMPLE = 3, BLOCK_ENHANCED = 6, BLOCK_SECTION = 0x0A0D0D0A };

#define FILE_HEADER_BYTES 24u
#define SNAP_LENGTH_AT 16u /* in the classic file header */
#define RECORD_HEADER_BYTES 16u
#define PATCHED_HEADER_BYTES 24u /* of a libpcap of the last century */
#define BLOCK_BYTES_MIN 12u
#define BLOCK_LOOKED_AT 16u

static uint16_t u16_at(const struct nt_pcap_stream *stream, const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return stream->swapped ? __builtin_bswap16(value) : value;
}

static uint32_t u32_at(const struct nt_pcap_stream *stream, const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return stream->swapped ? __builtin_bswap32(value) : value;
}

static void put_u16(const struct nt_pcap_stream *stream, uint8_t *at, uint16_t value)
{
	if (stream->swapped)
		value = __builtin_bswap16(value);
	memcpy(at, &value, sizeof(value));
}

static void put_u32(const struct nt_pcap_stream *stream, uint8_t *at, uint32_t value)
{
	if (stream->swapped)
		value = __builtin_bswap32(value);
	memcpy(at, &value, sizeof(value));
}

/* Reads once. False: the buffer is full, or nothing waits and we may not. */
static bool fill(struct nt_pcap_stream *stream, bool may_wait)
{
	struct pollfd readable = {.fd = stream->fd, .events = POLLIN};
	ssize_t got;

	memmove(stream->buffer, stream->buffer + stream->begin, stream->end - stream->begin);
	stream->end -= stream->begin;
	stream->begin = 0;
	if (stream->end == STREAM_BYTES || (!may_wait && poll(&readable, 1, 0) <= 0))
		return false;
	while ((got = read(stream->fd, stream->buffer + stream->end, STREAM_BYTES - stream->end)) < 0) {
		if (errno == EAGAIN && !may_wait)
			return false;
		if (errno == EAGAIN) {
			poll(&readable, 1, -1);
		} else if (errno != EINTR) {
			stream->error = errno;
			break;
		}
	}
	if (got > 0)
		stream->end += (size_t)got;
	else
		stream->at_end = true;
	return true;
}

/* Returns how many bytes there are, up to the end of the file. */
static size_t have(struct nt_pcap_stream *stream, size_t wanted)
{
	while (stream->end - stream->begin < wanted && !stream->at_end && fill(stream, true))
		continue;
	return stream->end - stream->begin;
}

/* The lengths to which interfaces promised to cut their packets do not matter to us, but to libpcap: it cuts or refuses what is longer,
 * and refuses a file whose interfaces differ in them. 0: none. Nor does it know its own name for a link type when it meets it again. */
static void pass_interface(struct nt_pcap_stream *stream, uint8_t *block)
{
	int link_type = u16_at(stream, block + 8);

	if (!stream->interfaces++)
		stream->first_snap_length = u32_at(stream, block + 12);
	put_u32(stream, block + 12, 0);
	if (stream->link_type < 0)
		stream->link_type = link_type;
	else if (stream->link_type == link_type)
		put_u16(stream, block + 8, (uint16_t)stream->datalink);
	else
		stream->other_link_type = link_type;
}

/* How much of it was captured follows from the first interface's length, which libpcap no longer knows. */
static void pass_simple(struct nt_pcap_stream *stream, uint8_t *block)
{
	stream->simple_length = u32_at(stream, block + 8);
	if (stream->first_snap_length && stream->simple_length > stream->first_snap_length)
		put_u32(stream, block + 8, stream->first_snap_length);
}

static void begin_block(struct nt_pcap_stream *stream)
{
	size_t there = have(stream, BLOCK_LOOKED_AT);
	uint8_t *block = stream->buffer + stream->begin;
	uint32_t length;

	stream->block_type = 0;
	if (there < BLOCK_BYTES_MIN)
		return;
	stream->block_type = u32_at(stream, block);
	length = u32_at(stream, block + 4);
	if (length >= BLOCK_BYTES_MIN && length % 4 == 0)
		stream->record_end = stream->offset + length;
	if (stream->block_type == BLOCK_SECTION)
		stream->interfaces = 0;
	else if (stream->block_type == BLOCK_INTERFACE && there >= BLOCK_LOOKED_AT && length >= BLOCK_BYTES_MIN + 8)
		pass_interface(stream, block);
	else if (stream->block_type == BLOCK_SIMPLE && length >= BLOCK_BYTES_MIN + 4)
		pass_simple(stream, block);
}

static uint32_t captured_length(const struct nt_pcap_stream *stream, const uint8_t *record)
{
	uint32_t first = u32_at(stream, record + 8);
	uint32_t second = u32_at(stream, record + 12);

	if (stream->length_order == NT_PCAP_CAPTURED_LESS)
		return first < second ? first : second;
	return stream->length_order == NT_PCAP_CAPTURED_LAST ? second : first;
}

static void begin_packet(struct nt_pcap_stream *stream)
{
	uint32_t captured;

	if (have(stream, stream->record_header_bytes) < stream->record_header_bytes)
		return;
	captured = captured_length(stream, stream->buffer + stream->begin);
	if (captured <= NT_PCAP_FRAME_MAX)
		stream->record_end = stream->offset + stream->record_header_bytes + captured;
}

/* libpcap is about to read a record. What is wrong with it libpcap says itself. */
static void begin_record(struct nt_pcap_stream *stream)
{
	stream->record_at = stream->offset;
	stream->record_end = UINT64_MAX;
	if (stream->format == NT_PCAP_NG)
		begin_block(stream);
	else
		begin_packet(stream);
}

/* A FILE's read. Never beyond a record: so the FILE's buffer is empty, and `offset` is where libpcap is, whenever one begins. */
static ssize_t stream_read(void *cookie, char *to, size_t wanted)
{
	struct nt_pcap_stream *stream = cookie;
	size_t there;

	if (stream->offset == stream->record_end)
		begin_record(stream);
	there = have(stream, 1);
	if (!there && stream->error) {
		errno = stream->error;
		return -1;
	}
	if (wanted > there)
		wanted = there;
	if (wanted > stream->record_end - stream->offset)
		wanted = (size_t)(stream->record_end - stream->offset);
	memcpy(to, stream->buffer + stream->begin, wanted);
	stream->begin += wanted;
	stream->offset += wanted;
	return (ssize_t)wanted;
}

static int stream_close(void *cookie)
{
	struct nt_pcap_stream *stream = cookie;

	free(stream->buffer);
	return close(stream->fd);
}

static uint32_t length_order_of(uint16_t major, uint16_t minor)
{
	if (major != 2 || minor < 3) /* 543: DG/UX */
		return NT_PCAP_CAPTURED_LAST;
	return minor == 3 ? NT_PCAP_CAPTURED_LESS : NT_PCAP_CAPTURED_FIRST;
}

static void recognize(struct nt_pcap_stream *stream)
{
	size_t there = have(stream, FILE_HEADER_BYTES);
	uint32_t magic = 0;

	stream->record_end = UINT64_MAX;
	if (there < BLOCK_BYTES_MIN)
		return;
	magic = u32_at(stream, stream->buffer);
	if (magic == BLOCK_SECTION) {
		stream->format = NT_PCAP_NG;
		stream->record_end = 0;
		stream->swapped = u32_at(stream, stream->buffer + 8) == __builtin_bswap32(MAGIC_ORDER);
		return;
	}
	stream->swapped = magic != MAGIC_MICRO && magic != MAGIC_NANO && magic != MAGIC_PATCHED;
	magic = u32_at(stream, stream->buffer);
	if ((magic != MAGIC_MICRO && magic != MAGIC_NANO && magic != MAGIC_PATCHED) || there < FILE_HEADER_BYTES)
		return;
	stream->format = NT_PCAP_CLASSIC;
	stream->record_end = FILE_HEADER_BYTES;
	stream->length_order = length_order_of(u16_at(stream, stream->buffer + 4), u16_at(stream, stream->buffer + 6));
	stream->nanoseconds = magic == MAGIC_NANO;
	stream->record_header_bytes = magic == MAGIC_PATCHED ? PATCHED_HEADER_BYTES : RECORD_HEADER_BYTES;
	put_u32(stream, stream->buffer + SNAP_LENGTH_AT, 0); /* see pass_interface */
}

int nt_pcap_stream_open(struct nt_pcap_stream *stream, int fd, FILE **file)
{
	const cookie_io_functions_t functions = {.read = stream_read, .close = stream_close};

	*stream = (struct nt_pcap_stream){.fd = fd, .link_type = -1, .other_link_type = -1};
	stream->buffer = malloc(STREAM_BYTES);
	*file = stream->buffer ? fopencookie(stream, "r", functions) : NULL;
	if (!*file) {
		free(stream->buffer);
		return -ENOMEM;
	}
	recognize(stream);
	return 0;
}

static bool classic_is_whole(const struct nt_pcap_stream *stream)
{
	size_t there = stream->end - stream->begin;
	uint32_t captured;

	if (there < stream->record_header_bytes)
		return false;
	captured = captured_length(stream, stream->buffer + stream->begin);
	return captured > NT_PCAP_FRAME_MAX || captured <= there - stream->record_header_bytes;
}

/* Blocks that are no packets are read on the way to the next one that is. */
static bool ng_is_whole(const struct nt_pcap_stream *stream)
{
	size_t at = stream->begin;

	while (stream->end - at >= 8) {
		uint32_t type = u32_at(stream, stream->buffer + at);
		uint32_t length = u32_at(stream, stream->buffer + at + 4);

		if (length < BLOCK_BYTES_MIN || length % 4 || length > STREAM_BYTES)
			return true;
		if (length > stream->end - at)
			return false;
		if (type == BLOCK_PACKET || type == BLOCK_SIMPLE || type == BLOCK_ENHANCED)
			return true;
		at += length;
	}
	return false;
}

bool nt_pcap_stream_is_ready(struct nt_pcap_stream *stream)
{
	while (!stream->at_end) {
		if (stream->format == NT_PCAP_CLASSIC ? classic_is_whole(stream) : ng_is_whole(stream))
			return true;
		if (!fill(stream, false))
			return stream->end == STREAM_BYTES; /* larger than the buffer: libpcap waits for the rest */
	}
	return true;
}

void nt_pcap_stream_wait(struct nt_pcap_stream *stream, int timeout_ms)
{
	struct pollfd readable = {.fd = stream->fd, .events = POLLIN};

	if (!stream->at_end)
		poll(&readable, 1, timeout_ms);
}

bool nt_pcap_stream_is_simple(const struct nt_pcap_stream *stream)
{
	return stream->format == NT_PCAP_NG && stream->block_type == BLOCK_SIMPLE;
}
