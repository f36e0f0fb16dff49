/* SPDX-License-Identifier: Apache-2.0 */
/* A ring's paths, and the lock that makes one process its writer; the holder takes such a lock too, while it starts. */
#ifndef NT_RING_LOCK_H
#define NT_RING_LOCK_H

#include "../fault.h"

#include <stdbool.h>
#include <stddef.h>

struct nt_ring_paths {
	char descriptor[336];
	char lock[336];
	char data[336]; /* of the fallback */
};

/* Refuses names that could leave the directory, and the empty one. */
int nt_ring_paths_make(struct nt_ring_paths *paths, const char *directory, const char *name, struct nt_fault *fault);

/* Takes the lock without waiting and writes our pid into its file; -EBUSY names the process that has it. */
int nt_lock_take(int *lock_fd, const char *path, const char *name, struct nt_fault *fault);

/* Gives it back; with `remove`, the file goes too. */
void nt_lock_release(int lock_fd, const char *path, bool remove);

#endif
