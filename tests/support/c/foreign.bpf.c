/* SPDX-License-Identifier: Apache-2.0 */
/* Someone else's XDP program. */
#include <linux/bpf.h>

__attribute__((section("xdp"), used)) int somebody_else(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}
