/* SPDX-License-Identifier: Apache-2.0 */
/* A seeded stream of 64-bit numbers (splitmix64): the same on every machine, so that payloads can be made again from a log. */
#ifndef NT_SIMULATE_RANDOM_H
#define NT_SIMULATE_RANDOM_H

#include <stdint.h>

struct nt_random {
	uint64_t state;
};

static inline uint64_t nt_random_next(struct nt_random *random)
{
	uint64_t word = random->state += 0x9E3779B97F4A7C15ull;

	word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ull;
	word = (word ^ (word >> 27)) * 0x94D049BB133111EBull;
	return word ^ (word >> 31);
}

/* Uniform in [0, bound), without a division; `bound` must be below 2^32. */
static inline uint32_t nt_random_below(struct nt_random *random, uint32_t bound)
{
	return (uint32_t)(((nt_random_next(random) >> 32) * bound) >> 32);
}

/* Streams of one seed: market, packet sizes and schedule must not shift each other. */
static inline struct nt_random nt_random_stream(uint64_t seed, uint64_t stream)
{
	struct nt_random random = {.state = seed};

	random.state = nt_random_next(&random) ^ (stream * 0xD6E8FEB86659FD93ull);
	nt_random_next(&random);
	return random;
}

#endif
