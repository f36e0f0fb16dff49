/* SPDX-License-Identifier: Apache-2.0 */
/* The user-space selector on frames that it must not trust: the sanitizers check each read. Its answers on crafted frames are checked
 * against a Python twin, and against the XDP program, in tests/integration/test_selection.py. */
#include "columns/parse.h"
#include "ring/layout.h"
#include "source/selector.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FLOWS_MANY 8192u
#define UDP4_BYTES 46u

static const uint8_t MULTICAST_FRAME[UDP4_BYTES] = {
	0x01, 0x00, 0x5e, 0x01, 0x02, 0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,                     /* Ethernet */
	0x45, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x10, 0x11, 0xaf, 0xc7, 10,   0,    0, 1, 239, 1, 2, 3, /* IPv4 */
	0x30, 0x39, 0x3a, 0x98, 0x00, 0x0c, 0x00, 0x00,                                                         /* UDP to 15000 */
	'a',  'b',  'c',  'd',                                                                                  /* payload */
};

enum { TYPE_AT = 12, IP_AT = 14, FRAGMENT_AT = 20, PROTOCOL_AT = 23, SOURCE_AT = 29, GROUP_AT = 30, PORT_AT = 36 };

static struct nt_flow flow4(uint32_t id, uint8_t last, uint16_t port, uint16_t vlan)
{
	return (struct nt_flow){
		.id = id,
		.family = NT_FAMILY_IPV4,
		.port = port,
		.vlan = vlan,
		.group = {239, 1, 2, last},
		.interface = "eth1",
		.channel = "trades",
		.line = "A",
	};
}

static struct nt_selector *make(uint32_t select, const struct nt_flow *flows, uint32_t count)
{
	struct nt_selector *selector = NULL;
	struct nt_fault fault = {0};

	assert_int_equal(nt_selector_create(&selector, select, flows, count, "eth1", &fault), 0);
	return selector;
}

/* A heap block of exactly the captured bytes: AddressSanitizer sees a read beyond them. */
static struct nt_judgement judge_copy(const struct nt_selector *selector, enum nt_link link, const uint8_t *frame,
				      uint32_t captured)
{
	uint8_t *copy = malloc(captured ? captured : 1);
	struct nt_judgement judgement;

	assert_non_null(copy);
	memcpy(copy, frame, captured);
	judgement = nt_selector_judge(selector, link, copy, captured);
	free(copy);
	return judgement;
}

static void assert_judged(const struct nt_selector *selector, const uint8_t *frame, bool selected, uint32_t flow_id, bool unparsed)
{
	struct nt_judgement judgement = judge_copy(selector, NT_LINK_ETHERNET, frame, UDP4_BYTES);

	assert_int_equal(judgement.selected, selected);
	assert_int_equal(judgement.flow_id, flow_id);
	assert_int_equal(judgement.unparsed, unparsed);
}

static void a_mode_adds_what_it_says_to_the_flows(void **state)
{
	static const struct {
		uint32_t select;
		bool multicast, unicast, ptp, tcp, cut_group, cut_host;
	} modes[] = {
		{NT_SELECT_CHANNELS, false, false, false, false, false, false},
		{NT_SELECT_MULTICAST, true, false, false, false, true, false},
		{NT_SELECT_UDP, true, true, false, false, true, true},
		{NT_SELECT_ALL, true, true, true, true, true, true},
	};
	struct nt_flow flow = flow4(7, 3, 15000, NT_VLAN_NONE);

	(void)state;
	for (uint32_t at = 0; at < sizeof(modes) / sizeof(modes[0]); at++) {
		struct nt_selector *selector = make(modes[at].select, &flow, 1);
		uint8_t frame[UDP4_BYTES];

		memcpy(frame, MULTICAST_FRAME, sizeof(frame));
		assert_judged(selector, frame, true, 7, false);
		frame[PORT_AT + 1]++;
		assert_judged(selector, frame, modes[at].multicast, NT_FLOW_OTHER, false);
		frame[GROUP_AT] = 10;
		assert_judged(selector, frame, modes[at].unicast, NT_FLOW_OTHER, false);
		memcpy(frame, MULTICAST_FRAME, sizeof(frame));
		frame[PORT_AT] = 320 >> 8;
		frame[PORT_AT + 1] = 320 & 0xFF;
		assert_judged(selector, frame, modes[at].ptp, NT_FLOW_OTHER, false);
		frame[PROTOCOL_AT] = 6;
		assert_judged(selector, frame, modes[at].tcp, NT_FLOW_OTHER, false);
		frame[IP_AT] = 0x44;
		assert_judged(selector, frame, modes[at].cut_group, NT_FLOW_OTHER, modes[at].cut_group);
		frame[0] = 0x02;
		assert_judged(selector, frame, modes[at].cut_host, NT_FLOW_OTHER, modes[at].cut_host);
		nt_selector_destroy(selector);
	}
}

static void a_fragment_that_several_flows_may_own_is_of_the_channel_other(void **state)
{
	struct nt_flow flows[] = {
		flow4(1, 1, 15000, NT_VLAN_NONE), flow4(2, 2, 15000, NT_VLAN_NONE), flow4(3, 2, 15001, NT_VLAN_NONE),
		flow4(4, 3, 15000, NT_VLAN_NONE), flow4(5, 3, 15001, NT_VLAN_ANY),  flow4(6, 4, 15000, NT_VLAN_NONE),
		flow4(7, 4, 15001, NT_VLAN_NONE), flow4(8, 5, 15000, 100),
	};
	static const struct {
		uint8_t group, source;
		bool selected;
		uint32_t flow_id;
	} cases[] = {
		{1, 9, true, 1},
		{2, 9, true, NT_FLOW_OTHER},
		{3, 9, true, NT_FLOW_OTHER},
		{4, 7, true, NT_FLOW_OTHER},
		{4, 9, true, 7},
		{5, 9, false, 0},
		{6, 9, false, NT_FLOW_OTHER},
	};
	uint8_t frame[UDP4_BYTES];
	struct nt_selector *selector;

	(void)state;
	memcpy(flows[5].source, (uint8_t[]){10, 0, 0, 7}, 4);
	selector = make(NT_SELECT_CHANNELS, flows, 8);
	memcpy(frame, MULTICAST_FRAME, sizeof(frame));
	frame[FRAGMENT_AT + 1] = 1;
	for (uint32_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
		frame[GROUP_AT + 3] = cases[at].group;
		frame[SOURCE_AT] = cases[at].source;
		assert_judged(selector, frame, cases[at].selected, cases[at].flow_id, false);
	}
	nt_selector_destroy(selector);
}

static void a_fragment_from_the_address_nought_does_not_meet_its_flow_twice(void **state)
{
	struct nt_flow flows[] = {flow4(1, 3, 15000, NT_VLAN_NONE), flow4(2, 4, 15000, NT_VLAN_NONE)};
	uint8_t frame[UDP4_BYTES];
	struct nt_selector *selector;

	(void)state;
	flows[1].source[0] = 10; /* so that sources are looked for at all */
	selector = make(NT_SELECT_CHANNELS, flows, 2);
	memcpy(frame, MULTICAST_FRAME, sizeof(frame));
	frame[FRAGMENT_AT + 1] = 1;
	memset(frame + IP_AT + 12, 0, 4);
	assert_judged(selector, frame, true, 1, false);
	nt_selector_destroy(selector);
}

static void every_one_of_very_many_flows_is_found_and_no_other(void **state)
{
	struct nt_flow *flows = calloc(FLOWS_MANY, sizeof(*flows));
	struct nt_selector *selector;
	uint8_t frame[UDP4_BYTES];

	(void)state;
	assert_non_null(flows);
	for (uint32_t i = 0; i < FLOWS_MANY; i++)
		flows[i] = flow4(i + 1, (uint8_t)(i % 200), (uint16_t)(1000 + i / 200), NT_VLAN_NONE);
	selector = make(NT_SELECT_CHANNELS, flows, FLOWS_MANY);
	memcpy(frame, MULTICAST_FRAME, sizeof(frame));
	for (uint32_t i = 0; i < 2 * FLOWS_MANY; i++) {
		uint32_t port = 1000 + i / 200;

		frame[GROUP_AT + 3] = (uint8_t)(i % 200);
		frame[PORT_AT] = (uint8_t)(port >> 8);
		frame[PORT_AT + 1] = (uint8_t)port;
		assert_judged(selector, frame, i < FLOWS_MANY, i < FLOWS_MANY ? i + 1 : NT_FLOW_OTHER, false);
	}
	nt_selector_destroy(selector);
	free(flows);
}

static void flows_of_another_interface_do_not_count(void **state)
{
	struct nt_flow flow = flow4(1, 3, 15000, NT_VLAN_NONE);
	struct nt_selector *selector;

	(void)state;
	strcpy(flow.interface, "eth10");
	selector = make(NT_SELECT_CHANNELS, &flow, 1);
	assert_judged(selector, MULTICAST_FRAME, false, NT_FLOW_OTHER, false);
	nt_selector_destroy(selector);
}

static void no_flows_at_all_are_no_fault(void **state)
{
	struct nt_selector *selector = make(NT_SELECT_MULTICAST, NULL, 0);

	(void)state;
	assert_judged(selector, MULTICAST_FRAME, true, NT_FLOW_OTHER, false);
	nt_selector_destroy(selector);
	nt_selector_destroy(NULL);
}

static void a_flow_that_is_there_twice_is_refused_by_name(void **state)
{
	struct nt_flow flows[] = {flow4(1, 3, 15000, NT_VLAN_NONE), flow4(2, 3, 15000, 0)}; /* id 0 is no VLAN */
	struct nt_selector *selector = NULL;
	struct nt_fault fault = {0};

	(void)state;
	assert_int_equal(nt_selector_create(&selector, NT_SELECT_CHANNELS, flows, 2, "eth1", &fault), -EEXIST);
	assert_non_null(strstr(fault.text, "flow 2 (channel trades, line A) is in the plan twice"));
	assert_null(selector);
}

static void a_mode_that_there_is_not_is_refused(void **state)
{
	struct nt_selector *selector = NULL;
	struct nt_fault fault = {0};

	(void)state;
	assert_int_equal(nt_selector_create(&selector, NT_SELECT_ALL + 1, NULL, 0, "eth1", &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "select: expected 0 to 3, found 4"));
}

static uint32_t random_u32(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static uint16_t random_type(uint64_t *seed)
{
	static const uint16_t types[] = {0x0800, 0x0800, 0x86DD, 0x86DD, 0x8100, 0x88A8, 0x9100, 0xD28B};

	return types[random_u32(seed) % 8];
}

static uint8_t random_protocol(uint64_t *seed)
{
	static const uint8_t protocols[] = {17, 17, 17, 0, 43, 44, 51, 60, 60, 6};

	return protocols[random_u32(seed) % 10];
}

static uint16_t random_ip(uint64_t *seed)
{
	return random_u32(seed) % 2 ? 0x0800 : 0x86DD;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* What random bytes do not make of themselves; lengths are right for a frame of `bytes` bytes that was not cut. */
static void shape_ipv4(uint8_t *ip, uint32_t bytes, uint64_t *seed)
{
	uint32_t length = random_u32(seed) % 4 == 0 ? random_u32(seed) % 16 : 5;

	ip[0] = (uint8_t)(0x40 | length);
	put16(ip + 2, (uint16_t)bytes);
	put16(ip + 6, random_u32(seed) % 2 ? 0 : (uint16_t)((random_u32(seed) % 2) << 13 | random_u32(seed) % 2));
	ip[9] = random_protocol(seed);
	put16(ip + length * 4 + 4, 8);
}

static void shape_ipv6(uint8_t *ip, uint32_t bytes, uint64_t *seed)
{
	ip[0] = 0x60;
	put16(ip + 4, (uint16_t)(bytes - 40));
	ip[6] = random_protocol(seed);
	for (uint8_t *extension = ip + 40; extension < ip + 128; extension += 8) {
		extension[0] = random_u32(seed) % 3 ? 60 : random_protocol(seed);
		extension[1] = random_u32(seed) % 8 == 0;
		put16(extension + 2, random_u32(seed) % 4 == 0 ? (uint16_t)(random_u32(seed) % 10) : 0);
		put16(extension + 4, 8); /* or it is UDP */
	}
}

/* Mostly what it claims to be: a link header, tags, IP with short extension headers, UDP. */
static void shape(uint8_t *frame, uint32_t bytes, enum nt_link link, uint64_t *seed)
{
	static const uint32_t headers[] = {14, 16, 20, 0}, types_at[] = {12, 14, 0, 0};
	uint16_t type = link == NT_LINK_RAW_IP ? random_ip(seed) : random_type(seed);
	uint32_t at = headers[link];

	for (uint32_t i = 0; i < bytes; i++)
		frame[i] = (uint8_t)random_u32(seed);
	if (link != NT_LINK_RAW_IP)
		put16(frame + types_at[link], type);
	if (link == NT_LINK_ETHERNET && random_u32(seed) % 4 == 0) { /* an Arista 7280's stamp */
		bool is_short = random_u32(seed) % 2;

		put16(frame + 12, 0xD28B);
		put16(frame + 14, 1);
		frame[17] = is_short ? 0x20 : 0x10;
		at += is_short ? 12 : 14;
		put16(frame + at - 2, type);
	}
	for (; type == 0x8100 || type == 0x88A8 || type == 0x9100; at += 4) {
		type = at < 46 ? random_type(seed) : random_ip(seed);
		put16(frame + at + 2, type);
	}
	if (type == 0x0800)
		shape_ipv4(frame + at, bytes - at, seed);
	else if (type == 0x86DD)
		shape_ipv6(frame + at, bytes - at, seed);
}

static void random_frames_are_not_read_beyond_their_end_and_what_is_unparsed_is_so_to_the_columns(void **state)
{
	static const uint16_t record_flags[] = {0, NT_RECORD_LINUX_SLL, NT_RECORD_LINUX_SLL2, NT_RECORD_RAW_IP};
	struct nt_flow flows[] = {flow4(1, 3, 15000, NT_VLAN_ANY), flow4(2, 3, 15001, NT_VLAN_NONE)};
	struct nt_selector *selector;
	uint32_t unparsed = 0, parsed = 0;
	uint64_t seed = 7;

	(void)state;
	flows[1].family = NT_FAMILY_IPV6;
	flows[1].source[0] = 1;
	selector = make(NT_SELECT_UDP, flows, 2);
	for (uint32_t round = 0; round < 400000; round++) {
		uint8_t frame[256];
		enum nt_link link = random_u32(&seed) % 4;
		uint32_t captured = random_u32(&seed) % 2 ? sizeof(frame) : random_u32(&seed) % 128;
		struct nt_judgement judgement;
		struct nt_frame columns;

		shape(frame, sizeof(frame), link, &seed);
		judgement = judge_copy(selector, link, frame, captured);
		nt_frame_parse(&columns, frame, captured, sizeof(frame), record_flags[link]);
		unparsed += judgement.unparsed;
		parsed += !(columns.flags & NT_RECORD_UNPARSED);
		if (judgement.unparsed && !(columns.flags & NT_RECORD_UNPARSED))
			fail_msg("round %u, link %d, %u bytes: unparsed to the selector alone", round, (int)link, captured);
	}
	assert_true(unparsed > 20000);
	assert_true(parsed > 20000);
	nt_selector_destroy(selector);
}

static void a_frame_cut_anywhere_is_unparsed_until_its_headers_are_whole(void **state)
{
	struct nt_selector *selector = make(NT_SELECT_MULTICAST, NULL, 0);

	(void)state;
	assert_false(judge_copy(selector, NT_LINK_ETHERNET, MULTICAST_FRAME, 0).selected); /* to whom? */
	for (uint32_t captured = 1; captured <= UDP4_BYTES; captured++) {
		struct nt_judgement judgement = judge_copy(selector, NT_LINK_ETHERNET, MULTICAST_FRAME, captured);

		assert_true(judgement.selected);
		assert_int_equal(judgement.unparsed, captured < 42);
	}
	for (uint32_t captured = 0; captured + IP_AT <= UDP4_BYTES; captured++) {
		struct nt_judgement judgement = judge_copy(selector, NT_LINK_RAW_IP, MULTICAST_FRAME + IP_AT, captured);

		assert_true(judgement.selected);
		assert_int_equal(judgement.unparsed, captured < 28);
	}
	nt_selector_destroy(selector);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mode_adds_what_it_says_to_the_flows),
		cmocka_unit_test(a_fragment_that_several_flows_may_own_is_of_the_channel_other),
		cmocka_unit_test(a_fragment_from_the_address_nought_does_not_meet_its_flow_twice),
		cmocka_unit_test(every_one_of_very_many_flows_is_found_and_no_other),
		cmocka_unit_test(flows_of_another_interface_do_not_count),
		cmocka_unit_test(no_flows_at_all_are_no_fault),
		cmocka_unit_test(a_flow_that_is_there_twice_is_refused_by_name),
		cmocka_unit_test(a_mode_that_there_is_not_is_refused),
		cmocka_unit_test(a_frame_cut_anywhere_is_unparsed_until_its_headers_are_whole),
		cmocka_unit_test(random_frames_are_not_read_beyond_their_end_and_what_is_unparsed_is_so_to_the_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
