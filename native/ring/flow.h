/* SPDX-License-Identifier: Apache-2.0 */
/* One flow: (interface, vlan, group, port, source), and which channel and line it carries. It stands in the plan, and in the ring's
 * own flow table, so that a reader needs no configuration to name what it reads. */
#ifndef NT_FLOW_H
#define NT_FLOW_H

#include <stddef.h>
#include <stdint.h>

#define NT_FLOW_OTHER 0u     /* flow id of what was selected but belongs to no configured flow */
#define NT_VLAN_NONE 0xFFFFu /* untagged */
#define NT_VLAN_ANY 0xFFFEu  /* in a flow: whatever the tags, or none */
#define NT_FAMILY_IPV4 4u
#define NT_FAMILY_IPV6 6u

struct nt_flow {
	uint32_t id;     /* from 1; never reused within a ring */
	uint16_t family; /* NT_FAMILY_* */
	uint16_t port;   /* UDP destination port, host order */
	uint16_t vlan;   /* outermost 802.1Q id, NT_VLAN_NONE or NT_VLAN_ANY */
	uint16_t reserved0;
	uint32_t reserved1;
	uint8_t group[16];  /* network order; IPv4 in the first four bytes, the rest zero */
	uint8_t source[16]; /* likewise; all zero: any source */
	char interface[16];
	char feed[48]; /* all text: UTF-8, NUL-terminated */
	char channel[64];
	char line[16];
	char framing[32];
	char role[16]; /* incremental, snapshot, definition, retransmit */
	uint8_t reserved2[16];
};

_Static_assert(sizeof(struct nt_flow) == 256, "flow entry is 256 bytes");
_Static_assert(offsetof(struct nt_flow, group) == 16, "group");
_Static_assert(offsetof(struct nt_flow, source) == 32, "source");
_Static_assert(offsetof(struct nt_flow, interface) == 48, "interface");
_Static_assert(offsetof(struct nt_flow, feed) == 64, "feed");
_Static_assert(offsetof(struct nt_flow, channel) == 112, "channel");
_Static_assert(offsetof(struct nt_flow, line) == 176, "line");
_Static_assert(offsetof(struct nt_flow, framing) == 192, "framing");
_Static_assert(offsetof(struct nt_flow, role) == 224, "role");

#endif
