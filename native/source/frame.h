/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet, IPv4 or IPv6, and UDP headers for a payload whose own were never seen (socket) or never existed (synthetic). */
#ifndef NT_SOURCE_FRAME_H
#define NT_SOURCE_FRAME_H

#include "../ring/flow.h"

#include <stdbool.h>

#define NT_FRAME_HEADER_IPV4 42u /* 14 + 20 + 8 */
#define NT_FRAME_HEADER_IPV6 62u /* 14 + 40 + 8 */

/* What a header is rebuilt from. Destination MAC: that which the group maps to, or zero for a unicast address; source MAC: zero. No
 * IP options, identification 0, "don't fragment". */
struct nt_frame_facts {
	uint16_t family;      /* NT_FAMILY_* */
	uint16_t source_port; /* host order */
	uint16_t destination_port;
	uint8_t ttl; /* 0: not known */
	uint8_t reserved;
	uint32_t payload_bytes;
	uint8_t source[16]; /* network order */
	uint8_t destination[16];
};

static inline uint32_t nt_frame_header_bytes(uint16_t family)
{
	return family == NT_FAMILY_IPV4 ? NT_FRAME_HEADER_IPV4 : NT_FRAME_HEADER_IPV6;
}

/* Writes the header, nt_frame_header_bytes() long. The IPv4 checksum is right; the UDP checksum is 0, "not computed". */
void nt_frame_write_header(uint8_t *frame, const struct nt_frame_facts *facts);

/* One's complement sum of `bytes` bytes in network order, added to `sum`; nt_checksum_finish folds it and complements it. */
uint32_t nt_checksum_add(uint32_t sum, const uint8_t *data, uint32_t bytes);
uint16_t nt_checksum_finish(uint32_t sum);

static inline void nt_put_be16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

#endif
