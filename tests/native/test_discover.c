/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what was seen, on frames made here. */
#include "columns/parse.h"
#include "discover/sightings.h"
#include "ring/layout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAME_MAX 256u

struct wanted { /* what a frame is made of */
	const char *source;
	const char *group;
	uint16_t port;
	uint16_t tags[3]; /* ids, outermost first */
	uint32_t tag_count;
	uint32_t payload;  /* bytes, which count up from 0xA0 */
	uint16_t fragment; /* the whole word of flags and offset */
};

static const struct wanted ORDINARY = {.source = "10.0.0.1", .group = "239.1.2.3", .port = 15000, .payload = 40};

static struct nt_sightings *sightings;

static int set_up(void **state)
{
	static const struct nt_sightings_filter everything;

	(void)state;
	return nt_sightings_create(&sightings, &everything);
}

static int tear_down(void **state)
{
	(void)state;
	nt_sightings_destroy(sightings);
	sightings = NULL;
	return 0;
}

static uint8_t *put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint8_t *put_address(uint8_t *at, const char *text)
{
	bool six = strchr(text, ':');

	assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, text, at), 1);
	return at + (six ? 16 : 4);
}

static uint8_t *put_ip(uint8_t *at, const struct wanted *wanted)
{
	uint32_t datagram = 8 + wanted->payload;
	uint8_t *start = at;

	if (strchr(wanted->group, ':')) {
		memcpy(at, "\x60\0\0\0", 4);
		at = put16(at + 4, datagram);
		*at++ = 17;
		*at++ = 16;
	} else {
		memcpy(at, "\x45\0", 2);
		put16(at + 2, 20 + datagram);
		put16(at + 6, wanted->fragment);
		memcpy(at + 8, "\x10\x11\0\0", 4);
		at += 12;
	}
	at = put_address(put_address(at, wanted->source), wanted->group);
	assert_true(at - start == 20 || at - start == 40);
	return at;
}

static uint32_t make_frame(uint8_t *frame, const struct wanted *wanted)
{
	uint8_t *at = frame + 12;

	memset(frame, 0, FRAME_MAX);
	for (uint32_t i = 0; i < wanted->tag_count; i++)
		at = put16(put16(at, i + 1 < wanted->tag_count ? 0x88A8 : 0x8100), wanted->tags[i]);
	at = put16(at, strchr(wanted->group, ':') ? 0x86DD : 0x0800);
	at = put_ip(at, wanted);
	at = put16(put16(at, 40000), wanted->port);
	at = put16(put16(at, 8 + wanted->payload), 0);
	for (uint32_t i = 0; i < wanted->payload; i++)
		*at++ = (uint8_t)(0xA0 + i);
	return (uint32_t)(at - frame);
}

/* From a heap block of exactly the captured bytes: AddressSanitizer sees a read beyond them. */
static void take_bytes(const uint8_t *frame, uint32_t captured, uint32_t wire, int64_t stamp_ns)
{
	uint8_t *copy = malloc(captured ? captured : 1);

	assert_non_null(copy);
	memcpy(copy, frame, captured);
	nt_sightings_take(sightings, copy, captured, wire, stamp_ns);
	free(copy);
}

static uint32_t take(const struct wanted *wanted, int64_t stamp_ns)
{
	uint8_t frame[FRAME_MAX];
	uint32_t bytes = make_frame(frame, wanted);

	take_bytes(frame, bytes, bytes, stamp_ns);
	return bytes;
}

static void what_differs_in_any_part_of_the_key_is_another_entry(void **state)
{
	struct wanted others[] = {ORDINARY, ORDINARY, ORDINARY, ORDINARY, ORDINARY, ORDINARY, ORDINARY};

	(void)state;
	others[1].source = "10.0.0.2";
	others[2].group = "239.1.2.4";
	others[3].port = 15001;
	others[4].tag_count = 1, others[4].tags[0] = 7;
	others[5].tag_count = 2, others[5].tags[0] = 7, others[5].tags[1] = 8;
	others[6].source = "fe80::1", others[6].group = "ff15::99";
	for (int round = 0; round < 3; round++)
		for (uint32_t i = 0; i < 7; i++)
			take(&others[i], 1);
	assert_int_equal(sightings->count, 7);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(sightings->entries[i].packets, 3);
	assert_int_equal(sightings->entries[5].vlan, 7);
	assert_int_equal(sightings->entries[5].inner_vlan, 8);
	assert_int_equal(sightings->entries[4].vlan, 7);
	assert_int_equal(sightings->entries[4].inner_vlan, NT_VLAN_NONE);
	assert_int_equal(sightings->entries[6].family, NT_FAMILY_IPV6);
	assert_memory_equal(sightings->entries[6].group, "\xff\x15\0\0\0\0\0\0\0\0\0\0\0\0\0\x99", 16);
	assert_memory_equal(sightings->entries[0].group, "\xef\1\2\3\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}

static void an_entry_counts_bytes_and_keeps_sizes_stamps_and_the_first_payload(void **state)
{
	struct wanted larger = ORDINARY;
	struct wanted smaller = ORDINARY;
	uint32_t bytes = take(&ORDINARY, 100);
	const struct nt_sighting *seen = sightings->entries;

	(void)state;
	larger.payload = 90;
	smaller.payload = 3;
	bytes += take(&larger, 200);
	bytes += take(&smaller, 300);
	assert_int_equal(seen->packets, 3);
	assert_int_equal(seen->bytes, bytes);
	assert_int_equal(seen->smallest, 42 + 3);
	assert_int_equal(seen->largest, 42 + 90);
	assert_int_equal(seen->first_ns, 100);
	assert_int_equal(seen->last_ns, 300);
	assert_int_equal(seen->sample_count, 3);
	assert_int_equal(seen->samples[0].payload_bytes, 40);
	assert_int_equal(seen->samples[0].kept_bytes, 40);
	assert_int_equal(seen->samples[1].payload_bytes, 90);
	assert_int_equal(seen->samples[1].kept_bytes, NT_SAMPLE_BYTES);
	assert_int_equal(seen->samples[2].stamp_ns, 300);
	for (uint32_t i = 0; i < NT_SAMPLE_BYTES; i++)
		assert_int_equal(seen->samples[1].payload[i], 0xA0 + i);
}

static void only_the_first_payloads_are_kept_and_never_another_entrys(void **state)
{
	struct wanted other = ORDINARY;

	(void)state;
	other.port = 1, other.payload = 5;
	for (int64_t i = 0; i < 3 * (int64_t)NT_SAMPLES; i++)
		take(&ORDINARY, i);
	take(&other, 99);
	assert_int_equal(sightings->entries[0].sample_count, NT_SAMPLES);
	assert_int_equal(sightings->entries[0].samples[NT_SAMPLES - 1].stamp_ns, NT_SAMPLES - 1);
	assert_int_equal(sightings->entries[1].sample_count, 1);
	assert_int_equal(sightings->entries[1].samples[0].payload_bytes, 5);
}

static void a_first_fragment_is_marked(void **state)
{
	struct wanted first = ORDINARY;

	(void)state;
	first.fragment = 0x2000;
	take(&first, 1);
	take(&ORDINARY, 2);
	assert_int_equal(sightings->entries[0].sample_count, 2);
	assert_int_equal(sightings->entries[0].samples[0].fragment, 1);
	assert_int_equal(sightings->entries[0].samples[0].payload[0], 0xA0);
	assert_int_equal(sightings->entries[0].samples[1].fragment, 0);
}

static void a_short_payload_is_kept_as_long_as_it_is(void **state)
{
	struct wanted tiny = ORDINARY;
	struct wanted empty = ORDINARY;

	(void)state;
	tiny.payload = 2;
	empty.payload = 0, empty.port = 1;
	take(&tiny, 1);
	take(&empty, 1);
	assert_int_equal(sightings->entries[0].samples[0].kept_bytes, 2);
	assert_int_equal(sightings->entries[1].packets, 1);
	assert_int_equal(sightings->entries[1].sample_count, 0);
}

static void a_frame_cut_short_counts_with_its_length_on_the_wire(void **state)
{
	uint8_t frame[FRAME_MAX];
	uint32_t bytes = make_frame(frame, &ORDINARY);

	(void)state;
	take_bytes(frame, 42 + 5, bytes, 1);
	assert_int_equal(sightings->entries[0].bytes, bytes);
	assert_int_equal(sightings->entries[0].samples[0].payload_bytes, 40);
	assert_int_equal(sightings->entries[0].samples[0].kept_bytes, 5);
}

static void a_priority_tag_is_no_vlan(void **state)
{
	struct wanted tagged = ORDINARY;

	(void)state;
	tagged.tag_count = 1;
	take(&tagged, 1);
	assert_int_equal(sightings->entries[0].vlan, NT_VLAN_NONE);
	tagged.tag_count = 2, tagged.tags[1] = 300;
	take(&tagged, 1);
	assert_int_equal(sightings->entries[1].vlan, 300);
	assert_int_equal(sightings->entries[1].inner_vlan, NT_VLAN_NONE);
	tagged.tags[0] = 300, tagged.tags[1] = 0;
	take(&tagged, 1);
	assert_int_equal(sightings->count, 2);
}

static void what_cannot_be_read_is_counted_and_makes_no_entry(void **state)
{
	struct wanted triple = ORDINARY;
	uint8_t frame[FRAME_MAX];
	uint32_t bytes = make_frame(frame, &ORDINARY);

	(void)state;
	triple.tag_count = 3;
	take(&triple, 1);
	take_bytes(frame, 30, bytes, 1);
	frame[23] = 6; /* TCP */
	take_bytes(frame, bytes, bytes, 1);
	assert_int_equal(sightings->unparsed, 3);
	assert_int_equal(sightings->packets, 3);
	assert_int_equal(sightings->count, 0);
}

static void a_first_fragment_names_its_port_and_a_later_one_does_not(void **state)
{
	struct wanted first = ORDINARY;
	struct wanted later = ORDINARY;

	(void)state;
	first.fragment = 0x2000;
	later.fragment = 0x0007;
	take(&first, 1);
	take(&later, 1);
	assert_int_equal(sightings->count, 1);
	assert_int_equal(sightings->fragments, 1);
	assert_int_equal(sightings->entries[0].port, 15000);
	assert_int_equal(sightings->entries[0].samples[0].kept_bytes, 40);
	assert_int_equal(sightings->entries[0].samples[0].payload[0], 0xA0); /* not UDP's header */
}

/* The source address counts up; every one of them is another flow. */
static void take_senders(uint32_t first, uint32_t count)
{
	uint8_t frame[FRAME_MAX];
	uint32_t bytes = make_frame(frame, &ORDINARY);

	for (uint32_t i = first; i < first + count; i++) {
		put16(frame + 26, i >> 16);
		put16(frame + 28, i);
		nt_sightings_take(sightings, frame, bytes, bytes, 1);
	}
}

static void a_full_table_goes_on_counting_what_it_holds_and_says_what_it_could_not_keep(void **state)
{
	(void)state;
	take_senders(0, NT_SIGHTINGS_MAX);
	assert_int_equal(sightings->count, NT_SIGHTINGS_MAX);
	assert_int_equal(sightings->not_kept, 0);
	take_senders(NT_SIGHTINGS_MAX - 10, 110);
	assert_int_equal(sightings->count, NT_SIGHTINGS_MAX);
	assert_int_equal(sightings->not_kept, 100);
	for (uint32_t i = 0; i < NT_SIGHTINGS_MAX; i++) {
		assert_int_equal(sightings->entries[i].packets, i < NT_SIGHTINGS_MAX - 10 ? 1 : 2);
		assert_int_equal(ntohl(*(const uint32_t *)(const void *)sightings->entries[i].source), i);
	}
}

static void filter_with(const struct nt_prefix *groups, uint32_t group_count, const uint16_t *ports, uint32_t port_count)
{
	struct nt_sightings_filter filter = {.groups = groups,
					     .group_count = group_count,
					     .ports = ports,
					     .port_count = port_count};

	nt_sightings_destroy(sightings);
	assert_int_equal(nt_sightings_create(&sightings, &filter), 0);
}

static bool passes(const char *group, uint16_t port)
{
	struct wanted wanted = ORDINARY;
	uint64_t before = sightings->filtered;

	wanted.group = group;
	wanted.port = port;
	if (strchr(group, ':'))
		wanted.source = "fe80::1";
	take(&wanted, 1);
	return sightings->filtered == before;
}

static void a_filter_of_groups_takes_whole_prefixes_of_its_family(void **state)
{
	static const struct nt_prefix groups[] = {
		{.address = {239, 1, 0xC0}, .family = NT_FAMILY_IPV4, .bits = 18},
		{.address = {224, 9, 9, 9}, .family = NT_FAMILY_IPV4, .bits = 32},
		{.address = {0xFF, 0x15}, .family = NT_FAMILY_IPV6, .bits = 128},
	};

	(void)state;
	filter_with(groups, 3, NULL, 0);
	assert_true(passes("239.1.192.0", 1));
	assert_true(passes("239.1.255.255", 1));
	assert_false(passes("239.1.191.255", 1));
	assert_false(passes("239.2.192.0", 1));
	assert_true(passes("224.9.9.9", 1));
	assert_false(passes("224.9.9.8", 1));
	assert_true(passes("ff15::", 1));
	assert_false(passes("ff15::1", 1));
	assert_int_equal(sightings->filtered, 4);
	assert_int_equal(sightings->count, 4);
}

static void a_filter_of_ports_and_groups_wants_both(void **state)
{
	static const struct nt_prefix all_ipv4 = {.family = NT_FAMILY_IPV4};
	static const uint16_t ports[] = {1000, 2000};

	(void)state;
	filter_with(NULL, 0, ports, 2);
	assert_true(passes("239.1.2.3", 2000));
	assert_false(passes("239.1.2.3", 3000));
	filter_with(&all_ipv4, 1, ports, 1);
	assert_true(passes("239.1.2.3", 1000));
	assert_false(passes("239.1.2.3", 2000));
	assert_false(passes("ff15::1", 1000));
}

static void a_filter_that_cannot_be_is_refused(void **state)
{
	struct nt_prefix group = {.family = NT_FAMILY_IPV4, .bits = 33};
	struct nt_sightings_filter filter = {.groups = &group, .group_count = 1};
	struct nt_sightings *none = NULL;

	(void)state;
	assert_int_equal(nt_sightings_create(&none, &filter), -EINVAL);
	group = (struct nt_prefix){.family = 5, .bits = 3};
	assert_int_equal(nt_sightings_create(&none, &filter), -EINVAL);
	assert_null(none);
}

static uint32_t random_u32(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

static void damaged_frames_are_all_accounted_for(void **state)
{
	uint64_t seed = 7;
	uint64_t sum;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		struct wanted wanted = ORDINARY;
		uint8_t frame[FRAME_MAX];
		uint32_t bytes;

		wanted.tag_count = random_u32(&seed) % 4;
		if (random_u32(&seed) % 2)
			wanted.source = "fe80::1", wanted.group = "ff15::99";
		bytes = make_frame(frame, &wanted);
		for (uint32_t flips = random_u32(&seed) % 4; flips; flips--)
			frame[random_u32(&seed) % bytes] ^= (uint8_t)(1u << random_u32(&seed) % 8);
		take_bytes(frame, random_u32(&seed) % 3 ? bytes : random_u32(&seed) % (bytes + 1), bytes, i);
	}
	sum = sightings->unparsed + sightings->fragments + sightings->filtered + sightings->not_kept;
	for (uint64_t i = 0; i < sightings->count; i++)
		sum += sightings->entries[i].packets;
	assert_int_equal(sightings->packets, 100000);
	assert_int_equal(sum, sightings->packets);
	assert_true(sightings->unparsed > 0 && sightings->count > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_differs_in_any_part_of_the_key_is_another_entry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_entry_counts_bytes_and_keeps_sizes_stamps_and_the_first_payload, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(only_the_first_payloads_are_kept_and_never_another_entrys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_first_fragment_is_marked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_short_payload_is_kept_as_long_as_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_frame_cut_short_counts_with_its_length_on_the_wire, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_priority_tag_is_no_vlan, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_counted_and_makes_no_entry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_first_fragment_names_its_port_and_a_later_one_does_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_table_goes_on_counting_what_it_holds_and_says_what_it_could_not_keep, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_filter_of_groups_takes_whole_prefixes_of_its_family, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_filter_of_ports_and_groups_wants_both, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_filter_that_cannot_be_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_frames_are_all_accounted_for, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
