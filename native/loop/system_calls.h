/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of a spinning loop: it must make none while it captures. One that it makes all the same is a defect: counted in the
 * ring's descriptor, told, and let through. */
#ifndef NT_LOOP_SYSTEM_CALLS_H
#define NT_LOOP_SYSTEM_CALLS_H

#include "../ring/layout.h"

#include <stdbool.h>
#include <stddef.h>

#define NT_CALLS_TELL_NS 10000000000 /* between two lines */

/* Who has been told what. Begin with `told` as the ring has it: what earlier loops did, their processes have told. */
struct nt_call_teller {
	uint64_t told;
	int64_t quiet_until_ns;
};

/* Waits for one question at a filter's listener, and answers it. Takes no lock: the loop's thread may hold any while it waits for us.
 * False when the filter's thread has ended, or cannot be answered: close the listener, so that no call hangs. */
bool nt_system_calls_answer(int listener, int64_t wait_ns, struct nt_ring_descriptor *ring);
/* Writes one line of what is new; false: nothing is, or it is too soon. `now_ns` of any clock that does not step; INT64_MAX: the last
 * chance. */
bool nt_system_calls_tell(struct nt_call_teller *teller, const struct nt_ring_descriptor *ring, int64_t now_ns, char *line,
			  size_t bytes);
/* "openat", or "number 12345". Of this machine's architecture. */
void nt_system_call_name(uint32_t number, char *name, size_t bytes);

#endif
