/* SPDX-License-Identifier: Apache-2.0 */
/* What the holder and the capture process have in common: how they are told to end, and how grave a line of theirs is. */
#ifndef NT_PROCESS_H
#define NT_PROCESS_H

#include "fault.h"

#include <sys/types.h>

/* Blocks SIGTERM and SIGINT, before any thread exists, and ignores SIGPIPE: a signal during set-up ends in an orderly way too.
 * Returns a descriptor that is readable once one of the two has come, or a negative errno. */
int nt_process_signals(struct nt_fault *fault);

/* SIGTERM when the parent dies; `parent` is who it was at start. Call it after any change of user, which undoes it. */
int nt_process_die_with(pid_t parent, struct nt_fault *fault);

/* syslog's priorities */
enum nt_level {
	NT_LEVEL_ERROR = 3,
	NT_LEVEL_WARNING = 4,
	NT_LEVEL_INFO = 6,
};

/* What goes before a line to stderr: "<4>" (sd-daemon(3)) where NANOTAPE_PRIORITIES is in the environment, for whoever started us
 * takes it for the line's level; else nothing. */
const char *nt_process_level(enum nt_level level);

#endif
