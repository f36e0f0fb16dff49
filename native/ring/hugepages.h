/* SPDX-License-Identifier: Apache-2.0 */
/* Where a ring's data lie: on hugetlbfs, or in the fallback directory. Not for callers. */
#ifndef NT_RING_HUGEPAGES_H
#define NT_RING_HUGEPAGES_H

#include "ring.h"

struct nt_placement {
	char path[256];       /* of the data file */
	uint32_t memory_kind; /* enum nt_memory_kind */
	uint32_t page_bytes_log2;
	uint64_t bytes; /* the capacity, rounded up for this page size */
};

/* A place on hugetlbfs as `options` ask; fails when there is no such mount. */
int nt_placement_huge(struct nt_placement *placement, const struct nt_ring_options *options, struct nt_fault *fault);

/* The fallback. */
int nt_placement_shm(struct nt_placement *placement, const struct nt_ring_options *options, const char *path,
		     struct nt_fault *fault);

/* Makes the file with all of its pages (lack of them is an error here and no SIGBUS later), but without a name yet: it goes with
 * `fd`, which is -1 when this fails. */
int nt_placement_allocate(const struct nt_placement *placement, int *fd, const char *name, struct nt_fault *fault);

/* Gives it its name; -EEXIST when something is there. */
int nt_placement_link(const struct nt_placement *placement, int fd, const char *name, struct nt_fault *fault);

/* Maps `bytes` of `fd` for the writer with every page in place. */
int nt_map_populated(void **mapping, int fd, uint64_t bytes);

/* fallocate that is not put off by signals. 0 or a negative errno. */
int nt_allocate_blocks(int fd, uint64_t bytes);

#endif
