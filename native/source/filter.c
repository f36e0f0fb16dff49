/* SPDX-License-Identifier: Apache-2.0 */
/* The program, top to bottom; every jump goes forward, and X is the number of bytes that tags take:
 *
 *     link       a switch's stamp passes; tags (two may be left in the frame), then IPv4 or IPv6; anything else is dropped
 *     ipv4       version, header length, protocol; A = group
 *     ipv6       version, next header, or the one after it; A = low 32 bits of the group
 *     search4    ranges of groups, found -> found4, else dropped
 *     found4     a later fragment passes; A = destination port
 *     search6    likewise
 *     found6     behind an extension header any port passes
 *     ports      ranges of ports
 *
 * A load beyond the frame's end would drop it, whatever it is: so lengths are asked for first. What is cut short or malformed goes to
 * `unparsed`, as the classifier (../xdp/classify.h) has it. */
#include "filter.h"
#include "filter_assembly.h"

#include <string.h>

#define NT_FILTER_FIXED 112u /* instructions besides the searches, rounded up */
#define NT_FILTER_PORTS_SHARE 8u
#define NT_FILTER_FIXUPS 64u
#define NT_FILTER_KEEP 0xFFFFFFFFu

enum { LOAD32 = BPF_LD | BPF_W | BPF_IND, LOAD16 = BPF_LD | BPF_H | BPF_IND, LOAD8 = BPF_LD | BPF_B | BPF_IND };
enum { ETHERNET = 14, TAG = 4, IPV4 = 20, IPV6 = 40, EXTENSION = 8, UDP = 8 };

enum label {
	NEXT, /* the instruction that follows */
	ONE_TAG,
	TWO_TAGS,
	TYPE,
	AT_IPV4,
	AT_IPV6,
	GROUP6,
	EXTENDED,
	UNPARSED,
	ACCEPT,
	DROP,
	SEARCH4,
	SEARCH6,
	PASS4,
	PASS6,
	PORTS,
	LABELS
};

struct nt_filter {
	struct nt_assembly to;
	uint32_t labels[LABELS];
	uint32_t fixup_count;
	struct nt_fixup {
		uint32_t at;
		enum label yes; /* for a plain jump its only aim */
		enum label no;
	} fixups[NT_FILTER_FIXUPS];
};

static void load(struct nt_filter *filter, uint16_t code, uint32_t k)
{
	nt_assembly_add(&filter->to, code, k);
}

/* A = bytes from X to the end of the frame. */
static void load_rest(struct nt_filter *filter)
{
	load(filter, BPF_LD | BPF_W | BPF_LEN, 0);
	load(filter, BPF_ALU | BPF_SUB | BPF_X, 0);
}

static void branch(struct nt_filter *filter, uint16_t condition, uint32_t k, enum label yes, enum label no)
{
	filter->fixups[filter->fixup_count++] = (struct nt_fixup){filter->to.count, yes, no};
	nt_assembly_emit(&filter->to, BPF_JMP | condition, 0, 0, k);
}

static void jump(struct nt_filter *filter, enum label aim)
{
	branch(filter, BPF_JA, 0, aim, NEXT);
}

static void stand(struct nt_filter *filter, enum label label)
{
	filter->labels[label] = filter->to.count;
}

static uint32_t distance(const struct nt_filter *filter, uint32_t at, enum label label)
{
	return label == NEXT ? 0 : filter->labels[label] - at - 1;
}

static void resolve(struct nt_filter *filter)
{
	for (uint32_t i = 0; i < filter->fixup_count; i++) {
		const struct nt_fixup *fixup = &filter->fixups[i];
		struct sock_filter *code = &filter->to.code[fixup->at];

		if (BPF_OP(code->code) == BPF_JA) {
			code->k = distance(filter, fixup->at, fixup->yes);
		} else {
			code->jt = (uint8_t)distance(filter, fixup->at, fixup->yes);
			code->jf = (uint8_t)distance(filter, fixup->at, fixup->no);
		}
	}
}

static void branch_tag(struct nt_filter *filter, enum label yes)
{
	branch(filter, BPF_JEQ, 0x8100, yes, NEXT);
	branch(filter, BPF_JEQ, 0x88A8, yes, NEXT);
	branch(filter, BPF_JEQ, 0x9100, yes, NEXT);
}

/* X = `bytes` of tags, A = type behind them. */
static void load_type(struct nt_filter *filter, uint32_t bytes)
{
	load(filter, BPF_LD | BPF_W | BPF_LEN, 0);
	branch(filter, BPF_JGE, ETHERNET + bytes, NEXT, UNPARSED);
	load(filter, BPF_LDX | BPF_W | BPF_IMM, bytes);
	load(filter, LOAD16, ETHERNET - 2);
}

static void emit_link(struct nt_filter *filter, uint32_t select)
{
	load_type(filter, 0);
	branch(filter, BPF_JEQ, 0xD28B, ACCEPT, NEXT); /* an Arista 7280's stamp: what follows it the classifier sees */
	branch_tag(filter, ONE_TAG);
	jump(filter, TYPE);
	stand(filter, ONE_TAG);
	load_type(filter, TAG);
	branch_tag(filter, TWO_TAGS);
	jump(filter, TYPE);
	stand(filter, TWO_TAGS);
	if (select == NT_SELECT_CHANNELS) {
		load_type(filter, 2 * TAG);
		branch_tag(filter, UNPARSED);
	} else {
		jump(filter, ACCEPT); /* with one that the kernel took out it has three, and is unparsed: or has it not? */
	}
	stand(filter, TYPE);
	branch(filter, BPF_JEQ, 0x0800, AT_IPV4, NEXT);
	branch(filter, BPF_JEQ, 0x86DD, AT_IPV6, DROP);
}

/* What tells the two families apart, once it is UDP. */
struct family {
	uint32_t group_at; /* behind X */
	uint32_t multicast_mask;
	uint32_t multicast; /* the group's first byte, masked */
	uint32_t word_at;   /* what the search goes by */
	enum label search;
};

static void emit_choice(struct nt_filter *filter, uint32_t select, const struct family *family)
{
	if (select == NT_SELECT_UDP) {
		jump(filter, ACCEPT);
		return;
	}
	if (select == NT_SELECT_MULTICAST) {
		load(filter, BPF_LD | BPF_B | BPF_ABS, 0);
		branch(filter, BPF_JSET, 1, ACCEPT, NEXT); /* of what is sent to a group, the malformed is selected too */
		load(filter, LOAD8, family->group_at);
		load(filter, BPF_ALU | BPF_AND | BPF_K, family->multicast_mask);
		branch(filter, BPF_JEQ, family->multicast, ACCEPT, NEXT);
	}
	load(filter, LOAD32, family->word_at);
	jump(filter, family->search);
}

static void emit_ipv4(struct nt_filter *filter, uint32_t select)
{
	static const struct family family = {ETHERNET + 16, 0xF0, 0xE0, ETHERNET + 16, SEARCH4};

	stand(filter, AT_IPV4);
	load_rest(filter);
	branch(filter, BPF_JGE, ETHERNET + IPV4, NEXT, UNPARSED);
	load(filter, LOAD8, ETHERNET);
	branch(filter, BPF_JGE, 0x45, NEXT, UNPARSED);
	branch(filter, BPF_JGT, 0x4F, UNPARSED, NEXT);
	load(filter, LOAD8, ETHERNET + 9);
	branch(filter, BPF_JEQ, 17, NEXT, DROP);
	emit_choice(filter, select, &family);
}

static void branch_extension(struct nt_filter *filter, enum label yes, enum label no)
{
	branch(filter, BPF_JEQ, 0, yes, NEXT);
	branch(filter, BPF_JEQ, 43, yes, NEXT);
	branch(filter, BPF_JEQ, 44, yes, NEXT);
	branch(filter, BPF_JEQ, 51, yes, NEXT);
	branch(filter, BPF_JEQ, 60, yes, no);
}

/* Of a chain of extension headers only the first is looked into: that tells MLD. */
static void emit_ipv6(struct nt_filter *filter, uint32_t select)
{
	static const struct family family = {ETHERNET + 24, 0xFF, 0xFF, ETHERNET + 36, SEARCH6};

	stand(filter, AT_IPV6);
	load_rest(filter);
	branch(filter, BPF_JGE, ETHERNET + IPV6, NEXT, UNPARSED);
	load(filter, LOAD8, ETHERNET);
	branch(filter, BPF_JGE, 0x60, NEXT, UNPARSED);
	branch(filter, BPF_JGT, 0x6F, UNPARSED, NEXT);
	load(filter, LOAD8, ETHERNET + 6);
	branch(filter, BPF_JEQ, 17, GROUP6, NEXT);
	branch_extension(filter, EXTENDED, DROP);
	stand(filter, EXTENDED);
	load_rest(filter);
	branch(filter, BPF_JGE, ETHERNET + IPV6 + EXTENSION, NEXT, UNPARSED);
	load(filter, LOAD8, ETHERNET + IPV6);
	branch(filter, BPF_JEQ, 17, GROUP6, NEXT);
	branch_extension(filter, GROUP6, DROP);
	stand(filter, GROUP6);
	emit_choice(filter, select, &family);
}

static void emit_ends(struct nt_filter *filter, uint32_t select)
{
	stand(filter, UNPARSED);
	if (select == NT_SELECT_MULTICAST) {
		load(filter, BPF_LD | BPF_B | BPF_ABS, 0);
		branch(filter, BPF_JSET, 1, ACCEPT, DROP);
	}
	if (select == NT_SELECT_CHANNELS)
		jump(filter, DROP);
	stand(filter, ACCEPT);
	load(filter, BPF_RET | BPF_K, NT_FILTER_KEEP);
	stand(filter, DROP);
	load(filter, BPF_RET | BPF_K, 0);
}

/* What is cut short before its port was not selected by its group's address either: only a flow's port could have done it. */
static void emit_ipv4_port(struct nt_filter *filter)
{
	load(filter, LOAD16, ETHERNET + 6);
	branch(filter, BPF_JSET, 0x1FFF, PASS4, NEXT);
	load(filter, LOAD8, ETHERNET);
	load(filter, BPF_ALU | BPF_AND | BPF_K, 15);
	load(filter, BPF_ALU | BPF_LSH | BPF_K, 2);
	load(filter, BPF_ALU | BPF_ADD | BPF_X, 0);
	load(filter, BPF_MISC | BPF_TAX, 0);
	load_rest(filter);
	nt_assembly_emit(&filter->to, BPF_JMP | BPF_JGE, 1, 0, ETHERNET + UDP);
	load(filter, BPF_RET | BPF_K, 0);
	load(filter, LOAD16, ETHERNET + 2);
	jump(filter, PORTS);
	stand(filter, PASS4);
	load(filter, BPF_RET | BPF_K, NT_FILTER_KEEP);
}

static void emit_ipv6_port(struct nt_filter *filter)
{
	load(filter, LOAD8, ETHERNET + 6);
	branch(filter, BPF_JEQ, 17, NEXT, PASS6);
	load_rest(filter);
	nt_assembly_emit(&filter->to, BPF_JMP | BPF_JGE, 1, 0, ETHERNET + IPV6 + UDP);
	load(filter, BPF_RET | BPF_K, 0);
	load(filter, LOAD16, ETHERNET + IPV6 + 2);
	jump(filter, PORTS);
	stand(filter, PASS6);
	load(filter, BPF_RET | BPF_K, NT_FILTER_KEEP);
}

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The values to search for among the flows of this interface: of a family its groups, of family 0 all ports. */
static uint32_t collect(uint32_t *values, const struct nt_flow *flows, uint32_t flow_count, const char *interface, uint16_t family)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < flow_count && count < NT_RING_FLOWS_MAX; i++) {
		const struct nt_flow *flow = &flows[i];

		if (strncmp(flow->interface, interface, sizeof(flow->interface)) != 0 || (family && flow->family != family))
			continue;
		if (family)
			values[count++] = be32(flow->group + (family == NT_FAMILY_IPV4 ? 0 : 12));
		else
			values[count++] = flow->port;
	}
	return count;
}

struct searches {
	struct nt_search ipv4;
	struct nt_search ipv6;
	struct nt_search ports;
	uint32_t values[NT_RING_FLOWS_MAX];
};

/* IPv6 gets at most half of what the ports leave, IPv4 the rest. */
static void prepare_searches(struct searches *all, uint32_t room, const struct nt_flow *flows, uint32_t flow_count,
			     const char *interface)
{
	uint32_t budget = room - NT_FILTER_FIXED;
	uint32_t count = collect(all->values, flows, flow_count, interface, 0);

	nt_search_prepare(&all->ports, all->values, count, budget / NT_FILTER_PORTS_SHARE);
	budget -= nt_search_cost(&all->ports);
	count = collect(all->values, flows, flow_count, interface, NT_FAMILY_IPV6);
	nt_search_prepare(&all->ipv6, all->values, count, budget / 2);
	budget -= nt_search_cost(&all->ipv6);
	count = collect(all->values, flows, flow_count, interface, NT_FAMILY_IPV4);
	nt_search_prepare(&all->ipv4, all->values, count, budget);
}

uint32_t nt_filter_make(struct sock_filter *code, uint32_t room, uint32_t select, const struct nt_flow *flows, uint32_t flow_count,
			const char *interface)
{
	struct nt_filter filter = {.to = {.code = code, .room = room}};
	struct searches all;

	if (select == NT_SELECT_ALL)
		return 0;
	emit_link(&filter, select);
	emit_ipv4(&filter, select);
	emit_ipv6(&filter, select);
	emit_ends(&filter, select);
	if (select != NT_SELECT_UDP) {
		prepare_searches(&all, room, flows, flow_count, interface);
		stand(&filter, SEARCH4);
		nt_search_emit(&filter.to, &all.ipv4);
		emit_ipv4_port(&filter);
		stand(&filter, SEARCH6);
		nt_search_emit(&filter.to, &all.ipv6);
		emit_ipv6_port(&filter);
		stand(&filter, PORTS);
		nt_search_emit(&filter.to, &all.ports);
		load(&filter, BPF_RET | BPF_K, NT_FILTER_KEEP);
	}
	resolve(&filter);
	return filter.to.count;
}
