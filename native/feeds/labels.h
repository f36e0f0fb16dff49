/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and keys seen, each with the index under which the columns name it. Only ever grows, up to a limit: what a wrong framing
 * makes of noise must not fill the memory. */
#ifndef NT_FEED_LABELS_H
#define NT_FEED_LABELS_H

#include "decode.h"

#define NT_LABELS_MAX 65536u

struct nt_labels {
	struct nt_label *labels; /* by index */
	uint32_t *slots;         /* hash table of index + 1; 0: free */
	uint32_t count;
	uint32_t capacity; /* of `labels`; there are twice as many slots */
};

int nt_labels_init(struct nt_labels *labels);
void nt_labels_free(struct nt_labels *labels);

/* Index of the label, entered if it is new; -1: of no kind, or there are NT_LABELS_MAX, or no memory. */
int32_t nt_label_index(struct nt_labels *labels, const struct nt_label *label);

#endif
