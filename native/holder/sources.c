/* SPDX-License-Identifier: Apache-2.0 */
#include "holder.h"

#include "listeners.h"

#include <errno.h>
#include <linux/bpf.h>

static int check_queues(const struct nt_holder *holder, const struct nt_interface *interface, struct nt_fault *fault)
{
	if (interface->queues == 0)
		return nt_fault_set(
			fault, -ENODEV,
			"%s: neither the driver (%s) nor /sys/class/net names its RX queues; is /sys of this network namespace?",
			interface->name, interface->driver);
	if (interface->queues > NT_LEND_LANES_MAX - holder->lane_count)
		return nt_fault_set(fault, -E2BIG,
				    "%s: has %u RX queues, at most %u in all can be captured: ethtool -L %s combined 1",
				    interface->name, interface->queues, NT_LEND_LANES_MAX, interface->name);
	return 0;
}

static int open_lanes(struct nt_holder *holder, const struct nt_plan_source *source, const struct nt_interface *interface,
		      const struct nt_program *program, struct nt_fault *fault)
{
	for (uint32_t queue = 0; queue < interface->queues; queue++) {
		int error = nt_lane_open(&holder->lanes[holder->lane_count], source, interface, queue, program, fault);

		if (error)
			return error;
		holder->lane_count++;
	}
	return 0;
}

static void say_afxdp(const struct nt_lane *lane, const struct nt_plan_source *source, const struct nt_interface *interface)
{
	const uint32_t room = source->frame_bytes - XDP_PACKET_HEADROOM;

	nt_holder_say(NT_LEVEL_INFO, "%s: driver %s, %u queue%s, %s XDP, %s, %u descriptors of %u bytes a queue on %s",
		      interface->name, interface->driver, interface->queues, interface->queues == 1 ? "" : "s",
		      lane->facts.skb_mode ? "generic" : "native", lane->facts.zero_copy ? "zero-copy" : "copy mode",
		      source->descriptors, source->frame_bytes,
		      lane->memory.memory == NT_MEMORY_SHM ? "ordinary pages" : "huge pages");
	if (interface->mtu + 22 > room)
		nt_holder_say(
			NT_LEVEL_WARNING,
			"%s: MTU %u, but a UMEM frame holds packets of %u bytes: longer ones will be lost and counted as rx_dropped",
			interface->name, interface->mtu, room);
}

/* Listeners are looked for before our own joins, and before anything is taken from them. */
static int open_afxdp(struct nt_holder *holder, const struct nt_plan_source *source, const struct nt_interface *interface,
		      struct nt_fault *fault)
{
	struct nt_program *program = &holder->programs[holder->program_count];
	int error = check_queues(holder, interface, fault);

	if (!error && !source->steal)
		error = nt_listeners_refuse(holder->plan, source, NULL, fault);
	if (error)
		return error;
	holder->program_count++;
	error = nt_program_attach(program, interface, holder->plan, source, fault);
	if (!error)
		error = open_lanes(holder, source, interface, program, fault);
	if (!error)
		say_afxdp(&holder->lanes[holder->lane_count - 1], source, interface);
	return error;
}

static int open_packet(struct nt_holder *holder, const struct nt_plan_source *source, const struct nt_interface *interface,
		       struct nt_fault *fault)
{
	struct nt_lane *lanes = &holder->lanes[holder->lane_count];
	int error;

	if (source->fanout > NT_LEND_LANES_MAX - holder->lane_count)
		return nt_fault_set(fault, -E2BIG, "%s: fanout %u: at most %u sockets in all can be lent", interface->name,
				    source->fanout, NT_LEND_LANES_MAX);
	error = nt_lanes_open_packet(lanes, holder->plan, source, interface, fault);
	if (error)
		return error;
	holder->lane_count += source->fanout;
	nt_holder_say(NT_LEVEL_INFO, "%s: driver %s, %u packet socket%s, %u blocks of %u bytes each%s", interface->name,
		      interface->driver, source->fanout, source->fanout == 1 ? "" : "s", lanes[0].facts.block_count,
		      lanes[0].facts.block_bytes, source->promiscuous ? ", promiscuous" : "");
	return 0;
}

static int open_source(struct nt_holder *holder, const struct nt_plan_source *source, struct nt_fault *fault)
{
	struct nt_interface interface;
	int error = nt_interface_read(&interface, source->interface, fault);

	if (!error)
		error = source->kind == NT_SOURCE_AFXDP ? open_afxdp(holder, source, &interface, fault)
							: open_packet(holder, source, &interface, fault);
	return error ? error : nt_joins_open(&holder->joins, holder->plan, source, interface.index, fault);
}

int nt_sources_open(struct nt_holder *holder, struct nt_fault *fault)
{
	for (uint32_t i = 0; i < holder->plan->header->source_count; i++) {
		const struct nt_plan_source *source = &holder->plan->sources[i];
		int error = 0;

		if (source->kind == NT_SOURCE_AFXDP || source->kind == NT_SOURCE_PACKET)
			error = open_source(holder, source, fault);
		if (error)
			return error;
	}
	if (holder->lane_count == 0)
		return nt_fault_set(fault, -EINVAL, "the plan has neither an afxdp nor a packet source: nothing to hold");
	return 0;
}

/* Joins go first: nothing should be sent to us that we no longer take. */
void nt_sources_close(struct nt_holder *holder)
{
	nt_joins_close(&holder->joins);
	for (uint32_t i = 0; i < holder->program_count; i++)
		nt_program_close(&holder->programs[i]);
	for (uint32_t i = 0; i < holder->lane_count; i++)
		nt_lane_close(&holder->lanes[i]);
}
