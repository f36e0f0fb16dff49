/* SPDX-License-Identifier: Apache-2.0 */
/* Who is deprived of what a source selects besides its flows. */
#include "listeners_fixture.h"

static void all_multicast_is_read_by_sockets_bound_to_any_group(void **state)
{
	(void)state;
	bind_reader("239.9.9.9", 5000);
	join("239.9.9.9", VLAN_DEVICE, 1);
	assert_int_equal(deprived_of(), -1);
	source.select = NT_SELECT_MULTICAST;
	assert_int_equal(deprived_of(), NT_FLOW_OTHER);
	memberships[1].device = ELSEWHERE;
	assert_int_equal(deprived_of(), -1);
}

static void all_multicast_is_read_by_a_socket_bound_to_no_address_once_a_group_is_joined(void **state)
{
	(void)state;
	source.select = NT_SELECT_MULTICAST;
	bind_reader("0.0.0.0", 5000);
	assert_int_equal(deprived_of(), NT_FLOW_OTHER);
	reader.device = ELSEWHERE;
	assert_int_equal(deprived_of(), -1);
	reader.device = 0;
	set_address(memberships[0].group, "224.0.0.1");
	assert_int_equal(deprived_of(), -1);
	bind_reader("::", 5000);
	join("ff02::1", BASE, 1);
	join("ff01::1", BASE, 1);
	join("ff02::2", BASE, 1);
	join("ff02::1:ff00:2", BASE, 1);
	assert_int_equal(deprived_of(), -1);
	join("ff02::fb", BASE, 1);
	assert_int_equal(deprived_of(), NT_FLOW_OTHER);
}

static void all_multicast_leaves_unicast_alone(void **state)
{
	(void)state;
	source.select = NT_SELECT_MULTICAST;
	add_address("10.0.0.2", BASE);
	bind_reader("10.0.0.2", 5000);
	assert_int_equal(deprived_of(), -1);
	network.membership_count = 0;
	bind_reader("0.0.0.0", 5000);
	assert_int_equal(deprived_of(), -1);
}

static void all_udp_is_read_at_the_interfaces_addresses(void **state)
{
	(void)state;
	source.select = NT_SELECT_UDP;
	network.membership_count = 0;
	bind_reader("0.0.0.0", 5000);
	assert_int_equal(deprived_of(), -1); /* nobody can send there */
	add_address("10.0.0.2", BASE);
	add_address("10.9.0.2", ELSEWHERE);
	assert_int_equal(deprived_of(), NT_FLOW_OTHER);
	reader.device = ELSEWHERE;
	assert_int_equal(deprived_of(), -1);
	bind_reader("10.0.0.2", 5000);
	assert_int_equal(deprived_of(), NT_FLOW_OTHER);
	bind_reader("10.9.0.2", 5000);
	assert_int_equal(deprived_of(), -1);
	bind_reader("127.0.0.53", 53);
	assert_int_equal(deprived_of(), -1);
	bind_reader("255.255.255.255", 67);
	assert_int_equal(deprived_of(), NT_FLOW_OTHER);
	bind_reader("::", 5000);
	assert_int_equal(deprived_of(), -1);
}

static void ptp_is_taken_only_where_it_is_a_flow(void **state)
{
	(void)state;
	source.select = NT_SELECT_UDP;
	add_address("10.0.0.2", BASE);
	join("224.0.1.129", BASE, 1);
	for (uint16_t port = 319; port <= 320; port++) {
		bind_reader("0.0.0.0", port);
		assert_int_equal(deprived_of(), -1);
		bind_reader("224.0.1.129", port);
		assert_int_equal(deprived_of(), -1);
	}
	set_flow(0, "224.0.1.129", 320);
	assert_int_equal(deprived_of(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_multicast_is_read_by_sockets_bound_to_any_group, set_up),
		cmocka_unit_test_setup(all_multicast_is_read_by_a_socket_bound_to_no_address_once_a_group_is_joined, set_up),
		cmocka_unit_test_setup(all_multicast_leaves_unicast_alone, set_up),
		cmocka_unit_test_setup(all_udp_is_read_at_the_interfaces_addresses, set_up),
		cmocka_unit_test_setup(ptp_is_taken_only_where_it_is_a_flow, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
