/* SPDX-License-Identifier: Apache-2.0 */
/* One packet of a stream that is known: whether it goes on, leaves something out, or comes late, again or from the beginning. */
#ifndef NT_FEED_FOLLOW_H
#define NT_FEED_FOLLOW_H

#include "findings.h"

/* 0 or -ENOMEM. */
int nt_feed_follow(struct nt_feeds *feeds, uint32_t stream, const struct nt_tracked *packet);

#endif
