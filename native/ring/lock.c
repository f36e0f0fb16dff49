/* SPDX-License-Identifier: Apache-2.0 */
/* One writer for each ring: flock, which the kernel gives back however the process ends. The file is 0600, because whoever may
 * open a file may lock it, and a reader must not be able to keep the writer out. */
#include "lock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RACES_MAX 100u /* against processes that remove the file between our open and our lock */

static bool name_is_plain(const char *name)
{
	if (!name[0] || name[0] == '.' || strlen(name) > 63)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
			return false;
	return true;
}

int nt_ring_paths_make(struct nt_ring_paths *paths, const char *directory, const char *name, struct nt_fault *fault)
{
	size_t room = sizeof(paths->descriptor);

	if (!name_is_plain(name))
		return nt_fault_set(fault, -EINVAL,
				    "ring name \"%.80s\": 1 to 63 letters, digits, dots, dashes or underscores expected,"
				    " no dot first",
				    name);
	if (!directory[0] || (size_t)snprintf(paths->descriptor, room, "%s/%s.ring", directory, name) >= room ||
	    (size_t)snprintf(paths->lock, room, "%s/%s.lock", directory, name) >= room ||
	    (size_t)snprintf(paths->data, room, "%s/%s.data", directory, name) >= room)
		return nt_fault_set(fault, -ENAMETOOLONG,
				    "ring %s: a directory of 1 to 255 bytes expected for its files, %zu found", name,
				    strlen(directory));
	return 0;
}

/* Without O_CREAT first: in a sticky directory (/dev/shm) the kernel refuses it on another user's file even to root. */
static int lock_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT)
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

static int refuse_second(int fd, const char *name, struct nt_fault *fault)
{
	char text[16] = "";
	ssize_t bytes = pread(fd, text, sizeof(text) - 1, 0);
	long pid = bytes > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		return nt_fault_set(fault, -EBUSY,
				    "ring %s has a writer already: process %ld; stop it first, or use another ring name", name,
				    pid);
	return nt_fault_set(fault, -EBUSY, "ring %s has a writer already; stop it first, or use another ring name", name);
}

/* Whether the file that we hold is still the one at `path`. */
static bool lock_is_current(int fd, const char *path)
{
	struct stat held;
	struct stat there;

	return !fstat(fd, &held) && !stat(path, &there) && held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

int nt_lock_take(int *lock_fd, const char *path, const char *name, struct nt_fault *fault)
{
	for (unsigned int race = 0; race < RACES_MAX; race++) {
		int fd = lock_open(path);

		if (fd == -EEXIST)
			continue;
		if (fd < 0)
			return nt_fault_set(fault, fd,
					    "%s: the lock file of ring %s cannot be opened: %s; its directory must be writable for"
					    " user %u, and the file must be that user's",
					    path, name, strerror(-fd), (unsigned int)geteuid());
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			int error = errno == EWOULDBLOCK
					    ? refuse_second(fd, name, fault)
					    : nt_fault_set(fault, -errno, "%s: cannot be locked: %s", path, strerror(errno));
			close(fd);
			return error;
		}
		if (lock_is_current(fd, path)) {
			if (!ftruncate(fd, 0) && dprintf(fd, "%ld\n", (long)getpid()) > 0) {
				*lock_fd = fd;
				return 0;
			}
			close(fd);
			return nt_fault_set(fault, -ENOSPC, "%s: cannot be written: its file system is full", path);
		}
		close(fd);
	}
	return nt_fault_set(fault, -EAGAIN, "%s: removed again and again by another process; see who does that", path);
}

void nt_lock_release(int lock_fd, const char *path, bool remove)
{
	/* Failing is harmless: the file then stays, or names a process that does not hold it. */
	int ignored = remove ? unlink(path) : ftruncate(lock_fd, 0);

	(void)ignored;
	close(lock_fd);
}
