/* SPDX-License-Identifier: Apache-2.0 */
/* Lists from the kernel by netlink (netlink(7)): one request, any number of messages in datagrams, then NLMSG_DONE. */
#include "network.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NT_NETLINK_BYTES 65536 /* the kernel packs at most 32 KiB into a datagram of a dump */

static int send_request(int fd, const struct nlmsghdr *request)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent = sendto(fd, request, request->nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel));

	return sent < 0 ? -errno : 0;
}

/* Bytes of the next datagram from the kernel; another process may write to our socket too. */
static ssize_t receive(int fd, void *buffer)
{
	struct sockaddr_nl sender;
	ssize_t bytes;

	do {
		socklen_t length = sizeof(sender);

		bytes = recvfrom(fd, buffer, NT_NETLINK_BYTES, MSG_TRUNC, (struct sockaddr *)&sender, &length);
	} while ((bytes < 0 && errno == EINTR) || (bytes >= 0 && sender.nl_pid != 0));
	if (bytes < 0)
		return -errno;
	return bytes > NT_NETLINK_BYTES ? -EMSGSIZE : bytes;
}

/* The error that NLMSG_ERROR and NLMSG_DONE carry; 0 in the latter where an old kernel sends none. */
static int error_of(const struct nlmsghdr *message)
{
	int error = 0;

	if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(message), sizeof(error));
	else if (message->nlmsg_type == NLMSG_ERROR)
		error = -EBADMSG;
	return error;
}

struct answer {
	bool done;
	bool changed;
};

static int walk(struct answer *answer, const void *buffer, ssize_t bytes, nt_netlink_take take, struct nt_network *network)
{
	const struct nlmsghdr *message = buffer;
	int error = 0;

	for (; !error && !answer->done && NLMSG_OK(message, bytes); message = NLMSG_NEXT(message, bytes)) {
		answer->changed |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
			answer->done = true;
			error = error_of(message);
		} else if (message->nlmsg_type == NLMSG_OVERRUN) {
			error = -ENOBUFS;
		} else if (message->nlmsg_type != NLMSG_NOOP) {
			error = take(network, message);
		}
	}
	return error;
}

static int collect(int fd, nt_netlink_take take, struct nt_network *network)
{
	static _Alignas(struct nlmsghdr) char buffer[NT_NETLINK_BYTES];
	struct answer answer = {0};
	int error = 0;

	while (!error && !answer.done) {
		ssize_t bytes = receive(fd, buffer);

		error = bytes < 0 ? (int)bytes : walk(&answer, buffer, bytes, take, network);
	}
	return !error && answer.changed ? -EINTR : error;
}

int nt_netlink_dump(int protocol, const struct nlmsghdr *request, nt_netlink_take take, struct nt_network *network)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	int error;

	if (fd < 0)
		return -errno;
	error = send_request(fd, request);
	if (!error)
		error = collect(fd, take, network);
	close(fd);
	return error;
}
