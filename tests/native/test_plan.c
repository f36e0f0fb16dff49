/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/counters.h"
#include "plan/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* A good plan: one afxdp and one socket source, two flows. */
static struct {
	struct nt_plan_header header;
	struct nt_plan_source sources[2];
	struct nt_flow flows[2];
} file;

static char path[] = "/tmp/nanotape-plan-XXXXXX";

static int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

static int set_up(void **state)
{
	(void)state;
	memset(&file, 0, sizeof(file));
	file.header = (struct nt_plan_header){
		.magic = NT_PLAN_MAGIC,
		.version = NT_PLAN_VERSION,
		.source_count = 2,
		.flow_count = 2,
		.core = -1,
		.holder_socket = "/run/nanotape/holder",
		.ring = {.name = "r", .shm_directory = "/dev/shm", .capacity = 1 << 20},
	};
	file.sources[0] = (struct nt_plan_source){
		.kind = NT_SOURCE_AFXDP,
		.interface = "eth1",
		.native_xdp = NT_REQUIRE,
		.descriptors = 65536,
		.frame_bytes = 2048,
	};
	file.sources[1] = (struct nt_plan_source){.kind = NT_SOURCE_SOCKET, .interface = "lo"};
	for (uint32_t at = 0; at < 2; at++)
		file.flows[at] = (struct nt_flow){
			.id = at + 1,
			.family = NT_FAMILY_IPV4,
			.port = 30001,
			.vlan = NT_VLAN_NONE,
			.group = {239, 1, 1, 1},
			.interface = "eth1",
			.feed = "feed",
			.channel = "channel",
			.line = "A",
		};
	return 0;
}

static int load(struct nt_plan *plan, size_t bytes, struct nt_fault *fault)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(&file, 1, bytes, out), bytes);
	fclose(out);
	memset(fault, 0, sizeof(*fault));
	return nt_plan_load(plan, path, fault);
}

/* The plan as it stands is refused, in one line that names the file and says `words`. */
static void refused(const char *words)
{
	struct nt_fault fault;
	struct nt_plan plan;

	assert_int_equal(load(&plan, sizeof(file), &fault), -EINVAL);
	assert_null(plan.mapping);
	assert_int_equal(strncmp(fault.text, path, strlen(path)), 0);
	assert_null(strchr(fault.text, '\n'));
	if (!strstr(fault.text, words))
		fail_msg("expected '%s' in: %s", words, fault.text);
	set_up(NULL);
}

static void a_good_plan_is_loaded_whole(void **state)
{
	struct nt_fault fault;
	struct nt_plan plan;

	(void)state;
	assert_int_equal(load(&plan, sizeof(file), &fault), 0);
	assert_int_equal(plan.header->source_count, 2);
	assert_string_equal(plan.sources[1].interface, "lo");
	assert_memory_equal(plan.flows, file.flows, sizeof(file.flows));
	nt_plan_unload(&plan);
	assert_null(plan.header);
}

static void what_is_checked_does_not_change_afterwards(void **state)
{
	struct nt_fault fault;
	struct nt_plan plan;

	(void)state;
	assert_int_equal(load(&plan, sizeof(file), &fault), 0);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(plan.flows[1].id, 2);
	nt_plan_unload(&plan);
}

static void a_missing_file_is_named(void **state)
{
	struct nt_fault fault;
	struct nt_plan plan;

	(void)state;
	assert_int_equal(nt_plan_load(&plan, "/nonexistent/plan", &fault), -ENOENT);
	assert_non_null(strstr(fault.text, "/nonexistent/plan: cannot open"));
	assert_int_equal(nt_plan_load(&plan, "/tmp", &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "regular file"));
}

static void every_length_but_the_right_one_is_refused(void **state)
{
	struct nt_fault fault;
	struct nt_plan plan;

	(void)state;
	for (size_t bytes = 0; bytes < sizeof(file); bytes++)
		assert_int_equal(load(&plan, bytes, &fault), -EINVAL);
	file.header.flow_count = 1;
	refused("bytes: expected");
}

static void another_magic_or_version_is_refused(void **state)
{
	(void)state;
	file.header.magic++;
	refused("magic");
	file.header.version++;
	refused("version: expected 1, found 2");
}

static void counts_out_of_range_are_refused(void **state)
{
	(void)state;
	file.header.source_count = 0;
	refused("at least one");
	file.header.source_count = NT_PLAN_SOURCES_MAX + 1;
	refused("source_count: expected at most 16, found 17");
	file.header.flow_count = UINT32_MAX;
	refused("flow_count");
}

static void settings_out_of_range_are_refused(void **state)
{
	(void)state;
	file.header.core = -2;
	refused("core");
	file.header.core = 1024;
	refused("core");
	file.header.realtime = 100;
	refused("realtime: expected at most 99, found 100");
	file.header.idle = 2;
	refused("idle");
	file.header.seccomp = 2;
	refused("seccomp");
	file.header.ring.hugepages = 3;
	refused("hugepages");
	file.header.ring.lock_memory = 2;
	refused("lock_memory");
	strcpy(file.header.ring.name, "../x");
	refused("without '/'");
}

static void sources_out_of_range_are_refused(void **state)
{
	(void)state;
	file.sources[0].kind = 4;
	refused("kind: expected 1 to 3, found 4");
	file.sources[0].descriptors = 65537;
	refused("power of two, found 65537");
	file.sources[0].frame_bytes = 1024;
	refused("2048 or 4096, found 1024");
	file.sources[0].native_xdp = NT_OFF;
	refused("native_xdp");
	file.sources[0].join = 2;
	refused("join");
	file.sources[1].zero_copy = 3;
	refused("zero_copy");
	file.sources[1].interface[0] = '\0';
	refused("interface: expected a name");
	file.sources[1] = file.sources[0];
	refused("same kind on the same interface eth1");
	file.header.holder_socket[0] = '\0';
	refused("needs holder_socket");
}

static void flows_out_of_range_are_refused(void **state)
{
	(void)state;
	file.flows[1].id = 0;
	refused("id: expected 1 to 8192, found 0");
	file.flows[1].id = NT_RING_FLOWS_MAX + 1;
	refused("found 8193");
	file.flows[1].id = 1;
	refused("found it twice");
	file.flows[1].family = 5;
	refused("family");
	file.flows[1].port = 0;
	refused("port");
	file.flows[1].vlan = 4095;
	refused("vlan");
	memset(file.flows[1].group, 0, 16);
	refused("group");
	file.flows[1].group[4] = 1;
	refused("group");
	strcpy(file.flows[1].interface, "eth7");
	refused("interface eth7: no source captures it");
}

static void a_text_without_an_end_is_refused(void **state)
{
	(void)state;
	memset(file.header.holder_socket, 'x', sizeof(file.header.holder_socket));
	refused("holder_socket: expected a text of at most 103 bytes");
	memset(file.header.ring.name, 'x', sizeof(file.header.ring.name));
	refused("ring name");
	memset(file.header.ring.shm_directory, 'x', sizeof(file.header.ring.shm_directory));
	refused("shm_directory");
	memset(file.header.ring.hugepage_directory, 'x', sizeof(file.header.ring.hugepage_directory));
	refused("hugepage_directory");
	memset(file.sources[0].interface, 'x', sizeof(file.sources[0].interface));
	refused("source interface");
	memset(file.flows[0].interface, 'x', sizeof(file.flows[0].interface));
	refused("flow interface");
	memset(file.flows[0].feed, 'x', sizeof(file.flows[0].feed));
	refused("feed");
	memset(file.flows[0].channel, 'x', sizeof(file.flows[0].channel));
	refused("channel");
	memset(file.flows[0].line, 'x', sizeof(file.flows[0].line));
	refused("line");
	memset(file.flows[0].framing, 'x', sizeof(file.flows[0].framing));
	refused("framing");
	memset(file.flows[0].role, 'x', sizeof(file.flows[0].role));
	refused("role");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_good_plan_is_loaded_whole, set_up),
		cmocka_unit_test_setup(what_is_checked_does_not_change_afterwards, set_up),
		cmocka_unit_test_setup(a_missing_file_is_named, set_up),
		cmocka_unit_test_setup(every_length_but_the_right_one_is_refused, set_up),
		cmocka_unit_test_setup(another_magic_or_version_is_refused, set_up),
		cmocka_unit_test_setup(counts_out_of_range_are_refused, set_up),
		cmocka_unit_test_setup(settings_out_of_range_are_refused, set_up),
		cmocka_unit_test_setup(sources_out_of_range_are_refused, set_up),
		cmocka_unit_test_setup(flows_out_of_range_are_refused, set_up),
		cmocka_unit_test_setup(a_text_without_an_end_is_refused, set_up),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
