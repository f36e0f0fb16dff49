/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include "../process.h"
#include "../source/pcap.h"
#include "sources.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

static bool nt_plan_needs_holder(const struct nt_plan *plan)
{
	for (uint32_t at = 0; at < plan->header->source_count; at++)
		if (plan->sources[at].kind == NT_SOURCE_AFXDP || plan->sources[at].kind == NT_SOURCE_PACKET)
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

static int nt_session_attach(struct nt_session *session, struct nt_fault *fault)
{
	int error = nt_ring_attach_writer(&session->ring, &session->plan.header->ring, session->borrowed.holder_id,
					  &session->next_seq, fault);

	if (error)
		return error;
	session->attached = true;
	return nt_session_check_flows(session, fault);
}

/* A file begins with its first packet, or goes on where a predecessor of this process came to; the reader that must not be lapped is
 * known by now. */
static int nt_session_place_files(struct nt_session *session, bool resume, struct nt_fault *fault)
{
	for (uint32_t at = 0; at < session->source_count; at++) {
		struct nt_source *source = session->sources[at];
		const char *follow = session->plan.sources[0].follow; /* a file is the only source */
		int error = 0;

		if (source->kind != NT_SOURCE_PCAP)
			continue;
		if (resume)
			nt_pcap_skip(source, nt_loop_file_taken(session->loop, at));
		else
			nt_loop_begin_file(session->loop, at);
		if (follow[0])
			error = nt_pcap_follow(source, &session->ring, follow, fault);
		if (error)
			return error;
	}
	return 0;
}

static int nt_session_start(struct nt_session *session, bool resume, struct nt_fault *fault)
{
	const struct nt_plan_header *header = session->plan.header;
	struct nt_loop_options options = {
		.core = header->core,
		.realtime = (int)header->realtime,
		.sleep_idle = header->idle == NT_IDLE_SLEEP,
		.seccomp = header->seccomp,
		.batch = header->batch,
		.prefetch = header->prefetch,
		.stamp_bound_ns = (int64_t)header->stamp_bound_ns,
	};
	int error = nt_loop_create(&session->loop, &session->ring, session->next_seq, session->borrowed.holder_id, session->sources,
				   session->source_count, &options, fault);

	if (!error)
		error = nt_session_place_files(session, resume, fault);
	if (error)
		return error;
	session->teller.told = session->ring.descriptor->system_calls;
	mlockall(MCL_CURRENT); /* as far as RLIMIT_MEMLOCK allows; the ring says itself whether it is locked */
	return nt_loop_start(session->loop, fault);
}

int nt_session_open(struct nt_session *session, const char *plan_path, bool resume, struct nt_fault *fault)
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
		error = nt_sources_open(session, fault);
	/* The ring comes last: should a source be refused, no ring was made or begun a new epoch for it. */
	if (!error)
		error = nt_session_attach(session, fault);
	if (!error)
		error = nt_session_start(session, resume, fault);
	if (error)
		nt_session_close(session);
	return error;
}

void nt_session_describe(const struct nt_session *session, FILE *out)
{
	const char *warning = nt_process_level(NT_LEVEL_WARNING), *info = nt_process_level(NT_LEVEL_INFO);
	const struct nt_ring_descriptor *ring = session->ring.descriptor;
	const struct nt_loop_facts *facts = nt_loop_facts(session->loop);

	if (ring->fallback_reason[0])
		fprintf(out, "%sring %s: not on huge pages: %s\n", warning, ring->name, ring->fallback_reason);
	if (session->plan.header->ring.lock_memory && !ring->locked)
		fprintf(out, "%sring %s: not locked in memory: raise RLIMIT_MEMLOCK\n", warning, ring->name);
	for (uint32_t at = 0; at < session->source_count; at++) {
		const struct nt_source *source = session->sources[at];

		if (source->kind == NT_SOURCE_PACKET)
			fprintf(out, "%s%s: a copy of what the kernel receives, stamped by the kernel\n", info, source->name);
		if (source->kind == NT_SOURCE_AFXDP)
			fprintf(out, "%s%s: %s mode%s\n", source->skb_mode ? warning : info, source->name,
				source->zero_copy ? "zero-copy" : "copy",
				source->skb_mode ? ", generic XDP (SKB): slower, and stamped later" : "");
		/* A file's note tells its end, and the loop may be writing it. */
		if (source->note[0] && source->kind != NT_SOURCE_PCAP)
			fprintf(out, "%s%s: %s\n", warning, source->name, source->note);
	}
	if (facts->seccomp_reason[0])
		fprintf(out, "%sloop: system calls are not %s: %s\n", warning,
			session->plan.header->seccomp == NT_SECCOMP_KILL ? "forbidden" : "counted", facts->seccomp_reason);
	if (facts->realtime_reason[0])
		fprintf(out, "%sloop: no real-time priority: %s\n", warning, facts->realtime_reason);
}

void nt_session_tell(struct nt_session *session, int64_t now_ns, FILE *out)
{
	char line[256];

	if (nt_system_calls_tell(&session->teller, session->ring.descriptor, now_ns, line, sizeof(line)))
		fprintf(out, "%s%s\n", nt_process_level(NT_LEVEL_WARNING), line);
}

int nt_session_holder_fd(const struct nt_session *session)
{
	return session->borrows ? session->borrowed.connection : -1;
}

bool nt_session_holder_is_gone(const struct nt_session *session)
{
	char byte;
	ssize_t got = recv(session->borrowed.connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

int nt_session_stop(struct nt_session *session)
{
	int error = nt_loop_stop(session->loop);

	if (session->borrows && nt_session_holder_is_gone(session))
		nt_loop_end_intake(session->loop);
	return error;
}

const struct nt_source *nt_session_damaged(const struct nt_session *session)
{
	for (uint32_t at = 0; at < session->source_count; at++)
		if (session->sources[at]->damaged)
			return session->sources[at];
	return NULL;
}

void nt_session_close(struct nt_session *session)
{
	nt_loop_destroy(session->loop);
	nt_sources_close(session);
	if (session->attached)
		nt_ring_close(&session->ring);
	if (session->borrows)
		nt_borrow_end(&session->borrowed);
	nt_plan_unload(&session->plan);
	memset(session, 0, sizeof(*session));
}
