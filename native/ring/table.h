/* SPDX-License-Identifier: Apache-2.0 */
/* Between the ring's own files: not for callers. */
#ifndef NT_RING_TABLE_H
#define NT_RING_TABLE_H

#include "ring.h"

/* Enters the next epoch, beginning at the ring's tail with `first_seq`, and makes this process the ring's writer. */
void nt_ring_epoch_begin(struct nt_ring *ring, uint64_t holder_id, uint64_t first_seq);

#endif
