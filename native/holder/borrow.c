/* SPDX-License-Identifier: Apache-2.0 */
/* The borrowing side of lend.h. Needs no privilege. */
#include "lend.h"

#include "../loop/counters.h"
#include "pass.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define NT_BORROW_TIMEOUT_S 5

static int connect_holder(const char *path, struct nt_fault *fault)
{
	const struct timeval patience = {.tv_sec = NT_BORROW_TIMEOUT_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int error;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return nt_fault_set(fault, -ENAMETOOLONG, "holder socket \"%s\": expected at most %zu bytes", path,
				    sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return nt_fault_set(fault, -errno, "holder socket %s: %s", path, strerror(errno));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		return fd;
	}
	error = -errno;
	close(fd);
	if (error == -EACCES)
		return nt_fault_set(fault, error, "holder socket %s: user %u may not connect: it is for the capture user and root",
				    path, geteuid());
	return nt_fault_set(fault, error, "holder socket %s: no holder answers (%s): start nanotape-holder first", path,
			    strerror(-error));
}

static int receive_hello(int fd, struct nt_lend_hello *hello, const char *path, struct nt_fault *fault)
{
	ssize_t got = recv(fd, hello, sizeof(*hello), 0);

	if (got < 0)
		return nt_fault_set(fault, -errno, "holder socket %s: the holder does not answer: %s", path, strerror(errno));
	if (got != sizeof(*hello) || hello->magic != NT_LEND_MAGIC || hello->version != NT_LEND_VERSION)
		return nt_fault_set(fault, -EPROTO,
				    "holder socket %s: expected a holder of lending version %u, found another: restart it", path,
				    NT_LEND_VERSION);
	if (hello->status == NT_LEND_BUSY)
		return nt_fault_set(fault, -EBUSY, "holder socket %s: pid %u is capturing already: stop it first", path,
				    hello->borrower_pid);
	if (hello->status != NT_LEND_OK)
		return nt_fault_set(fault, -EACCES,
				    "holder socket %s: the holder lends to the capture user and root, not to user %u", path,
				    geteuid());
	if (hello->lane_count == 0 || hello->lane_count > NT_LEND_LANES_MAX)
		return nt_fault_set(fault, -EPROTO, "holder socket %s: lends %u lanes, expected 1 to %u", path, hello->lane_count,
				    NT_LEND_LANES_MAX);
	return 0;
}

static int receive_lane(int fd, struct nt_borrowed_lane *lane, const char *path, struct nt_fault *fault)
{
	int fds[NT_LEND_LANE_FDS];
	uint32_t count;
	ssize_t got = nt_take(fd, &lane->facts, sizeof(lane->facts), fds, NT_LEND_LANE_FDS, &count);
	uint32_t expected = got > 0 && lane->facts.kind == NT_SOURCE_PACKET ? NT_LEND_PACKET_FDS : NT_LEND_LANE_FDS;

	lane->socket_fd = fds[0];
	lane->umem_fd = fds[1];
	lane->counters_fd = fds[2];
	if (got > 0 && count == expected) {
		lane->facts.interface[sizeof(lane->facts.interface) - 1] = '\0';
		lane->facts.driver[sizeof(lane->facts.driver) - 1] = '\0';
		return 0;
	}
	return nt_fault_set(
		fault, -EPROTO,
		"holder socket %s: expected a lane of %zu bytes with %u descriptors, found another message, or %u (too few open files allowed?)",
		path, sizeof(lane->facts), expected, count);
}

int nt_borrow(struct nt_borrowed *borrowed, const char *socket_path, struct nt_fault *fault)
{
	struct nt_lend_hello hello = {0};
	int error;

	memset(borrowed, 0, sizeof(*borrowed));
	borrowed->connection = connect_holder(socket_path, fault);
	if (borrowed->connection < 0)
		return borrowed->connection;
	error = receive_hello(borrowed->connection, &hello, socket_path, fault);
	borrowed->holder_id = hello.holder_id;
	for (uint32_t i = 0; !error && i < hello.lane_count; i++) {
		borrowed->lane_count++;
		error = receive_lane(borrowed->connection, &borrowed->lanes[i], socket_path, fault);
	}
	if (error)
		nt_borrow_end(borrowed);
	return error;
}

void nt_borrow_end(struct nt_borrowed *borrowed)
{
	for (uint32_t i = 0; i < borrowed->lane_count; i++) {
		const int fds[NT_LEND_LANE_FDS] = {borrowed->lanes[i].socket_fd, borrowed->lanes[i].umem_fd,
						   borrowed->lanes[i].counters_fd};

		for (int j = 0; j < NT_LEND_LANE_FDS; j++)
			if (fds[j] >= 0)
				close(fds[j]);
	}
	borrowed->lane_count = 0;
	if (borrowed->connection >= 0)
		close(borrowed->connection); /* last: the holder lends again as soon as it is closed */
	borrowed->connection = -1;
}
