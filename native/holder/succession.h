/* SPDX-License-Identifier: Apache-2.0 */
/* How a holder hands all that it holds to its heir, another holder with other flows, without a gap: over the socket of --succession,
 * whose other end is the supervisor's alone, so that nobody else can ask for it.
 *
 *     heir                                          holder
 *     struct nt_heir, with a connection  ------>    goes on as it was, and lends
 *                                        <------    struct nt_will, struct nt_will_program each, struct nt_lend_lane each
 *     loads its program over the maps it was left, joins its groups, waits for its cue
 *     updates the links: from now on its flows are selected
 *     struct nt_heir                     ------>    ends, and leaves the listening socket where it is
 *
 * A connection that closes before the last message is the heir's death: the holder puts its own programs back. */
#ifndef NT_SUCCESSION_H
#define NT_SUCCESSION_H

#include "holder.h"

#define NT_WILL_MAGIC 0x4C4C4957544Eull
#define NT_WILL_VERSION 1u

enum nt_will_status {
	NT_WILL_OK = 0,
	NT_WILL_BUSY = 1,   /* another heir has asked before */
	NT_WILL_PACKET = 2, /* sockets of another kind: their filters cannot be replaced */
	NT_WILL_OTHER_VERSION = 3,
};

struct nt_heir { /* fds, of the first: the connection */
	uint64_t magic;
	uint32_t version;
	uint32_t reserved;
};

struct nt_will { /* fds: the listening socket, the plan as a memfd */
	uint64_t magic;
	uint32_t version;
	uint32_t status; /* enum nt_will_status; unless OK nothing follows */
	uint64_t holder_id;
	uint32_t program_count;
	uint32_t lane_count;
};
#define NT_WILL_FDS 2u

struct nt_will_program {
	char interface[16];
	uint32_t ifindex;
	uint32_t stamp_kind;
	uint32_t skb_mode;
	uint32_t reserved;
};
enum nt_will_program_fd { NT_WILL_LINK, NT_WILL_CODE, NT_WILL_SOCKETS, NT_WILL_COUNTERS, NT_WILL_SEQUENCES, NT_WILL_PROGRAM_FDS };

_Static_assert(sizeof(struct nt_heir) == 16, "heir");
_Static_assert(sizeof(struct nt_will) == 32, "will");
_Static_assert(sizeof(struct nt_will_program) == 32, "program");

/* bequeath.c: the holder's side. */
int nt_bequeath(int connection, const struct nt_holder *holder, int listener);
int nt_bequeath_refuse(int connection, enum nt_will_status status);
/* Puts back the programs that an heir may have replaced. */
int nt_bequeath_revoke(const struct nt_holder *holder, struct nt_fault *fault);

/* inherit.c: the heir's side. */
struct nt_inheritance {
	int connection;
	struct nt_plan before;          /* by which the holder opened what it leaves */
	int codes[NT_PLAN_SOURCES_MAX]; /* its programs */
	uint32_t code_count;
	int listener;
};

/* Takes over and prepares all: nothing of the holder's is changed yet. To be closed whatever comes of it. */
int nt_inherit(struct nt_inheritance *inheritance, struct nt_holder *holder, int succession, struct nt_fault *fault);
/* Has this holder's programs select from now on: those of all interfaces, or of none. */
int nt_inherit_switch(const struct nt_inheritance *inheritance, const struct nt_holder *holder, struct nt_fault *fault);
/* Lets the holder go, and has the server lend in its place. */
void nt_inherit_take(struct nt_inheritance *inheritance, const struct nt_holder *holder, struct nt_server *server);
void nt_inherit_close(struct nt_inheritance *inheritance);

#endif
