/* SPDX-License-Identifier: Apache-2.0 */
/* What the socket source's two files share. */
#ifndef NT_SOCKET_STATE_H
#define NT_SOCKET_STATE_H

#include "frame.h"
#include "socket.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define NT_SOCKET_HEADROOM 64u                               /* the rebuilt header ends where the payload begins */
#define NT_SOCKET_BUFFER_BYTES (NT_SOCKET_HEADROOM + 65536u) /* no datagram is larger */
#define NT_SOCKET_CONTROL_BYTES 128u

/* One flow's socket. */
struct nt_socket_flow {
	int fd;
	uint32_t flow_id;
	uint32_t last_drops; /* SK_MEMINFO_DROPS as read last: 32 bits, wraps; the helper thread's */
	struct nt_frame_facts facts;
};

struct nt_socket_source {
	struct nt_source source;
	int epoll_fd;
	uint32_t flow_count;
	struct nt_socket_flow *flows;
	uint64_t drops; /* the helper thread's */
	uint32_t ready_count, ready_next;
	struct epoll_event ready[NT_BATCH_PACKETS]; /* data.u32: index into flows */
	struct mmsghdr messages[NT_BATCH_PACKETS];
	struct iovec parts[NT_BATCH_PACKETS];
	struct sockaddr_in6 senders[NT_BATCH_PACKETS];
	_Alignas(struct cmsghdr) uint8_t controls[NT_BATCH_PACKETS][NT_SOCKET_CONTROL_BYTES];
	uint8_t *buffers; /* NT_BATCH_PACKETS of NT_SOCKET_BUFFER_BYTES */
};

extern const struct nt_source_ops nt_socket_ops;

/* socket_flow.c: one bound and joined socket; its fd, or a negative errno with the fault filled in. */
int nt_socket_flow_open(const struct nt_flow *flow, uint32_t receive_buffer_bytes, struct nt_fault *fault);

#endif
