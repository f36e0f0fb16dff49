/* SPDX-License-Identifier: Apache-2.0 */
/* Which groups the interfaces of this network namespace are members of (proc(5), /proc/net/igmp and igmp6). */
#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static int add(struct nt_network *network, const struct nt_membership *found)
{
	struct nt_membership *added =
		nt_network_add((void **)&network->memberships, &network->membership_count, sizeof(*network->memberships));

	if (!added)
		return -ENOMEM;
	*added = *found;
	return 0;
}

/* An interface's line begins with its index, its groups' lines with a tab. Groups are in hexadecimal as the host would print the
 * network's bytes, so writing the number to memory gives these bytes back. */
static int take_ipv4(struct nt_network *network, const char *line, uint32_t *device)
{
	struct nt_membership found = {.family = NT_FAMILY_IPV4};
	uint32_t group;

	if (line[0] != '\t') {
		if (sscanf(line, "%u", device) != 1)
			*device = 0; /* the heading */
		return 0;
	}
	if (sscanf(line, "%8x %u", &group, &found.users) != 2 || !*device)
		return -EBADMSG;
	found.device = *device;
	memcpy(found.group, &group, sizeof(group));
	return add(network, &found);
}

static int take_ipv6(struct nt_network *network, const char *line)
{
	struct nt_membership found = {.family = NT_FAMILY_IPV6};
	char digits[33];

	if (sscanf(line, "%u %*s %32[0-9a-fA-F] %u", &found.device, digits, &found.users) != 3 || strlen(digits) != 32)
		return -EBADMSG;
	for (size_t at = 0; at < sizeof(found.group); at++) {
		char byte[3] = {digits[2 * at], digits[2 * at + 1]};

		found.group[at] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return add(network, &found);
}

int nt_network_take_memberships(struct nt_network *network, FILE *in, uint32_t family)
{
	uint32_t device = 0;
	size_t capacity = 0;
	char *line = NULL;
	int error = 0;

	while (!error && getline(&line, &capacity, in) >= 0)
		error = family == NT_FAMILY_IPV4 ? take_ipv4(network, line, &device) : take_ipv6(network, line);
	free(line);
	return !error && ferror(in) ? -EIO : error;
}

static int compare(const void *left, const void *right)
{
	const struct nt_membership *a = left, *b = right;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->group, b->group, sizeof(a->group));
}

void nt_network_sort_memberships(struct nt_network *network)
{
	if (network->membership_count)
		qsort(network->memberships, network->membership_count, sizeof(*network->memberships), compare);
}

struct nt_membership *nt_network_find_group(const struct nt_network *network, const uint8_t group[16], uint32_t family,
					    uint32_t *count)
{
	struct nt_membership wanted = {.family = family};
	uint32_t low = 0;
	uint32_t high = network->membership_count;
	uint32_t end;

	memcpy(wanted.group, group, sizeof(wanted.group));
	while (low < high) { /* the first of them: bsearch finds any */
		uint32_t middle = low + (high - low) / 2;

		if (compare(&network->memberships[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < network->membership_count && compare(&network->memberships[end], &wanted) == 0; end++)
		continue;
	*count = end - low;
	return *count ? &network->memberships[low] : NULL;
}

/* thread-self: /proc/net is a link to the namespace of the process's first thread. */
static int read_file(struct nt_network *network, const char *path, uint32_t family, struct nt_fault *fault)
{
	FILE *in = fopen(path, "re");
	int error;

	if (!in && errno == ENOENT && family == NT_FAMILY_IPV6)
		return 0; /* a host without IPv6 */
	if (!in)
		return nt_fault_set(fault, -errno, "%s: cannot be read, so nobody knows which groups are joined here: %s", path,
				    strerror(errno));
	error = nt_network_take_memberships(network, in, family);
	fclose(in);
	if (error)
		return nt_fault_set(fault, error, "%s: expected one group a line, found something else: %s", path,
				    strerror(-error));
	return 0;
}

int nt_network_read_memberships(struct nt_network *network, struct nt_fault *fault)
{
	int error = read_file(network, "/proc/thread-self/net/igmp", NT_FAMILY_IPV4, fault);

	if (!error)
		error = read_file(network, "/proc/thread-self/net/igmp6", NT_FAMILY_IPV6, fault);
	nt_network_sort_memberships(network);
	return error;
}
