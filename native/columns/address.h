/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses seen, each with the index under which the columns name it. Only ever grows: an index means the same for as long as the
 * book lives, so that Arrow's dictionaries only ever grow too. */
#ifndef NT_ADDRESS_H
#define NT_ADDRESS_H

#include <stdint.h>

struct nt_address {
	uint8_t bytes[16]; /* network order; IPv4 in the first four, the rest zero */
	uint32_t family;   /* NT_FAMILY_* */
};

struct nt_address_book {
	struct nt_address *addresses; /* by index */
	uint32_t *slots;              /* hash table of index + 1; 0: free */
	uint32_t count;
	uint32_t capacity; /* of `addresses`; there are twice as many slots */
};

int nt_address_book_init(struct nt_address_book *book);
void nt_address_book_free(struct nt_address_book *book);

/* Makes sure that `count` more addresses can be entered without an error. Returns 0 or -ENOMEM. */
int nt_address_book_make_room(struct nt_address_book *book, uint32_t count);

/* Index of the address, entered if it is new; -ENOMEM. */
int32_t nt_address_index(struct nt_address_book *book, uint8_t family, const uint8_t *bytes);

#endif
