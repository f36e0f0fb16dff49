/* SPDX-License-Identifier: Apache-2.0 */
/* Stamps that are the low bits of a counter, whose time the switch tells about once a second in a keyframe of its own. */
#ifndef NT_SWITCH_TICK_H
#define NT_SWITCH_TICK_H

#include "switch_stamp.h"

/* Whether the frame is a keyframe of this form, which it then remembers. */
bool nt_switch_take_keyframe(struct nt_switch *state, uint32_t form, const struct nt_switch_frame *frame);

enum nt_switch_tick { NT_SWITCH_TICK_NONE = 0, NT_SWITCH_TICK_WITHOUT_KEYFRAME = 1, NT_SWITCH_TICK_READ = 2 };

/* Reads the tick at the end of a frame. Of several devices, and of several rounds of the counter, that is taken which comes nearest to
 * the capture's stamp: a frame does not say whose it is. */
enum nt_switch_tick nt_switch_read_tick(struct nt_switch *state, const struct nt_switch_frame *frame,
					struct nt_switch_stamp *stamp);

#endif
