/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NT_SOURCE_SYNTHETIC_H
#define NT_SOURCE_SYNTHETIC_H

#include "../fault.h"
#include "../plan/plan.h"
#include "source.h"

#define NT_SYNTHETIC_FRAME_MIN 60u /* Ethernet's least, without FCS */
#define NT_SYNTHETIC_FRAME_MAX 9216u

/* Frames from memory: Ethernet, IPv4, UDP with right checksums, and a payload that begins with a big-endian 64-bit number, from 1,
 * +1 a packet (it is the flow sequence too), followed by bytes that derive from it (nt_synthetic_byte), so that a reader can check
 * each of them. Stamped with CLOCK_TAI when made. After `synthetic_count` packets it has come to its end. `flow` may be NULL:
 * packets of NT_FLOW_OTHER to 239.255.0.1:30001. */
int nt_synthetic_open(struct nt_source **source, const struct nt_plan_source *plan, const struct nt_flow *flow, uint32_t flow_id,
		      struct nt_fault *fault);

/* The byte at `offset` of packet `number`'s payload, from 8 on. */
static inline uint8_t nt_synthetic_byte(uint64_t number, uint32_t offset)
{
	return (uint8_t)(number * 31 + offset);
}

#endif
