/* SPDX-License-Identifier: Apache-2.0 */
/* What the frames of a capture file begin with, and files that are refused. */
#include "pcap_fixture.h"

static const uint8_t TYPE4[] = {0x08, 0x00};
static const uint8_t TYPE6[] = {0x86, 0xDD};
static const uint8_t IPV4[] = {
	0x45, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x10, 0x11, 0xaf, 0xc7, 10, 0, 0, 1, 239, 1, 2, 3, /* IPv4 */
	0x30, 0x39, 0x3a, 0x98, 0x00, 0x0c, 0x00, 0x00, 'a',  'b',  'c',  'd',                             /* UDP */
};
static const uint8_t IPV6[] = {
	0x60, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x11, 0x10,                                                 /* IPv6 */
	0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, /* source */
	0xff, 0x15, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x09, /* group */
	0x30, 0x39, 0x3a, 0x98, 0x00, 0x0c, 0x00, 0x00, 'a',  'b',  'c',  'd',                          /* UDP */
};
static const struct nt_flow FLOWS[] = {
	{.id = 1, .family = 4, .port = 15000, .vlan = NT_VLAN_NONE, .group = {239, 1, 2, 3}, .interface = "file0"},
	{.id = 2,
	 .family = 6,
	 .port = 15000,
	 .vlan = NT_VLAN_NONE,
	 .group = {0xFF, 0x15, [13] = 9, [15] = 9},
	 .interface = "file0"},
};

struct known_link {
	uint32_t type;
	uint16_t flag;
	uint32_t header_bytes, type_at;
};

static const struct known_link LINKS[] = {
	{1, 0, 14, 12},
	{113, NT_RECORD_LINUX_SLL, 16, 14},
	{276, NT_RECORD_LINUX_SLL2, 20, 0},
	{101, NT_RECORD_RAW_IP, 0, 0},
	{12, NT_RECORD_RAW_IP, 0, 0},
	{14, NT_RECORD_RAW_IP, 0, 0},
	{228, NT_RECORD_RAW_IP, 0, 0},
	{229, NT_RECORD_RAW_IP, 0, 0},
};
#define LINK_COUNT (sizeof(LINKS) / sizeof(LINKS[0]))

/* One packet over this link. */
static uint32_t framed(uint8_t *frame, const struct known_link *link, const uint8_t *type, const uint8_t *ip, uint32_t ip_bytes)
{
	memset(frame, 0x33, link->header_bytes);
	if (link->header_bytes)
		memcpy(frame + link->type_at, type, 2);
	memcpy(frame + link->header_bytes, ip, ip_bytes);
	return link->header_bytes + ip_bytes;
}

static void assert_flows_are_found(const struct capture *capture, const struct known_link *link)
{
	struct nt_selector *selector;
	struct nt_source *source;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};

	assert_int_equal(nt_selector_create(&selector, NT_SELECT_CHANNELS, FLOWS, 2, "file0", NULL), 0);
	source = open_bytes(capture->bytes, capture->size, false, selector);
	assert_int_equal(source->ops->poll(source, &batch), 2);
	for (uint32_t at = 0; at < 2; at++) {
		assert_int_equal(batch.packets[at].flow_id, at + 1);
		assert_int_equal(batch.packets[at].flags, link->flag);
		assert_packet(&batch.packets[at], capture, at);
	}
	nt_source_close(source);
	nt_selector_destroy(selector);
}

static void a_flow_is_found_over_every_link_type(void **state)
{
	uint8_t frame[128];

	(void)state;
	for (size_t at = 0; at < LINK_COUNT; at++) {
		struct capture *capture = classic_begin(HOST, true, 65535, LINKS[at].type);
		struct capture *ng = ng_begin(SWAPPED, (uint16_t)LINKS[at].type, 0, 9, 0);
		uint32_t bytes = framed(frame, &LINKS[at], TYPE4, IPV4, sizeof(IPV4));

		classic_put(capture, 5, 6, frame, bytes, bytes);
		ng_put(ng, 0, 7, frame, bytes, bytes, 7);
		bytes = framed(frame, &LINKS[at], TYPE6, IPV6, sizeof(IPV6));
		classic_put(capture, 5, 6, frame, bytes, bytes);
		ng_put(ng, 0, 7, frame, bytes, bytes, 7);
		assert_flows_are_found(capture, &LINKS[at]);
		assert_flows_are_found(ng, &LINKS[at]);
		free(capture);
		free(ng);
	}
}

static void what_is_not_selected_is_counted_and_left_out(void **state)
{
	struct capture *capture = classic_begin(HOST, true, 65535, 101);
	struct nt_selector *selector;
	struct nt_source *source;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};

	(void)state;
	for (uint32_t at = 0; at < 100; at++)
		classic_put(capture, 5, at, at % 3 ? IPV6 : IPV4, at % 3 ? sizeof(IPV6) : sizeof(IPV4), 0);
	assert_int_equal(nt_selector_create(&selector, NT_SELECT_CHANNELS, FLOWS, 1, "file0", NULL), 0);
	source = open_bytes(capture->bytes, capture->size, false, selector);
	assert_int_equal(source->ops->poll(source, &batch), 34);
	assert_int_equal(batch.unselected, 66);
	assert_int_equal(offered(source), 100);
	assert_int_equal(source->ops->position(source), 0);
	source->ops->release(source, &batch);
	assert_int_equal(source->ops->position(source), 100);
	assert_int_equal(source->ops->poll(source, &batch), -ENODATA);
	nt_source_close(source);
	nt_selector_destroy(selector);
	free(capture);
}

static void what_cannot_be_read_but_is_selected_is_flagged(void **state)
{
	struct capture *capture = classic_begin(HOST, true, 65535, 101);
	struct nt_selector *selector;
	struct nt_source *source;
	struct nt_batch batch = {.limit = NT_BATCH_PACKETS};

	(void)state;
	classic_put(capture, 5, 0, IPV4, 25, sizeof(IPV4)); /* cut within UDP */
	classic_put(capture, 5, 0, IPV4, sizeof(IPV4), sizeof(IPV4));
	assert_int_equal(nt_selector_create(&selector, NT_SELECT_UDP, NULL, 0, "file0", NULL), 0);
	source = open_bytes(capture->bytes, capture->size, false, selector);
	assert_int_equal(source->ops->poll(source, &batch), 2);
	assert_int_equal(batch.packets[0].flags, NT_RECORD_RAW_IP | NT_RECORD_UNPARSED);
	assert_int_equal(batch.packets[1].flags, NT_RECORD_RAW_IP);
	nt_source_close(source);
	nt_selector_destroy(selector);
	free(capture);
}

static void assert_refused(const struct capture *capture, int error, const char *first, const char *second)
{
	for (int as_pipe = 0; as_pipe < 2; as_pipe++) {
		struct nt_fault fault = {0};

		assert_int_equal(refusal(capture->bytes, capture->size, as_pipe, &fault), error);
		assert_int_equal(fault.error, error);
		if (strncmp(fault.text, "day.pcap: expected ", 19) || !strstr(fault.text, first) || !strstr(fault.text, second) ||
		    strchr(fault.text, '\n'))
			fail_msg("%s", fault.text);
	}
}

static void another_link_type_is_refused_by_name(void **state)
{
	struct capture *capture = classic_begin(HOST, true, 65535, 105);
	struct capture *ng = ng_begin(SWAPPED, 105, 0, 9, 0);
	struct capture *unknown = classic_begin(HOST, true, 65535, 999);

	(void)state;
	assert_refused(capture, -EPROTONOSUPPORT, "Ethernet, Linux cooked or raw IP", "IEEE802_11");
	assert_refused(ng, -EPROTONOSUPPORT, "Ethernet, Linux cooked or raw IP", "IEEE802_11");
	assert_refused(unknown, -EPROTONOSUPPORT, "Ethernet, Linux cooked or raw IP", "999");
	free(capture);
	free(ng);
	free(unknown);
}

static void a_mixture_of_link_types_is_refused_by_name(void **state)
{
	(void)state;
	for (int order = HOST; order <= SWAPPED; order++) {
		struct capture *capture = ng_begin(order, 1, 0, 9, 0);

		ng_put_interface(capture, 276, 0, 9, 0);
		ng_put(capture, 0, 7, IPV4, sizeof(IPV4), 0, 7);
		assert_refused(capture, -EPROTONOSUPPORT, "one link type, found EN10MB and LINUX_SLL2", "write a file of each");
		free(capture);
	}
}

static void a_mixture_that_comes_later_ends_the_file_and_is_named(void **state)
{
	struct capture *capture = ng_begin(HOST, 101, 0, 9, 0);
	struct nt_selector *selector = select_all();
	struct nt_source *source;
	char offset[64];

	(void)state;
	ng_put(capture, 0, 7, IPV4, sizeof(IPV4), 0, 7);
	snprintf(offset, sizeof(offset), "packet 2 at byte %zu: ", capture->size);
	ng_put_interface(capture, 113, 0, 9, 0);
	ng_put(capture, 0, 8, IPV4, sizeof(IPV4), 0, 8);
	source = open_bytes(capture->bytes, capture->size, true, selector);
	assert_int_equal(drain(source, capture, 1), 1);
	assert_int_equal(source->damaged, 1);
	assert_non_null(strstr(source->note, offset));
	assert_non_null(strstr(source->note, "LINUX_SLL behind one of RAW"));
	nt_source_close(source);
	nt_selector_destroy(selector);
	free(capture);
}

static void what_is_no_capture_file_is_refused(void **state)
{
	static const char *const texts[] = {"", "\x1f\x8b\x08", "a text of some length, which is no capture at all", "\n\r\r\n"};
	struct capture *capture = calloc(1, sizeof(*capture));

	(void)state;
	assert_non_null(capture);
	for (size_t at = 0; at < sizeof(texts) / sizeof(texts[0]); at++) {
		capture->size = 0;
		put(capture, texts[at], strlen(texts[at]));
		assert_refused(capture, -EBADMSG, "a capture file (pcap or pcapng), found", at ? "found" : "an empty one");
	}
	free(capture);
}

static void a_descriptor_that_cannot_be_read_is_refused(void **state)
{
	struct nt_selector *selector = select_all();
	struct nt_plan_source plan = pcap_plan(0);
	struct nt_fault fault = {0};
	struct nt_source *source;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(nt_pcap_open(&source, &plan, fd, selector, &fault), -EBADMSG);
	assert_non_null(strstr(fault.text, "directory"));
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
	nt_selector_destroy(selector);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_is_found_over_every_link_type),
		cmocka_unit_test(what_is_not_selected_is_counted_and_left_out),
		cmocka_unit_test(what_cannot_be_read_but_is_selected_is_flagged),
		cmocka_unit_test(another_link_type_is_refused_by_name),
		cmocka_unit_test(a_mixture_of_link_types_is_refused_by_name),
		cmocka_unit_test(a_mixture_that_comes_later_ends_the_file_and_is_named),
		cmocka_unit_test(what_is_no_capture_file_is_refused),
		cmocka_unit_test(a_descriptor_that_cannot_be_read_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
