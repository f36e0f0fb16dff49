/* SPDX-License-Identifier: Apache-2.0 */
/* The generated filter, run by libpcap's interpreter: whatever the selector selects gets through, with its outermost tag taken out as
 * the kernel does it or left in, cut anywhere; what is certainly not selected does not. */
#include "filter_frames.h"
#include "source/filter.h"
#include "source/selector.h"

#include <pcap/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "one layout");

struct program {
	struct sock_filter code[NT_FILTER_INSTRUCTIONS_MAX];
	uint32_t count;
	struct nt_selector *selector;
};

static bool passes(const struct program *program, const struct frame *frame)
{
	const struct bpf_insn *code = (const struct bpf_insn *)(const void *)program->code;

	return program->count == 0 || bpf_filter(code, frame->data, frame->bytes, frame->bytes) != 0;
}

/* As a packet socket sees it. */
static struct frame untagged(const struct frame *frame)
{
	struct frame out = *frame;
	uint32_t type = frame->bytes >= 18 ? (uint32_t)frame->data[12] << 8 | frame->data[13] : 0;

	if (type == 0x8100 || type == 0x88A8) {
		out.bytes -= 4;
		memmove(out.data + 12, frame->data + 16, frame->bytes - 16);
	}
	return out;
}

static void make_into(struct program *program, uint32_t room, uint32_t select, const struct nt_flow *flows, uint32_t count)
{
	struct nt_fault fault = {0};

	program->count = nt_filter_make(program->code, room, select, flows, count, "eth1");
	assert_true(program->count <= room);
	if (select == NT_SELECT_ALL)
		assert_int_equal(program->count, 0);
	else
		assert_true(bpf_validate((const struct bpf_insn *)(const void *)program->code, (int)program->count));
	assert_int_equal(nt_selector_create(&program->selector, select, flows, count, "eth1", &fault), 0);
}

static void make(struct program *program, uint32_t select, const struct nt_flow *flows, uint32_t count)
{
	make_into(program, NT_FILTER_INSTRUCTIONS_MAX, select, flows, count);
}

/* Whether it is selected. */
static bool check(const struct program *program, const struct frame *frame)
{
	struct frame bare = untagged(frame);
	bool selected = nt_selector_judge(program->selector, NT_LINK_ETHERNET, frame->data, frame->bytes).selected;

	if (selected && (!passes(program, frame) || !passes(program, &bare))) {
		for (uint32_t i = 0; i < frame->bytes; i++)
			print_error("%02x", frame->data[i]);
		fail_msg(": %u bytes are selected and do not get through", frame->bytes);
	}
	return selected;
}

static void check_cut_anywhere(const struct program *program, const struct frame *frame)
{
	for (struct frame cut = *frame; cut.bytes > 0; cut.bytes--)
		check(program, &cut);
}

/* Anything that has to do with the flows, and much that nearly has. */
static struct frame random_frame(const struct nt_flow *flows, uint32_t count)
{
	static const uint16_t types[] = {0x8100, 0x88A8, 0x9100};
	static const uint8_t protocols[] = {17, 17, 17, 17, 17, 17, 6, 58, 0, 44};
	static const uint8_t extensions[] = {0, 43, 44, 51, 60, 17, 58};
	const struct nt_flow *flow = &flows[chance(count)];
	uint16_t chosen[3] = {types[chance(3)], types[chance(3)], types[chance(3)]};
	uint16_t port = chance(8) ? flow->port : (uint16_t)chance(65536);
	uint8_t headers[9];
	struct frame frame = ethernet(chance(2), chance(5) ? chance(3) : 3, chosen);
	const uint8_t *word = flow->group + (flow->family == NT_FAMILY_IPV4 ? 0 : 12);
	uint32_t group = (uint32_t)word[0] << 24 | (uint32_t)word[1] << 16 | (uint32_t)word[2] << 8 | word[3];

	if (chance(8) == 0)
		group = chance(2) ? group + 1 : chance(UINT32_MAX);
	for (uint32_t i = 0; i < 9; i++)
		headers[i] = extensions[chance(7)];
	if (chance(8) == 0)
		add16(&frame, (uint16_t)chance(65536));
	else if (flow->family == NT_FAMILY_IPV4)
		add_ipv4(&frame, group, port, protocols[chance(10)], chance(2) ? 0 : chance(11),
			 chance(4) ? 0 : (uint16_t)chance(65536));
	else
		add_ipv6(&frame, group, port, headers, chance(2) ? 0 : chance(10), chance(8) ? 17 : 58);
	while (chance(3) == 0)
		frame.data[chance(frame.bytes)] ^= (uint8_t)(1u << chance(8));
	if (chance(4) == 0)
		frame.bytes = 1 + chance(frame.bytes);
	return frame;
}

static void fill_flows(struct nt_flow *flows, uint32_t count, uint32_t spread)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t word = 0xEF000000u + i * spread;
		uint16_t port = (uint16_t)(15000 + i % 300);

		flows[i] = i % 5 == 4 ? flow6(i + 1, word, port) : flow4(i + 1, word, port);
	}
}

static void try_random(uint32_t count, uint32_t spread, uint32_t room)
{
	struct nt_flow *flows = calloc(count, sizeof(*flows));
	struct program *program = calloc(1, sizeof(*program));
	uint32_t selected = 0;

	assert_non_null(flows);
	assert_non_null(program);
	fill_flows(flows, count, spread);
	for (uint32_t select = NT_SELECT_CHANNELS; select <= NT_SELECT_ALL; select++) {
		make_into(program, room, select, flows, count);
		for (uint32_t i = 0; i < 30000; i++) {
			struct frame frame = random_frame(flows, count);

			selected += check(program, &frame);
		}
		nt_selector_destroy(program->selector);
	}
	assert_in_range(selected, 40000, 119999); /* else these frames show nothing */
	free(program);
	free(flows);
}

static void what_is_selected_gets_through(void **state)
{
	static const uint32_t counts[] = {1, 200, 2000, 8000};

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		try_random(counts[i], 1, NT_FILTER_INSTRUCTIONS_MAX);
		try_random(counts[i], 3, NT_FILTER_INSTRUCTIONS_MAX);
		try_random(counts[i], 65521, NT_FILTER_INSTRUCTIONS_MAX);
	}
}

static void what_is_selected_gets_through_however_little_room_there_is(void **state)
{
	(void)state;
	for (uint32_t room = NT_FILTER_INSTRUCTIONS_MIN; room <= NT_FILTER_INSTRUCTIONS_MAX; room *= 2)
		try_random(2000, 3, room);
}

static void what_is_selected_gets_through_cut_anywhere(void **state)
{
	static struct program program;
	static const uint8_t headers[8] = {0, 60, 43, 51, 60, 60, 60, 44};
	static const uint16_t types[] = {0x88A8, 0x8100, 0x9100};
	const struct nt_flow flows[] = {flow4(1, 0xEF010101, 15000), flow6(2, 0x99, 15000)};

	(void)state;
	for (uint32_t select = NT_SELECT_CHANNELS; select <= NT_SELECT_ALL; select++) {
		make(&program, select, flows, 2);
		for (uint32_t tags = 0; tags <= 3; tags++) {
			for (uint32_t shape = 0; shape <= 10; shape++) {
				struct frame ipv4 = ethernet(shape % 2, tags, types);
				struct frame ipv6 = ethernet(shape % 2, tags, types);

				add_ipv4(&ipv4, 0xEF010101, 15000, 17, shape, shape == 9 ? 0x2001 : 0);
				add_ipv6(&ipv6, 0x99, 15000, headers, shape < 9 ? shape : 8, 17);
				check_cut_anywhere(&program, &ipv4);
				check_cut_anywhere(&program, &ipv6);
				if (tags <= 2 && shape < 9)
					assert_true(check(&program, &ipv4) && check(&program, &ipv6));
			}
		}
		nt_selector_destroy(program.selector);
	}
}

static void assert_kept_out(const struct program *program, struct frame frame)
{
	assert_false(check(program, &frame));
	assert_false(passes(program, &frame));
}

static void assert_foreign_kept_out(const struct program *program)
{
	static const uint16_t tag[] = {0x8100};
	static const uint8_t hop_by_hop[] = {0};
	struct frame frame = ethernet(true, 0, NULL);

	add16(&frame, 0x0806); /* ARP */
	add(&frame, (uint8_t[28]){0, 1}, 28);
	assert_kept_out(program, frame);
	frame = ethernet(true, 1, tag);
	add16(&frame, 0x88F7); /* PTP over Ethernet */
	add(&frame, (uint8_t[44]){0}, 44);
	assert_kept_out(program, frame);
	frame = ethernet(true, 0, NULL);
	add16(&frame, 0x88CC); /* LLDP */
	add(&frame, (uint8_t[44]){2, 7}, 44);
	assert_kept_out(program, frame);
	frame = ethernet(true, 0, NULL);
	add_ipv4(&frame, 0xEF010101, 15000, 2, 1, 0); /* IGMP */
	assert_kept_out(program, frame);
	frame = ethernet(false, 0, NULL);
	add_ipv4(&frame, 0x0A000002, 15000, 6, 0, 0); /* TCP */
	assert_kept_out(program, frame);
	frame = ethernet(true, 0, NULL);
	add_ipv6(&frame, 0x16, 15000, hop_by_hop, 1, 58); /* MLD */
	assert_kept_out(program, frame);
}

static void other_protocols_are_kept_out(void **state)
{
	static struct program program;
	const struct nt_flow flows[] = {flow4(1, 0xEF010101, 15000), flow6(2, 0x16, 15000)};

	(void)state;
	for (uint32_t select = NT_SELECT_CHANNELS; select <= NT_SELECT_UDP; select++) {
		make(&program, select, flows, 2);
		assert_foreign_kept_out(&program);
		nt_selector_destroy(program.selector);
	}
}

static void other_groups_and_ports_are_kept_out(void **state)
{
	static struct program program;
	static const uint16_t tags[] = {0x8100, 0x8100, 0x8100};
	const struct nt_flow flows[] = {flow4(1, 0xEF010101, 15000), flow6(2, 0x99, 15001)};
	struct frame frame;

	(void)state;
	make(&program, NT_SELECT_CHANNELS, flows, 2);
	assert_kept_out(&program, plain4(0xEF010102, 15000));
	assert_kept_out(&program, plain4(0xEF010100, 15000));
	assert_kept_out(&program, plain4(0xEF010101, 15002));
	frame = ethernet(true, 0, NULL);
	add_ipv6(&frame, 0x98, 15001, NULL, 0, 17);
	assert_kept_out(&program, frame);
	frame = ethernet(true, 0, NULL);
	add_ipv4(&frame, 0xEF010102, 15000, 17, 0, 1); /* a later fragment */
	assert_kept_out(&program, frame);
	frame = ethernet(true, 3, tags);
	add_ipv4(&frame, 0xEF010101, 15000, 17, 0, 0);
	assert_kept_out(&program, frame);
	frame = plain4(0xEF010101, 15000);
	frame.bytes = 41;
	assert_kept_out(&program, frame);
	nt_selector_destroy(program.selector);
}

static void unicast_is_kept_out_of_a_multicast_selection(void **state)
{
	static struct program program;
	const struct nt_flow flow = flow4(1, 0xEF010101, 15000);
	struct frame frame = ethernet(false, 0, NULL);

	(void)state;
	make(&program, NT_SELECT_MULTICAST, &flow, 1);
	add_ipv4(&frame, 0x0A000002, 15000, 17, 0, 0);
	assert_kept_out(&program, frame);
	frame.data[14] = 0x44; /* a header of 16 bytes */
	assert_kept_out(&program, frame);
	frame.data[0] = 0x01;
	assert_true(check(&program, &frame)); /* malformed, to a group */
	nt_selector_destroy(program.selector);
}

static void flows_of_another_interface_let_nothing_through(void **state)
{
	static struct program program;
	struct nt_flow flow = flow4(1, 0xEF010101, 15000);

	(void)state;
	memcpy(flow.interface, "eth2", 5);
	make(&program, NT_SELECT_CHANNELS, &flow, 1);
	assert_kept_out(&program, plain4(0xEF010101, 15000));
	nt_selector_destroy(program.selector);
}

/* As many groups as are 2 apart and still asked for one by one; beyond, neighbours get through too. */
static void two_thousand_scattered_groups_are_told_apart(void **state)
{
	static struct program program;
	static struct nt_flow flows[8000];

	(void)state;
	for (uint32_t i = 0; i < 8000; i++)
		flows[i] = flow4(i + 1, 0xEF000000 + 2 * i, 15000);
	make(&program, NT_SELECT_CHANNELS, flows, 2000);
	for (uint32_t i = 0; i < 2000; i++)
		assert_kept_out(&program, plain4(0xEF000001 + 2 * i, 15000));
	nt_selector_destroy(program.selector);
	make(&program, NT_SELECT_CHANNELS, flows, 8000);
	assert_kept_out(&program, plain4(0xEF000000 + 2 * 8000, 15000));
	assert_kept_out(&program, plain4(0xEEFFFFFF, 15000));
	assert_true(program.count < NT_FILTER_INSTRUCTIONS_MAX);
	nt_selector_destroy(program.selector);
}

static void eight_thousand_groups_that_follow_each_other_are_told_from_others(void **state)
{
	static struct program program;
	static struct nt_flow flows[8000];

	(void)state;
	for (uint32_t i = 0; i < 8000; i++)
		flows[i] = flow4(i + 1, 0xEF000000 + (i / 100) * 65536 + i % 100, 15000);
	make(&program, NT_SELECT_CHANNELS, flows, 8000);
	for (uint32_t block = 0; block < 80; block++) {
		assert_kept_out(&program, plain4(0xEF000000 + block * 65536 + 100, 15000));
		assert_kept_out(&program, plain4(0xEF000000 + block * 65536 - 1, 15000));
	}
	nt_selector_destroy(program.selector);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_selected_gets_through),
		cmocka_unit_test(what_is_selected_gets_through_however_little_room_there_is),
		cmocka_unit_test(what_is_selected_gets_through_cut_anywhere),
		cmocka_unit_test(other_protocols_are_kept_out),
		cmocka_unit_test(other_groups_and_ports_are_kept_out),
		cmocka_unit_test(unicast_is_kept_out_of_a_multicast_selection),
		cmocka_unit_test(flows_of_another_interface_let_nothing_through),
		cmocka_unit_test(two_thousand_scattered_groups_are_told_apart),
		cmocka_unit_test(eight_thousand_groups_that_follow_each_other_are_told_from_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
