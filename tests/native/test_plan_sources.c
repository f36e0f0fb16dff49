/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_file.h"

/* Anew: a packet source instead of the afxdp one. */
static void make_packet(void)
{
	set_up(NULL);
	file.sources[0].kind = NT_SOURCE_PACKET;
	file.sources[0].native_xdp = 0;
	file.sources[0].fanout = 1;
}

/* Anew: one pcap source and its two flows; returns the bytes of the plan. The second source gives way to the flows. */
static size_t make_pcap(void)
{
	struct nt_flow flows[2];

	set_up(NULL);
	memcpy(flows, file.flows, sizeof(flows));
	file.header.source_count = 1;
	file.header.holder_socket[0] = '\0';
	file.sources[0].kind = NT_SOURCE_PCAP;
	strcpy(file.sources[0].file, "/tmp/a.pcap");
	memcpy(&file.sources[1], flows, sizeof(flows));
	return sizeof(file) - sizeof(file.sources[1]);
}

static void sources_out_of_range_are_refused(void **state)
{
	(void)state;
	file.sources[0].kind = 0;
	refused("kind: expected 1 to 5, found 0");
	file.sources[0].kind = 6;
	refused("kind: expected 1 to 5, found 6");
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

static void what_is_selected_is_checked_by_kind(void **state)
{
	(void)state;
	file.sources[0].select = NT_SELECT_ALL + 1;
	refused("select: expected at most 3, found 4");
	file.sources[0].select = NT_SELECT_ALL;
	refused("leaves ARP and IGMP to the kernel");
	file.sources[1].select = NT_SELECT_UDP;
	refused("select of a source without frames: expected at most 0, found 2");
	file.sources[0].promiscuous = 2;
	refused("promiscuous");
	file.sources[0].steal = 2;
	refused("steal");
	file.sources[0].select = NT_SELECT_UDP;
	file.sources[0].promiscuous = file.sources[0].steal = 1;
	accepted(sizeof(file));
}

static void a_packet_source_shares_its_load_within_bounds(void **state)
{
	(void)state;
	make_packet();
	file.sources[0].select = NT_SELECT_ALL;
	accepted(sizeof(file));
	make_packet();
	file.sources[0].fanout = 16;
	accepted(sizeof(file));
	make_packet();
	file.sources[0].fanout = 0;
	refused("fanout: expected 1 to 16, found 0");
	make_packet();
	file.sources[0].fanout = 17;
	refused("fanout: expected 1 to 16, found 17");
	make_packet();
	file.sources[0].descriptors = 3;
	refused("power of two, found 3");
	make_packet();
	file.sources[0].frame_bytes = 0;
	refused("2048 or 4096, found 0");
	make_packet();
	file.header.holder_socket[0] = '\0';
	refused("a source of kind 4 needs holder_socket");
}

static void the_clock_of_a_nic_is_in_a_domain_that_a_nics_can_be_in(void **state)
{
	(void)state;
	for (uint32_t domain = NT_CLOCK_UNKNOWN; domain <= NT_CLOCK_FREE; domain++) {
		file.sources[0].nic_domain = domain;
		file.sources[0].nic_tai_offset_s = 37;
		if (domain == NT_CLOCK_MONOTONIC)
			refused("nic_domain: expected 0 (unknown), 1 (UTC), 2 (TAI) or 4 (free), found 3");
		else
			accepted(sizeof(file));
	}
	file.sources[0].nic_domain = NT_CLOCK_FREE + 1;
	refused("nic_domain");
	file.sources[0].nic_tai_offset_s = -1;
	accepted(sizeof(file));
	file.sources[0].nic_tai_offset_s = -2;
	refused("nic_tai_offset_s: expected -1 (the kernel's) to 255, found -2");
	file.sources[0].nic_tai_offset_s = 256;
	refused("nic_tai_offset_s");
}

static void a_file_is_the_only_source(void **state)
{
	struct nt_fault fault;
	struct nt_plan plan;
	size_t bytes;

	(void)state;
	bytes = make_pcap();
	accepted(bytes);
	bytes = make_pcap();
	file.sources[0].pace_ppm = 1000000000000ull;
	accepted(bytes);
	bytes = make_pcap();
	file.sources[0].pace_ppm = 1000000000001ull;
	assert_int_equal(load(&plan, bytes, &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "pace_ppm: expected at most 1000000000000"));
	bytes = make_pcap();
	file.sources[0].file[0] = '\0';
	assert_int_equal(load(&plan, bytes, &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "file: expected the name of a capture file, found none"));
	set_up(NULL);
	file.sources[0].kind = NT_SOURCE_PCAP;
	strcpy(file.sources[0].file, "/tmp/a.pcap");
	refused("expected it to be the only source, found 2 sources");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sources_out_of_range_are_refused, set_up),
		cmocka_unit_test_setup(what_is_selected_is_checked_by_kind, set_up),
		cmocka_unit_test_setup(a_packet_source_shares_its_load_within_bounds, set_up),
		cmocka_unit_test_setup(the_clock_of_a_nic_is_in_a_domain_that_a_nics_can_be_in, set_up),
		cmocka_unit_test_setup(a_file_is_the_only_source, set_up),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
