/* SPDX-License-Identifier: Apache-2.0 */
/* Messages with file descriptors over a SOCK_SEQPACKET Unix socket (SCM_RIGHTS). */
#ifndef NT_PASS_H
#define NT_PASS_H

#include <stdint.h>
#include <sys/types.h>

#define NT_PASS_FDS_MAX 8u

/* Sends one message whole, and never waits for who does not read: 0 or a negative errno. */
int nt_pass(int socket, const void *data, size_t bytes, const int *fds, uint32_t fd_count);

/* Receives one message and at most `room` descriptors, *fd_count of which came; the rest, and those of a message of another length,
 * are closed. Returns the bytes that came, 0 at the end, or a negative errno. Places without a descriptor are -1. */
ssize_t nt_take(int socket, void *data, size_t bytes, int *fds, uint32_t room, uint32_t *fd_count);

/* Closes those that are there. */
void nt_close_fds(const int *fds, uint32_t count);

#endif
