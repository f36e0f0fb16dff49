/* SPDX-License-Identifier: Apache-2.0 */
/* What a program does without nanotape: a UDP socket that has joined the group, asked again and again, with the kernel's stamp of each
 * datagram (SO_TIMESTAMPNS, CLOCK_REALTIME). */
#include "latency.h"

#include "../clock.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NT_RECEIVE_BUFFER_BYTES (64 << 20)
#define NT_DATAGRAM_BYTES_MAX 2048u

static int join(int fd, const struct nt_latency *run, struct nt_fault *fault)
{
	const struct nt_flow *flow = &run->plan.flows[0];
	const char *interface = run->plan.sources[0].interface;
	const int bytes = NT_RECEIVE_BUFFER_BYTES, yes = 1;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(flow->port)};
	struct ip_mreqn membership = {.imr_ifindex = (int)if_nametoindex(interface)};

	memcpy(&address.sin_addr, flow->group, 4);
	memcpy(&membership.imr_multiaddr, flow->group, 4);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof(yes)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof(membership)))
		return nt_fault_set(fault, -errno, "%s: a plain UDP socket cannot join: %s", interface, strerror(errno));
	return 0;
}

/* When the kernel stamped it; 0: it did not. */
static int64_t stamp_of(struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		struct timespec stamp;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(header), sizeof(stamp));
		return (int64_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec;
	}
	return 0;
}

static int receive_all(int fd, struct nt_latency *run, struct nt_fault *fault)
{
	uint8_t datagram[NT_DATAGRAM_BYTES_MAX];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec part = {.iov_base = datagram, .iov_len = sizeof(datagram)};

	while (!nt_latency_is_over(run)) {
		struct msghdr message = {
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		int64_t stamp_ns;

		if (recvmsg(fd, &message, MSG_DONTWAIT) < 0) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			return nt_fault_set(fault, -errno, "the UDP socket broke: %s", strerror(errno));
		}
		stamp_ns = stamp_of(&message);
		if (!stamp_ns)
			return nt_fault_set(fault, -EPROTO, "the kernel stamped no datagram, though asked to (SO_TIMESTAMPNS)");
		nt_samples_add(&run->samples, nt_clock_ns(CLOCK_REALTIME) - stamp_ns);
	}
	return 0;
}

int nt_latency_socket(struct nt_latency *run, struct nt_fault *fault)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return nt_fault_set(fault, -errno, "cannot open a UDP socket: %s", strerror(errno));
	error = join(fd, run, fault);
	if (!error)
		error = nt_latency_pin(run->plan.header->core, fault);
	if (!error) {
		nt_latency_await_stamps();
		nt_latency_sender_go(run);
		error = receive_all(fd, run, fault);
	}
	close(fd);
	return error;
}
