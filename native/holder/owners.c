/* SPDX-License-Identifier: Apache-2.0 */
/* From a socket's inode to the process that has it open: only the links in /proc/PID/fd tell. Processes come and go, and may not be
 * looked into: what cannot be read is passed over. */
#include "network.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare(const void *left, const void *right)
{
	const struct nt_socket_owner *a = left, *b = right;

	return (a->inode > b->inode) - (a->inode < b->inode);
}

/* The first of those with this inode, or `count`. */
static uint32_t find(const struct nt_socket_owner *owners, uint32_t count, uint32_t inode)
{
	uint32_t low = 0;
	uint32_t high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (owners[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && owners[low].inode == inode ? low : count;
}

/* A process chooses its own name: nothing in it may end a field, a line, or speak to a terminal. */
static void read_name(char name[32], int process_fd)
{
	int fd = openat(process_fd, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? 0 : read(fd, name, 31);

	if (fd >= 0)
		close(fd);
	while (bytes > 0 && name[bytes - 1] == '\n')
		bytes--;
	name[bytes < 0 ? 0 : bytes] = 0;
	for (char *at = name; *at; at++)
		if (!isascii(*at) || !isprint(*at))
			*at = '?';
}

static void take_link(struct nt_socket_owner *owners, uint32_t count, const char *link, uint32_t pid, int process_fd)
{
	uint32_t inode;

	if (strncmp(link, "socket:[", 8) != 0)
		return;
	inode = (uint32_t)strtoull(link + 8, NULL, 10);
	for (uint32_t at = find(owners, count, inode); inode && at < count && owners[at].inode == inode; at++) {
		if (owners[at].pid && owners[at].pid < pid)
			continue;
		owners[at].pid = pid;
		read_name(owners[at].process, process_fd);
	}
}

static void look_into(struct nt_socket_owner *owners, uint32_t count, uint32_t pid, int process_fd)
{
	int fd = openat(process_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!folder && fd >= 0)
		close(fd);
	if (!folder)
		return;
	while ((entry = readdir(folder))) {
		char link[64];
		ssize_t bytes = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);

		if (bytes <= 0)
			continue;
		link[bytes] = 0;
		take_link(owners, count, link, pid, process_fd);
	}
	closedir(folder);
}

void nt_socket_owners_find(struct nt_socket_owner *owners, uint32_t count, const char *proc)
{
	DIR *folder = opendir(proc);
	const struct dirent *entry;

	qsort(owners, count, sizeof(*owners), compare);
	if (!folder)
		return;
	while ((entry = readdir(folder))) {
		char *end;
		unsigned long pid = strtoul(entry->d_name, &end, 10);
		int fd;

		if (!pid || *end)
			continue;
		fd = openat(dirfd(folder), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			continue;
		look_into(owners, count, (uint32_t)pid, fd);
		close(fd);
	}
	closedir(folder);
}
