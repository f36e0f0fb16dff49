/* SPDX-License-Identifier: Apache-2.0 */
/* Attaching to a ring's files, as its writer or as a reader, and letting go of them. */
#include "create.h"
#include "hugepages.h"
#include "shape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens the descriptor and copies its first page. 0, or a negative errno with the fault set; `fd` is closed then. */
static int descriptor_load(const char *path, int flags, int *fd, struct stat *file, struct nt_ring_descriptor *found,
			   struct nt_fault *fault)
{
	ssize_t bytes;

	*fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a FIFO must not hold us up: it is refused below */
	if (*fd < 0 && errno == ENOENT)
		return nt_fault_set(fault, -ENOENT, "%s: no such ring; start its capture, or see `nanotape rings`", path);
	if (*fd < 0 && errno == EACCES)
		return nt_fault_set(fault, -EACCES, "%s: user %u may not open it; add the user to the ring's group", path,
				    (unsigned int)geteuid());
	if (*fd < 0 || fstat(*fd, file)) {
		int error = -errno;

		if (*fd >= 0)
			close(*fd);
		return nt_fault_set(fault, error, "%s: cannot be opened: %s", path, strerror(-error));
	}
	memset(found, 0, sizeof(*found));
	bytes = S_ISREG(file->st_mode) ? pread(*fd, found, sizeof(*found), 0) : -1;
	if (bytes < 0) {
		close(*fd);
		return nt_fault_set(fault, -EBADMSG, "%s: a ring's descriptor expected, something else found", path);
	}
	return 0;
}

/* Opens the data that a checked descriptor names. They must be the very file that it was made with, and of its owner. Returns the fd
 * or a negative errno. */
static int data_open(const struct nt_ring_descriptor *found, const struct stat *descriptor, int flags, struct nt_fault *fault)
{
	int fd = open(found->data_path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat file;

	if (fd < 0) /* not -ENOENT: there is a ring */
		return nt_fault_set(fault, errno == ENOENT ? -ENODATA : -errno,
				    "%s: the data of ring %s cannot be opened: %s; stop its readers and remove the ring with"
				    " `nanotape rings --remove %s`",
				    found->data_path, found->name, strerror(errno), found->name);
	if (fstat(fd, &file) || !S_ISREG(file.st_mode) || file.st_uid != descriptor->st_uid ||
	    (uint64_t)file.st_size != found->capacity || !nt_ring_is_data(found, &file)) {
		close(fd);
		return nt_fault_set(fault, -EBADMSG,
				    "%s: the data of ring %s expected: %llu bytes of user %u, inode %llu, something else found;"
				    " stop its readers and remove the ring with `nanotape rings --remove %s`",
				    found->data_path, found->name, (unsigned long long)found->capacity,
				    (unsigned int)descriptor->st_uid, (unsigned long long)found->data_inode, found->name);
	}
	return fd;
}

static const char *kind_text(uint32_t memory_kind)
{
	static const char *const texts[] = {"ordinary pages", "huge pages of 2 MiB", "huge pages of 1 GiB"};

	return memory_kind <= NT_MEMORY_HUGE_1G ? texts[memory_kind] : "unknown pages";
}

/* Whether an existing ring is what the options ask for. */
static int check_wanted(const struct nt_ring_descriptor *found, const struct nt_ring_options *options, struct nt_fault *fault)
{
	uint64_t capacity = nt_shape_capacity(options->capacity, found->page_bytes_log2);
	bool huge = found->memory_kind != NT_MEMORY_SHM;

	if ((options->hugepages == NT_HUGEPAGES_OFF && huge) || (options->hugepages == NT_HUGEPAGES_REQUIRE && !huge) ||
	    (huge && options->page_bytes_log2 && options->page_bytes_log2 != found->page_bytes_log2))
		return nt_fault_set(fault, -EEXIST,
				    "ring %s lies on %s, %s%s expected; stop its readers and remove it with"
				    " `nanotape rings --remove %s`, or change the configuration",
				    found->name, kind_text(found->memory_kind),
				    options->hugepages == NT_HUGEPAGES_OFF ? "ordinary" : "huge",
				    options->page_bytes_log2 == 30 ? " pages of 1 GiB" : " pages", found->name);
	if (capacity != found->capacity)
		return nt_fault_set(fault, -EEXIST,
				    "ring %s has %llu bytes, %llu expected; stop its readers and remove it with"
				    " `nanotape rings --remove %s`, or change the configuration",
				    found->name, (unsigned long long)found->capacity, (unsigned long long)capacity, found->name);
	return 0;
}

/* Maps an existing ring for its writer. -ENOENT: there is none, or only one that was never finished. */
static int attach_existing(struct nt_ring *ring, const struct nt_ring_options *options, const struct nt_ring_paths *paths,
			   struct nt_fault *fault)
{
	struct nt_ring_descriptor found;
	struct stat file;
	int data_fd;
	int fd;
	int error = descriptor_load(paths->descriptor, O_RDWR, &fd, &file, &found, fault);

	if (error)
		return error;
	if (file.st_uid != geteuid())
		error = nt_fault_set(fault, -EPERM,
				     "%s: a ring of user %u expected, it is user %u's; run as that user, or remove it with"
				     " `nanotape rings --remove %s`",
				     paths->descriptor, (unsigned int)geteuid(), (unsigned int)file.st_uid, options->name);
	else if (!found.magic)
		error = -ENOENT;
	else
		error = nt_shape_check(&found, (uint64_t)file.st_size, paths->descriptor, fault);
	if (!error)
		error = check_wanted(&found, options, fault);
	data_fd = error ? error : data_open(&found, &file, O_RDWR, fault);
	if (data_fd < 0) {
		close(fd);
		return data_fd;
	}
	error = nt_ring_set_access(fd, options->group);
	if (!error)
		error = nt_ring_set_access(data_fd, options->group);
	if (!error)
		error = nt_ring_map(ring, &found, fd, data_fd);
	close(data_fd);
	close(fd);
	return error ? nt_fault_set(fault, error, "ring %s: cannot be mapped, or given to group %u: %s", options->name,
				    options->group, strerror(-error))
		     : 0;
}

static void unmap(struct nt_ring *ring)
{
	munmap(ring->data, ring->data_bytes);
	munmap(ring->descriptor, ring->descriptor_bytes);
}

/* With the lock held: the ring as it is, or a new one; then what every new writer does. */
static int attach_locked(struct nt_ring *ring, const struct nt_ring_options *options, const struct nt_ring_paths *paths,
			 uint64_t holder_id, uint64_t *next_seq, bool *made, struct nt_fault *fault)
{
	int error = attach_existing(ring, options, paths, fault);

	if (error == -ENOENT) {
		error = nt_ring_unlink(paths, options->name, fault);
		*made = !error;
		if (!error)
			error = nt_ring_create(ring, options, paths, fault);
	}
	if (error)
		return error;
	if (options->lock_memory)
		ring->descriptor->locked = !mlock(ring->data, ring->data_bytes) && !mlock(ring->descriptor, ring->descriptor_bytes);
	error = nt_ring_restart(ring, holder_id, next_seq, fault);
	if (error)
		unmap(ring);
	return error;
}

int nt_ring_attach_writer(struct nt_ring *ring, const struct nt_ring_options *options, uint64_t holder_id, uint64_t *next_seq,
			  struct nt_fault *fault)
{
	struct nt_ring_paths paths;
	bool made = false;
	int lock_fd = -1;
	int error = nt_ring_paths_make(&paths, options->shm_directory, options->name, fault);

	*ring = (struct nt_ring){.lock_fd = -1};
	if (!error)
		error = nt_lock_take(&lock_fd, paths.lock, options->name, fault);
	if (error)
		return error;
	error = attach_locked(ring, options, &paths, holder_id, next_seq, &made, fault);
	if (error) {
		nt_lock_release(lock_fd, paths.lock, made);
		*ring = (struct nt_ring){.lock_fd = -1};
		return error;
	}
	ring->lock_fd = lock_fd;
	return 0;
}

int nt_ring_open(struct nt_ring *ring, const char *descriptor_path, struct nt_fault *fault)
{
	struct nt_ring_descriptor found;
	void *mapping = MAP_FAILED;
	void *data = MAP_FAILED;
	struct stat file;
	int data_fd;
	int fd;
	int error = descriptor_load(descriptor_path, O_RDONLY, &fd, &file, &found, fault);

	*ring = (struct nt_ring){.lock_fd = -1};
	if (error)
		return error;
	error = nt_shape_check(&found, (uint64_t)file.st_size, descriptor_path, fault);
	data_fd = error ? error : data_open(&found, &file, O_RDONLY, fault);
	if (data_fd >= 0) {
		mapping = mmap(NULL, found.descriptor_bytes, PROT_READ, MAP_SHARED, fd, 0);
		data = mmap(NULL, found.capacity, PROT_READ, MAP_SHARED, data_fd, 0);
		error = mapping == MAP_FAILED || data == MAP_FAILED ? -errno : 0;
		close(data_fd);
	}
	close(fd);
	if (data_fd < 0)
		return data_fd;
	if (error) {
		if (mapping != MAP_FAILED)
			munmap(mapping, found.descriptor_bytes);
		if (data != MAP_FAILED)
			munmap(data, found.capacity);
		return nt_fault_set(fault, error, "%s: cannot be mapped: %s", descriptor_path, strerror(-error));
	}
	nt_shape_bind(ring, &found, mapping, data);
	return 0;
}

void nt_ring_close(struct nt_ring *ring)
{
	if (!ring->descriptor)
		return;
	if (ring->private_memory) {
		free(ring->data);
		free(ring->descriptor);
	} else {
		if (ring->lock_fd >= 0)
			__atomic_store_n(&ring->descriptor->writer_pid, 0, __ATOMIC_RELAXED);
		unmap(ring);
		if (ring->lock_fd >= 0)
			nt_lock_release(ring->lock_fd, NULL, false);
	}
	*ring = (struct nt_ring){.lock_fd = -1};
}

int nt_ring_remove(const char *shm_directory, const char *name, struct nt_fault *fault)
{
	struct nt_ring_paths paths;
	int lock_fd;
	int error = nt_ring_paths_make(&paths, shm_directory, name, fault);

	if (!error && access(paths.descriptor, F_OK) && access(paths.lock, F_OK))
		error = nt_fault_set(fault, -ENOENT, "%s: no such ring; see `nanotape rings`", paths.descriptor);
	if (!error)
		error = nt_lock_take(&lock_fd, paths.lock, name, fault);
	if (error)
		return error;
	error = nt_ring_unlink(&paths, name, fault);
	nt_lock_release(lock_fd, paths.lock, !error);
	return error;
}
