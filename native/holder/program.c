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
		{"nt_sequences", selection->flow_id_max + 1},
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

static int load(struct nt_program *program, const struct nt_interface *interface, const struct nt_selection *selection,
		struct nt_fault *fault)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "nanotape");
	int error;

	libbpf_set_print(keep_warning);
	program->object = bpf_object__open_mem(nt_select_object, nt_select_object_bytes, &options);
	if (!program->object)
		return fault_of_kernel(fault, -errno, interface->name, "opening the XDP program");
	error = size_maps(program->object, selection);
	if (!error)
		error = bpf_object__load(program->object);
	return error ? fault_of_kernel(fault, error, interface->name, "loading the XDP program") : 0;
}

static int link_in_mode(const struct nt_program *program, const struct nt_interface *interface, uint32_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);
	struct bpf_program *code = bpf_object__find_program_by_name(program->object, NT_XDP_PROGRAM_NAME);
	int64_t deadline = nt_clock_ns(CLOCK_MONOTONIC) + NT_RETRY_NS;
	int fd;

	do {
		fd = bpf_link_create(bpf_program__fd(code), interface->index, BPF_XDP, &options);
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

int nt_program_attach(struct nt_program *program, const struct nt_interface *interface, const struct nt_plan *plan,
		      const struct nt_plan_source *source, struct nt_fault *fault)
{
	struct nt_selection selection;
	int error;

	memset(program, 0, sizeof(*program));
	program->link_fd = -1;
	nt_selection_describe(&selection, plan, interface->name);
	selection.options.stamp_kind = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_ktime_get_tai_ns, NULL) == 1
					       ? NT_XDP_STAMP_TAI
					       : NT_XDP_STAMP_MONOTONIC;
	program->stamp_kind = selection.options.stamp_kind;
	error = refuse_occupied(interface, fault);
	if (!error)
		error = load(program, interface, &selection, fault);
	if (error)
		return error;
	program->sockets_fd = bpf_object__find_map_fd_by_name(program->object, "nt_sockets");
	program->counters_fd = bpf_object__find_map_fd_by_name(program->object, "nt_counters");
	error = nt_selection_fill(bpf_object__find_map_fd_by_name(program->object, "nt_flows4"),
				  bpf_object__find_map_fd_by_name(program->object, "nt_flows6"), plan, interface->name, fault);
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
