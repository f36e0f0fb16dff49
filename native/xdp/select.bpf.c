/* SPDX-License-Identifier: Apache-2.0 */
/* Redirects the UDP packets of configured flows to the AF_XDP socket of their queue, and passes everything else to the kernel.
 *
 * Parsed: Ethernet; up to two VLAN tags (0x8100 or 0x88a8 in either place; the outermost id other than 0 is the packet's VLAN);
 * IPv4 with options; IPv6 with up to four hop-by-hop, destination or fragment headers; UDP. Non-first fragments carry no port:
 * they are taken by group and source alone, and belong to the group's flow if it has only one, else to NT_FLOW_OTHER. A first
 * fragment belongs to its port's flow.
 *
 * Passed to the kernel, and counted so: any other protocol (ARP, IGMP, MLD, PTP over Ethernet, TCP), a third tag, another or a
 * fifth extension header, a non-first IPv6 fragment whose first header is not UDP, a frame cut short within these headers, UDP to
 * port 0, a tagged packet of a flow configured without a VLAN and the reverse. A tag that the NIC stripped is not seen: turn
 * rx-vlan-offload off. Checksums are not looked at: a bad packet is captured as it came.
 *
 * A frame that is longer than the UMEM chunk less 256 bytes is redirected and then dropped by the socket, which counts it. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../ring/flow.h"
#include "select.h"

#define NT_TAGS_MAX 2
#define NT_EXTENSIONS_MAX 4
#define NT_FRAGMENT_OFFSET4 0x1FFF
#define NT_FRAGMENT_OFFSET6 0xFFF8

struct nt_vlan_tag {
	__be16 control;
	__be16 protocol; /* of what follows */
};

struct nt_extension {
	__u8 next;
	__u8 length;     /* in units of 8 bytes, without the first */
	__be16 fragment; /* in a fragment header: offset and flags */
	__u8 rest[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct nt_xdp_key4);
	__type(value, __u32);
} nt_flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct nt_xdp_key6);
	__type(value, __u32);
} nt_flows6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nt_xdp_sequence);
} nt_sequences SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NT_XDP_QUEUES_MAX);
	__type(key, __u32);
	__type(value, struct nt_xdp_counters);
} nt_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, NT_XDP_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} nt_sockets SEC(".maps");

const volatile struct nt_xdp_options nt_options = {0};

static __always_inline __u32 *find_flow4(__be32 group, __be32 source, __be16 port, __u16 vlan)
{
	struct nt_xdp_key4 key = {.group = group, .source = source, .port = port, .vlan = vlan};
	__u32 *flow = NULL;

	if (nt_options.has_source_specific)
		flow = bpf_map_lookup_elem(&nt_flows4, &key);
	if (!flow && nt_options.has_any_source) {
		key.source = 0;
		flow = bpf_map_lookup_elem(&nt_flows4, &key);
	}
	return flow;
}

static __always_inline __u32 *find_flow6(const struct ipv6hdr *ip, __be16 port, __u16 vlan)
{
	struct nt_xdp_key6 key = {.port = port, .vlan = vlan};
	__u32 *flow = NULL;

	__builtin_memcpy(key.group, &ip->daddr, sizeof(key.group));
	if (nt_options.has_source_specific) {
		__builtin_memcpy(key.source, &ip->saddr, sizeof(key.source));
		flow = bpf_map_lookup_elem(&nt_flows6, &key);
	}
	if (!flow && nt_options.has_any_source) {
		__builtin_memset(key.source, 0, sizeof(key.source));
		flow = bpf_map_lookup_elem(&nt_flows6, &key);
	}
	return flow;
}

/* Destination port, or 0 if there is none to be had. */
static __always_inline __be16 udp_port(const void *at, const void *end)
{
	const struct udphdr *udp = at;

	return (const void *)(udp + 1) > end ? 0 : udp->dest;
}

static __always_inline __u32 *find_ipv4(const void *at, const void *end, __u16 vlan)
{
	const struct iphdr *ip = at;
	__be16 port;

	if ((const void *)(ip + 1) > end || ip->protocol != IPPROTO_UDP || ip->version != 4 || ip->ihl < 5)
		return NULL;
	if (ip->frag_off & bpf_htons(NT_FRAGMENT_OFFSET4))
		return find_flow4(ip->daddr, ip->saddr, 0, vlan);
	port = udp_port(at + ip->ihl * 4, end);
	return port ? find_flow4(ip->daddr, ip->saddr, port, vlan) : NULL;
}

static __always_inline __u32 *find_ipv6(const void *at, const void *end, __u16 vlan)
{
	const struct ipv6hdr *ip = at;
	__be16 port;
	__u8 next;

	if ((const void *)(ip + 1) > end || ip->version != 6)
		return NULL;
	next = ip->nexthdr;
	at = ip + 1;
#pragma unroll
	for (int i = 0; i < NT_EXTENSIONS_MAX; i++) {
		const struct nt_extension *extension = at;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT)
			break;
		if ((const void *)(extension + 1) > end)
			return NULL;
		if (next == IPPROTO_FRAGMENT && extension->fragment & bpf_htons(NT_FRAGMENT_OFFSET6))
			return extension->next == IPPROTO_UDP ? find_flow6(ip, 0, vlan) : NULL;
		at += next == IPPROTO_FRAGMENT ? sizeof(*extension) : (extension->length + 1) * 8;
		next = extension->next;
	}
	if (next != IPPROTO_UDP)
		return NULL;
	port = udp_port(at, end);
	return port ? find_flow6(ip, port, vlan) : NULL;
}

static __always_inline bool is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

/* The flow id of the frame, or NULL: not selected. */
static __always_inline __u32 *find_flow(const void *at, const void *end)
{
	const struct ethhdr *ethernet = at;
	__u16 vlan = NT_VLAN_NONE;
	__be16 protocol;

	if ((const void *)(ethernet + 1) > end)
		return NULL;
	protocol = ethernet->h_proto;
	at = ethernet + 1;
#pragma unroll
	for (int i = 0; i < NT_TAGS_MAX; i++) {
		const struct nt_vlan_tag *tag = at;
		__u16 id;

		if (!is_vlan(protocol))
			break;
		if ((const void *)(tag + 1) > end)
			return NULL;
		id = bpf_ntohs(tag->control) & 0x0FFF;
		if (vlan == NT_VLAN_NONE && id) /* id 0 is a priority tag: no VLAN */
			vlan = id;
		protocol = tag->protocol;
		at = tag + 1;
	}
	if (vlan != NT_VLAN_NONE && !nt_options.has_vlan)
		return NULL;
	if (nt_options.has_v4 && protocol == bpf_htons(ETH_P_IP))
		return find_ipv4(at, end, vlan);
	if (nt_options.has_v6 && protocol == bpf_htons(ETH_P_IPV6))
		return find_ipv6(at, end, vlan);
	return NULL;
}

/* Writes the metadata before the frame; false when the driver has no room for it. Only a packet that gets it takes a number of its
 * flow: one without could not say which, and would look like a loss. */
static __always_inline bool stamp_frame(struct xdp_md *ctx, __u32 flow_id)
{
	struct nt_xdp_sequence *sequence = bpf_map_lookup_elem(&nt_sequences, &flow_id);
	struct nt_xdp_meta *meta;

	if (!sequence || bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return false;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return false;
	meta->stamp_ns = nt_options.stamp_kind == NT_XDP_STAMP_TAI ? bpf_ktime_get_tai_ns() : bpf_ktime_get_ns();
	meta->magic = NT_XDP_META_MAGIC;
	meta->stamp_kind = nt_options.stamp_kind;
	meta->flags = 0;
	meta->flow_id = flow_id;
	meta->flow_seq = __sync_fetch_and_add(&sequence->last, 1) + 1;
	return true;
}

SEC("xdp")
int nt_select(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	struct nt_xdp_counters *counters = bpf_map_lookup_elem(&nt_counters, &queue);
	const __u32 *flow;
	__u32 flow_id;

	if (!counters)
		return XDP_PASS;
	__sync_fetch_and_add(&counters->seen, 1);
	flow = find_flow((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	if (!flow) {
		__sync_fetch_and_add(&counters->passed_unmatched, 1);
		return XDP_PASS;
	}
	flow_id = *flow;
	if (bpf_redirect_map(&nt_sockets, queue, XDP_PASS) != XDP_REDIRECT) {
		__sync_fetch_and_add(&counters->passed_no_socket, 1);
		return XDP_PASS;
	}
	__sync_fetch_and_add(&counters->redirected, 1);
	if (!stamp_frame(ctx, flow_id))
		__sync_fetch_and_add(&counters->unstamped, 1);
	return XDP_REDIRECT;
}

/* No helper here asks for a GPL-compatible licence; the metadata kfuncs (NIC stamps) would. */
char _license[] SEC("license") = "Apache-2.0";
