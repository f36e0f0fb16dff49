/* SPDX-License-Identifier: Apache-2.0 */
/* A reader's own small file. One writer, the reader; whoever copies it waits for an even number of changes. */
#include "../atomic.h"
#include "../clock.h"
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_VERSION 1u
#define LOAD_ATTEMPTS 1000u

/* Odd from here on: fences as in the ring, so that no figure is seen before it. */
static void change_begin(struct nt_reader_status *status)
{
	nt_store_relaxed(&status->changes, status->changes + 1);
	nt_fence_release();
}

static void change_end(struct nt_reader_status *status)
{
	nt_store_relaxed((uint64_t *)&status->updated_ns, (uint64_t)nt_clock_ns(CLOCK_REALTIME));
	nt_store_release(&status->changes, status->changes + 1);
}

/* A file with its blocks, so that a full file system is an error now and no SIGBUS later. */
static int status_map(const char *path, struct nt_reader_status **status)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	void *mapping;
	int error;

	if (fd < 0)
		return -errno;
	error = -posix_fallocate(fd, 0, sizeof(**status));
	mapping = error ? MAP_FAILED : mmap(NULL, sizeof(**status), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!error && mapping == MAP_FAILED)
		error = -errno;
	if (!error && fchmod(fd, 0644))
		error = -errno;
	close(fd);
	if (error) {
		if (mapping != MAP_FAILED)
			munmap(mapping, sizeof(**status));
		unlink(path);
		return error;
	}
	*status = mapping;
	return 0;
}

int nt_reader_status_create(struct nt_reader_status **status, const char *path, const char *name, const struct nt_ring *ring,
			    struct nt_fault *fault)
{
	int error;

	unlink(path); /* of a reader that died: those who map it keep what they have */
	error = status_map(path, status);
	if (error)
		return nt_fault_set(fault, error, "%s: the reader's status file cannot be made: %s", path, strerror(-error));
	(*status)->version = STATUS_VERSION;
	(*status)->pid = (uint32_t)getpid();
	memcpy((*status)->ring_id, ring->descriptor->ring_id, sizeof((*status)->ring_id));
	memcpy((*status)->name, name, strnlen(name, sizeof((*status)->name) - 1));
	(*status)->recorded = UINT64_MAX; /* unknown, all four */
	(*status)->write_failures = UINT64_MAX;
	(*status)->written_bytes = UINT64_MAX;
	(*status)->settled = UINT64_MAX;
	nt_store_release(&(*status)->magic, NT_READER_STATUS_MAGIC);
	return 0;
}

void nt_reader_status_update(struct nt_reader_status *status, const struct nt_reader *reader)
{
	change_begin(status);
	nt_store_relaxed(&status->position, reader->position);
	nt_store_relaxed(&status->next_seq, reader->next_seq);
	nt_store_relaxed(&status->records, reader->records);
	nt_store_relaxed(&status->lost, reader->lost);
	nt_store_relaxed(&status->loss_events, reader->loss_events);
	/* What is not handed out is lost, and the other way round. */
	nt_store_relaxed(&status->first_seq, reader->next_seq - reader->records - reader->lost);
	change_end(status);
}

void nt_reader_status_recorded(struct nt_reader_status *status, uint64_t recorded, uint64_t write_failures, uint64_t written_bytes)
{
	change_begin(status);
	nt_store_relaxed(&status->recorded, recorded);
	nt_store_relaxed(&status->write_failures, write_failures);
	nt_store_relaxed(&status->written_bytes, written_bytes);
	change_end(status);
}

void nt_reader_status_settled(struct nt_reader_status *status, uint64_t position)
{
	change_begin(status);
	nt_store_relaxed(&status->settled, position);
	change_end(status);
}

void nt_reader_status_close(struct nt_reader_status *status, const char *path)
{
	munmap(status, sizeof(*status));
	unlink(path);
}

/* Not mapped: the file is another user's, who may cut it at any moment, and a read then only comes up short. */
static int status_read(int fd, void *to, size_t bytes, size_t offset)
{
	ssize_t got = pread(fd, to, bytes, (off_t)offset);

	nt_fence_acquire(); /* what is read next is read later */
	if (got < 0)
		return -errno;
	return (size_t)got == bytes ? 0 : -EAGAIN;
}

static int status_copy(struct nt_reader_status *copy, int fd)
{
	struct nt_reader_status seen;
	int error = status_read(fd, &seen.magic, sizeof(seen.magic), offsetof(struct nt_reader_status, magic));

	if (error)
		return error;
	if (seen.magic != NT_READER_STATUS_MAGIC)
		return seen.magic ? -EBADMSG : -EAGAIN;
	for (uint32_t attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
		uint64_t before = 1;
		uint64_t after = 0;

		error = status_read(fd, &before, sizeof(before), offsetof(struct nt_reader_status, changes));
		if (!error)
			error = status_read(fd, &seen, sizeof(seen), 0);
		if (!error)
			error = status_read(fd, &after, sizeof(after), offsetof(struct nt_reader_status, changes));
		if (error)
			return error;
		if (seen.version != STATUS_VERSION)
			return -EBADMSG;
		seen.name[sizeof(seen.name) - 1] = 0;
		*copy = seen;
		if (!(before & 1) && after == before)
			return 0;
	}
	return -EAGAIN;
}

int nt_reader_status_load(struct nt_reader_status *copy, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a FIFO must not hold us up */
	struct stat file;
	int error;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &file))
		error = -errno;
	else if (!S_ISREG(file.st_mode) || file.st_size > (off_t)sizeof(*copy))
		error = -EBADMSG;
	else
		error = status_copy(copy, fd);
	close(fd);
	return error;
}
