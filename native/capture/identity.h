/* SPDX-License-Identifier: Apache-2.0 */
/* Who the capture process is: nobody in particular, with no capability. */
#ifndef NT_CAPTURE_IDENTITY_H
#define NT_CAPTURE_IDENTITY_H

#include "../fault.h"

#include <stdbool.h>
#include <sys/types.h>

#define NT_IDENTITY_KEEP UINT32_MAX /* as a uid or gid: stay who we are */

/* Raises the limits that the loop needs while that is allowed (memory locking, real-time priority, open files), then gives every
 * privilege up for good: groups, ids, the capability sets, and the way back through exec. */
int nt_identity_drop(uid_t user, gid_t group, struct nt_fault *fault);

#endif
