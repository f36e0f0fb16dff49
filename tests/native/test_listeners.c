/* SPDX-License-Identifier: Apache-2.0 */
/* Who is deprived of a flow, from crafted sockets, memberships and interfaces. test_network.c reads the kernel's own. */
#include "listeners_fixture.h"

static void a_socket_bound_to_the_flows_group_is_a_listener(void **state)
{
	(void)state;
	assert_int_equal(deprived_of(), 1);
}

static void a_socket_of_another_port_or_group_is_none(void **state)
{
	(void)state;
	reader.port = 30002;
	assert_int_equal(deprived_of(), -1);
	bind_reader("239.1.1.2", 30001);
	assert_int_equal(deprived_of(), -1);
	bind_reader("10.0.0.1", 30001);
	assert_int_equal(deprived_of(), -1);
}

static void a_socket_bound_to_any_address_is_one_if_the_group_is_joined_here(void **state)
{
	(void)state;
	bind_reader("0.0.0.0", 30001);
	assert_int_equal(deprived_of(), 1);
	memberships[0].device = ELSEWHERE;
	assert_int_equal(deprived_of(), -1);
	network.membership_count = 0;
	assert_int_equal(deprived_of(), -1);
}

static void a_socket_bound_to_the_group_that_nobody_joined_yet_is_a_listener(void **state)
{
	(void)state;
	network.membership_count = 0;
	assert_int_equal(deprived_of(), 1);
}

static void a_socket_that_joined_on_another_interface_alone_loses_nothing(void **state)
{
	(void)state;
	memberships[0].device = ELSEWHERE;
	assert_int_equal(deprived_of(), -1);
	reader.device = BASE; /* then it can only mean this one */
	assert_int_equal(deprived_of(), 1);
}

static void a_socket_bound_to_another_interface_is_none(void **state)
{
	(void)state;
	reader.device = ELSEWHERE;
	assert_int_equal(deprived_of(), -1);
	reader.device = BASE;
	assert_int_equal(deprived_of(), 1);
}

static void a_flow_of_another_interface_is_not_this_sources(void **state)
{
	(void)state;
	strcpy(flows[0].interface, "eth2");
	assert_int_equal(deprived_of(), -1);
}

static void the_first_flow_that_it_shares_is_named(void **state)
{
	(void)state;
	set_flow(1, "239.1.1.2", 30001);
	set_flow(2, "239.1.1.3", 30001);
	join("239.1.1.3", BASE, 1);
	bind_reader("239.1.1.3", 30001);
	assert_int_equal(deprived_of(), 3);
	bind_reader("0.0.0.0", 30001);
	assert_int_equal(deprived_of(), 1);
}

static void a_connected_socket_reads_its_peer_alone(void **state)
{
	(void)state;
	set_address(reader.peer, "10.0.0.7");
	assert_int_equal(deprived_of(), 1);
	set_address(flows[0].source, "10.0.0.8");
	assert_int_equal(deprived_of(), -1);
	set_address(flows[0].source, "10.0.0.7");
	assert_int_equal(deprived_of(), 1);
}

static void a_socket_of_ipv6_takes_ipv4_only_where_it_is_both(void **state)
{
	(void)state;
	bind_reader("::", 30001);
	assert_int_equal(deprived_of(), -1);
	reader.takes_ipv4 = true;
	assert_int_equal(deprived_of(), 1);
}

static void an_ipv6_flow_is_read_by_sockets_of_ipv6(void **state)
{
	(void)state;
	set_flow(0, "ff15::99", 30001);
	join("ff15::99", BASE, 1);
	bind_reader("::", 30001);
	assert_int_equal(deprived_of(), 1);
	bind_reader("ff15::99", 30001);
	assert_int_equal(deprived_of(), 1);
	bind_reader("ff15::98", 30001);
	assert_int_equal(deprived_of(), -1);
	bind_reader("0.0.0.0", 30001);
	assert_int_equal(deprived_of(), -1);
}

static void our_own_joins_make_nobody_a_listener(void **state)
{
	(void)state;
	bind_reader("0.0.0.0", 30001);
	joined = true;
	assert_int_equal(deprived_of(), -1);
	memberships[0].users = 2; /* and somebody else */
	assert_int_equal(deprived_of(), 1);
	memberships[0].users = 1;
	source.join = NT_JOIN_NONE; /* then it is not ours */
	assert_int_equal(deprived_of(), 1);
}

static void flows_of_any_and_of_named_sources_are_joined_once_each(void **state)
{
	(void)state;
	set_flow(1, "239.1.1.1", 30002);
	set_flow(2, "239.1.1.1", 30001);
	set_address(flows[2].source, "10.0.0.8");
	bind_reader("0.0.0.0", 30001);
	joined = true;
	memberships[0].users = 2;
	assert_int_equal(deprived_of(), -1);
	memberships[0].users = 3;
	assert_int_equal(deprived_of(), 1);
}

static void our_own_joins_do_not_hide_a_membership_on_another_device(void **state)
{
	(void)state;
	bind_reader("0.0.0.0", 30001);
	joined = true;
	memberships[0].device = BOND;
	assert_int_equal(deprived_of(), 1);
}

/* The service looks every two seconds: were each membership compared with each flow for each socket, it would take minutes. */
static void hundreds_of_sockets_on_the_port_of_eight_thousand_flows_are_told_apart_in_no_time(void **state)
{
	static struct nt_flow many_flows[8000];
	static struct nt_membership many_memberships[8000];

	(void)state;
	for (uint32_t at = 0; at < 8000; at++) {
		many_flows[at] = flows[0];
		many_flows[at].id = at + 1;
		many_flows[at].group[2] = (uint8_t)(at / 250);
		many_flows[at].group[3] = (uint8_t)(at % 250);
		many_memberships[at] = (struct nt_membership){.family = NT_FAMILY_IPV4, .device = BASE, .users = 1};
		memcpy(many_memberships[at].group, many_flows[at].group, 16);
	}
	header.flow_count = network.membership_count = 8000;
	plan.flows = many_flows;
	network.memberships = many_memberships;
	bind_reader("0.0.0.0", 30001);
	joined = true;
	for (uint32_t socket = 0; socket < 300; socket++)
		assert_int_equal(deprived_of(), -1);
	many_memberships[7999].users = 2;
	assert_int_equal(deprived_of(), 8000);
}

static void a_tagged_flow_is_read_on_the_vlans_device(void **state)
{
	(void)state;
	flows[0].vlan = 100;
	bind_reader("0.0.0.0", 30001);
	assert_int_equal(deprived_of(), -1); /* joined on eth1 itself: untagged */
	memberships[0].device = VLAN_DEVICE;
	assert_int_equal(deprived_of(), 1);
	memberships[0].device = INNER_VLAN_DEVICE;
	assert_int_equal(deprived_of(), 1);
	flows[0].vlan = 101;
	assert_int_equal(deprived_of(), -1);
	flows[0].vlan = NT_VLAN_NONE;
	assert_int_equal(deprived_of(), -1);
	flows[0].vlan = NT_VLAN_ANY;
	assert_int_equal(deprived_of(), 1);
	memberships[0].device = BASE;
	assert_int_equal(deprived_of(), 1);
	flows[0].vlan = 0; /* a priority alone is no VLAN */
	assert_int_equal(deprived_of(), 1);
}

static void a_socket_bound_to_the_group_needs_a_device_of_the_tagged_flow(void **state)
{
	(void)state;
	flows[0].vlan = 100;
	assert_int_equal(deprived_of(), -1);
	memberships[0].device = VLAN_DEVICE;
	reader.device = BASE;
	assert_int_equal(deprived_of(), -1);
	reader.device = VLAN_DEVICE;
	assert_int_equal(deprived_of(), 1);
}

static void a_bond_and_a_macvlan_get_what_their_interface_gets(void **state)
{
	(void)state;
	bind_reader("0.0.0.0", 30001);
	memberships[0].device = BOND;
	assert_int_equal(deprived_of(), 1);
	memberships[0].device = MACVLAN;
	assert_int_equal(deprived_of(), 1);
	memberships[0].device = BOND_VLAN_DEVICE;
	assert_int_equal(deprived_of(), -1);
	flows[0].vlan = 200;
	assert_int_equal(deprived_of(), 1);
}

static void interfaces_that_stand_on_each_other_in_a_circle_end(void **state)
{
	const struct nt_link circle[] = {
		{.device = 20, .master = 21, .lower = 21, .kind = NT_LINK_VLAN},
		{.device = 21, .master = 20, .lower = 20, .kind = NT_LINK_SHARE},
	};

	(void)state;
	network.links = (struct nt_link *)circle;
	network.link_count = 2;
	assert_false(nt_network_delivers(&network, BASE, NT_VLAN_ANY, 20));
	assert_false(nt_network_delivers(&network, BASE, NT_VLAN_ANY, 0));
}

static void listeners_are_printed_one_a_line(void **state)
{
	struct nt_listener found[] = {
		{.interface = "eth1", .process = "feed handler", .pid = 7, .uid = 1000, .family = 4, .port = 30001, .flow_id = 3},
		{.interface = "eth1", .uid = 4294967295u, .family = 6, .port = 1},
	};
	size_t bytes;
	char *text;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	set_address(found[0].address, "239.1.1.1");
	nt_listeners_print(found, 2, out);
	fclose(out);
	assert_string_equal(text, "eth1\t7\tfeed handler\t1000\t239.1.1.1\t30001\t3\neth1\t0\t\t4294967295\t::\t1\t0\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_socket_bound_to_the_flows_group_is_a_listener, set_up),
		cmocka_unit_test_setup(a_socket_of_another_port_or_group_is_none, set_up),
		cmocka_unit_test_setup(a_socket_bound_to_any_address_is_one_if_the_group_is_joined_here, set_up),
		cmocka_unit_test_setup(a_socket_bound_to_the_group_that_nobody_joined_yet_is_a_listener, set_up),
		cmocka_unit_test_setup(a_socket_that_joined_on_another_interface_alone_loses_nothing, set_up),
		cmocka_unit_test_setup(a_socket_bound_to_another_interface_is_none, set_up),
		cmocka_unit_test_setup(a_flow_of_another_interface_is_not_this_sources, set_up),
		cmocka_unit_test_setup(the_first_flow_that_it_shares_is_named, set_up),
		cmocka_unit_test_setup(a_connected_socket_reads_its_peer_alone, set_up),
		cmocka_unit_test_setup(a_socket_of_ipv6_takes_ipv4_only_where_it_is_both, set_up),
		cmocka_unit_test_setup(an_ipv6_flow_is_read_by_sockets_of_ipv6, set_up),
		cmocka_unit_test_setup(our_own_joins_make_nobody_a_listener, set_up),
		cmocka_unit_test_setup(flows_of_any_and_of_named_sources_are_joined_once_each, set_up),
		cmocka_unit_test_setup(our_own_joins_do_not_hide_a_membership_on_another_device, set_up),
		cmocka_unit_test_setup(hundreds_of_sockets_on_the_port_of_eight_thousand_flows_are_told_apart_in_no_time, set_up),
		cmocka_unit_test_setup(a_tagged_flow_is_read_on_the_vlans_device, set_up),
		cmocka_unit_test_setup(a_socket_bound_to_the_group_needs_a_device_of_the_tagged_flow, set_up),
		cmocka_unit_test_setup(a_bond_and_a_macvlan_get_what_their_interface_gets, set_up),
		cmocka_unit_test_setup(interfaces_that_stand_on_each_other_in_a_circle_end, set_up),
		cmocka_unit_test(listeners_are_printed_one_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
