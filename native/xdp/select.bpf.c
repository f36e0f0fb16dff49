/* SPDX-License-Identifier: Apache-2.0 */
/* Redirects the frames that are selected to the AF_XDP socket of their queue, and passes everything else to the kernel. What is
 * selected: judge.h; how a frame is read: classify.h.
 *
 * Passed to the kernel, and counted so: any protocol but UDP (ARP, IGMP, MLD, PTP over Ethernet, TCP), UDP of no flow that
 * nt_options.select does not ask for, PTP over UDP, a tagged packet of a flow configured without a VLAN and the reverse. A tag that
 * the NIC stripped is not seen: turn rx-vlan-offload off. Checksums are not looked at: a bad packet is captured as it came.
 *
 * A frame that is longer than the UMEM chunk less 256 bytes is redirected and then dropped by the socket, which counts it. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "judge.h"

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

NT_INLINE const __u32 *nt_find4(const struct nt_tables *tables, const struct nt_xdp_key4 *key)
{
	(void)tables;
	return bpf_map_lookup_elem(&nt_flows4, key);
}

NT_INLINE const __u32 *nt_find6(const struct nt_tables *tables, const struct nt_xdp_key6 *key)
{
	(void)tables;
	return bpf_map_lookup_elem(&nt_flows6, key);
}

/* Writes the metadata before the frame; false when the driver has no room for it. Only a packet that gets it takes a number of its
 * flow: one without could not say which, and would look like a loss. */
static __always_inline bool stamp_frame(struct xdp_md *ctx, __u32 flow_id, __u8 flags)
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
	meta->flags = flags;
	meta->flow_id = flow_id;
	meta->flow_seq = __sync_fetch_and_add(&sequence->last, 1) + 1;
	return true;
}

SEC("xdp")
int nt_select(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	struct nt_xdp_counters *counters = bpf_map_lookup_elem(&nt_counters, &queue);
	__u32 flow_id;
	__u8 flags = 0;

	if (!counters)
		return XDP_PASS;
	__sync_fetch_and_add(&counters->seen, 1);
	flow_id = nt_judge(NULL, &nt_options, NT_LINK_ETHERNET, (void *)(long)ctx->data, (void *)(long)ctx->data_end);
	if (flow_id == NT_JUDGED_OUT) {
		__sync_fetch_and_add(&counters->passed_unmatched, 1);
		return XDP_PASS;
	}
	if (flow_id == NT_JUDGED_UNPARSED) {
		flow_id = NT_FLOW_OTHER;
		flags = NT_XDP_META_UNPARSED;
	}
	if (bpf_redirect_map(&nt_sockets, queue, XDP_PASS) != XDP_REDIRECT) {
		__sync_fetch_and_add(&counters->passed_no_socket, 1);
		return XDP_PASS;
	}
	__sync_fetch_and_add(&counters->redirected, 1);
	if (!stamp_frame(ctx, flow_id, flags))
		__sync_fetch_and_add(&counters->unstamped, 1);
	return XDP_REDIRECT;
}

/* No helper here asks for a GPL-compatible licence; the metadata kfuncs (NIC stamps) would. */
char _license[] SEC("license") = "Apache-2.0";
