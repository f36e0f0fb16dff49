/* SPDX-License-Identifier: Apache-2.0 */
/* Maps a borrowed lane and goes on where its last borrower stopped. */
#include "packet_state.h"

#include "../atomic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define NT_PACKET_PAGE 4096u

static void unmap(void *address, size_t bytes)
{
	if (address && address != MAP_FAILED)
		munmap(address, bytes);
}

void nt_packet_close(struct nt_source *source)
{
	struct nt_packet_source *packet = nt_packet_own(source);

	unmap(packet->ring, (size_t)packet->block_bytes * packet->block_count);
	unmap(packet->state, NT_PACKET_STATE_BYTES);
	free(packet->copies);
	free(packet);
}

static int check_facts(const struct nt_borrowed_lane *lane, struct nt_fault *fault)
{
	const struct nt_lend_lane *facts = &lane->facts;
	struct stat status;

	if (facts->kind != NT_SOURCE_PACKET || facts->block_bytes < NT_PACKET_PAGE ||
	    facts->block_bytes > NT_PACKET_BLOCK_BYTES_MAX || (facts->block_bytes & (facts->block_bytes - 1)) != 0 ||
	    facts->block_count < 2)
		return nt_fault_set(fault, -EPROTO, "%s: socket %u: the holder lends %u blocks of %u bytes: not a packet ring",
				    facts->interface, facts->queue, facts->block_count, facts->block_bytes);
	if (fstat(lane->umem_fd, &status) || status.st_size < (off_t)NT_PACKET_STATE_BYTES)
		return nt_fault_set(fault, -EPROTO, "%s: socket %u: the page of its state is smaller than %u bytes",
				    facts->interface, facts->queue, NT_PACKET_STATE_BYTES);
	return 0;
}

static int map_lane(struct nt_packet_source *packet, const struct nt_borrowed_lane *lane, struct nt_fault *fault)
{
	const int both = PROT_READ | PROT_WRITE;
	size_t bytes = (size_t)packet->block_bytes * packet->block_count;

	packet->state = mmap(NULL, NT_PACKET_STATE_BYTES, both, MAP_SHARED | MAP_POPULATE, lane->umem_fd, 0);
	packet->ring = mmap(NULL, bytes, both, MAP_SHARED | MAP_POPULATE, lane->socket_fd, 0);
	if (packet->state == MAP_FAILED || packet->ring == MAP_FAILED)
		return nt_fault_set(fault, -errno, "%s: socket %u: the ring lent (%zu bytes) cannot be mapped: %s",
				    lane->facts.interface, lane->facts.queue, bytes, strerror(errno));
	packet->copies = malloc(packet->block_bytes);
	if (!packet->copies)
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for a source", lane->facts.interface);
	memset(packet->copies, 0, packet->block_bytes); /* the pages are there before the loop needs them */
	return 0;
}

/* Finishes the release in which the last borrower died, if it did, and finds the place where to go on. */
static int mend(struct nt_packet_source *packet, const struct nt_borrowed_lane *lane, struct nt_fault *fault)
{
	uint64_t at = packet->state->position;
	struct tpacket_block_desc *before;

	if (at == 0) { /* nobody borrowed it yet */
		at = nt_packet_position(1, 0);
		nt_store_release(&packet->state->position, at);
	}
	packet->sequence = NT_PACKET_SEQUENCE(at);
	packet->released = NT_PACKET_RELEASED(at);
	packet->block = nt_packet_block(packet, packet->sequence);
	if (packet->sequence > 1) {
		before = nt_packet_block(packet, packet->sequence - 1);
		if (nt_packet_is_ours(before) && before->hdr.bh1.seq_num == packet->sequence - 1)
			nt_packet_give_back(before);
	}
	if (packet->sequence == 0 || nt_packet_look(packet) < 0)
		return nt_fault_set(
			fault, -EPROTO,
			"%s: socket %u: the ring is not what its state says (block %llu, packet %u): restart the holder",
			lane->facts.interface, lane->facts.queue, (unsigned long long)NT_PACKET_SEQUENCE(at),
			NT_PACKET_RELEASED(at));
	return 0;
}

static void name_source(struct nt_packet_source *packet, const struct nt_borrowed_lane *lane, uint64_t holder_id)
{
	struct nt_source *source = &packet->source;

	source->ops = &nt_packet_ops;
	snprintf(source->name, sizeof(source->name), "packet:%s:%u", lane->facts.interface, lane->facts.queue);
	snprintf(source->interface, sizeof(source->interface), "%s", lane->facts.interface);
	source->kind = NT_SOURCE_PACKET;
	source->stamp_kind = NT_STAMPED_BY(NT_TS_KERNEL);
	source->stamp_domain = NT_CLOCK_UTC;
	source->queue = lane->facts.queue;
	source->holder_id = holder_id;
	source->numbers_flows = 1;
	packet->socket_fd = lane->socket_fd;
	packet->block_bytes = lane->facts.block_bytes;
	packet->block_count = lane->facts.block_count;
}

int nt_packet_adopt(struct nt_source **source, const struct nt_borrowed_lane *lane, uint64_t holder_id,
		    const struct nt_selector *selector, struct nt_fault *fault)
{
	struct nt_packet_source *packet;
	int error = check_facts(lane, fault);

	if (error)
		return error;
	packet = calloc(1, sizeof(*packet));
	if (!packet)
		return nt_fault_set(fault, -ENOMEM, "%s: no memory for a source", lane->facts.interface);
	name_source(packet, lane, holder_id);
	packet->selector = selector;
	error = map_lane(packet, lane, fault);
	if (!error)
		error = mend(packet, lane, fault);
	if (error) {
		nt_packet_close(&packet->source);
		return error;
	}
	*source = &packet->source;
	return 0;
}
