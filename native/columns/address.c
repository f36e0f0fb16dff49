/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include "../ring/flow.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 64u
#define CAPACITY_MAX (1u << 30) /* an index is an int32 */

struct key {
	uint64_t low;
	uint64_t high;
	uint32_t family;
};

static inline struct key key_of(uint8_t family, const uint8_t *bytes)
{
	struct key key = {.family = family};
	uint32_t word;

	if (family == NT_FAMILY_IPV4) {
		memcpy(&word, bytes, 4); /* whole registers: half-written ones, read back at once, stall the processor */
		key.low = word;
	} else {
		memcpy(&key.low, bytes, 8);
		memcpy(&key.high, bytes + 8, 8);
	}
	return key;
}

static inline uint32_t hash_of(const struct key *key)
{
	uint64_t hash = (key->low ^ key->family) * 0x9E3779B97F4A7C15ull;

	hash = (hash ^ (hash >> 32) ^ key->high) * 0xC2B2AE3D27D4EB4Full;
	return (uint32_t)(hash >> 32);
}

static inline bool is_key(const struct nt_address *address, const struct key *key)
{
	uint64_t low, high;

	memcpy(&low, address->bytes, 8);
	memcpy(&high, address->bytes + 8, 8);
	return low == key->low && high == key->high && address->family == key->family;
}

static uint32_t *free_slot(uint32_t *slots, uint32_t slot_count, uint32_t hash)
{
	uint32_t at = hash & (slot_count - 1);

	while (slots[at])
		at = (at + 1) & (slot_count - 1);
	return &slots[at];
}

int nt_address_book_init(struct nt_address_book *book)
{
	memset(book, 0, sizeof(*book));
	book->addresses = calloc(CAPACITY_FIRST, sizeof(*book->addresses));
	book->slots = calloc((size_t)2 * CAPACITY_FIRST, sizeof(*book->slots));
	book->capacity = CAPACITY_FIRST;
	if (!book->addresses || !book->slots) {
		nt_address_book_free(book);
		return -ENOMEM;
	}
	return 0;
}

void nt_address_book_free(struct nt_address_book *book)
{
	free(book->addresses);
	free(book->slots);
	memset(book, 0, sizeof(*book));
}

static int grow(struct nt_address_book *book)
{
	uint32_t capacity = book->capacity * 2;
	struct nt_address *addresses;
	uint32_t *slots;

	if (book->capacity >= CAPACITY_MAX)
		return -ENOMEM;
	slots = calloc((size_t)2 * capacity, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	addresses = realloc(book->addresses, (size_t)capacity * sizeof(*addresses));
	if (!addresses) {
		free(slots);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < book->count; i++) {
		struct key key = key_of((uint8_t)addresses[i].family, addresses[i].bytes);

		*free_slot(slots, 2 * capacity, hash_of(&key)) = i + 1;
	}
	free(book->slots);
	book->addresses = addresses;
	book->slots = slots;
	book->capacity = capacity;
	return 0;
}

int nt_address_book_make_room(struct nt_address_book *book, uint32_t count)
{
	int error = 0;

	while (!error && book->capacity - book->count < count)
		error = grow(book);
	return error;
}

int32_t nt_address_index(struct nt_address_book *book, uint8_t family, const uint8_t *bytes)
{
	struct key key = key_of(family, bytes);
	uint32_t hash = hash_of(&key);
	uint32_t mask = 2 * book->capacity - 1;

	for (uint32_t at = hash & mask; book->slots[at]; at = (at + 1) & mask) {
		if (is_key(&book->addresses[book->slots[at] - 1], &key))
			return (int32_t)(book->slots[at] - 1);
	}
	if (book->count == book->capacity) {
		int error = grow(book);

		if (error)
			return error;
	}
	memcpy(book->addresses[book->count].bytes, &key.low, 8);
	memcpy(book->addresses[book->count].bytes + 8, &key.high, 8);
	book->addresses[book->count].family = family;
	*free_slot(book->slots, 2 * book->capacity, hash) = ++book->count;
	return (int32_t)(book->count - 1);
}
