/* SPDX-License-Identifier: Apache-2.0 */
/* A ring `t` with files of its own, in a directory of its own, and nothing left there afterwards. */
#ifndef NT_TEST_RING_FILES_H
#define NT_TEST_RING_FILES_H

#include "ring_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

struct files {
	struct nt_ring_options options;
	struct nt_ring ring;
	struct nt_fault fault;
	uint64_t next_seq;
	char directory[64];
	char descriptor[128];
	char data[128];
};

static inline int files_begin(void **state)
{
	struct files *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->directory, "/dev/shm/nt-test-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	chmod(f->directory, 0755);
	snprintf(f->descriptor, sizeof(f->descriptor), "%s/t.ring", f->directory);
	snprintf(f->data, sizeof(f->data), "%s/t.data", f->directory);
	f->options = (struct nt_ring_options){.name = "t", .capacity = 1 << 20, .group = UINT32_MAX};
	strcpy(f->options.shm_directory, f->directory);
	f->ring.lock_fd = -1;
	return 0;
}

static inline int attach(struct files *f)
{
	return nt_ring_attach_writer(&f->ring, &f->options, 1, &f->next_seq, &f->fault);
}

static inline unsigned int file_count(const struct files *f)
{
	DIR *directory = opendir(f->directory);
	unsigned int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

static inline int files_end(void **state)
{
	struct files *f = *state;
	int left;

	nt_ring_close(&f->ring);
	nt_ring_remove(f->directory, "t", &f->fault);
	left = (int)file_count(f);
	umount(f->directory); /* where a test that mounts there failed */
	rmdir(f->directory);
	free(f);
	return left;
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, files_begin, files_end)

#endif
