/* SPDX-License-Identifier: Apache-2.0 */
#include "sources.h"

#include "../source/afxdp.h"
#include "../source/packet.h"
#include "../source/pcap.h"
#include "../source/socket.h"
#include "../source/synthetic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool nt_is_lent(const struct nt_plan_source *planned)
{
	return planned->kind == NT_SOURCE_AFXDP || planned->kind == NT_SOURCE_PACKET;
}

/* Frames of packet sockets and files are judged in this process; the XDP program has judged those of afxdp. */
static int nt_selectors_create(struct nt_session *session, struct nt_fault *fault)
{
	const struct nt_plan *plan = &session->plan;

	for (uint32_t at = 0; at < plan->header->source_count; at++) {
		const struct nt_plan_source *planned = &plan->sources[at];
		int error;

		if (planned->kind != NT_SOURCE_PACKET && planned->kind != NT_SOURCE_PCAP)
			continue;
		error = nt_selector_create(&session->selectors[at], planned->select, plan->flows, plan->header->flow_count,
					   planned->interface, fault);
		if (error)
			return error;
	}
	return 0;
}

static int nt_source_check_room(const struct nt_session *session, struct nt_fault *fault)
{
	if (session->source_count < NT_LOOP_SOURCES_MAX)
		return 0;
	return nt_fault_set(fault, -E2BIG, "sources: expected at most %u, found more", NT_LOOP_SOURCES_MAX);
}

/* The plan's source that a lane belongs to; -1: none. */
static int nt_lane_planned(const struct nt_session *session, const struct nt_lend_lane *lane)
{
	for (uint32_t at = 0; at < session->plan.header->source_count; at++) {
		const struct nt_plan_source *planned = &session->plan.sources[at];

		if (planned->kind == lane->kind && !strcmp(planned->interface, lane->interface))
			return (int)at;
	}
	return -1;
}

/* The source that was opened last is one of the session's. */
static void nt_session_take(struct nt_session *session, const struct nt_plan_source *planned)
{
	nt_source_set_nic(session->sources[session->source_count++], planned->nic_domain, planned->nic_tai_offset_s);
}

static int nt_lane_adopt(struct nt_session *session, const struct nt_borrowed_lane *lane, struct nt_fault *fault)
{
	struct nt_source **source = &session->sources[session->source_count];
	int at = nt_lane_planned(session, &lane->facts);
	int error = nt_source_check_room(session, fault);

	if (error)
		return error;
	if (at < 0)
		return nt_fault_set(
			fault, -ESTALE,
			"the holder lends interface %s in a way that is not in the plan: restart the holder with this plan",
			lane->facts.interface);
	error = lane->facts.kind == NT_SOURCE_PACKET
			? nt_packet_adopt(source, lane, session->borrowed.holder_id, session->selectors[at], fault)
			: nt_afxdp_adopt(source, lane, session->borrowed.holder_id, fault);
	if (!error)
		nt_session_take(session, &session->plan.sources[at]);
	return error;
}

static int nt_planned_check_lent(const struct nt_session *session, const struct nt_plan_source *planned, struct nt_fault *fault)
{
	for (uint32_t at = 0; at < session->borrowed.lane_count; at++) {
		const struct nt_lend_lane *lane = &session->borrowed.lanes[at].facts;

		if (lane->kind == planned->kind && !strcmp(lane->interface, planned->interface))
			return 0;
	}
	return nt_fault_set(fault, -ESTALE, "%s: in the plan, but the holder does not lend it: restart the holder with this plan",
			    planned->interface);
}

/* The flows of a source are those with its interface. `flows` and `ids` have room for all. */
static uint32_t nt_planned_flows(const struct nt_session *session, const struct nt_plan_source *planned, struct nt_flow *flows,
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

static int nt_planned_open_with_flows(struct nt_session *session, const struct nt_plan_source *planned, struct nt_source **source,
				      struct nt_fault *fault)
{
	uint32_t room = session->plan.header->flow_count + 1;
	struct nt_flow *flows = calloc(room, sizeof(*flows));
	uint32_t *ids = calloc(room, sizeof(*ids));
	uint32_t count;
	int error;

	if (!flows || !ids) {
		error = nt_fault_set(fault, -ENOMEM, "%s: no memory for %u flows", planned->interface, room);
	} else {
		count = nt_planned_flows(session, planned, flows, ids);
		error = planned->kind == NT_SOURCE_SOCKET ? nt_socket_open(source, planned, flows, ids, count, fault)
							  : nt_synthetic_open(source, planned, count ? flows : NULL, ids[0], fault);
	}
	free(flows);
	free(ids);
	return error;
}

static int nt_planned_open(struct nt_session *session, uint32_t at, struct nt_fault *fault)
{
	const struct nt_plan_source *planned = &session->plan.sources[at];
	struct nt_source **source = &session->sources[session->source_count];
	int error;

	if (nt_is_lent(planned))
		return nt_planned_check_lent(session, planned, fault);
	error = nt_source_check_room(session, fault);
	if (error)
		return error;
	error = planned->kind == NT_SOURCE_PCAP ? nt_pcap_open(source, planned, STDIN_FILENO, session->selectors[at], fault)
						: nt_planned_open_with_flows(session, planned, source, fault);
	if (!error)
		nt_session_take(session, planned);
	return error;
}

int nt_sources_open(struct nt_session *session, struct nt_fault *fault)
{
	int error = nt_selectors_create(session, fault);

	for (uint32_t at = 0; !error && at < session->borrowed.lane_count; at++)
		error = nt_lane_adopt(session, &session->borrowed.lanes[at], fault);
	for (uint32_t at = 0; !error && at < session->plan.header->source_count; at++)
		error = nt_planned_open(session, at, fault);
	return error;
}

void nt_sources_close(struct nt_session *session)
{
	for (uint32_t at = 0; at < session->source_count; at++)
		nt_source_close(session->sources[at]);
	for (uint32_t at = 0; at < NT_PLAN_SOURCES_MAX; at++)
		nt_selector_destroy(session->selectors[at]);
}
