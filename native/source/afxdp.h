/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NT_SOURCE_AFXDP_H
#define NT_SOURCE_AFXDP_H

#include "../fault.h"
#include "../holder/lend.h"
#include "source.h"

#define NT_AFXDP_FRAMES_MIN 64u /* of a lane; as config/settings.py says */

/* Adopts a borrowed lane: maps its rings and UMEM, mends the fill ring if the last borrower died between two stores. Takes no
 * privilege. The lane's file descriptors stay the caller's. */
int nt_afxdp_adopt(struct nt_source **source, const struct nt_borrowed_lane *lane, uint64_t holder_id, struct nt_fault *fault);

#endif
