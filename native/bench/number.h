/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a verb's command line. */
#ifndef NT_BENCH_NUMBER_H
#define NT_BENCH_NUMBER_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Decimal, at most `most`; anything else leaves `number` as it is and returns false. */
static inline bool nt_bench_number(const char *text, uint64_t most, uint64_t *number)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value > most)
		return false;
	*number = value;
	return true;
}

#endif
