/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include "../source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NT_PLAN_CORES_MAX 1024            /* CPU_SETSIZE */
#define NT_PLAN_FANOUT_MAX 16u            /* as config/settings.py says */
#define NT_PLAN_PACE_MAX 1000000000000ull /* a million times as fast */
#define NT_PLAN_TAI_OFFSET_MAX 255        /* seconds; 37 in 2026 */
#define NT_PLAN_STAMP_BOUND_MAX 3600000000000ull
#define NT_PLAN_BYTES_MAX                                                                                                          \
	(sizeof(struct nt_plan_header) + NT_PLAN_SOURCES_MAX * sizeof(struct nt_plan_source) +                                     \
	 NT_RING_FLOWS_MAX * sizeof(struct nt_flow))

static int nt_plan_refuse(struct nt_fault *fault, const char *path, const char *what, uint64_t expected, uint64_t found)
{
	return nt_fault_set(fault, -EINVAL,
			    "%s: %s: expected %llu, found %llu; let the same release of nanotape write and read the plan", path,
			    what, (unsigned long long)expected, (unsigned long long)found);
}

/* `limit`: the largest value allowed. */
static int nt_plan_check_range(struct nt_fault *fault, const char *path, const char *what, uint64_t value, uint64_t limit)
{
	if (value <= limit)
		return 0;
	return nt_fault_set(fault, -EINVAL, "%s: %s: expected at most %llu, found %llu", path, what, (unsigned long long)limit,
			    (unsigned long long)value);
}

static int nt_plan_check_text(struct nt_fault *fault, const char *path, const char *what, const char *text, size_t size)
{
	if (memchr(text, '\0', size))
		return 0;
	return nt_fault_set(fault, -EINVAL, "%s: %s: expected a text of at most %zu bytes, found one without an end", path, what,
			    size - 1);
}

static bool nt_plan_is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

/* The file is copied, not mapped: what was checked cannot change afterwards. */
static int nt_plan_read(struct nt_plan *plan, const char *path, struct nt_fault *fault)
{
	struct stat status;
	size_t done = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return nt_fault_set(fault, -errno, "%s: cannot open the plan as user %u: %s", path, (unsigned)geteuid(),
				    strerror(errno));
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		error = nt_fault_set(fault, -EINVAL, "%s: expected a regular file", path);
	else if ((uint64_t)status.st_size < sizeof(struct nt_plan_header) || (uint64_t)status.st_size > NT_PLAN_BYTES_MAX)
		error = nt_fault_set(fault, -EINVAL, "%s: expected a plan of %zu to %zu bytes, found %lld", path,
				     sizeof(struct nt_plan_header), (size_t)NT_PLAN_BYTES_MAX, (long long)status.st_size);
	else if (!(plan->mapping = malloc((size_t)status.st_size)))
		error = nt_fault_set(fault, -ENOMEM, "%s: no memory for %lld bytes", path, (long long)status.st_size);
	while (!error && done < (size_t)status.st_size) {
		ssize_t got = read(fd, (char *)plan->mapping + done, (size_t)status.st_size - done);

		if (got > 0)
			done += (size_t)got;
		else if (got == 0 || errno != EINTR)
			error = nt_fault_set(fault, -EIO, "%s: expected %lld bytes, could read %zu", path,
					     (long long)status.st_size, done);
	}
	plan->bytes = done;
	close(fd);
	return error;
}

static int nt_plan_check_ring(const struct nt_ring_options *ring, const char *path, struct nt_fault *fault)
{
	int error;

	if ((error = nt_plan_check_text(fault, path, "ring name", ring->name, sizeof(ring->name))))
		return error;
	if ((error = nt_plan_check_text(fault, path, "shm_directory", ring->shm_directory, sizeof(ring->shm_directory))))
		return error;
	if ((error = nt_plan_check_text(fault, path, "hugepage_directory", ring->hugepage_directory,
					sizeof(ring->hugepage_directory))))
		return error;
	if ((error = nt_plan_check_range(fault, path, "ring hugepages", ring->hugepages, NT_HUGEPAGES_REQUIRE)))
		return error;
	if (!ring->name[0] || strchr(ring->name, '/'))
		return nt_fault_set(fault, -EINVAL, "%s: ring name: expected a name without '/', found '%s'", path, ring->name);
	return nt_plan_check_range(fault, path, "lock_memory", ring->lock_memory, 1);
}

static int nt_plan_check_header(const struct nt_plan *plan, const char *path, struct nt_fault *fault)
{
	const struct nt_plan_header *header = plan->header;
	uint64_t expected;
	int error;

	if (header->magic != NT_PLAN_MAGIC)
		return nt_plan_refuse(fault, path, "magic", NT_PLAN_MAGIC, header->magic);
	if (header->version != NT_PLAN_VERSION)
		return nt_plan_refuse(fault, path, "version", NT_PLAN_VERSION, header->version);
	if (!header->source_count)
		return nt_fault_set(fault, -EINVAL, "%s: sources: expected at least one, found none", path);
	if ((error = nt_plan_check_range(fault, path, "source_count", header->source_count, NT_PLAN_SOURCES_MAX)))
		return error;
	if ((error = nt_plan_check_range(fault, path, "flow_count", header->flow_count, NT_RING_FLOWS_MAX)))
		return error;
	expected = sizeof(*header) + header->source_count * sizeof(struct nt_plan_source) +
		   (uint64_t)header->flow_count * sizeof(struct nt_flow);
	if (plan->bytes != expected)
		return nt_plan_refuse(fault, path, "bytes", expected, plan->bytes);
	if (header->core < -1 || header->core >= NT_PLAN_CORES_MAX)
		return nt_fault_set(fault, -EINVAL, "%s: core: expected -1 to %d, found %d", path, NT_PLAN_CORES_MAX - 1,
				    header->core);
	if ((error = nt_plan_check_range(fault, path, "realtime", header->realtime, 99)))
		return error;
	if ((error = nt_plan_check_range(fault, path, "idle", header->idle, NT_IDLE_SLEEP)))
		return error;
	if ((error = nt_plan_check_range(fault, path, "seccomp", header->seccomp, NT_SECCOMP_KILL)))
		return error;
	if (header->batch < 1 || header->batch > NT_BATCH_PACKETS)
		return nt_fault_set(fault, -EINVAL, "%s: batch: expected 1 to %u, found %u", path, NT_BATCH_PACKETS, header->batch);
	if ((error = nt_plan_check_range(fault, path, "prefetch", header->prefetch, NT_PREFETCH_MAX)))
		return error;
	if ((error = nt_plan_check_range(fault, path, "stamp_bound_ns", header->stamp_bound_ns, NT_PLAN_STAMP_BOUND_MAX)))
		return error;
	if ((error = nt_plan_check_text(fault, path, "holder_socket", header->holder_socket, sizeof(header->holder_socket))))
		return error;
	return nt_plan_check_ring(&header->ring, path, fault);
}

/* What the holder makes memory of. */
static int nt_plan_check_memory(const struct nt_plan *plan, const struct nt_plan_source *source, const char *path,
				struct nt_fault *fault)
{
	if (!plan->header->holder_socket[0])
		return nt_fault_set(fault, -EINVAL, "%s: %s: a source of kind %u needs holder_socket, found none", path,
				    source->interface, source->kind);
	if (!nt_plan_is_power_of_two(source->descriptors))
		return nt_fault_set(fault, -EINVAL, "%s: %s: descriptors: expected a power of two, found %u", path,
				    source->interface, source->descriptors);
	if (source->frame_bytes != 2048 && source->frame_bytes != 4096)
		return nt_fault_set(fault, -EINVAL, "%s: %s: frame_bytes: expected 2048 or 4096, found %u", path, source->interface,
				    source->frame_bytes);
	return 0;
}

static int nt_plan_check_afxdp(const struct nt_plan *plan, const struct nt_plan_source *source, const char *path,
			       struct nt_fault *fault)
{
	if (source->native_xdp != NT_PREFER && source->native_xdp != NT_REQUIRE)
		return nt_fault_set(fault, -EINVAL, "%s: %s: native_xdp: expected %d or %d, found %u", path, source->interface,
				    NT_PREFER, NT_REQUIRE, source->native_xdp);
	if (source->select == NT_SELECT_ALL)
		return nt_fault_set(
			fault, -EINVAL,
			"%s: %s: select: expected one that leaves ARP and IGMP to the kernel with an afxdp source, found %u", path,
			source->interface, source->select);
	return nt_plan_check_memory(plan, source, path, fault);
}

static int nt_plan_check_packet(const struct nt_plan *plan, const struct nt_plan_source *source, const char *path,
				struct nt_fault *fault)
{
	if (source->fanout < 1 || source->fanout > NT_PLAN_FANOUT_MAX)
		return nt_fault_set(fault, -EINVAL, "%s: %s: fanout: expected 1 to %u, found %u", path, source->interface,
				    NT_PLAN_FANOUT_MAX, source->fanout);
	return nt_plan_check_memory(plan, source, path, fault);
}

static int nt_plan_check_pcap(const struct nt_plan *plan, const struct nt_plan_source *source, const char *path,
			      struct nt_fault *fault)
{
	if (plan->header->source_count != 1)
		return nt_fault_set(
			fault, -EINVAL,
			"%s: %s: a pcap source reads standard input: expected it to be the only source, found %u sources", path,
			source->interface, plan->header->source_count);
	if (!source->file[0])
		return nt_fault_set(fault, -EINVAL, "%s: %s: file: expected the name of a capture file, found none", path,
				    source->interface);
	return nt_plan_check_range(fault, path, "pace_ppm", source->pace_ppm, NT_PLAN_PACE_MAX);
}

static int nt_plan_check_kind(const struct nt_plan *plan, const struct nt_plan_source *source, const char *path,
			      struct nt_fault *fault)
{
	switch (source->kind) {
	case NT_SOURCE_AFXDP:
		return nt_plan_check_afxdp(plan, source, path, fault);
	case NT_SOURCE_PACKET:
		return nt_plan_check_packet(plan, source, path, fault);
	case NT_SOURCE_PCAP:
		return nt_plan_check_pcap(plan, source, path, fault);
	default: /* sees nothing but its flows */
		return nt_plan_check_range(fault, path, "select of a source without frames", source->select, NT_SELECT_CHANNELS);
	}
}

static int nt_plan_check_nic(const struct nt_plan_source *source, const char *path, struct nt_fault *fault)
{
	if (source->nic_domain > NT_CLOCK_FREE || source->nic_domain == NT_CLOCK_MONOTONIC)
		return nt_fault_set(fault, -EINVAL,
				    "%s: %s: nic_domain: expected %d (unknown), %d (UTC), %d (TAI) or %d (free), found %u", path,
				    source->interface, NT_CLOCK_UNKNOWN, NT_CLOCK_UTC, NT_CLOCK_TAI, NT_CLOCK_FREE,
				    source->nic_domain);
	if (source->nic_tai_offset_s < -1 || source->nic_tai_offset_s > NT_PLAN_TAI_OFFSET_MAX)
		return nt_fault_set(fault, -EINVAL, "%s: %s: nic_tai_offset_s: expected -1 (the kernel's) to %d, found %d", path,
				    source->interface, NT_PLAN_TAI_OFFSET_MAX, source->nic_tai_offset_s);
	return 0;
}

static int nt_plan_check_source(const struct nt_plan *plan, uint32_t at, const char *path, struct nt_fault *fault)
{
	const struct nt_plan_source *source = &plan->sources[at];
	int error;

	if (source->kind < NT_SOURCE_SYNTHETIC || source->kind > NT_SOURCE_PCAP)
		return nt_fault_set(fault, -EINVAL, "%s: source %u: kind: expected %d to %d, found %u", path, at,
				    NT_SOURCE_SYNTHETIC, NT_SOURCE_PCAP, source->kind);
	if ((error = nt_plan_check_text(fault, path, "source interface", source->interface, sizeof(source->interface))) ||
	    (error = nt_plan_check_text(fault, path, "source file", source->file, sizeof(source->file))) ||
	    (error = nt_plan_check_text(fault, path, "follow", source->follow, sizeof(source->follow))))
		return error;
	if (!source->interface[0])
		return nt_fault_set(fault, -EINVAL, "%s: source %u: interface: expected a name, found none", path, at);
	for (uint32_t other = 0; other < at; other++)
		if (plan->sources[other].kind == source->kind && !strcmp(plan->sources[other].interface, source->interface))
			return nt_fault_set(fault, -EINVAL, "%s: sources %u and %u: same kind on the same interface %s", path,
					    other, at, source->interface);
	if ((error = nt_plan_check_range(fault, path, "join", source->join, NT_JOIN_IGMP)) ||
	    (error = nt_plan_check_range(fault, path, "zero_copy", source->zero_copy, NT_REQUIRE)) ||
	    (error = nt_plan_check_range(fault, path, "umem_hugepages", source->umem_hugepages, NT_HUGEPAGES_REQUIRE)) ||
	    (error = nt_plan_check_range(fault, path, "receive_buffer_bytes", source->receive_buffer_bytes, INT_MAX / 2)) ||
	    (error = nt_plan_check_range(fault, path, "select", source->select, NT_SELECT_ALL)) ||
	    (error = nt_plan_check_range(fault, path, "promiscuous", source->promiscuous, 1)) ||
	    (error = nt_plan_check_range(fault, path, "steal", source->steal, 1)))
		return error;
	error = nt_plan_check_nic(source, path, fault);
	return error ? error : nt_plan_check_kind(plan, source, path, fault);
}

static int nt_plan_check_flow(const struct nt_plan *plan, uint32_t at, const char *path, struct nt_fault *fault)
{
	static const uint8_t none[16];
	const struct nt_flow *flow = &plan->flows[at];
	size_t address = flow->family == NT_FAMILY_IPV4 ? 4 : 16;
	uint32_t source = 0;
	int error;

	if (flow->family != NT_FAMILY_IPV4 && flow->family != NT_FAMILY_IPV6)
		return nt_fault_set(fault, -EINVAL, "%s: flow %u: family: expected 4 or 6, found %u", path, at, flow->family);
	if (!flow->id || flow->id > NT_RING_FLOWS_MAX)
		return nt_fault_set(fault, -EINVAL, "%s: flow %u: id: expected 1 to %u, found %u", path, at, NT_RING_FLOWS_MAX,
				    flow->id);
	if (!flow->port)
		return nt_fault_set(fault, -EINVAL, "%s: flow %u: port: expected 1 to 65535, found 0", path, at);
	if (flow->vlan > 4094 && flow->vlan != NT_VLAN_NONE && flow->vlan != NT_VLAN_ANY)
		return nt_fault_set(fault, -EINVAL, "%s: flow %u: vlan: expected 0 to 4094, any or none, found %u", path, at,
				    flow->vlan);
	if (!memcmp(flow->group, none, 16) || memcmp(flow->group + address, none, 16 - address) ||
	    memcmp(flow->source + address, none, 16 - address))
		return nt_fault_set(fault, -EINVAL, "%s: flow %u: expected a group of %zu bytes with zeros behind it", path, at,
				    address);
	if ((error = nt_plan_check_text(fault, path, "flow interface", flow->interface, sizeof(flow->interface))) ||
	    (error = nt_plan_check_text(fault, path, "feed", flow->feed, sizeof(flow->feed))) ||
	    (error = nt_plan_check_text(fault, path, "channel", flow->channel, sizeof(flow->channel))) ||
	    (error = nt_plan_check_text(fault, path, "line", flow->line, sizeof(flow->line))) ||
	    (error = nt_plan_check_text(fault, path, "framing", flow->framing, sizeof(flow->framing))) ||
	    (error = nt_plan_check_text(fault, path, "role", flow->role, sizeof(flow->role))))
		return error;
	while (source < plan->header->source_count && strcmp(plan->sources[source].interface, flow->interface) != 0)
		source++;
	if (source == plan->header->source_count)
		return nt_fault_set(fault, -EINVAL, "%s: flow %u: interface %s: no source captures it", path, at, flow->interface);
	return 0;
}

static int nt_plan_check(struct nt_plan *plan, const char *path, struct nt_fault *fault)
{
	uint8_t seen[NT_RING_FLOWS_MAX + 1] = {0};
	int error;

	plan->header = plan->mapping;
	plan->sources = (const struct nt_plan_source *)(plan->header + 1);
	if ((error = nt_plan_check_header(plan, path, fault)))
		return error;
	plan->flows = (const struct nt_flow *)(plan->sources + plan->header->source_count);
	for (uint32_t at = 0; at < plan->header->source_count; at++)
		if ((error = nt_plan_check_source(plan, at, path, fault)))
			return error;
	for (uint32_t at = 0; at < plan->header->flow_count; at++) {
		if ((error = nt_plan_check_flow(plan, at, path, fault)))
			return error;
		if (seen[plan->flows[at].id]++)
			return nt_fault_set(fault, -EINVAL, "%s: flow %u: id %u: expected one of its own, found it twice", path, at,
					    plan->flows[at].id);
	}
	return 0;
}

int nt_plan_load(struct nt_plan *plan, const char *path, struct nt_fault *fault)
{
	int error;

	memset(plan, 0, sizeof(*plan));
	error = nt_plan_read(plan, path, fault);
	if (!error)
		error = nt_plan_check(plan, path, fault);
	if (error)
		nt_plan_unload(plan);
	return error;
}

void nt_plan_unload(struct nt_plan *plan)
{
	free(plan->mapping);
	memset(plan, 0, sizeof(*plan));
}
