/* SPDX-License-Identifier: Apache-2.0 */
#include "sightings.h"

#include "../columns/parse.h"
#include "../ring/layout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS (2u * NT_SIGHTINGS_MAX)
#define KEY_BYTES 40u
#define KEY_WORDS (KEY_BYTES / 8u)
#define ADDRESSES_END 12u /* of the Ethernet header: where type or tag stands */
#define TAG_BYTES 4u
#define UDP_BYTES 8u

_Static_assert(offsetof(struct nt_sighting, smallest) == KEY_BYTES, "the key is what stands before");
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "a mask");

struct table {
	struct nt_sightings sightings; /* first: its address is the table's */
	uint64_t seed;                 /* so that nobody can choose addresses that all hash alike */
	uint32_t group_count;
	uint32_t port_count;
	struct nt_prefix *groups;
	uint16_t *ports;
	struct nt_sighting entries[NT_SIGHTINGS_MAX];
	uint32_t slots[SLOTS]; /* index of an entry + 1; 0: free */
};

static bool filter_is_sound(const struct nt_sightings_filter *filter)
{
	for (uint32_t i = 0; i < filter->group_count; i++) {
		const struct nt_prefix *group = &filter->groups[i];

		if (group->family != NT_FAMILY_IPV4 && group->family != NT_FAMILY_IPV6)
			return false;
		if (group->bits > (group->family == NT_FAMILY_IPV4 ? 32 : 128))
			return false;
	}
	return true;
}

static void *copy_of(const void *list, size_t bytes)
{
	void *copy = malloc(bytes ? bytes : 1);

	if (copy && bytes)
		memcpy(copy, list, bytes);
	return copy;
}

int nt_sightings_create(struct nt_sightings **sightings, const struct nt_sightings_filter *filter)
{
	struct table *table;

	if (!filter_is_sound(filter))
		return -EINVAL;
	table = calloc(1, sizeof(*table)); /* pages that are never touched are never made */
	if (!table)
		return -ENOMEM;
	table->sightings.entries = table->entries;
	table->group_count = filter->group_count;
	table->port_count = filter->port_count;
	table->groups = copy_of(filter->groups, filter->group_count * sizeof(*filter->groups));
	table->ports = copy_of(filter->ports, filter->port_count * sizeof(*filter->ports));
	if (!table->groups || !table->ports) {
		nt_sightings_destroy(&table->sightings);
		return -ENOMEM;
	}
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) < 0)
		table->seed = 0; /* early at boot: any seed will do */
	*sightings = &table->sightings;
	return 0;
}

void nt_sightings_destroy(struct nt_sightings *sightings)
{
	struct table *table = (struct table *)sightings;

	if (!table)
		return;
	free(table->groups);
	free(table->ports);
	free(table);
}

static uint32_t slot_of(const struct nt_sighting *key, uint64_t seed)
{
	uint64_t words[KEY_WORDS];
	uint64_t hash = seed;

	memcpy(words, key, KEY_BYTES);
	for (uint32_t i = 0; i < KEY_WORDS; i++) {
		hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15ull;
		hash ^= hash >> 32;
	}
	return (uint32_t)(hash * 0xC2B2AE3D27D4EB4Full >> 32) & (SLOTS - 1);
}

/* The entry of this key, made if it is new; NULL when there is no room for another. */
static struct nt_sighting *entry_of(struct table *table, const struct nt_sighting *key)
{
	uint32_t at = slot_of(key, table->seed);
	struct nt_sighting *entry;

	for (; table->slots[at]; at = (at + 1) & (SLOTS - 1)) {
		entry = &table->entries[table->slots[at] - 1];
		if (memcmp(entry, key, KEY_BYTES) == 0)
			return entry;
	}
	if (table->sightings.count == NT_SIGHTINGS_MAX)
		return NULL;
	entry = &table->entries[table->sightings.count++];
	memcpy(entry, key, KEY_BYTES);
	table->slots[at] = (uint32_t)table->sightings.count;
	return entry;
}

static bool begins_with(const uint8_t *address, const struct nt_prefix *prefix)
{
	uint32_t whole = prefix->bits / 8u;
	uint32_t rest = prefix->bits % 8u;

	if (memcmp(address, prefix->address, whole) != 0)
		return false;
	return rest == 0 || (address[whole] ^ prefix->address[whole]) >> (8 - rest) == 0;
}

static bool wanted(const struct table *table, const struct nt_sighting *key)
{
	bool group = table->group_count == 0;
	bool port = table->port_count == 0;

	for (uint32_t i = 0; i < table->group_count && !group; i++)
		group = key->family == table->groups[i].family && begins_with(key->group, &table->groups[i]);
	for (uint32_t i = 0; i < table->port_count && !port; i++)
		port = key->port == table->ports[i];
	return group && port;
}

static uint16_t be16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static bool is_tag(uint16_t type)
{
	return type == 0x8100 || type == 0x88A8 || type == 0x9100;
}

/* Of a frame that was parsed, so that all of its tags are there. Id 0 is a priority and no VLAN. */
static void read_vlans(struct nt_sighting *key, const uint8_t *frame)
{
	key->vlan = NT_VLAN_NONE;
	key->inner_vlan = NT_VLAN_NONE;
	for (const uint8_t *tag = frame + ADDRESSES_END; is_tag(be16(tag)); tag += TAG_BYTES) {
		uint16_t id = be16(tag + 2) & 0x0FFF;

		if (id && key->vlan == NT_VLAN_NONE)
			key->vlan = id;
		else if (id)
			key->inner_vlan = id;
	}
}

static void read_key(struct nt_sighting *key, const struct nt_frame *parsed, const uint8_t *frame)
{
	uint32_t bytes = parsed->family == NT_FAMILY_IPV4 ? 4 : 16;

	memset(key, 0, KEY_BYTES);
	memcpy(key->source, parsed->src, bytes);
	memcpy(key->group, parsed->dst, bytes);
	key->family = parsed->family;
	key->port = parsed->dst_port;
	read_vlans(key, frame);
}

static void keep_sample(struct nt_sighting *entry, const struct nt_frame *parsed, const uint8_t *frame, int64_t stamp_ns)
{
	/* The header of a fragment ends after IP. */
	bool fragment = parsed->flags & NT_RECORD_FRAGMENT;
	uint32_t udp = fragment ? UDP_BYTES : 0;
	struct nt_sample *sample;
	uint32_t kept;

	if (entry->sample_count == NT_SAMPLES || parsed->payload_bytes <= udp)
		return;
	sample = &entry->samples[entry->sample_count++];
	kept = parsed->payload_bytes - udp;
	if (kept > NT_SAMPLE_BYTES)
		kept = NT_SAMPLE_BYTES;
	sample->stamp_ns = stamp_ns;
	sample->payload_bytes = parsed->payload_length - udp;
	sample->kept_bytes = (uint16_t)kept;
	sample->fragment = fragment;
	memcpy(sample->payload, frame + parsed->header_bytes + udp, kept);
}

static void count(struct nt_sighting *entry, uint32_t wire_length, int64_t stamp_ns)
{
	entry->packets++;
	entry->bytes += wire_length;
	entry->last_ns = stamp_ns;
	if (wire_length < entry->smallest)
		entry->smallest = wire_length;
	if (wire_length > entry->largest)
		entry->largest = wire_length;
}

void nt_sightings_take(struct nt_sightings *sightings, const uint8_t *frame, uint32_t capture_length, uint32_t wire_length,
		       int64_t stamp_ns)
{
	struct table *table = (struct table *)sightings;
	struct nt_sighting *entry;
	struct nt_sighting key;
	struct nt_frame parsed;

	sightings->packets++;
	nt_frame_parse(&parsed, frame, capture_length, wire_length, 0);
	if (parsed.flags & NT_RECORD_UNPARSED) {
		sightings->unparsed++;
		return;
	}
	if (!parsed.has_ports) {
		sightings->fragments++;
		return;
	}
	read_key(&key, &parsed, frame);
	if (!wanted(table, &key)) {
		sightings->filtered++;
		return;
	}
	entry = entry_of(table, &key);
	if (!entry) {
		sightings->not_kept++;
		return;
	}
	if (entry->packets == 0) {
		entry->smallest = UINT32_MAX;
		entry->first_ns = stamp_ns;
	}
	keep_sample(entry, &parsed, frame, stamp_ns);
	count(entry, wire_length, stamp_ns);
}
