/* SPDX-License-Identifier: Apache-2.0 */
/* One run of the capture process: what it borrows, the ring it writes, its sources and the loop over them. */
#ifndef NT_CAPTURE_SESSION_H
#define NT_CAPTURE_SESSION_H

#include "../holder/lend.h"
#include "../loop/loop.h"
#include "../plan/plan.h"
#include "../source/selector.h"

#include <stdio.h>

struct nt_session {
	struct nt_plan plan;
	struct nt_borrowed borrowed;
	bool borrows;
	struct nt_ring ring;
	bool attached;
	uint64_t next_seq;
	struct nt_source *sources[NT_LOOP_SOURCES_MAX];
	uint32_t source_count;
	struct nt_selector *selectors[NT_PLAN_SOURCES_MAX]; /* by the plan's sources; NULL: that kind does not judge frames here */
	struct nt_loop *loop;
	struct nt_call_teller teller;
};

/* Loads the plan, borrows, opens, attaches, starts. `resume`: a predecessor of this process had begun the plan's file. On a fault
 * everything is closed again. */
int nt_session_open(struct nt_session *session, const char *plan_path, bool resume, struct nt_fault *fault);

/* What the operator should know of a session that runs, one line each; nothing when all is as asked for. */
void nt_session_describe(const struct nt_session *session, FILE *out);

/* What there is to say now of system calls that its loop makes, against its duty. To be called again and again; `now_ns` as for
 * nt_system_calls_tell. */
void nt_session_tell(struct nt_session *session, int64_t now_ns, FILE *out);

/* Readable (EOF) when the holder is gone; -1: no holder. */
int nt_session_holder_fd(const struct nt_session *session);
/* Whether it is; not to be asked without one. */
bool nt_session_holder_is_gone(const struct nt_session *session);

/* Drains, ends the loop. Returns as nt_loop_stop. */
int nt_session_stop(struct nt_session *session);
/* After nt_session_stop: a finite source that ended at damage, which its note names; NULL: none. */
const struct nt_source *nt_session_damaged(const struct nt_session *session);
void nt_session_close(struct nt_session *session);

#endif
