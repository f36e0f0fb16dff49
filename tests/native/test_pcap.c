/* SPDX-License-Identifier: Apache-2.0 */
/* The pcap source on files that are whole: all of every packet, whatever form it has in the file. */
#include "pcap_fixture.h"

#include <ftw.h>

static const uint8_t FRAME[] = {
	0x01, 0x00, 0x5e, 0x01, 0x02, 0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00,                     /* Ethernet */
	0x45, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x10, 0x11, 0xaf, 0xc7, 10,   0,    0, 1, 239, 1, 2, 3, /* IPv4 */
	0x30, 0x39, 0x3a, 0x98, 0x00, 0x0c, 0x00, 0x00, 'a',  'b',  'c',  'd',                                  /* UDP */
};
#define IP (FRAME + 14)
#define IP_BYTES ((uint32_t)sizeof(FRAME) - 14)
#define SECOND_NS INT64_C(1000000000)

static struct nt_selector *all;

static int set_up(void **state)
{
	(void)state;
	all = select_all();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_selector_destroy(all);
	return 0;
}

/* Both as a file and through a pipe, and all of it. */
static void assert_all_comes(struct capture *capture)
{
	for (int as_pipe = 0; as_pipe < 2; as_pipe++) {
		struct nt_source *source = open_bytes(capture->bytes, capture->size, as_pipe, all);

		assert_int_equal(drain(source, capture, capture->packets), capture->packets);
		assert_int_equal(offered(source), capture->packets);
		assert_int_equal(source->ops->position(source), capture->packets);
		assert_int_equal(source->damaged, 0);
		assert_string_equal(source->note, "");
		nt_source_close(source);
	}
	free(capture);
}

static void a_source_says_what_it_is(void **state)
{
	struct capture *capture = classic_begin(HOST, true, 65535, 1);
	struct nt_source *source = open_bytes(capture->bytes, capture->size, false, all);

	(void)state;
	assert_string_equal(source->name, "pcap:file0:0");
	assert_string_equal(source->interface, "file0");
	assert_int_equal(source->kind, NT_SOURCE_PCAP);
	assert_int_equal(source->numbers_flows, 1);
	nt_source_close(source);
	free(capture);
}

static void every_classic_form_comes_out_to_the_nanosecond(void **state)
{
	(void)state;
	for (int form = 0; form < 4; form++) {
		struct capture *capture = classic_begin(form & 1 ? SWAPPED : HOST, form & 2, 65535, 1);

		for (uint32_t at = 0; at < 200; at++)
			classic_put(capture, 1700000000 + at / 7, at * (form & 2 ? 4999999 : 4999), FRAME, sizeof(FRAME) - at % 40,
				    sizeof(FRAME));
		assert_all_comes(capture);
	}
}

static void every_pcapng_resolution_comes_out_to_the_nanosecond(void **state)
{
	static const struct {
		uint8_t resolution;
		uint64_t stamp;
		int64_t offset_s, stamp_ns;
	} forms[] = {
		{6, 1700000000123456, 0, 1700000000123456000},
		{9, 1700000000123456789, 0, 1700000000123456789},
		{3, 1700000000123, 0, 1700000000123000000},
		{0, 1700000000, 0, 1700000000 * SECOND_NS},
		{12, 17000123456789999, 1699983000, 1700000000123456789},
		{0x80 | 10, 1536, 1700000000, 1700000001500000000},
		{0x80 | 32, UINT64_C(1700000000) << 32 | 0x80000000, 0, 1700000000500000000},
		{9, 500000000, -2, -1500000000},
	};

	(void)state;
	for (size_t at = 0; at < sizeof(forms) / sizeof(forms[0]) * 2; at++) {
		size_t form = at / 2;
		struct capture *capture = ng_begin(at % 2 ? SWAPPED : HOST, 1, 0, forms[form].resolution, forms[form].offset_s);

		ng_put(capture, 0, forms[form].stamp, FRAME, sizeof(FRAME), sizeof(FRAME), forms[form].stamp_ns);
		ng_put_other(capture, 5, 24);
		ng_put(capture, 0, forms[form].stamp, FRAME, 33, sizeof(FRAME), forms[form].stamp_ns);
		ng_put_other(capture, 0x4444, 0);
		assert_all_comes(capture);
	}
}

static void interfaces_may_differ_in_all_but_their_link_type(void **state)
{
	static const uint16_t links[] = {1, 101};

	(void)state;
	for (int form = 0; form < 4; form++) {
		struct capture *capture = ng_begin(form & 1 ? SWAPPED : HOST, links[form / 2], 20, 6, 0);

		ng_put_interface(capture, links[form / 2], 1000, 9, 1);
		ng_put(capture, 1, 7, IP, IP_BYTES, IP_BYTES, SECOND_NS + 7);
		ng_put(capture, 0, 7, IP, IP_BYTES, IP_BYTES, 7000); /* longer than its interface promised */
		ng_put_section(capture);
		ng_put_interface(capture, links[form / 2], 0, 3, 0);
		ng_put(capture, 0, 7, IP, IP_BYTES, IP_BYTES, 7000000);
		assert_all_comes(capture);
	}
}

static void a_packet_longer_than_the_file_s_snap_length_is_whole(void **state)
{
	struct capture *capture = classic_begin(HOST, true, 20, 1);

	(void)state;
	classic_put(capture, 1, 2, FRAME, sizeof(FRAME), sizeof(FRAME));
	classic_put(capture, 1, 3, FRAME, 20, sizeof(FRAME));
	assert_all_comes(capture);
}

/* Of a file that is cut short within its last packet. */
static void assert_cut_is_named(const struct capture *capture)
{
	uint32_t last = capture->packets - 1;
	struct nt_source *source = open_bytes(capture->bytes, capture->size - 1, true, all);
	char place[64];

	snprintf(place, sizeof(place), "packet %u at byte %llu:", last + 1, (unsigned long long)capture->expected[last].begin);
	assert_int_equal(drain(source, capture, last), last);
	assert_int_equal(source->damaged, 1);
	assert_non_null(strstr(source->note, place));
	nt_source_close(source);
}

/* The captured length came last up to version 2.2; in 2.3 it is the lesser one. */
static void files_of_old_versions_are_read(void **state)
{
	(void)state;
	for (int form = 0; form < 4; form++) {
		struct capture *capture = classic_begin(form & 1 ? SWAPPED : HOST, false, 65535, 1);
		uint16_t minor = ordered16(capture, form & 2 ? 2 : 3);

		memcpy(capture->bytes + 6, &minor, sizeof(minor));
		for (uint32_t at = 0; at < 20; at++) {
			struct expected *expected = classic_put(capture, 1, at, FRAME, 20 + at, sizeof(FRAME));
			uint8_t *lengths = capture->bytes + expected->begin + 8;

			if (form & 2 || at % 2)
				for (int octet = 0; octet < 4; octet++) {
					uint8_t first = lengths[octet];

					lengths[octet] = lengths[octet + 4];
					lengths[octet + 4] = first;
				}
		}
		assert_cut_is_named(capture);
		assert_all_comes(capture);
	}
}

static void a_wire_length_below_the_captured_one_is_not_believed(void **state)
{
	struct capture *capture = classic_begin(HOST, true, 65535, 1);
	struct capture *ng = ng_begin(HOST, 1, 0, 9, 0);

	(void)state;
	classic_put(capture, 1, 2, FRAME, sizeof(FRAME), 10);
	classic_put(capture, 1, 2, FRAME, 0, 0);
	assert_all_comes(capture);
	ng_put(ng, 0, 5, FRAME, sizeof(FRAME), 0, 5);
	assert_all_comes(ng);
}

static void a_simple_packet_has_no_stamp_and_its_length_follows_from_the_interface(void **state)
{
	(void)state;
	for (int order = HOST; order <= SWAPPED; order++) {
		struct capture *capture = ng_begin(order, 1, 30, 9, 0);
		struct nt_source *source;
		struct nt_batch batch = {.limit = NT_BATCH_PACKETS};

		ng_put_simple(capture, FRAME, 30, sizeof(FRAME));
		ng_put_simple(capture, FRAME, 17, 17);
		ng_put(capture, 0, 9, FRAME, 17, 17, 9);
		ng_put_section(capture);
		ng_put_interface(capture, 1, 20, 9, 0);
		ng_put_simple(capture, FRAME, 20, sizeof(FRAME));
		source = open_bytes(capture->bytes, capture->size, false, all);
		assert_int_equal(source->ops->poll(source, &batch), 4);
		for (uint32_t at = 0; at < 4; at++) {
			assert_packet(&batch.packets[at], capture, at);
			assert_int_equal(batch.packets[at].stamp_clock, at == 2 ? NT_CLOCK_UTC : NT_CLOCK_UNKNOWN);
		}
		nt_source_close(source);
		free(capture);
	}
}

static void a_fraction_out_of_range_is_added_up_and_flagged(void **state)
{
	static const uint32_t fractions[] = {0, 999999, 1000000, 999999999, 1000000000, 0x7FFFFFFF, 0x80000000, UINT32_MAX};
	uint32_t flagged = 0;

	(void)state;
	for (int form = 0; form < 4; form++) {
		struct capture *capture = classic_begin(form & 1 ? SWAPPED : HOST, form & 2, 65535, 1);

		for (uint32_t at = 0; at < 16; at++)
			flagged +=
				classic_put(capture, at < 8 ? 1700000000 : UINT32_MAX, fractions[at % 8], FRAME, sizeof(FRAME), 0)
					->bad_stamp;
		assert_all_comes(capture);
	}
	assert_int_equal(flagged, 2 * 2 * (6 + 4));
}

static void a_stamp_that_no_clock_holds_saturates_and_is_flagged(void **state)
{
	struct capture *capture = ng_begin(HOST, 1, 0, 0, 0); /* seconds */

	(void)state;
	ng_put(capture, 0, 9223372036, FRAME, sizeof(FRAME), 0, 9223372036 * SECOND_NS);
	ng_put(capture, 0, 9223372037, FRAME, sizeof(FRAME), 0, INT64_MAX)->bad_stamp = true;
	ng_put(capture, 0, INT64_MAX, FRAME, sizeof(FRAME), 0, INT64_MAX)->bad_stamp = true;
	ng_put(capture, 0, UINT64_C(1) << 63, FRAME, sizeof(FRAME), 0, -INT64_MAX)->bad_stamp = true;
	ng_put(capture, 0, 1700000000, FRAME, sizeof(FRAME), 0, 1700000000 * SECOND_NS);
	assert_all_comes(capture);
}

/* Long and short ones, more than the arena takes at once: the one read ahead moves. */
static void large_packets_come_in_as_many_batches_as_it_takes(void **state)
{
	static uint8_t frame[65000];
	struct capture *capture = ng_begin(HOST, 1, 0, 9, 0);
	static uint8_t large[64u << 20];
	struct nt_source *source;
	uint32_t taken = 0;
	size_t size;
	int got;

	(void)state;
	for (size_t at = 0; at < sizeof(frame); at++)
		frame[at] = (uint8_t)(at * 31);
	for (uint32_t at = 0; at < 4; at++)
		ng_put(capture, 0, at, frame + at, at == 3 ? 1 : 50000 + at, 0, at);
	size = capture->header_bytes;
	memcpy(large, capture->bytes, size);
	for (uint32_t round = 0; round < 100; round++, size += capture->size - capture->header_bytes)
		memcpy(large + size, capture->bytes + capture->header_bytes, capture->size - capture->header_bytes);
	source = open_bytes(large, size, false, all);
	for (struct nt_batch batch = {.limit = NT_BATCH_PACKETS}; (got = source->ops->poll(source, &batch)) >= 0;
	     source->ops->release(source, &batch))
		for (int at = 0; at < got; at++, taken++)
			assert_packet(&batch.packets[at], capture, taken % 4);
	assert_int_equal(got, -ENODATA);
	assert_int_equal(taken, 400);
	nt_source_close(source);
	free(capture);
}

static uint32_t files, packets, flagged, links;

static int read_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	size_t length = strlen(path);
	struct capture *capture;

	(void)status;
	(void)place;
	if (kind != FTW_F || length < 5 || strcmp(path + length - 5, ".pcap") != 0)
		return 0;
	capture = capture_load(path);
	assert_non_null(capture);
	files++;
	packets += capture->packets;
	links |= 1u << capture->link_type % 32;
	for (uint32_t at = 0; at < capture->packets; at++)
		flagged += capture->expected[at].bad_stamp;
	assert_all_comes(capture);
	return 0;
}

static void every_real_capture_is_read_as_an_independent_reader_reads_it(void **state)
{
	const char *folder = captures_folder();

	(void)state;
	if (!folder)
		skip();
	assert_int_equal(nftw(folder, read_one, 8, FTW_PHYS), 0);
	print_message("%u files, %u packets, of which %u have a stamp out of range\n", files, packets, flagged);
	assert_true(files > 50 && packets > 800 && flagged > 0);
	assert_int_equal(links, 1u << 1 | 1u << 17); /* Ethernet, and Linux cooked: 113 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_source_says_what_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_classic_form_comes_out_to_the_nanosecond, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_pcapng_resolution_comes_out_to_the_nanosecond, set_up, tear_down),
		cmocka_unit_test_setup_teardown(interfaces_may_differ_in_all_but_their_link_type, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_packet_longer_than_the_file_s_snap_length_is_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_of_old_versions_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_wire_length_below_the_captured_one_is_not_believed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_simple_packet_has_no_stamp_and_its_length_follows_from_the_interface, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_fraction_out_of_range_is_added_up_and_flagged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stamp_that_no_clock_holds_saturates_and_is_flagged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(large_packets_come_in_as_many_batches_as_it_takes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_real_capture_is_read_as_an_independent_reader_reads_it, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
