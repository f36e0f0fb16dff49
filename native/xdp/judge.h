/* SPDX-License-Identifier: Apache-2.0 */
/* From a frame's headers to its flow: one text for the XDP program and for user space, like classify.h. Whoever includes it defines
 * nt_find4 and nt_find6 over its own tables, which nt_flow_keys (flow_keys.h) has filled.
 *
 * A packet belongs to the flow of its port: of its very VLAN before any VLAN, and in each, of its source before any source. A later
 * fragment has no port: it may be of every flow that agrees with it otherwise, and belongs to that flow if there is only one, else
 * to NT_FLOW_OTHER.
 *
 * What belongs to no flow is selected by nt_options.select:
 *
 *     channels    nothing
 *     multicast   UDP to a multicast address, but for PTP; unparsed frames whose Ethernet destination is a group
 *     udp         UDP, but for PTP; unparsed frames
 *     all         likewise; user space takes every other frame too
 */
#ifndef NT_JUDGE_H
#define NT_JUDGE_H

#include "classify.h"
#include "select.h"

/* What a frame is judged to be: a flow's id, NT_FLOW_OTHER among them, or one of these. */
#define NT_JUDGED_OUT 0xFFFFFFFFu      /* not selected */
#define NT_JUDGED_UNPARSED 0xFFFFFFFEu /* selected, of NT_FLOW_OTHER: its headers cannot be read */

#define NT_PTP_EVENT_PORT 319
#define NT_PTP_GENERAL_PORT 320

typedef const volatile struct nt_xdp_options nt_options_t; /* volatile in the program, where the loader writes it */
struct nt_tables;

/* The flow id that stands under the key, or NULL. */
NT_INLINE const __u32 *nt_find4(const struct nt_tables *tables, const struct nt_xdp_key4 *key);
NT_INLINE const __u32 *nt_find6(const struct nt_tables *tables, const struct nt_xdp_key6 *key);

/* One more entry that a fragment may come under; a source address of nought finds the same entry twice. */
NT_INLINE __u32 nt_merge(__u32 flow, const __u32 *entry)
{
	if (!entry)
		return flow;
	return flow == NT_JUDGED_OUT || flow == *entry ? *entry : NT_FLOW_OTHER;
}

NT_INLINE __u32 nt_match4(const struct nt_tables *tables, nt_options_t *options, const struct nt_headers *headers, bool fragment)
{
	struct nt_xdp_key4 key = {.group = nt_load32(headers->ip + 16), .port = headers->port};
	__u32 flow = NT_JUDGED_OUT;

	NT_UNROLL
	for (int any = 0; any < 2; any++) {
		if (!(any ? options->has_any_vlan : options->has_exact_vlan))
			continue;
		key.vlan = any ? NT_VLAN_ANY : headers->vlan;
		if (options->has_source_specific) {
			key.source = nt_load32(headers->ip + 12);
			flow = nt_merge(flow, nt_find4(tables, &key));
			if (flow != NT_JUDGED_OUT && !fragment)
				return flow;
		}
		if (options->has_any_source) {
			key.source = 0;
			flow = nt_merge(flow, nt_find4(tables, &key));
			if (flow != NT_JUDGED_OUT && !fragment)
				return flow;
		}
	}
	return flow;
}

NT_INLINE __u32 nt_match6(const struct nt_tables *tables, nt_options_t *options, const struct nt_headers *headers, bool fragment)
{
	_Alignas(8) struct nt_xdp_key6 key = {.port = headers->port};
	__u32 flow = NT_JUDGED_OUT;

	nt_load_address6(key.group, headers->ip + 24);
	NT_UNROLL
	for (int any = 0; any < 2; any++) {
		if (!(any ? options->has_any_vlan : options->has_exact_vlan))
			continue;
		key.vlan = any ? NT_VLAN_ANY : headers->vlan;
		if (options->has_source_specific) {
			nt_load_address6(key.source, headers->ip + 8);
			flow = nt_merge(flow, nt_find6(tables, &key));
			if (flow != NT_JUDGED_OUT && !fragment)
				return flow;
		}
		if (options->has_any_source) {
			__builtin_memset(key.source, 0, sizeof(key.source));
			flow = nt_merge(flow, nt_find6(tables, &key));
			if (flow != NT_JUDGED_OUT && !fragment)
				return flow;
		}
	}
	return flow;
}

/* UDP, or a fragment of it, that belongs to no flow. */
NT_INLINE __u32 nt_judge_stray(nt_options_t *options, const struct nt_headers *headers, bool multicast)
{
	if (options->select == NT_XDP_SELECT_CHANNELS || (options->select == NT_XDP_SELECT_MULTICAST && !multicast))
		return NT_JUDGED_OUT;
	/* The host's clock hangs on them. */
	if (headers->port == NT_BE16(NT_PTP_EVENT_PORT) || headers->port == NT_BE16(NT_PTP_GENERAL_PORT))
		return NT_JUDGED_OUT;
	return NT_FLOW_OTHER;
}

/* A frame that cannot be parsed. The kernel could do nothing with nearly all of them. */
NT_INLINE __u32 nt_judge_unparsed(nt_options_t *options, enum nt_link link, const __u8 *begin, const __u8 *end)
{
	if (options->select == NT_XDP_SELECT_CHANNELS)
		return NT_JUDGED_OUT;
	if (options->select == NT_XDP_SELECT_MULTICAST && link == NT_LINK_ETHERNET &&
	    (!nt_stands(begin, end, 1) || !(begin[0] & 1)))
		return NT_JUDGED_OUT;
	return NT_JUDGED_UNPARSED;
}

NT_INLINE __u32 nt_judge_ipv4(const struct nt_tables *tables, nt_options_t *options, const struct nt_headers *headers,
			      bool fragment)
{
	__u32 flow = NT_JUDGED_OUT;

	/* Port 0 in a key is that of fragments. */
	if (options->has_v4 && (headers->port || fragment))
		flow = nt_match4(tables, options, headers, fragment);
	return flow == NT_JUDGED_OUT ? nt_judge_stray(options, headers, (headers->ip[16] & 0xF0) == 0xE0) : flow;
}

NT_INLINE __u32 nt_judge_ipv6(const struct nt_tables *tables, nt_options_t *options, const struct nt_headers *headers,
			      bool fragment)
{
	__u32 flow = NT_JUDGED_OUT;

	if (options->has_v6 && (headers->port || fragment))
		flow = nt_match6(tables, options, headers, fragment);
	return flow == NT_JUDGED_OUT ? nt_judge_stray(options, headers, headers->ip[24] == 0xFF) : flow;
}

/* Returns a flow's id, NT_FLOW_OTHER, NT_JUDGED_UNPARSED or NT_JUDGED_OUT. */
NT_INLINE __u32 nt_judge(const struct nt_tables *tables, nt_options_t *options, enum nt_link link, const __u8 *begin,
			 const __u8 *end)
{
	struct nt_headers headers;
	enum nt_class class = nt_classify_link(&headers, link, begin, end);

	if (headers.vlan != NT_VLAN_NONE && !options->has_tagged && options->select == NT_XDP_SELECT_CHANNELS)
		return NT_JUDGED_OUT;
	if (class == NT_CLASS_IPV4 && (options->has_v4 || options->select != NT_XDP_SELECT_CHANNELS)) {
		class = nt_classify_ipv4(&headers, end);
		if (class == NT_CLASS_UDP || class == NT_CLASS_FRAGMENT)
			return nt_judge_ipv4(tables, options, &headers, class == NT_CLASS_FRAGMENT);
	} else if (class == NT_CLASS_IPV6 && (options->has_v6 || options->select != NT_XDP_SELECT_CHANNELS)) {
		class = nt_classify_ipv6(&headers, end);
		if (class == NT_CLASS_UDP || class == NT_CLASS_FRAGMENT)
			return nt_judge_ipv6(tables, options, &headers, class == NT_CLASS_FRAGMENT);
	}
	return class == NT_CLASS_UNPARSED ? nt_judge_unparsed(options, link, begin, end) : NT_JUDGED_OUT;
}

#endif
