/* SPDX-License-Identifier: Apache-2.0 */
/* The privileged side of a packet source. A socket is bound only once it has its ring and a filter that drops everything, and gets its
 * real filter only once it is in its fanout: so nothing unselected, and nothing twice, ever enters a ring. A socket in a fanout cannot
 * be bound again and a locked filter cannot be taken off: who borrows it sees what was selected and nothing else. */
#include "filter.h"
#include "packet.h"

#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

/* A block is handed over when it is full or a millisecond old: many small ones hold more milliseconds. One still takes the largest
 * frame that there is, 64 KiB put together by the kernel's receive offload. */
#define NT_PACKET_BLOCK_BYTES (128u << 10)
#define NT_PACKET_BLOCK_BYTES_MIN (16u << 10)
#define NT_PACKET_BLOCKS_MIN 4u
#define NT_PACKET_RETIRE_MS 1
#define NT_PACKET_FRAME_BYTES 2048u /* means nothing to TPACKET_V3, but has to divide a block */

static const struct sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};

/* A kernel that does not know PACKET_IGNORE_OUTGOING (before Linux 4.20), or not for fanouts, is told so by the filter. */
static const struct sock_filter drop_outgoing[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 0),
};
static const struct sock_filter keep_all[] = {BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)};

#define NT_PACKET_PREFIX (sizeof(drop_outgoing) / sizeof(drop_outgoing[0]))

struct opening {
	const struct nt_plan_source *source;
	const struct nt_flow *flows;
	uint32_t flow_count;
	int ifindex;
	uint32_t fanout; /* as PACKET_FANOUT wants it of the next socket */
	struct nt_fault *fault;
};

static int explain(const struct opening *opening, const char *step)
{
	int error = -errno;
	const char *name = opening->source->interface;

	switch (error) {
	case -EPERM:
		return nt_fault_set(opening->fault, error, "%s: %s is not permitted: CAP_NET_RAW is needed", name, step);
	case -EAFNOSUPPORT:
		return nt_fault_set(opening->fault, error, "%s: this kernel lacks packet sockets (CONFIG_PACKET)", name);
	case -ENETDOWN:
		return nt_fault_set(opening->fault, error, "%s: went down: ip link set %s up", name, name);
	default:
		return nt_fault_set(opening->fault, error, "%s: %s failed: %s", name, step, strerror(-error));
	}
}

static int set(int fd, int level, int option, const void *value, socklen_t bytes)
{
	return setsockopt(fd, level, option, value, bytes);
}

static int set_number(int fd, int level, int option, int value)
{
	return set(fd, level, option, &value, sizeof(value));
}

static void shape_ring(struct nt_packet_socket *made, const struct nt_plan_source *source)
{
	uint64_t bytes = (uint64_t)source->descriptors * source->frame_bytes;

	made->block_bytes = NT_PACKET_BLOCK_BYTES;
	while (made->block_bytes > NT_PACKET_BLOCK_BYTES_MIN && made->block_bytes > bytes / NT_PACKET_BLOCKS_MIN)
		made->block_bytes /= 2;
	made->block_count = (uint32_t)(bytes / made->block_bytes);
	if (made->block_count < NT_PACKET_BLOCKS_MIN)
		made->block_count = NT_PACKET_BLOCKS_MIN;
}

static int make_ring(const struct nt_packet_socket *made, const struct opening *opening)
{
	const struct tpacket_req3 request = {
		.tp_block_size = made->block_bytes,
		.tp_block_nr = made->block_count,
		.tp_frame_size = NT_PACKET_FRAME_BYTES,
		.tp_frame_nr = made->block_bytes / NT_PACKET_FRAME_BYTES * made->block_count,
		.tp_retire_blk_tov = NT_PACKET_RETIRE_MS,
	};

	if (set_number(made->fd, SOL_PACKET, PACKET_VERSION, TPACKET_V3))
		return explain(opening, "choosing TPACKET_V3 (Linux 3.2)");
	if (set(made->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) == 0)
		return 0;
	if (errno != ENOMEM)
		return explain(opening, "making a ring");
	return nt_fault_set(opening->fault, -ENOMEM, "%s: no memory for a ring of %llu bytes: set fewer descriptors",
			    opening->source->interface, (unsigned long long)made->block_bytes * made->block_count);
}

static int make_state(struct nt_packet_socket *made, uint32_t number, const struct opening *opening)
{
	char name[64];

	snprintf(name, sizeof(name), "nanotape-packet-%s-%u", opening->source->interface, number);
	made->state_fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	/* A borrower could pull the page from under its successors otherwise. */
	if (made->state_fd < 0 || ftruncate(made->state_fd, NT_PACKET_STATE_BYTES) ||
	    fcntl(made->state_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return explain(opening, "making the page of its state");
	return 0;
}

static int attach(int fd, const struct sock_filter *code, size_t count)
{
	const struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)code};

	return set(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* The real filter; as exact as net.core.optmem_max lets it be. */
static int attach_filter(int fd, const struct opening *opening)
{
	struct sock_filter code[NT_FILTER_INSTRUCTIONS_MAX];
	uint32_t room = NT_FILTER_INSTRUCTIONS_MAX - NT_PACKET_PREFIX;
	int failed;

	memcpy(code, drop_outgoing, sizeof(drop_outgoing));
	do {
		uint32_t count = nt_filter_make(code + NT_PACKET_PREFIX, room, opening->source->select, opening->flows,
						opening->flow_count, opening->source->interface);

		if (count == 0) {
			memcpy(code + NT_PACKET_PREFIX, keep_all, sizeof(keep_all));
			count = 1;
		}
		failed = attach(fd, code, NT_PACKET_PREFIX + count);
		room /= 2;
	} while (failed && errno == ENOMEM && room >= NT_FILTER_INSTRUCTIONS_MIN);
	if (failed || set_number(fd, SOL_SOCKET, SO_LOCK_FILTER, 1))
		return explain(opening, "attaching the filter");
	return 0;
}

static int bind_socket(int fd, const struct opening *opening)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = opening->ifindex,
	};

	set_number(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1); /* only spares work: see drop_outgoing */
	/* The stamp is taken as soon as the packet has left the driver, not when it comes to this socket. */
	if (set_number(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1))
		return explain(opening, "asking for time stamps");
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		return explain(opening, "binding a packet socket");
	return 0;
}

/* By hash: a flow's packets keep their order. The first socket gets an id that is free, the others join it. */
static int join_fanout(int fd, uint32_t count, struct opening *opening)
{
	uint32_t flags = (count > 1 ? PACKET_FANOUT_HASH : PACKET_FANOUT_CPU) | PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
	uint32_t joined;
	socklen_t bytes = sizeof(joined);

	if (!opening->fanout)
		opening->fanout = (flags | PACKET_FANOUT_FLAG_UNIQUEID) << 16;
	if (set(fd, SOL_PACKET, PACKET_FANOUT, &opening->fanout, sizeof(opening->fanout)) ||
	    getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &joined, &bytes))
		return explain(opening, "joining a fanout (Linux 4.12)");
	opening->fanout = flags << 16 | (joined & 0xFFFF);
	return 0;
}

static int open_socket(struct nt_packet_socket *made, uint32_t number, uint32_t count, struct opening *opening)
{
	int error;

	shape_ring(made, opening->source);
	made->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: takes nothing yet */
	if (made->fd < 0)
		return explain(opening, "opening a packet socket");
	error = make_ring(made, opening);
	if (!error)
		error = make_state(made, number, opening);
	if (!error && attach(made->fd, drop_all, 1))
		error = explain(opening, "attaching a filter");
	if (!error)
		error = bind_socket(made->fd, opening);
	return error ? error : join_fanout(made->fd, count, opening);
}

/* Ethernet, or loopback, which looks like it. */
static int check_link(int fd, struct opening *opening)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", opening->source->interface);
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		return explain(opening, "asking for its link type");
	if (request.ifr_hwaddr.sa_family == ARPHRD_ETHER || request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK)
		return 0;
	return nt_fault_set(opening->fault, -EPROTOTYPE,
			    "%s: has link type %u, expected Ethernet (%u): capture on the interface below it",
			    opening->source->interface, request.ifr_hwaddr.sa_family, ARPHRD_ETHER);
}

int nt_packet_promiscuous(int fd, int ifindex)
{
	const struct packet_mreq request = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};

	return set(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)) ? -errno : 0;
}

int nt_packet_sockets_open(struct nt_packet_socket *sockets, uint32_t count, const struct nt_plan_source *source,
			   const struct nt_flow *flows, uint32_t flow_count, struct nt_fault *fault)
{
	struct opening opening = {.source = source, .flows = flows, .flow_count = flow_count, .fault = fault};
	int error = 0;

	for (uint32_t i = 0; i < count; i++)
		sockets[i] = (struct nt_packet_socket){.fd = -1, .state_fd = -1};
	opening.ifindex = (int)if_nametoindex(source->interface);
	if (opening.ifindex == 0)
		return nt_fault_set(fault, -ENODEV,
				    "%s: no such interface in this network namespace (ip link shows those there are)",
				    source->interface);
	for (uint32_t i = 0; !error && i < count; i++)
		error = open_socket(&sockets[i], i, count, &opening);
	if (!error)
		error = check_link(sockets[0].fd, &opening);
	for (uint32_t i = 0; !error && i < count; i++)
		error = attach_filter(sockets[i].fd, &opening);
	if (!error && source->promiscuous && nt_packet_promiscuous(sockets[0].fd, opening.ifindex))
		error = explain(&opening, "making it promiscuous");
	if (error)
		nt_packet_sockets_close(sockets, count);
	return error;
}

void nt_packet_sockets_close(struct nt_packet_socket *sockets, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (sockets[i].fd >= 0)
			close(sockets[i].fd);
		if (sockets[i].state_fd >= 0)
			close(sockets[i].state_fd);
		sockets[i].fd = sockets[i].state_fd = -1;
	}
}
