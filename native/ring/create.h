/* SPDX-License-Identifier: Apache-2.0 */
/* Making and removing a ring's files, with the lock held. Not for callers. */
#ifndef NT_RING_CREATE_H
#define NT_RING_CREATE_H

#include "lock.h"
#include "ring.h"

#include <sys/stat.h>

/* Makes a new ring and maps it. Nothing is left of it when this fails. */
int nt_ring_create(struct nt_ring *ring, const struct nt_ring_options *options, const struct nt_ring_paths *paths,
		   struct nt_fault *fault);

/* Removes the descriptor, finished or not, and the data that it names. The lock file stays. */
int nt_ring_unlink(const struct nt_ring_paths *paths, const char *name, struct nt_fault *fault);

/* Maps the writer's side of two open files, prefaulted. */
int nt_ring_map(struct nt_ring *ring, const struct nt_ring_descriptor *checked, int descriptor_fd, int data_fd);

/* Whether `file` is the data file that this descriptor was made with. */
bool nt_ring_is_data(const struct nt_ring_descriptor *found, const struct stat *file);

/* Mode 0640, and the group that may read. */
int nt_ring_set_access(int fd, uint32_t group);

#endif
