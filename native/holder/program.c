/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the XDP program for one interface's flows and attaches it with a BPF link: when the last descriptor of the link goes, with
 * this process, the kernel detaches the program. */
#include "holder.h"

#include "../clock.h"
#include "../xdp/embedded.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static char libbpf_warning[256]; /* the last one: it says more than the errno */

static int keep_warning(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_WARN)
		vsnprintf(libbpf_warning, sizeof(libbpf_warning), format, arguments);
	libbpf_warning[strcspn(libbpf_warning, "\n")] = '\0';
	return 0;
}

/* Features that the program cannot do without; a distribution may have them in an older kernel, so this is asked only on failure. */
static const char *missing_feature(void)
{
	static const struct {
		int major, minor;
		const char *feature;
	} features[] = {
		{5, 3, "bounded packet parsing in BPF and AF_XDP need-wakeup (Linux 5.4)"},
		{5, 5, "memory-mapped BPF arrays (Linux 5.5)"},
		{5, 9, "BPF links for XDP (Linux 5.9)"},
		{5, 12, "atomic fetch-and-add in BPF (Linux 5.12)"},
	};
	struct utsname name;
	int major = 0;
	int minor = 0;

	if (uname(&name) || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		return NULL;
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (major < features[i].major || (major == features[i].major && minor < features[i].minor))
			return features[i].feature;
	return NULL;
}

static int fault_of_kernel(struct nt_fault *fault, int error, const char *interface, const char *step)
{
	const char *feature = missing_feature();

	if (feature)
		return nt_fault_set(fault, error, "%s: %s failed (%s): this kernel is too old, it lacks %s", interface, step,
				    strerror(-error), feature);
	if (error == -EPERM)
		return nt_fault_set(fault, error, "%s: %s is not permitted: CAP_BPF and CAP_NET_ADMIN are needed", interface, step);
	return nt_fault_set(fault, error, "%s: %s failed: %s%s%s", interface, step, strerror(-error), libbpf_warning[0] ? "; " : "",
			    libbpf_warning);
}

struct nt_attached { /* what an interface carries already */
	uint32_t id;
	bool known; /* its name could be read (that takes CAP_SYS_ADMIN) */
	char name[BPF_OBJ_NAME_LEN];
};

static int find_attached(struct nt_attached *attached, int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = {0};
	uint32_t bytes = sizeof(info);
	int error = bpf_xdp_query(ifindex, 0, &query);
	int fd;

	memset(attached, 0, sizeof(*attached));
	if (error)
		return error;
	attached->id = query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id ? query.skb_prog_id : query.hw_prog_id;
	if (!attached->id)
		attached->id = query.prog_id;
	if (!attached->id)
		return 0;
	fd = bpf_prog_get_fd_by_id(attached->id);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0) {
		memcpy(attached->name, info.name, sizeof(attached->name));
		attached->known = true;
	}
	close(fd);
	return 0;
}

/* Refuses an interface that carries an XDP program. One of ours, or one whose name we may not read, may be that of a holder that has
 * just died: it gets a second to go. */
static int refuse_occupied(const struct nt_interface *interface, struct nt_fault *fault)
{
	int64_t deadline = nt_clock_ns(CLOCK_MONOTONIC) + NT_RETRY_NS;
	struct nt_attached attached;
	bool ours;

	for (;;) {
		int error = find_attached(&attached, interface->index);

		if (error)
			return fault_of_kernel(fault, error, interface->name, "asking for an attached XDP program");
		if (!attached.id)
			return 0;
		ours = attached.known && strcmp(attached.name, NT_XDP_PROGRAM_NAME) == 0;
		if ((attached.known && !ours) || nt_clock_ns(CLOCK_MONOTONIC) > deadline)
			break;
		poll(NULL, 0, NT_RETRY_STEP_MS);
	}
	if (ours)
		return nt_fault_set(fault, -EBUSY, "%s: another nanotape holder is attached (XDP program %s, id %u): stop it first",
				    interface->name, attached.name, attached.id);
	return nt_fault_set(
		fault, -EBUSY,
		"%s: carries an XDP program already (%s, id %u), expected none: detach it (ip link set dev %s xdp off) or capture on another interface",
		interface->name, attached.known ? attached.name : "name not readable", attached.id, interface->name);
}

static int size_maps(struct bpf_object *object, const struct nt_selection *selection)
{
	const struct {
		const char *map;
		uint32_t entries;
	} sizes[] = {
		{"nt_flows4", NT_KEYS_PER_FLOW * selection->flows4 + 1},
		{"nt_flows6", NT_KEYS_PER_FLOW * selection->flows6 + 1},
		{"nt_sequences", NT_RING_FLOWS_MAX + 1}, /* also of flows that a successor adds */
	};
	struct bpf_map *rodata = bpf_object__find_map_by_name(object, ".rodata");
	size_t bytes = 0;
	void *initial = rodata ? (void *)bpf_map__initial_value(rodata, &bytes) : NULL;

	if (!initial || bytes != sizeof(selection->options))
		return -EINVAL;
	memcpy(initial, &selection->options, sizeof(selection->options));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, sizes[i].map);
		int error = map ? bpf_map__set_max_entries(map, sizes[i].entries) : -EINVAL;

		if (error)
			return error;
	}
	return 0;
}

static int keep_map(struct bpf_object *object, const char *name, int fd, const struct nt_interface *interface,
		    struct nt_fault *fault)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	struct bpf_map_info info = {0};
	uint32_t bytes = sizeof(info);
	int error;

	if (bpf_obj_get_info_by_fd(fd, &info, &bytes))
		return fault_of_kernel(fault, -errno, interface->name, "asking for a map of the holder's");
	if (info.type != (uint32_t)bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map) || info.max_entries != bpf_map__max_entries(map) ||
	    info.map_flags != bpf_map__map_flags(map))
		return nt_fault_set(
			fault, -ESTALE,
			"%s: map %s of the holder that runs is not as this version has it (values of %u bytes, %u of them; expected %u, %u): restart the service",
			interface->name, name, info.value_size, info.max_entries, bpf_map__value_size(map),
			bpf_map__max_entries(map));
	error = bpf_map__reuse_fd(map, fd);
	return error ? fault_of_kernel(fault, error, interface->name, "going on with a map of the holder's") : 0;
}

static int keep_maps(struct bpf_object *object, const struct nt_maps *kept, const struct nt_interface *interface,
		     struct nt_fault *fault)
{
	int error = keep_map(object, "nt_sockets", kept->sockets_fd, interface, fault);

	if (!error)
		error = keep_map(object, "nt_counters", kept->counters_fd, interface, fault);
	return error ? error : keep_map(object, "nt_sequences", kept->sequences_fd, interface, fault);
}

static int load(struct nt_program *program, const struct nt_interface *interface, const struct nt_selection *selection,
		const struct nt_maps *kept, struct nt_fault *fault)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "nanotape");
	int error;

	libbpf_set_print(keep_warning);
	program->object = bpf_object__open_mem(nt_select_object, nt_select_object_bytes, &options);
	if (!program->object)
		return fault_of_kernel(fault, -errno, interface->name, "opening the XDP program");
	error = size_maps(program->object, selection);
	if (error)
		return fault_of_kernel(fault, error, interface->name, "preparing the XDP program");
	error = kept ? keep_maps(program->object, kept, interface, fault) : 0;
	if (error)
		return error;
	error = bpf_object__load(program->object);
	return error ? fault_of_kernel(fault, error, interface->name, "loading the XDP program") : 0;
}

static int link_in_mode(const struct nt_program *program, const struct nt_interface *interface, uint32_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);
	int64_t deadline = nt_clock_ns(CLOCK_MONOTONIC) + NT_RETRY_NS;
	int fd;

	do {
		fd = bpf_link_create(program->code_fd, interface->index, BPF_XDP, &options);
		if (fd != -EBUSY)
			return fd;
		poll(NULL, 0, NT_RETRY_STEP_MS);
	} while (nt_clock_ns(CLOCK_MONOTONIC) < deadline);
	return fd;
}

static int attach(struct nt_program *program, const struct nt_interface *interface, const struct nt_plan_source *source,
		  struct nt_fault *fault)
{
	int error;

	program->link_fd = link_in_mode(program, interface, XDP_FLAGS_DRV_MODE);
	if (program->link_fd >= 0)
		return 0;
	error = program->link_fd;
	if (error == -EPERM || error == -EBUSY || missing_feature())
		return fault_of_kernel(fault, error, interface->name, "attaching the XDP program");
	if (source->native_xdp == NT_REQUIRE)
		return nt_fault_set(
			fault, error,
			"%s: driver %s gave no native XDP (%s; MTU %u), configuration demands it: lower the MTU, or set native_xdp = \"prefer\" to allow the slower generic mode",
			interface->name, interface->driver, strerror(-error), interface->mtu);
	nt_holder_say(NT_LEVEL_WARNING, "%s: driver %s gave no native XDP (%s): generic (SKB) mode, which is slower",
		      interface->name, interface->driver, strerror(-error));
	program->skb_mode = true;
	program->link_fd = link_in_mode(program, interface, XDP_FLAGS_SKB_MODE);
	if (program->link_fd < 0)
		return fault_of_kernel(fault, program->link_fd, interface->name, "attaching the XDP program in generic mode");
	return 0;
}

int nt_program_load(struct nt_program *program, const struct nt_interface *interface, const struct nt_plan *plan,
		    const struct nt_maps *kept, uint32_t stamp_kind, struct nt_fault *fault)
{
	struct nt_selection selection;
	int error;

	memset(program, 0, sizeof(*program));
	program->link_fd = -1;
	memcpy(program->interface, interface->name, sizeof(program->interface));
	program->ifindex = interface->index;
	nt_selection_describe(&selection, plan, interface->name);
	selection.options.stamp_kind = program->stamp_kind = stamp_kind;
	error = load(program, interface, &selection, kept, fault);
	if (error)
		return error;
	program->code_fd = bpf_program__fd(bpf_object__find_program_by_name(program->object, NT_XDP_PROGRAM_NAME));
	program->maps.sockets_fd = bpf_object__find_map_fd_by_name(program->object, "nt_sockets");
	program->maps.counters_fd = bpf_object__find_map_fd_by_name(program->object, "nt_counters");
	program->maps.sequences_fd = bpf_object__find_map_fd_by_name(program->object, "nt_sequences");
	return nt_selection_fill(bpf_object__find_map_fd_by_name(program->object, "nt_flows4"),
				 bpf_object__find_map_fd_by_name(program->object, "nt_flows6"), plan, interface->name, fault);
}

int nt_program_attach(struct nt_program *program, const struct nt_interface *interface, const struct nt_plan *plan,
		      const struct nt_plan_source *source, struct nt_fault *fault)
{
	const bool has_tai = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_ktime_get_tai_ns, NULL) == 1;
	int error = refuse_occupied(interface, fault);

	if (error) {
		program->link_fd = -1;
		return error;
	}
	error = nt_program_load(program, interface, plan, NULL, has_tai ? NT_XDP_STAMP_TAI : NT_XDP_STAMP_MONOTONIC, fault);
	return error ? error : attach(program, interface, source, fault);
}

void nt_program_close(struct nt_program *program)
{
	if (program->link_fd >= 0)
		close(program->link_fd);
	bpf_object__close(program->object);
	memset(program, 0, sizeof(*program));
	program->link_fd = -1;
}
