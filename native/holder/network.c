/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NT_LIST_TRIES 10

void *nt_network_add(void **entries, uint32_t *count, size_t bytes)
{
	void *grown = *entries;

	/* Room doubles whenever the count reaches a power of two. */
	if ((*count & (*count - 1)) == 0) {
		grown = realloc(*entries, (*count ? (size_t)*count * 2 : 1) * bytes);
		if (!grown)
			return NULL;
		*entries = grown;
	}
	return memset((char *)grown + (size_t)(*count)++ * bytes, 0, bytes);
}

static int add_address(struct nt_network *network, uint32_t device, const struct sockaddr *address)
{
	struct nt_local_address *added;

	if (!device || !address || (address->sa_family != AF_INET && address->sa_family != AF_INET6))
		return 0;
	added = nt_network_add((void **)&network->addresses, &network->address_count, sizeof(*added));
	if (!added)
		return -ENOMEM;
	added->device = device;
	added->family = address->sa_family == AF_INET ? NT_FAMILY_IPV4 : NT_FAMILY_IPV6;
	if (address->sa_family == AF_INET)
		memcpy(added->address, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
	else
		memcpy(added->address, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
	return 0;
}

static int read_addresses(struct nt_network *network)
{
	struct ifaddrs *first;
	int error = 0;

	if (getifaddrs(&first))
		return -errno;
	for (const struct ifaddrs *entry = first; !error && entry; entry = entry->ifa_next) {
		uint32_t device = if_nametoindex(entry->ifa_name);

		error = add_address(network, device, entry->ifa_addr);
		if (!error && entry->ifa_flags & IFF_BROADCAST)
			error = add_address(network, device, entry->ifa_broadaddr);
	}
	freeifaddrs(first);
	return error;
}

/* A list that changes while the kernel writes it may lack entries, and says so. */
static int read_list(int (*read)(struct nt_network *), struct nt_network *network, const char *what, const char *advice,
		     struct nt_fault *fault)
{
	int error = -EINTR;

	for (int tries = 0; error == -EINTR && tries < NT_LIST_TRIES; tries++)
		error = read(network);
	if (error)
		return nt_fault_set(fault, error,
				    "the kernel does not list this host's %s, so nobody knows who would go blind: %s%s", what,
				    error == -EINTR ? "they never stop changing" : strerror(-error),
				    error == -ENOENT ? advice : "");
	return 0;
}

int nt_network_read(struct nt_network *network, struct nt_fault *fault)
{
	int error;

	memset(network, 0, sizeof(*network));
	error = read_list(nt_network_read_sockets, network, "UDP sockets", " (modprobe udp_diag)", fault);
	if (!error)
		error = nt_network_read_memberships(network, fault);
	if (!error)
		error = read_list(nt_network_read_links, network, "interfaces", "", fault);
	if (!error)
		error = read_list(read_addresses, network, "addresses", "", fault);
	if (error)
		nt_network_free(network);
	return error;
}

void nt_network_free(struct nt_network *network)
{
	free(network->sockets);
	free(network->memberships);
	free(network->links);
	free(network->addresses);
	memset(network, 0, sizeof(*network));
}
