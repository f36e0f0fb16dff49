/* SPDX-License-Identifier: Apache-2.0 */
/* What listeners.h is found from: the UDP sockets, memberships, links and addresses of this network namespace, read once. It takes
 * no privilege. Addresses are 16 bytes in network order; IPv4 in the first four, the rest zero. */
#ifndef NT_NETWORK_H
#define NT_NETWORK_H

#include "../plan/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct nlmsghdr;

struct nt_udp_socket {
	uint8_t address[16]; /* that it is bound to; all zero: any */
	uint8_t peer[16];    /* that it is connected to; all zero: nobody */
	uint16_t family;     /* NT_FAMILY_*: of both; an IPv4 address mapped into IPv6 is IPv4 */
	uint16_t port;
	bool takes_ipv4;
	bool takes_ipv6;
	uint32_t device; /* that it is bound to; 0: any */
	uint32_t uid;
	uint32_t inode;
};

struct nt_membership { /* of an interface in a group */
	uint8_t group[16];
	uint32_t family;
	uint32_t device;
	uint32_t users;     /* sockets that joined, and the kernel itself */
	bool ours_from_any; /* our own holder is among them: it joined from any source, from named ones */
	bool ours_from_named;
};

enum nt_link_kind { NT_LINK_OTHER, NT_LINK_VLAN, NT_LINK_SHARE /* macvlan, ipvlan: gets what the one below gets */ };

struct nt_link {
	uint32_t device;
	uint32_t master; /* bond, bridge or VRF that it is a port of; 0: none */
	uint32_t lower;  /* that it stands on; 0: none */
	enum nt_link_kind kind;
	uint16_t vlan;
};

struct nt_local_address { /* broadcast addresses too */
	uint8_t address[16];
	uint32_t family;
	uint32_t device;
};

struct nt_network {
	struct nt_udp_socket *sockets;
	struct nt_membership *memberships;
	struct nt_link *links;
	struct nt_local_address *addresses;
	uint32_t socket_count;
	uint32_t membership_count;
	uint32_t link_count;
	uint32_t address_count;
};

int nt_network_read(struct nt_network *network, struct nt_fault *fault);
void nt_network_free(struct nt_network *network);

/* Makes room for one more entry of `bytes` in an array of `count`; returns it zeroed, or NULL. */
void *nt_network_add(void **entries, uint32_t *count, size_t bytes);

/* netlink.c: every answer to a dump request goes to `take`, whose error ends it. -EINTR: the list changed meanwhile, ask again. */
typedef int (*nt_netlink_take)(struct nt_network *network, const struct nlmsghdr *message);
int nt_netlink_dump(int protocol, const struct nlmsghdr *request, nt_netlink_take take, struct nt_network *network);

/* sock_diag.c */
int nt_network_read_sockets(struct nt_network *network);
int nt_network_take_socket(struct nt_network *network, const struct nlmsghdr *message);

/* links.c */
int nt_network_read_links(struct nt_network *network);
int nt_network_take_link(struct nt_network *network, const struct nlmsghdr *message);
/* Whether frames that come in at `base`, with this outermost VLAN id, are delivered to sockets through `device`. */
bool nt_network_delivers(const struct nt_network *network, uint32_t base, uint16_t vlan, uint32_t device);

/* memberships.c: `in` is a file like /proc/net/igmp or /proc/net/igmp6. Sorted by group: thousands of flows ask for theirs. */
int nt_network_read_memberships(struct nt_network *network, struct nt_fault *fault);
int nt_network_take_memberships(struct nt_network *network, FILE *in, uint32_t family);
void nt_network_sort_memberships(struct nt_network *network);
/* The `count` memberships in a group, on whatever device; NULL: none. */
struct nt_membership *nt_network_find_group(const struct nt_network *network, const uint8_t group[16], uint32_t family,
					    uint32_t *count);

/* deprived.c: says which memberships at `base` our holder made for this source. */
void nt_network_mark_ours(const struct nt_network *network, const struct nt_plan *plan, const struct nt_plan_source *source,
			  uint32_t base);

/* Whether an afxdp source at `base` takes, or would take, packets from this socket, and of which flow. */
struct nt_deprivation {
	const struct nt_network *network;
	const struct nt_plan *plan;
	const struct nt_plan_source *source;
	uint32_t base;
};

bool nt_deprives(const struct nt_deprivation *deprivation, const struct nt_udp_socket *socket, uint32_t *flow_id);

/* owners.c: which process has a socket open, the lowest pid if several have; pid 0 and no name where /proc does not tell. */
struct nt_socket_owner {
	uint32_t inode;
	uint32_t pid;
	char process[32];
};

void nt_socket_owners_find(struct nt_socket_owner *owners, uint32_t count, const char *proc);

#endif
