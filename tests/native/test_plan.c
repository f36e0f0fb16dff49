/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_file.h"
#include "source/source.h"

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
	refused("version: expected 3, found 4");
	file.header.version = 2; /* of the release before */
	refused("version: expected 3, found 2");
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
	file.header.seccomp = 3;
	refused("seccomp");
	file.header.batch = 0;
	refused("batch: expected 1 to 256, found 0");
	file.header.batch = NT_BATCH_PACKETS + 1;
	refused("batch: expected 1 to 256, found 257");
	file.header.prefetch = NT_PREFETCH_MAX + 1;
	refused("prefetch: expected at most 64, found 65");
	file.header.stamp_bound_ns = 3600000000001ull;
	refused("stamp_bound_ns: expected at most 3600000000000");
	file.header.ring.hugepages = 3;
	refused("hugepages");
	file.header.ring.lock_memory = 2;
	refused("lock_memory");
	strcpy(file.header.ring.name, "../x");
	refused("without '/'");
}

static void a_flow_may_have_any_tag(void **state)
{
	(void)state;
	file.flows[0].vlan = NT_VLAN_ANY;
	accepted(sizeof(file));
	file.flows[0].vlan = 0;
	accepted(sizeof(file));
	file.flows[0].vlan = NT_VLAN_ANY - 1;
	refused("vlan: expected 0 to 4094, any or none, found 65533");
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
	memset(file.sources[0].file, 'x', sizeof(file.sources[0].file));
	refused("source file: expected a text of at most 255 bytes");
	memset(file.sources[0].follow, 'x', sizeof(file.sources[0].follow));
	refused("follow: expected a text of at most 255 bytes");
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
		cmocka_unit_test_setup(a_flow_may_have_any_tag, set_up),
		cmocka_unit_test_setup(flows_out_of_range_are_refused, set_up),
		cmocka_unit_test_setup(a_text_without_an_end_is_refused, set_up),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
