/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and flows, put together by hand. */
#ifndef NT_TEST_FILTER_FRAMES_H
#define NT_TEST_FILTER_FRAMES_H

#include "plan/plan.h"

#include <stdbool.h>
#include <string.h>

#define FRAME_MAX 256u

struct frame {
	uint32_t bytes;
	uint8_t data[FRAME_MAX];
};

static uint64_t seed;

static inline uint32_t chance(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

static inline void add(struct frame *frame, const void *bytes, uint32_t count)
{
	memcpy(frame->data + frame->bytes, bytes, count);
	frame->bytes += count;
}

static inline void add16(struct frame *frame, uint16_t value)
{
	add(frame, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static inline struct nt_flow flow4(uint32_t id, uint32_t group, uint16_t port)
{
	struct nt_flow flow = {.id = id, .family = NT_FAMILY_IPV4, .port = port, .vlan = NT_VLAN_ANY, .interface = "eth1"};

	for (uint32_t i = 0; i < 4; i++)
		flow.group[i] = (uint8_t)(group >> (24 - 8 * i));
	return flow;
}

static inline struct nt_flow flow6(uint32_t id, uint32_t low, uint16_t port)
{
	struct nt_flow flow = {.id = id, .family = NT_FAMILY_IPV6, .port = port, .vlan = NT_VLAN_ANY, .interface = "eth1"};

	flow.group[0] = 0xFF;
	flow.group[1] = 0x15;
	for (uint32_t i = 0; i < 4; i++)
		flow.group[12 + i] = (uint8_t)(low >> (24 - 8 * i));
	return flow;
}

static inline struct frame ethernet(bool group, uint32_t tags, const uint16_t types[])
{
	struct frame frame = {0};

	add(&frame, (uint8_t[]){group ? 0x01 : 0x02, 0, 0x5E, 1, 2, 3, 2, 0, 0, 0, 0, 1}, 12);
	for (uint32_t i = 0; i < tags; i++) {
		add16(&frame, types[i]);
		add16(&frame, 7);
	}
	return frame;
}

static inline void add_udp(struct frame *frame, uint16_t port)
{
	add16(frame, 12345);
	add16(frame, port);
	add16(frame, 16);
	add16(frame, 0);
	add(frame, "payload!", 8);
}

static inline void add_ipv4(struct frame *frame, uint32_t group, uint16_t port, uint8_t protocol, uint32_t options,
			    uint16_t fragment)
{
	uint8_t ip[20] = {
		(uint8_t)(0x45 + options), 0, 0, (uint8_t)(36 + 4 * options), 0, 1, 0, 0, 16, protocol, 0, 0, 10, 0, 0, 1};

	ip[6] = (uint8_t)(fragment >> 8);
	ip[7] = (uint8_t)fragment;
	for (uint32_t i = 0; i < 4; i++)
		ip[16 + i] = (uint8_t)(group >> (24 - 8 * i));
	add16(frame, 0x0800);
	add(frame, ip, 20);
	add(frame, (uint8_t[40]){1}, 4 * options);
	add_udp(frame, port);
}

static inline void add_ipv6(struct frame *frame, uint32_t low, uint16_t port, const uint8_t *headers, uint32_t count, uint8_t last)
{
	uint8_t ip[40] = {0x60, 0, 0, 0, 0, (uint8_t)(16 + 8 * count), count ? headers[0] : last, 16};

	ip[24] = 0xFF;
	ip[25] = 0x15;
	for (uint32_t i = 0; i < 4; i++)
		ip[36 + i] = (uint8_t)(low >> (24 - 8 * i));
	add16(frame, 0x86DD);
	add(frame, ip, 40);
	for (uint32_t i = 0; i < count; i++)
		add(frame, (uint8_t[8]){i + 1 < count ? headers[i + 1] : last, 0}, 8);
	add_udp(frame, port);
}

static inline struct frame plain4(uint32_t group, uint16_t port)
{
	struct frame frame = ethernet(true, 0, NULL);

	add_ipv4(&frame, group, port, 17, 0, 0);
	return frame;
}

#endif
