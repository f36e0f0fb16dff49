/* SPDX-License-Identifier: Apache-2.0 */
/* Where a reader goes on after it was overtaken. Not for callers. */
#ifndef NT_RING_SEEK_H
#define NT_RING_SEEK_H

#include "reader.h"

/* Moves the reader to a record that is still intact. The sequence it expects stays, so that the next record shows what was lost.
 * -ESTALE when the writer was faster again. */
int nt_reader_resume_after(struct nt_reader *reader, enum nt_reader_resume resume);

#endif
