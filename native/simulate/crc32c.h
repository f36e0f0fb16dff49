/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NT_SIMULATE_CRC32C_H
#define NT_SIMULATE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli) of `bytes` at `data`, going on from `crc` (0 to begin): crc32c("123456789") = 0xE3069283. */
uint32_t nt_crc32c(uint32_t crc, const void *data, size_t bytes);
/* The same without the processor's instruction, for machines that lack it and for the test that compares the two. */
uint32_t nt_crc32c_portable(uint32_t crc, const void *data, size_t bytes);

#endif
