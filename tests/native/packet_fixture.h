/* SPDX-License-Identifier: Apache-2.0 */
/* A packet source over a ring whose kernel is a test, and numbered packets for it. */
#ifndef NT_TEST_PACKET_FIXTURE_H
#define NT_TEST_PACKET_FIXTURE_H

#include "packet_kernel.h"
#include "ring/layout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#define GROUP 1 /* last byte of the flow's group */
#define FRAME_BYTES 60u
#define LEVEL_PACKET 263 /* SOL_PACKET */
#define LARGE_BLOCK (128u << 10)

static struct kernel kernel;
static struct nt_selector *selector;
static struct nt_batch batch = {.limit = NT_BATCH_PACKETS};
static void (*meanwhile)(void); /* happens when the kernel's counters are asked for, before it answers */

/* The packet source asks for nothing but PACKET_STATISTICS: what the kernel counted, which it forgets. */
int getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
	if (fd != kernel.lane.socket_fd || level != LEVEL_PACKET || option != PACKET_STATISTICS ||
	    *bytes != sizeof(kernel.counters)) {
		errno = EINVAL;
		return -1;
	}
	if (meanwhile)
		meanwhile();
	memcpy(value, &kernel.counters, sizeof(kernel.counters));
	memset(&kernel.counters, 0, sizeof(kernel.counters));
	return 0;
}

static inline int set_up(void **state)
{
	struct nt_flow flow = {.id = 5, .family = NT_FAMILY_IPV4, .port = 15000, .vlan = NT_VLAN_ANY, .interface = "eth1"};

	memcpy(flow.group, (uint8_t[]){239, 1, 1, GROUP}, 4);
	kernel_make(&kernel, *state ? *(uint32_t *)*state : KERNEL_BLOCK_BYTES);
	return nt_selector_create(&selector, NT_SELECT_MULTICAST, &flow, 1, "eth1", NULL);
}

static inline int tear_down(void **state)
{
	(void)state;
	meanwhile = NULL;
	nt_selector_destroy(selector);
	kernel_free(&kernel);
	return 0;
}

static inline void write_frame(uint8_t frame[FRAME_BYTES], uint8_t group, uint32_t number)
{
	static const uint8_t head[] = {1, 0,  0x5E, 1, 1, 1,  2, 0, 0, 0,   0, 1, 8, 0,    0x45, 0,    0,    46, 0,  0, 0,
				       0, 16, 17,   0, 0, 10, 0, 0, 1, 239, 1, 1, 1, 0x30, 0x39, 0x3A, 0x98, 0,  26, 0, 0};

	memset(frame, 0, FRAME_BYTES);
	memcpy(frame, head, sizeof(head));
	frame[33] = group;
	memcpy(frame + 42, &number, sizeof(number));
}

static inline bool receive(uint32_t number)
{
	uint8_t frame[FRAME_BYTES];
	const struct kernel_packet packet = {
		.frame = frame,
		.captured = FRAME_BYTES,
		.wire = FRAME_BYTES,
		.seconds = 1000 + number,
		.nanoseconds = number,
	};

	write_frame(frame, GROUP, number);
	return kernel_receive(&kernel, &packet);
}

/* Unicast TCP: never selected. */
static inline void receive_unselected(void)
{
	uint8_t frame[FRAME_BYTES];
	const struct kernel_packet packet = {.frame = frame, .captured = FRAME_BYTES, .wire = FRAME_BYTES};

	write_frame(frame, GROUP, 0);
	frame[0] = 2;
	frame[23] = 6;
	kernel_receive(&kernel, &packet);
}

static inline struct nt_source *adopt(void)
{
	struct nt_source *source = NULL;
	struct nt_fault fault = {0};

	if (nt_packet_adopt(&source, &kernel.lane, 77, selector, &fault))
		fail_msg("%s", fault.text);
	return source;
}

/* A killed borrower writes nothing more. */
static inline struct nt_source *kill_and_adopt(struct nt_source *source)
{
	nt_source_close(source);
	return adopt();
}

static inline int poll_source(struct nt_source *source)
{
	batch.count = batch.unselected = 0;
	return source->ops->poll(source, &batch);
}

static inline uint32_t number_of(const struct nt_packet *packet)
{
	uint32_t number;

	memcpy(&number, packet->data + packet->capture_length - FRAME_BYTES + 42, sizeof(number));
	return number;
}

static inline uint32_t take(struct nt_source *source, uint32_t next)
{
	int got = poll_source(source);

	assert_int_equal(got, batch.count);
	for (uint32_t i = 0; i < batch.count; i++)
		assert_int_equal(number_of(&batch.packets[i]), next++);
	if (batch.count || batch.unselected)
		source->ops->release(source, &batch);
	return next;
}

/* All up to `until`, some of which the kernel may still have to hand over. */
static inline uint32_t take_all(struct nt_source *source, uint32_t next, uint32_t until)
{
	while (next < until) {
		uint32_t before = next;

		next = take(source, next);
		if (next == before) {
			kernel_retire(&kernel);
			assert_true(poll_source(source) > 0);
		}
	}
	return next;
}

static inline struct nt_source_stats stats_of(struct nt_source *source)
{
	struct nt_source_stats stats;

	nt_source_stats_unknown(&stats);
	source->ops->read_stats(source, &stats);
	return stats;
}

#endif
