/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of a session: those that a holder lends, and those that the capture process opens itself. */
#ifndef NT_CAPTURE_SOURCES_H
#define NT_CAPTURE_SOURCES_H

#include "session.h"

/* Opens all that the plan names; what a holder lends was borrowed before. On a fault, close all the same. */
int nt_sources_open(struct nt_session *session, struct nt_fault *fault);

/* Once no loop uses them any more. */
void nt_sources_close(struct nt_session *session);

#endif
