/* SPDX-License-Identifier: Apache-2.0 */
#include "pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int nt_pass(int socket, const void *data, size_t bytes, const int *fds, uint32_t fd_count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(NT_PASS_FDS_MAX * sizeof(int))] = {0};
	struct iovec part = {.iov_base = (void *)data, .iov_len = bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent;

	if (fd_count > NT_PASS_FDS_MAX)
		return -E2BIG;
	if (fd_count) {
		struct cmsghdr *header;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
	}
	sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return -errno;
	return (size_t)sent == bytes ? 0 : -EMSGSIZE;
}

/* Whatever number of descriptors came, they are ours now. */
static uint32_t take_descriptors(struct msghdr *message, int *fds, uint32_t room)
{
	uint32_t count = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t bytes = header->cmsg_len - CMSG_LEN(0);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < bytes / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (count < room)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

ssize_t nt_take(int socket, void *data, size_t bytes, int *fds, uint32_t room, uint32_t *fd_count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(NT_PASS_FDS_MAX * sizeof(int))];
	struct iovec part = {.iov_base = data, .iov_len = bytes};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;

	for (uint32_t i = 0; i < room; i++)
		fds[i] = -1;
	*fd_count = 0;
	got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	*fd_count = take_descriptors(&message, fds, room);
	if ((size_t)got == bytes && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return got;
	nt_close_fds(fds, *fd_count);
	while (*fd_count)
		fds[--*fd_count] = -1;
	return got == 0 ? 0 : -EBADMSG;
}

void nt_close_fds(const int *fds, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}
