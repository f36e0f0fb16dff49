/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers each frame that it is given and redirects it to an interface. The frames are the kernel's own copies of one template, and
 * come round again: what is not written here stays as it was. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "generator_state.h"

struct nt_generator_state nt_state = {0};

struct nt_turn {
	__u64 due_ns;
	__u64 now_ns;
};

static long look_at_clock(__u32 turn, void *context)
{
	struct nt_turn *waiting = context;

	(void)turn;
	waiting->now_ns = bpf_ktime_get_ns();
	return waiting->now_ns >= waiting->due_ns;
}

/* Who is far behind (another tenant had the CPU) does not catch up: a burst is not the rate that was asked for. */
static __always_inline void keep_schedule(__u64 late_ns)
{
	if (late_ns > nt_state.late_max_ns)
		nt_state.late_max_ns = late_ns;
	if (late_ns > NT_GENERATOR_SLIP_NS) {
		nt_state.slipped_ns += late_ns;
		nt_state.due_ns += late_ns;
	}
}

static __always_inline void wait_until_due(void)
{
	__u64 began_ns = bpf_ktime_get_ns();
	struct nt_turn turn;

	if (!nt_state.due_ns)
		nt_state.due_ns = began_ns;
	turn.due_ns = nt_state.due_ns;
	turn.now_ns = began_ns;

	if (began_ns < turn.due_ns) {
		bpf_loop(NT_GENERATOR_TURNS, look_at_clock, &turn, 0);
		nt_state.waited_ns += turn.now_ns - began_ns;
	} else {
		keep_schedule(began_ns - turn.due_ns);
	}
	nt_state.due_ns += nt_state.gap_ns;
}

/* Bytes that differ from packet to packet, as orders, prices and times do: what writes compressed files must not have it easier than
 * with real data. A multiplication and an exclusive or for each; they are not random, but nothing that zstd looks for is in them. */
static __always_inline void vary(unsigned char *payload, void *end, __u64 number)
{
	__u64 mixed = number * 0x9E3779B97F4A7C15ull;

#pragma unroll
	for (int word = 1; word <= NT_GENERATOR_WORDS; word++) {
		__u64 *at = (void *)(payload + word * NT_GENERATOR_STRIDE);

		if ((void *)(at + 1) > end)
			return;
		mixed = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9ull;
		*at = mixed;
	}
}

SEC("xdp")
int nt_generate(struct xdp_md *ctx)
{
	unsigned char *frame = (void *)(long)ctx->data;
	__u64 *number = (void *)(frame + NT_GENERATOR_HEADER_BYTES);

	if ((void *)(number + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (nt_state.gap_ns)
		wait_until_due();
	if (nt_state.varies)
		vary((unsigned char *)number, (void *)(long)ctx->data_end, nt_state.sent + 1);
	*number = bpf_cpu_to_be64(++nt_state.sent);
	if (nt_state.sent == 1)
		nt_state.began_ns = bpf_ktime_get_ns();
	if (nt_state.sent == nt_state.goal)
		nt_state.ended_ns = bpf_ktime_get_ns();
	return (int)bpf_redirect(nt_state.ifindex, 0);
}

char _license[] SEC("license") = "Apache-2.0";
