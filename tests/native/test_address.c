/* SPDX-License-Identifier: Apache-2.0 */
/* The address book: an index means the same address for as long as the book lives. */
#include "columns/address.h"
#include "ring/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_address_book_keeps_every_index_while_it_grows(void **state)
{
	struct nt_address_book book;
	uint8_t bytes[16] = {0};

	(void)state;
	assert_int_equal(nt_address_book_init(&book), 0);
	for (int pass = 0; pass < 2; pass++) {
		for (int32_t i = 0; i < 10000; i++) { /* pairs that differ in the family alone */
			memcpy(bytes, &i, sizeof(i));
			assert_int_equal(nt_address_index(&book, NT_FAMILY_IPV4, bytes), 2 * i);
			assert_int_equal(nt_address_index(&book, NT_FAMILY_IPV6, bytes), 2 * i + 1);
		}
	}
	assert_int_equal(book.count, 20000);
	nt_address_book_free(&book);
}

static void an_ipv6_address_is_not_taken_for_the_ipv4_one_with_its_bytes(void **state)
{
	struct nt_address_book book;
	uint8_t bytes[16] = {10, 0, 0, 1};

	(void)state;
	assert_int_equal(nt_address_book_init(&book), 0);
	assert_int_equal(nt_address_index(&book, NT_FAMILY_IPV4, bytes), 0);
	assert_int_equal(nt_address_index(&book, NT_FAMILY_IPV6, bytes), 1);
	assert_int_equal(nt_address_index(&book, NT_FAMILY_IPV4, bytes), 0);
	nt_address_book_free(&book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_address_book_keeps_every_index_while_it_grows),
		cmocka_unit_test(an_ipv6_address_is_not_taken_for_the_ipv4_one_with_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
