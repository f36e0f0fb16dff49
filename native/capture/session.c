/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include "../source/afxdp.h"
#include "../source/socket.h"
#include "../source/synthetic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static bool nt_plan_needs_holder(const struct nt_plan *plan)
{
	for (uint32_t at = 0; at < plan->header->source_count; at++)
		if (plan->sources[at].kind == NT_SOURCE_AFXDP)
			return true;
	return false;
}

/* The plan gave every flow its id, and all its readers go by them: the ring must agree. */
static int nt_session_check_flows(struct nt_session *session, struct nt_fault *fault)
{
	for (uint32_t at = 0; at < session->plan.header->flow_count; at++) {
		const struct nt_flow *flow = &session->plan.flows[at];
		uint32_t id;
		int error = nt_ring_flow_id(&session->ring, flow, &id, fault);

		if (error)
			return error;
		if (id != flow->id)
			return nt_fault_set(fault, -ESTALE,
					    "channel %s line %s: the plan expects flow id %u, the ring has %u: plan it anew",
					    flow->channel, flow->line, flow->id, id);
	}
	return 0;
}

static const struct nt_plan_source *nt_session_afxdp(const struct nt_session *session, const char *interface)
{
	for (uint32_t at = 0; at < session->plan.header->source_count; at++) {
		const struct nt_plan_source *source = &session->plan.sources[at];

		if (source->kind == NT_SOURCE_AFXDP && !strcmp(source->interface, interface))
			return source;
	}
	return NULL;
}

static int nt_session_adopt(struct nt_session *session, struct nt_fault *fault)
{
	for (uint32_t at = 0; at < session->borrowed.lane_count; at++) {
		const struct nt_borrowed_lane *lane = &session->borrowed.lanes[at];
		int error;

		if (!nt_session_afxdp(session, lane->facts.interface))
			return nt_fault_set(
				fault, -ESTALE,
				"the holder lends interface %s, which is not in the plan: restart the holder with this plan",
				lane->facts.interface);
		error = nt_afxdp_adopt(&session->sources[session->source_count], lane, session->borrowed.holder_id, fault);
		if (error)
			return error;
		session->source_count++;
	}
	return 0;
}

static int nt_session_check_adopted(const struct nt_session *session, const struct nt_plan_source *planned, struct nt_fault *fault)
{
	for (uint32_t at = 0; at < session->borrowed.lane_count; at++)
		if (!strcmp(session->borrowed.lanes[at].facts.interface, planned->interface))
			return 0;
	return nt_fault_set(fault, -ESTALE, "%s: in the plan, but the holder does not lend it: restart the holder with this plan",
			    planned->interface);
}

/* The flows of a source are those with its interface. `flows` and `ids` have room for all. */
static uint32_t nt_session_flows_of(const struct nt_session *session, const struct nt_plan_source *planned, struct nt_flow *flows,
				    uint32_t *ids)
{
	uint32_t count = 0;

	for (uint32_t at = 0; at < session->plan.header->flow_count; at++) {
		if (strcmp(session->plan.flows[at].interface, planned->interface) != 0)
			continue;
		flows[count] = session->plan.flows[at];
		ids[count++] = session->plan.flows[at].id;
	}
	return count;
}

static int nt_session_open_source(struct nt_session *session, const struct nt_plan_source *planned, struct nt_fault *fault)
{
	struct nt_source **source = &session->sources[session->source_count];
	uint32_t room = session->plan.header->flow_count + 1;
	struct nt_flow *flows;
	uint32_t count, *ids;
	int error;

	if (planned->kind == NT_SOURCE_AFXDP)
		return nt_session_check_adopted(session, planned, fault);
	if (session->source_count == NT_LOOP_SOURCES_MAX)
		return nt_fault_set(fault, -E2BIG, "sources: expected at most %u, found more", NT_LOOP_SOURCES_MAX);
	flows = calloc(room, sizeof(*flows));
	ids = calloc(room, sizeof(*ids));
	if (!flows || !ids) {
		error = nt_fault_set(fault, -ENOMEM, "%s: no memory for %u flows", planned->interface, room);
	} else {
		count = nt_session_flows_of(session, planned, flows, ids);
		error = planned->kind == NT_SOURCE_SOCKET ? nt_socket_open(source, planned, flows, ids, count, fault)
							  : nt_synthetic_open(source, planned, count ? flows : NULL, ids[0], fault);
	}
	free(flows);
	free(ids);
	if (!error)
		session->source_count++;
	return error;
}

static int nt_session_attach(struct nt_session *session, struct nt_fault *fault)
{
	int error = nt_ring_attach_writer(&session->ring, &session->plan.header->ring, session->borrowed.holder_id,
					  &session->next_seq, fault);

	if (error)
		return error;
	session->attached = true;
	return nt_session_check_flows(session, fault);
}

static int nt_session_start(struct nt_session *session, struct nt_fault *fault)
{
	const struct nt_plan_header *header = session->plan.header;
	struct nt_loop_options options = {
		.core = header->core,
		.realtime = (int)header->realtime,
		.sleep_idle = header->idle == NT_IDLE_SLEEP,
		.seccomp = header->seccomp,
	};
	int error = nt_loop_create(&session->loop, &session->ring, session->next_seq, session->borrowed.holder_id, session->sources,
				   session->source_count, &options, fault);

	if (error)
		return error;
	mlockall(MCL_CURRENT); /* as far as RLIMIT_MEMLOCK allows; the ring says itself whether it is locked */
	return nt_loop_start(session->loop, fault);
}

int nt_session_open(struct nt_session *session, const char *plan_path, struct nt_fault *fault)
{
	int error;

	memset(session, 0, sizeof(*session));
	session->borrowed.connection = -1;
	error = nt_plan_load(&session->plan, plan_path, fault);
	if (!error && nt_plan_needs_holder(&session->plan)) {
		error = nt_borrow(&session->borrowed, session->plan.header->holder_socket, fault);
		session->borrows = !error;
	}
	if (!error)
		error = nt_session_adopt(session, fault);
	for (uint32_t at = 0; !error && at < session->plan.header->source_count; at++)
		error = nt_session_open_source(session, &session->plan.sources[at], fault);
	/* The ring comes last: should a source be refused, no ring was made or begun a new epoch for it. */
	if (!error)
		error = nt_session_attach(session, fault);
	if (!error)
		error = nt_session_start(session, fault);
	if (error)
		nt_session_close(session);
	return error;
}

void nt_session_describe(const struct nt_session *session, FILE *out)
{
	const struct nt_ring_descriptor *ring = session->ring.descriptor;
	const struct nt_loop_facts *facts = nt_loop_facts(session->loop);

	if (ring->fallback_reason[0])
		fprintf(out, "ring %s: not on huge pages: %s\n", ring->name, ring->fallback_reason);
	if (session->plan.header->ring.lock_memory && !ring->locked)
		fprintf(out, "ring %s: not locked in memory: raise RLIMIT_MEMLOCK\n", ring->name);
	for (uint32_t at = 0; at < session->source_count; at++) {
		const struct nt_source *source = session->sources[at];

		if (source->kind == NT_SOURCE_AFXDP)
			fprintf(out, "%s: %s mode%s\n", source->name, source->zero_copy ? "zero-copy" : "copy",
				source->skb_mode ? ", generic XDP (SKB): slower, and stamped later" : "");
		if (source->note[0])
			fprintf(out, "%s: %s\n", source->name, source->note);
	}
	if (facts->seccomp_reason[0])
		fprintf(out, "loop: system calls are not forbidden: %s\n", facts->seccomp_reason);
	if (facts->realtime_reason[0])
		fprintf(out, "loop: no real-time priority: %s\n", facts->realtime_reason);
}

int nt_session_holder_fd(const struct nt_session *session)
{
	return session->borrows ? session->borrowed.connection : -1;
}

int nt_session_stop(struct nt_session *session)
{
	return nt_loop_stop(session->loop);
}

void nt_session_close(struct nt_session *session)
{
	nt_loop_destroy(session->loop);
	for (uint32_t at = 0; at < session->source_count; at++)
		session->sources[at]->ops->close(session->sources[at]);
	if (session->attached)
		nt_ring_close(&session->ring);
	if (session->borrows)
		nt_borrow_end(&session->borrowed);
	nt_plan_unload(&session->plan);
	memset(session, 0, sizeof(*session));
}
