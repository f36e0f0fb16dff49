/* SPDX-License-Identifier: Apache-2.0 */
#include "crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82F63B78u /* Castagnoli, bits reversed */

uint32_t nt_crc32c_portable(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *byte = data;

	crc = ~crc;
	while (bytes--) {
		crc ^= *byte++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *byte = data;
	uint64_t state = ~crc;

	for (; bytes >= 8; bytes -= 8, byte += 8) {
		uint64_t word;

		memcpy(&word, byte, 8);
		state = __builtin_ia32_crc32di(state, word);
	}
	while (bytes--)
		state = __builtin_ia32_crc32qi((uint32_t)state, *byte++);
	return ~(uint32_t)state;
}
#endif

uint32_t nt_crc32c(uint32_t crc, const void *data, size_t bytes)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, data, bytes);
#endif
	return nt_crc32c_portable(crc, data, bytes);
}
