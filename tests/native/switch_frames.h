/* SPDX-License-Identifier: Apache-2.0 */
/* Frames as switches would send them on, put together by hand from the layouts of docs/switch-stamps.md. */
#ifndef NT_TEST_SWITCH_FRAMES_H
#define NT_TEST_SWITCH_FRAMES_H

#include <stdint.h>
#include <string.h>

#define SECONDS 1700000000u
#define TS (1000000000ll * SECONDS + 5)
#define FRAME_MAX 256u

static const uint8_t UDP_FRAME[] = {
	0x01, 0x00, 0x5e, 0x01, 0x02, 0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,                     /* Ethernet */
	0x45, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x10, 0x11, 0xaf, 0xc7, 10,   0,    0, 1, 239, 1, 2, 3, /* IPv4 */
	0x30, 0x39, 0x3a, 0x98, 0x00, 0x0c, 0x00, 0x00, 'a',  'b',  'c',  'd',                                  /* UDP */
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	uint32_t size;
};

static inline void append(struct frame *frame, const void *bytes, uint32_t count)
{
	memcpy(frame->bytes + frame->size, bytes, count);
	frame->size += count;
}

static inline void append_number(struct frame *frame, uint64_t number, uint32_t count)
{
	for (uint32_t i = count; i-- > 0;)
		frame->bytes[frame->size++] = (uint8_t)(number >> (8 * i));
}

/* Padded to 60 bytes: what was left of it is zeros. */
static inline struct frame plain(void)
{
	struct frame frame = {.size = 0};

	append(&frame, UDP_FRAME, sizeof(UDP_FRAME));
	frame.size = 60;
	return frame;
}

static inline struct frame with_7130(void)
{
	struct frame frame = plain();

	append(&frame, "ofcs", 4);
	append_number(&frame, 0x00123401, 4); /* sub-ns, not the last */
	append_number(&frame, 0x00567820 | 0x20, 4);
	append_number(&frame, SECONDS, 4);
	append_number(&frame, 5, 4);
	append_number(&frame, 0x03, 1);
	append_number(&frame, 77, 2);
	append_number(&frame, 9, 1);
	return frame;
}

static inline struct frame with_ixia(void)
{
	struct frame frame = plain();

	append_number(&frame, 0x0608, 2);
	append_number(&frame, SECONDS, 4);
	append_number(&frame, 5, 4);
	append_number(&frame, 0x0AAF120000, 5);
	return frame;
}

static inline struct frame with_hpt(void)
{
	struct frame frame = plain();

	append(&frame, "ofcs", 4);
	append_number(&frame, 0x0102, 2);
	append_number(&frame, SECONDS, 4);
	append_number(&frame, 0x157a, 5);
	append_number(&frame, 0, 1);
	return frame;
}

static inline struct frame with_header(uint16_t version)
{
	struct frame frame = {.size = 0};

	append(&frame, UDP_FRAME, 12);
	append_number(&frame, 0xD28B0001, 4);
	append_number(&frame, version, 2);
	append_number(&frame, SECONDS, version & 0x20 ? 2 : 4);
	append_number(&frame, 5, 4);
	append(&frame, UDP_FRAME + 12, sizeof(UDP_FRAME) - 12);
	return frame;
}

static inline struct frame exalink_keyframe(void)
{
	struct frame frame = {.size = 0};

	append(&frame, UDP_FRAME, 12);
	append_number(&frame, 0x88B5, 2);
	append(&frame, "EXKF\1\0\0", 8);
	append_number(&frame, TS, 8);
	append_number(&frame, 1000, 8);
	append_number(&frame, 350000000, 8);
	append_number(&frame, 1000, 8);
	return frame;
}

static inline struct frame arista_keyframe(uint32_t bytes)
{
	struct frame frame = {.size = 0};

	append(&frame, UDP_FRAME, 34);
	frame.bytes[17] = (uint8_t)(20 + bytes);
	frame.bytes[23] = 253;
	append_number(&frame, 1000, 8);
	append_number(&frame, TS, 8);
	frame.size += bytes - 16;
	return frame;
}

static inline void frame_of(struct frame *frame, uint32_t number)
{
	const uint16_t versions[] = {0x0010, 0x0110, 0x0020, 0x0121};

	switch (number % 10) {
	case 0:
		*frame = with_7130();
		break;
	case 1:
		*frame = with_hpt();
		break;
	case 2:
		*frame = with_ixia();
		break;
	case 3:
		*frame = exalink_keyframe();
		break;
	case 4:
		*frame = arista_keyframe(number / 10 % 2 ? 46 : 62);
		break;
	case 5:
		*frame = plain();
		append_number(frame, number, 4);
		break;
	default:
		*frame = with_header(versions[number % 10 - 6]);
	}
}

#endif
