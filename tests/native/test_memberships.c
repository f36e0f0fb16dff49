/* SPDX-License-Identifier: Apache-2.0 */
/* Group memberships, from text as the kernel writes it. */
#include "holder/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct nt_network network;

static int set_up(void **state)
{
	(void)state;
	memset(&network, 0, sizeof(network));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_network_free(&network);
	return 0;
}

static int take_text(const char *text, uint32_t family)
{
	FILE *in = fmemopen((char *)text, strlen(text), "r");
	int error;

	assert_non_null(in);
	error = nt_network_take_memberships(&network, in, family);
	fclose(in);
	return error;
}

static void assert_membership(uint32_t at, uint32_t device, const char *group, uint32_t users)
{
	uint8_t bytes[16] = {0};

	inet_pton(strchr(group, ':') ? AF_INET6 : AF_INET, group, bytes);
	assert_int_equal(network.memberships[at].device, device);
	assert_memory_equal(network.memberships[at].group, bytes, 16);
	assert_int_equal(network.memberships[at].users, users);
}

static void ipv4_memberships_are_read(void **state)
{
	char text[512];
	uint32_t group;

	(void)state;
	inet_pton(AF_INET, "239.1.2.3", &group);
	snprintf(text, sizeof(text),
		 "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
		 "1\tlo        :     1      V3\n\t\t\t\t%08X     1 0:00000000\t\t0\n"
		 "14\tveth-r    :     2      V2\n\t\t\t\t%08X    12 0:00000000\t\t1\n\t\t\t\t%08X     3 1:0000000A\t\t0\n",
		 htonl(0xE0000001), group, htonl(0xE0000001));
	assert_int_equal(take_text(text, NT_FAMILY_IPV4), 0);
	assert_int_equal(network.membership_count, 3);
	assert_membership(0, 1, "224.0.0.1", 1);
	assert_membership(1, 14, "239.1.2.3", 12);
	assert_membership(2, 14, "224.0.0.1", 3);
}

static void ipv6_memberships_are_read(void **state)
{
	(void)state;
	assert_int_equal(take_text("14   veth-r          ff150000000000000000000000000099     2 00000004 0\n"
				   "1    lo              ff020000000000000000000000000001     1 0000000C 0\n",
				   NT_FAMILY_IPV6),
			 0);
	assert_int_equal(network.membership_count, 2);
	assert_membership(0, 14, "ff15::99", 2);
	assert_membership(1, 1, "ff02::1", 1);
}

static void a_file_that_is_something_else_is_refused(void **state)
{
	(void)state;
	assert_int_equal(take_text("\t\t\t\tE0000001 1\n", NT_FAMILY_IPV4), -EBADMSG);
	assert_int_equal(take_text("1\tlo :\n\t\t\t\tnone\n", NT_FAMILY_IPV4), -EBADMSG);
	assert_int_equal(take_text("1 lo ff02 1\n", NT_FAMILY_IPV6), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ipv4_memberships_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ipv6_memberships_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_is_something_else_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
