/* SPDX-License-Identifier: Apache-2.0 */
/* What capturing tools use: a TPACKET_V3 ring, looked at again and again. The kernel hands a block over when it is full or when its time
 * is up, a millisecond at the least: it is made for throughput, and late by design. */
#include "latency.h"

#include "../clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define NT_BLOCK_BYTES (128u << 10)
#define NT_BLOCKS 256u
#define NT_RETIRE_MS 1u
#define NT_FRAME_ROOM_BYTES 2048u /* means nothing to TPACKET_V3, but has to divide a block */

struct nt_packet_ring {
	int fd;
	uint8_t *blocks;
};

static void ring_close(struct nt_packet_ring *ring)
{
	if (ring->blocks != MAP_FAILED)
		munmap(ring->blocks, (size_t)NT_BLOCK_BYTES * NT_BLOCKS);
	if (ring->fd >= 0)
		close(ring->fd);
}

static int ring_open(struct nt_packet_ring *ring, const char *interface, struct nt_fault *fault)
{
	const struct tpacket_req3 request = {
		.tp_block_size = NT_BLOCK_BYTES,
		.tp_block_nr = NT_BLOCKS,
		.tp_frame_size = NT_FRAME_ROOM_BYTES,
		.tp_frame_nr = NT_BLOCK_BYTES / NT_FRAME_ROOM_BYTES * NT_BLOCKS,
		.tp_retire_blk_tov = NT_RETIRE_MS,
	};
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	const int version = TPACKET_V3, yes = 1, flags = MAP_SHARED | MAP_POPULATE;

	ring->blocks = MAP_FAILED;
	ring->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (ring->fd >= 0 && !setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) &&
	    !setsockopt(ring->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) &&
	    !setsockopt(ring->fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof(yes)) &&
	    !setsockopt(ring->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)))
		ring->blocks = mmap(NULL, (size_t)NT_BLOCK_BYTES * NT_BLOCKS, PROT_READ | PROT_WRITE, flags, ring->fd, 0);
	if (ring->blocks != MAP_FAILED && !bind(ring->fd, (const struct sockaddr *)&address, sizeof(address)))
		return 0;
	nt_fault_set(fault, -errno, "%s: cannot capture with TPACKET_V3: %s", interface, strerror(errno));
	ring_close(ring);
	return fault->error;
}

static void take_block(const struct tpacket_block_desc *block, struct nt_samples *samples)
{
	const uint8_t *at = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;

	for (uint32_t left = block->hdr.bh1.num_pkts; left; left--) {
		const struct tpacket3_hdr *packet = (const struct tpacket3_hdr *)(const void *)at;
		int64_t stamp_ns = (int64_t)packet->tp_sec * 1000000000 + packet->tp_nsec;

		/* For each: when it is handed out, not when its block was found. */
		nt_samples_add(samples, nt_clock_ns(CLOCK_REALTIME) - stamp_ns);
		at += packet->tp_next_offset;
	}
}

static void receive_all(const struct nt_packet_ring *ring, struct nt_latency *run)
{
	for (uint32_t at = 0; !nt_latency_is_over(run);) {
		struct tpacket_block_desc *block = (void *)(ring->blocks + (size_t)at * NT_BLOCK_BYTES);

		if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			continue;
		take_block(block, &run->samples);
		__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		at = (at + 1) % NT_BLOCKS;
	}
}

int nt_latency_packet(struct nt_latency *run, struct nt_fault *fault)
{
	struct nt_packet_ring ring;
	int error = ring_open(&ring, run->plan.sources[0].interface, fault);

	if (error)
		return error;
	error = nt_latency_pin(run->plan.header->core, fault);
	if (!error) {
		nt_latency_await_stamps();
		nt_latency_sender_go(run);
		receive_all(&ring, run);
	}
	ring_close(&ring);
	return error;
}
