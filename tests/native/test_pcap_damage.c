/* SPDX-License-Identifier: Apache-2.0 */
/* Capture files cut at every byte and flipped in random ones: what was before is handed out, the place is named, and the sanitizers
 * watch. NANOTAPE_FLIPS asks for the long form: every file, cut at every byte, and so many flips of each. */
#include "pcap_fixture.h"

#include <ftw.h>

#define FLIPS 100
#define CUTS_OF_ALL 512 /* a real capture of more bytes is only cut so often, an odd number of bytes apart */

static struct nt_selector *all;
static uint32_t cuts, flips, files;

static int set_up(void **state)
{
	(void)state;
	all = select_all();
	cuts = flips = files = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_selector_destroy(all);
	return 0;
}

static bool is_boundary(const struct capture *capture, uint64_t at)
{
	for (uint32_t boundary = 0; boundary < capture->boundaries; boundary++)
		if (capture->boundary[boundary] == at)
			return true;
	return false;
}

/* The last boundary not beyond `at`. */
static uint64_t boundary_before(const struct capture *capture, uint64_t at)
{
	uint64_t before = 0;

	for (uint32_t boundary = 0; boundary < capture->boundaries; boundary++)
		if (capture->boundary[boundary] <= at)
			before = capture->boundary[boundary];
	return before;
}

static uint32_t whole_before(const struct capture *capture, uint64_t at)
{
	uint32_t whole = 0;

	while (whole < capture->packets && capture->expected[whole].end <= at)
		whole++;
	return whole;
}

static void assert_note(const struct nt_source *source, uint32_t packets, uint64_t offset)
{
	char beginning[128], end[128];

	snprintf(beginning, sizeof(beginning), "day.pcap: packet %u at byte %llu: ", packets + 1, (unsigned long long)offset);
	snprintf(end, sizeof(end), "; the %u packets before it are kept", packets);
	if (strncmp(source->note, beginning, strlen(beginning)) || !strstr(source->note, end) || strchr(source->note, '\n'))
		fail_msg("expected '%s...%s', found '%s'", beginning, end, source->note);
}

static void cut_at(const struct capture *capture, size_t size, bool as_pipe)
{
	uint32_t whole = whole_before(capture, size);
	struct nt_source *source;
	struct nt_fault fault;

	cuts++;
	if (size < capture->header_bytes) {
		assert_int_equal(refusal(capture->bytes, size, as_pipe, &fault), -EBADMSG);
		assert_non_null(strstr(fault.text, "day.pcap: expected a capture file"));
		return;
	}
	source = open_bytes(capture->bytes, size, as_pipe, all);
	assert_int_equal(drain(source, capture, whole), whole);
	assert_int_equal(offered(source), whole);
	assert_int_equal(source->damaged, !is_boundary(capture, size));
	if (source->damaged)
		assert_note(source, whole, boundary_before(capture, size));
	else
		assert_string_equal(source->note, "");
	nt_source_close(source);
}

static uint64_t random_u64(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 11;
}

/* What was handed out beyond the damage may be anything; the note must not name a place before it. */
static void flip(const struct capture *capture, uint64_t *seed, bool as_pipe)
{
	static uint8_t bytes[CAPTURE_BYTES];
	uint64_t first = capture->size;
	struct nt_plan_source plan = pcap_plan(0);
	struct nt_source *source;
	uint32_t taken;

	flips++;
	memcpy(bytes, capture->bytes, capture->size);
	for (uint64_t count = 1 + random_u64(seed) % 4; count; count--) {
		uint64_t at = random_u64(seed) % capture->size;

		bytes[at] ^= (uint8_t)(random_u64(seed) % 2 ? 1u << random_u64(seed) % 8 : 1 + random_u64(seed) % 255);
		if (bytes[at] != capture->bytes[at] && at < first)
			first = at;
	}
	if (nt_pcap_open(&source, &plan, bytes_fd(bytes, capture->size, as_pipe), all, NULL)) {
		/* A mixture, which is seen before the first packet, is refused too. */
		assert_true(first < capture->expected[0].end);
		return;
	}
	taken = drain(source, capture, first < capture->header_bytes ? 0 : whole_before(capture, first));
	assert_true(first < capture->header_bytes || taken >= whole_before(capture, first));
	assert_int_equal(offered(source), taken);
	if (source->damaged) {
		const char *place = strstr(source->note, " at byte ");

		assert_non_null(place);
		assert_true(first < capture->header_bytes || strtoull(place + 9, NULL, 10) >= boundary_before(capture, first));
		assert_note(source, taken, strtoull(place + 9, NULL, 10));
	}
	nt_source_close(source);
}

/* The long form: every file, cut at every byte. */
static bool is_thorough(void)
{
	return getenv("NANOTAPE_FLIPS");
}

static void damage_everywhere(const struct capture *capture, bool both_ways)
{
	uint64_t count = is_thorough() ? strtoull(getenv("NANOTAPE_FLIPS"), NULL, 10) : FLIPS;
	size_t step = both_ways || is_thorough() ? 1 : (1 + capture->size / CUTS_OF_ALL) | 1;
	uint64_t seed = 1234567 + capture->size;

	files++;
	for (size_t size = 0; size <= capture->size; size += step) {
		cut_at(capture, size, size % 2);
		if (both_ways)
			cut_at(capture, size, !(size % 2));
	}
	for (uint64_t round = 0; round < count; round++)
		flip(capture, &seed, round % 2);
}

static void a_crafted_capture_keeps_what_is_before_the_damage(void **state)
{
	uint8_t frame[100];

	(void)state;
	for (size_t at = 0; at < sizeof(frame); at++)
		frame[at] = (uint8_t)(at * 7);
	for (int form = 0; form < 4; form++) {
		struct capture *capture = classic_begin(form & 1 ? SWAPPED : HOST, form & 2, 65535, 1);

		for (uint32_t at = 0; at < 8; at++)
			classic_put(capture, 1700000000, at, frame, at * 11, 100);
		damage_everywhere(capture, true);
		free(capture);
	}
	assert_int_equal(cuts, 4 * 2 * (24 + 8 * 16 + 11 * 28 + 1));
}

static void a_crafted_pcapng_keeps_what_is_before_the_damage(void **state)
{
	uint8_t frame[100];

	(void)state;
	for (size_t at = 0; at < sizeof(frame); at++)
		frame[at] = (uint8_t)(at * 7);
	for (int order = HOST; order <= SWAPPED; order++) {
		struct capture *capture = ng_begin(order, 1, 60, 9, 0);

		ng_put_interface(capture, 1, 0, 6, 3);
		ng_put_other(capture, 4, 20);
		for (uint32_t at = 0; at < 3; at++) {
			ng_put(capture, 0, 1000 + at, frame, at * 33, 100, 1000 + at);
			ng_put_other(capture, 5, 12);
			ng_put(capture, 1, at, frame, 100 - at, 100, 3000000000 + at * 1000);
			ng_put_other(capture, 0x0BAD, 0);
		}
		ng_put_section(capture);
		ng_put_interface(capture, 1, 0, 9, 0);
		ng_put(capture, 0, 5, frame, 17, 17, 5);
		damage_everywhere(capture, true);
		assert_int_equal(capture->packets, 7);
		free(capture);
	}
}

static int damage_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	size_t length = strlen(path);
	struct capture *capture;

	(void)place;
	/* One in four of those with a single packet will do: they are alike. */
	if (kind != FTW_F || length < 5 || strcmp(path + length - 5, ".pcap") != 0 ||
	    (status->st_size < 300 && path[length - 6] % 4 != 0 && !is_thorough()))
		return 0;
	capture = capture_load(path);
	assert_non_null(capture);
	damage_everywhere(capture, false);
	free(capture);
	return 0;
}

static void a_real_capture_keeps_what_is_before_the_damage(void **state)
{
	const char *folder = captures_folder();

	(void)state;
	if (!folder)
		skip();
	assert_int_equal(nftw(folder, damage_one, 8, FTW_PHYS), 0);
	print_message("%u files, %u cuts, %u flips\n", files, cuts, flips);
	assert_true(files > 10 && cuts > 5000 && flips >= files);
}

/* The largest block that libpcap allows is more than the stream's buffer holds. */
static void a_length_that_cannot_be_is_damage_and_no_wait(void **state)
{
	static const uint32_t lengths[] = {0, 8, 11, 13, 1u << 20, 1u << 24, (1u << 24) + 4, UINT32_MAX - 3, UINT32_MAX};

	(void)state;
	for (size_t at = 0; at < sizeof(lengths) / sizeof(lengths[0]); at++)
		for (int as_pipe = 0; as_pipe < 2; as_pipe++) {
			struct capture *capture = ng_begin(HOST, 1, 0, 9, 0);
			struct capture *classic = classic_begin(SWAPPED, true, 65535, 1);
			struct nt_source *source;

			ng_put(capture, 0, 5, (const uint8_t *)"abcd", 4, 4, 5);
			ng_put(capture, 0, 6, (const uint8_t *)"abcd", 4, 4, 6);
			memcpy(capture->bytes + capture->expected[1].begin + 4, &lengths[at], 4);
			source = open_bytes(capture->bytes, capture->size, as_pipe, all);
			assert_int_equal(drain(source, capture, 1), 1);
			assert_note(source, 1, capture->expected[1].begin);
			nt_source_close(source);
			free(capture);

			classic_put(classic, 1, 2, (const uint8_t *)"abcd", 4, 4);
			classic_put(classic, 1, 2, (const uint8_t *)"abcd", 4, 4);
			memcpy(classic->bytes + classic->expected[1].begin + 8, (uint8_t[]){0xFF, 0, 0, (uint8_t)lengths[at]}, 4);
			source = open_bytes(classic->bytes, classic->size, as_pipe, all);
			assert_int_equal(drain(source, classic, 1), 1);
			assert_note(source, 1, classic->expected[1].begin);
			nt_source_close(source);
			free(classic);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_crafted_capture_keeps_what_is_before_the_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_crafted_pcapng_keeps_what_is_before_the_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_real_capture_keeps_what_is_before_the_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_length_that_cannot_be_is_damage_and_no_wait, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
