/* SPDX-License-Identifier: Apache-2.0 */
#include "listeners.h"

#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NT_NAMED_MAX 3 /* processes that a refusal names */

struct nt_found {
	struct nt_listener listener;
	uint32_t inode;
};

struct nt_findings {
	struct nt_found *entries;
	uint32_t count;
};

/* What a source is deprived of first, then by process. */
static int compare(const void *left, const void *right)
{
	const struct nt_listener *a = left, *b = right;
	int order = strcmp(a->interface, b->interface);

	if (!order)
		order = (a->flow_id == NT_FLOW_OTHER) - (b->flow_id == NT_FLOW_OTHER);
	if (!order)
		order = (a->pid > b->pid) - (a->pid < b->pid);
	if (!order)
		order = (a->flow_id > b->flow_id) - (a->flow_id < b->flow_id);
	if (!order)
		order = (int)a->port - (int)b->port;
	return order ? order : memcmp(a->address, b->address, sizeof(a->address));
}

static int collect(struct nt_findings *findings, const struct nt_deprivation *deprivation)
{
	const struct nt_network *network = deprivation->network;

	for (uint32_t at = 0; at < network->socket_count; at++) {
		const struct nt_udp_socket *socket = &network->sockets[at];
		struct nt_found *found;
		uint32_t flow_id;

		if (!nt_deprives(deprivation, socket, &flow_id))
			continue;
		found = nt_network_add((void **)&findings->entries, &findings->count, sizeof(*found));
		if (!found)
			return -ENOMEM;
		memcpy(found->listener.interface, deprivation->source->interface, sizeof(found->listener.interface));
		memcpy(found->listener.address, socket->address, sizeof(found->listener.address));
		found->listener.uid = socket->uid;
		found->listener.family = socket->family;
		found->listener.port = socket->port;
		found->listener.flow_id = flow_id;
		found->inode = socket->inode;
	}
	return 0;
}

static int look_at(struct nt_findings *findings, const struct nt_network *network, const struct nt_plan *plan,
		   const struct nt_plan_source *source, struct nt_fault *fault)
{
	const struct nt_deprivation deprivation = {
		.network = network,
		.plan = plan,
		.source = source,
		.base = if_nametoindex(source->interface),
	};

	if (!deprivation.base)
		return nt_fault_set(fault, -ENODEV,
				    "%s: no such interface in this network namespace (ip link shows those there are)",
				    source->interface);
	if (collect(findings, &deprivation))
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for %u listeners", source->interface, findings->count);
	return 0;
}

static int same_inode(const void *key, const void *entry)
{
	const uint32_t *inode = key;
	const struct nt_socket_owner *owner = entry;

	return (*inode > owner->inode) - (*inode < owner->inode);
}

static int name_owners(struct nt_findings *findings, struct nt_fault *fault)
{
	struct nt_socket_owner *owners = calloc(findings->count + 1, sizeof(*owners));

	if (!owners)
		return nt_fault_set(fault, -ENOMEM, "no memory for %u listeners", findings->count);
	for (uint32_t at = 0; at < findings->count; at++)
		owners[at].inode = findings->entries[at].inode;
	nt_socket_owners_find(owners, findings->count, "/proc");
	for (uint32_t at = 0; at < findings->count; at++) {
		struct nt_listener *listener = &findings->entries[at].listener;
		const struct nt_socket_owner *owner =
			bsearch(&findings->entries[at].inode, owners, findings->count, sizeof(*owners), same_inode);

		listener->pid = owner->pid;
		memcpy(listener->process, owner->process, sizeof(listener->process));
	}
	free(owners);
	return 0;
}

/* The listeners alone, sorted; NULL if there are none. */
static int conclude(struct nt_findings *findings, struct nt_listener **found, uint32_t *count, struct nt_fault *fault)
{
	struct nt_listener *listeners;
	int error;

	if (!findings->count)
		return 0;
	error = name_owners(findings, fault);
	if (error)
		return error;
	listeners = calloc(findings->count, sizeof(*listeners));
	if (!listeners)
		return nt_fault_set(fault, -ENOMEM, "no memory for %u listeners", findings->count);
	for (uint32_t at = 0; at < findings->count; at++)
		listeners[at] = findings->entries[at].listener;
	qsort(listeners, findings->count, sizeof(*listeners), compare);
	*found = listeners;
	*count = findings->count;
	return 0;
}

/* A holder that runs has joined for all its sources; one that starts, for those before the source it is about to open. */
static void mark_ours(const struct nt_network *network, const struct nt_plan *plan, const struct nt_plan_source *only, bool joined)
{
	for (uint32_t at = 0; at < plan->header->source_count; at++) {
		const struct nt_plan_source *source = &plan->sources[at];

		if ((joined || (only && source < only)) && (source->kind == NT_SOURCE_AFXDP || source->kind == NT_SOURCE_PACKET))
			nt_network_mark_ours(network, plan, source, if_nametoindex(source->interface));
	}
}

/* One source, or with NULL all afxdp sources. `joined`: the plan of a holder that runs, or NULL. */
static int find(const struct nt_plan *plan, const struct nt_plan_source *only, const struct nt_plan *joined,
		struct nt_listener **found, uint32_t *count, struct nt_fault *fault)
{
	struct nt_findings findings = {0};
	struct nt_network network;
	int error = nt_network_read(&network, fault);

	*found = NULL;
	*count = 0;
	if (error)
		return error;
	mark_ours(&network, joined ? joined : plan, only, joined != NULL);
	for (uint32_t at = 0; !error && at < plan->header->source_count; at++) {
		const struct nt_plan_source *source = &plan->sources[at];

		if (source->kind == NT_SOURCE_AFXDP && (!only || source == only))
			error = look_at(&findings, &network, plan, source, fault);
	}
	if (!error)
		error = conclude(&findings, found, count, fault);
	nt_network_free(&network);
	free(findings.entries);
	return error;
}

/* A listening socket is found before its type is compared, and its process notices nothing. */
static bool holder_runs(const struct nt_plan_header *header)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool runs;

	if (fd < 0)
		return false;
	memcpy(address.sun_path, header->holder_socket, sizeof(header->holder_socket));
	runs = header->holder_socket[0] && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 &&
	       (errno == EPROTOTYPE || errno == EACCES);
	close(fd);
	return runs;
}

int nt_listeners_find(const struct nt_plan *plan, struct nt_listener **found, uint32_t *count, struct nt_fault *fault)
{
	return find(plan, NULL, holder_runs(plan->header) ? plan : NULL, found, count, fault);
}

static const char *address_text(const struct nt_listener *listener, char text[INET6_ADDRSTRLEN])
{
	const char *made =
		inet_ntop(listener->family == NT_FAMILY_IPV4 ? AF_INET : AF_INET6, listener->address, text, INET6_ADDRSTRLEN);

	return made ? made : "?";
}

void nt_listeners_print(const struct nt_listener *found, uint32_t count, FILE *out)
{
	char address[INET6_ADDRSTRLEN];

	for (uint32_t at = 0; at < count; at++)
		fprintf(out, "%s\t%" PRIu32 "\t%s\t%" PRIu32 "\t%s\t%u\t%" PRIu32 "\n", found[at].interface, found[at].pid,
			found[at].process, found[at].uid, address_text(&found[at], address), found[at].port, found[at].flow_id);
}

/* What it reads: the flow's group and port, or what it is bound to. */
static void describe_target(char *text, size_t bytes, const struct nt_plan *plan, const struct nt_listener *listener)
{
	static const uint8_t any[16];
	struct nt_listener target = *listener;
	char address[INET6_ADDRSTRLEN];

	for (uint32_t at = 0; at < plan->header->flow_count; at++)
		if (plan->flows[at].id == listener->flow_id) {
			target.family = plan->flows[at].family;
			memcpy(target.address, plan->flows[at].group, sizeof(target.address));
		}
	if (memcmp(target.address, any, sizeof(any)) == 0)
		snprintf(text, bytes, "UDP port %u", target.port);
	else
		snprintf(text, bytes, target.family == NT_FAMILY_IPV4 ? "%s:%u" : "[%s]:%u", address_text(&target, address),
			 target.port);
}

static bool is_same_process(const struct nt_listener *left, const struct nt_listener *right)
{
	return left->pid == right->pid && left->uid == right->uid;
}

static bool is_new_process(const struct nt_listener *found, uint32_t at)
{
	for (uint32_t before = 0; before < at; before++)
		if (is_same_process(&found[before], &found[at]))
			return false;
	return true;
}

static size_t describe_process(char *text, size_t bytes, const struct nt_plan *plan, const struct nt_listener *listener, bool first)
{
	char target[INET6_ADDRSTRLEN + 16];
	int length;

	describe_target(target, sizeof(target), plan, listener);
	if (listener->pid)
		length = snprintf(text, bytes, "%s%s %sby %s (pid %u, user %u)", first ? "" : ", ", target, first ? "is read " : "",
				  listener->process[0] ? listener->process : "?", listener->pid, listener->uid);
	else
		length = snprintf(text, bytes, "%s%s %sby a process that is hidden from here (user %u)", first ? "" : ", ", target,
				  first ? "is read " : "", listener->uid);
	return length < 0 ? 0 : (size_t)length < bytes ? (size_t)length : bytes - 1;
}

static int refuse(const struct nt_plan *plan, const struct nt_listener *found, uint32_t count, struct nt_fault *fault)
{
	char processes[352] = "";
	size_t used = 0;
	uint32_t named = 0;
	uint32_t more = 0;

	for (uint32_t at = 0; at < count; at++) {
		if (!is_new_process(found, at))
			continue;
		if (named == NT_NAMED_MAX) {
			more++;
			continue;
		}
		used += describe_process(processes + used, sizeof(processes) - used, plan, &found[at], named++ == 0);
	}
	if (more)
		snprintf(processes + used, sizeof(processes) - used, ", and %u more", more);
	return nt_fault_set(
		fault, -EBUSY,
		"%s: %s through a socket; AF_XDP would take it away: stop it, or set delivery = \"sniff\" (a copy, stamped by the kernel) or delivery = \"steal\"",
		found->interface, processes);
}

/* Those of the flows come first. */
static uint32_t count_of_flows(const struct nt_listener *found, uint32_t count)
{
	while (count && found[count - 1].flow_id == NT_FLOW_OTHER)
		count--;
	return count;
}

int nt_listeners_refuse(const struct nt_plan *plan, const struct nt_plan_source *source, const struct nt_plan *before,
			struct nt_fault *fault)
{
	struct nt_listener *found;
	uint32_t count;
	int error = find(plan, source, before, &found, &count, fault);

	if (before)
		count = count_of_flows(found, count); /* what is of no flow was taken already */
	if (!error && count)
		error = refuse(plan, found, count, fault);
	free(found);
	return error;
}
