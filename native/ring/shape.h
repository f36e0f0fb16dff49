/* SPDX-License-Identifier: Apache-2.0 */
/* A ring's shape follows from its capacity alone. Not for callers. */
#ifndef NT_RING_SHAPE_H
#define NT_RING_SHAPE_H

#include "ring.h"

#define NT_RING_CAPACITY_MAX (1ull << 40)

/* `capacity` rounded up to a power of two and to whole pages; 0 when it is out of range. */
uint64_t nt_shape_capacity(uint64_t capacity, uint32_t page_bytes_log2);

/* Fills version, capacity, limits and offsets. */
void nt_shape_fill(struct nt_ring_descriptor *descriptor, uint64_t capacity);

/* Whether a descriptor, copied from a file of `file_bytes`, is of this version and has the shape of its capacity. */
int nt_shape_check(const struct nt_ring_descriptor *descriptor, uint64_t file_bytes, const char *path, struct nt_fault *fault);

/* Points `ring` into its mappings and takes the checked copies. */
void nt_shape_bind(struct nt_ring *ring, const struct nt_ring_descriptor *checked, void *file, void *data);

/* Everything that is not zero in a new ring, but for the magic. */
void nt_shape_initialize(struct nt_ring *ring);

#endif
