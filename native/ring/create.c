/* SPDX-License-Identifier: Apache-2.0 */
/* A ring is made in an order that a death at any point leaves cleanable: the data, complete but without a name, a descriptor that
 * says which file they are and where it is to be, their name, and the magic last. */
#include "create.h"
#include "../atomic.h"
#include "hugepages.h"
#include "shape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int nt_ring_set_access(int fd, uint32_t group)
{
	if (group != UINT32_MAX && fchown(fd, (uid_t)-1, (gid_t)group))
		return -errno;
	return fchmod(fd, 0640) ? -errno : 0;
}

bool nt_ring_is_data(const struct nt_ring_descriptor *found, const struct stat *file)
{
	return file->st_dev == found->data_device && file->st_ino == found->data_inode;
}

int nt_ring_map(struct nt_ring *ring, const struct nt_ring_descriptor *checked, int descriptor_fd, int data_fd)
{
	void *file;
	void *data;
	int error = nt_map_populated(&file, descriptor_fd, checked->descriptor_bytes);

	if (error)
		return error;
	error = nt_map_populated(&data, data_fd, checked->capacity);
	if (error) {
		munmap(file, checked->descriptor_bytes);
		return error;
	}
	nt_shape_bind(ring, checked, file, data);
	return 0;
}

/* The descriptor's first page, without the magic: enough for the next process to clean up after this one. */
static int write_draft(int fd, struct nt_ring_descriptor *draft, const struct nt_placement *placement, int data_fd)
{
	struct stat data;
	ssize_t bytes;

	if (fstat(data_fd, &data))
		return -errno;
	nt_shape_fill(draft, placement->bytes);
	draft->memory_kind = placement->memory_kind;
	draft->page_bytes_log2 = placement->page_bytes_log2;
	memcpy(draft->data_path, placement->path, sizeof(draft->data_path));
	draft->data_device = data.st_dev;
	draft->data_inode = data.st_ino;
	bytes = pwrite(fd, draft, sizeof(*draft), 0);
	if (bytes < 0)
		return -errno;
	return bytes == (ssize_t)sizeof(*draft) ? 0 : -ENOSPC;
}

/* `data_fd` is -1 when this fails, and no file has got a name. */
static int allocate_at(int fd, struct nt_ring_descriptor *draft, const struct nt_placement *placement, int *data_fd,
		       struct nt_fault *fault)
{
	int error = nt_placement_allocate(placement, data_fd, draft->name, fault);

	if (error)
		return error;
	error = write_draft(fd, draft, placement, *data_fd);
	if (error)
		nt_fault_set(fault, error, "ring %s: its descriptor cannot be written: %s", draft->name, strerror(-error));
	else
		error = nt_placement_link(placement, *data_fd, draft->name, fault);
	if (error) {
		close(*data_fd);
		*data_fd = -1;
	}
	return error;
}

/* Huge pages if asked for; with `prefer` the fallback, and the reason why in the descriptor. */
static int allocate_data(int fd, struct nt_ring_descriptor *draft, const struct nt_ring_options *options,
			 const struct nt_ring_paths *paths, int *data_fd, struct nt_fault *fault)
{
	struct nt_placement placement = {0};
	struct nt_fault reason = {0};
	int error;

	if (options->hugepages != NT_HUGEPAGES_OFF) {
		error = nt_placement_huge(&placement, options, &reason);
		if (!error)
			error = allocate_at(fd, draft, &placement, data_fd, &reason);
		if (!error)
			return 0;
		if (options->hugepages == NT_HUGEPAGES_REQUIRE)
			return nt_fault_set(fault, error, "%s", reason.text);
		snprintf(draft->fallback_reason, sizeof(draft->fallback_reason), "%.255s", reason.text);
	}
	error = nt_placement_shm(&placement, options, paths->data, fault);
	return error ? error : allocate_at(fd, draft, &placement, data_fd, fault);
}

static int finish(struct nt_ring *ring, const struct nt_ring_descriptor *draft, const struct nt_ring_options *options, int fd,
		  int data_fd, struct nt_fault *fault)
{
	int error = nt_allocate_blocks(fd, draft->descriptor_bytes);

	if (!error)
		error = nt_ring_set_access(fd, options->group);
	if (!error)
		error = nt_ring_set_access(data_fd, options->group);
	if (error == -EPERM)
		return nt_fault_set(fault, error,
				    "ring %s: its files cannot be given to group %u: user %u is not in it; add the user to the"
				    " group",
				    draft->name, options->group, (unsigned int)geteuid());
	if (!error)
		error = nt_ring_map(ring, draft, fd, data_fd);
	if (error)
		return nt_fault_set(fault, error, "ring %s: its files cannot be completed: %s", draft->name, strerror(-error));
	nt_shape_initialize(ring);
	nt_store_release(&ring->descriptor->magic, NT_RING_MAGIC);
	return 0;
}

int nt_ring_create(struct nt_ring *ring, const struct nt_ring_options *options, const struct nt_ring_paths *paths,
		   struct nt_fault *fault)
{
	struct nt_ring_descriptor draft = {0};
	int data_fd = -1;
	int error;
	int fd = open(paths->descriptor, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return nt_fault_set(fault, -errno,
				    "%s: the ring's descriptor cannot be made: %s; its directory must be writable for user %u",
				    paths->descriptor, strerror(errno), (unsigned int)geteuid());
	memcpy(draft.name, options->name, strnlen(options->name, sizeof(draft.name) - 1));
	error = allocate_data(fd, &draft, options, paths, &data_fd, fault);
	if (!error)
		error = finish(ring, &draft, options, fd, data_fd, fault);
	if (error) {
		if (data_fd >= 0)
			unlink(draft.data_path); /* which we linked */
		unlink(paths->descriptor);
	}
	if (data_fd >= 0)
		close(data_fd);
	close(fd);
	return error;
}

/* Two rings of one name in different directories want the same data file on hugetlbfs: only the very file that the descriptor
 * names goes. A descriptor may be anybody's work, and we may be root: the file must bear the ring's name and have the same owner. */
static void unlink_data(const struct nt_ring_descriptor *found, const char *name, uid_t owner)
{
	const char *base = strrchr(found->data_path, '/');
	char expected[80];
	struct stat file;

	snprintf(expected, sizeof(expected), "/%.63s.data", name);
	if (base && !strcmp(base, expected) && !lstat(found->data_path, &file) && S_ISREG(file.st_mode) && file.st_uid == owner &&
	    nt_ring_is_data(found, &file))
		unlink(found->data_path);
}

int nt_ring_unlink(const struct nt_ring_paths *paths, const char *name, struct nt_fault *fault)
{
	struct nt_ring_descriptor found = {0};
	struct stat file;
	int fd = open(paths->descriptor, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &file)) {
		int error = -errno;

		if (fd >= 0)
			close(fd);
		return nt_fault_set(fault, error, "%s: cannot be opened: %s", paths->descriptor, strerror(-error));
	}
	/* What was not written reads as zero: no data yet. Every layout version keeps where it is what names the data. */
	if (pread(fd, &found, sizeof(found), 0) == (ssize_t)sizeof(found)) {
		found.data_path[sizeof(found.data_path) - 1] = 0;
		unlink_data(&found, name, file.st_uid);
	}
	close(fd);
	if (unlink(paths->descriptor))
		return nt_fault_set(fault, -errno, "%s: cannot be removed: %s", paths->descriptor, strerror(errno));
	return 0;
}
