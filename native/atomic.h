/* SPDX-License-Identifier: Apache-2.0 */
/* The six orderings that nanotape uses, by name. Shared memory is touched through these and nothing else, so that a reader of the
 * code can find each barrier of PROTOCOL.md by its letter. */
#ifndef NT_ATOMIC_H
#define NT_ATOMIC_H

#include <stdint.h>

static inline uint64_t nt_load_relaxed(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint64_t nt_load_acquire(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void nt_store_relaxed(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void nt_store_release(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void nt_fence_acquire(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void nt_fence_release(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/* A counter with one writer: no locked instruction, yet never torn for those who read it. */
static inline void nt_count(uint64_t *counter, uint64_t increment)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + increment, __ATOMIC_RELAXED);
}

#endif
