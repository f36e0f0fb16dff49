/* SPDX-License-Identifier: Apache-2.0 */
/* A ring's files: made, locked, refused, cleaned up after a death, removed. */
#include "ring_files.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static mode_t mode_of(const struct files *f, const char *suffix)
{
	char path[128];
	struct stat file;

	snprintf(path, sizeof(path), "%s/t.%s", f->directory, suffix);
	assert_int_equal(stat(path, &file), 0);
	return file.st_mode & 07777;
}

static void overwrite(const struct files *f, const char *path, const void *bytes, size_t count, off_t offset)
{
	int fd = open(path, O_WRONLY);

	(void)f;
	assert_int_equal(pwrite(fd, bytes, count, offset), count);
	close(fd);
}

static void a_new_ring_has_three_files_and_a_reader_sees_what_is_written(void **state)
{
	struct files *f = *state;
	struct nt_writer writer;
	struct nt_reader reader;
	struct nt_ring seen;

	assert_int_equal(attach(f), 0);
	assert_int_equal(f->next_seq, 1);
	assert_int_equal(mode_of(f, "ring"), 0640);
	assert_int_equal(mode_of(f, "data"), 0640);
	assert_int_equal(mode_of(f, "lock"), 0600);
	assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), 0);
	assert_int_equal(seen.capacity, 1 << 20);
	assert_string_equal(seen.descriptor->name, "t");
	assert_int_equal(nt_reader_init(&reader, &seen, NT_RESUME_QUARTER, &f->fault), 0);
	nt_writer_init(&writer, &f->ring, f->next_seq);
	put_many(&writer, 1000, 100);
	for (uint64_t seq = 1; seq <= 100; seq++)
		expect_record(&reader, seq, 0);
	assert_int_equal(nt_ring_writer_pid(&seen), getpid());
	nt_ring_close(&f->ring);
	assert_int_equal(nt_ring_writer_pid(&seen), 0);
	nt_reader_free(&reader);
	nt_ring_close(&seen);
}

static void the_sequence_goes_on_with_the_next_writer(void **state)
{
	struct files *f = *state;
	struct nt_writer writer;
	uint8_t ring_id[16];

	assert_int_equal(attach(f), 0);
	memcpy(ring_id, f->ring.descriptor->ring_id, 16);
	nt_writer_init(&writer, &f->ring, f->next_seq);
	put_many(&writer, 1000, 5000);
	nt_ring_close(&f->ring);
	assert_int_equal(attach(f), 0);
	assert_int_equal(f->next_seq, 5001);
	assert_int_equal(nt_ring_epoch(&f->ring), 2);
	assert_memory_equal(f->ring.descriptor->ring_id, ring_id, 16);
}

static void a_second_writer_is_refused_and_told_the_first_ones_process(void **state)
{
	struct files *f = *state;
	struct nt_ring second;
	uint64_t next_seq;
	char pid[32];

	assert_int_equal(attach(f), 0);
	assert_int_equal(nt_ring_attach_writer(&second, &f->options, 1, &next_seq, &f->fault), -EBUSY);
	snprintf(pid, sizeof(pid), "process %d;", (int)getpid());
	assert_non_null(strstr(f->fault.text, pid));
	assert_int_equal(nt_ring_remove(f->directory, "t", &f->fault), -EBUSY);
	assert_int_equal(nt_ring_epoch(&f->ring), 1);
	assert_int_equal(file_count(f), 3);
}

static void a_killed_writers_lock_is_free(void **state)
{
	struct files *f = *state;
	int status;
	pid_t child = fork();

	if (!child) {
		attach(f);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(attach(f), 0);
	assert_int_equal(nt_ring_epoch(&f->ring), 2);
}

static void another_layout_version_is_refused_by_writer_and_reader(void **state)
{
	struct files *f = *state;
	uint32_t version = NT_RING_LAYOUT_VERSION + 1;
	char told[64];
	struct nt_ring seen;

	assert_int_equal(attach(f), 0);
	nt_ring_close(&f->ring);
	overwrite(f, f->descriptor, &version, sizeof(version), offsetof(struct nt_ring_descriptor, layout_version));
	assert_int_equal(attach(f), -EPROTO);
	snprintf(told, sizeof(told), "version %u expected, %u found", NT_RING_LAYOUT_VERSION, version);
	assert_non_null(strstr(f->fault.text, told));
	assert_non_null(strstr(f->fault.text, "nanotape rings --remove t"));
	assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), -EPROTO);
	assert_int_equal(file_count(f), 3);
	assert_int_equal(nt_ring_remove(f->directory, "t", &f->fault), 0);
	assert_int_equal(file_count(f), 0);
}

static void another_shape_than_wanted_is_refused(void **state)
{
	struct files *f = *state;

	assert_int_equal(attach(f), 0);
	nt_ring_close(&f->ring);
	f->options.capacity = 2 << 20;
	assert_int_equal(attach(f), -EEXIST);
	assert_non_null(strstr(f->fault.text, "1048576 bytes, 2097152 expected"));
	f->options.capacity = (1 << 20) - 5; /* rounded up */
	assert_int_equal(attach(f), 0);
	nt_ring_close(&f->ring);
	f->options.hugepages = NT_HUGEPAGES_REQUIRE;
	assert_int_equal(attach(f), -EEXIST);
	assert_non_null(strstr(f->fault.text, "ordinary pages"));
	f->options.hugepages = NT_HUGEPAGES_PREFER;
	assert_int_equal(attach(f), 0);
}

static void a_damaged_descriptor_is_refused(void **state)
{
	static const size_t fields[] = {
		offsetof(struct nt_ring_descriptor, capacity),
		offsetof(struct nt_ring_descriptor, max_record_bytes),
		offsetof(struct nt_ring_descriptor, granule_bytes),
		offsetof(struct nt_ring_descriptor, index_entries),
		offsetof(struct nt_ring_descriptor, descriptor_bytes),
		offsetof(struct nt_ring_descriptor, flows_offset),
		offsetof(struct nt_ring_descriptor, magic),
		offsetof(struct nt_ring_descriptor, index_offset),
	};
	struct files *f = *state;
	struct nt_ring seen;

	assert_int_equal(attach(f), 0);
	nt_ring_close(&f->ring);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		uint64_t good;
		uint64_t bad;
		int fd = open(f->descriptor, O_RDWR);

		assert_int_equal(pread(fd, &good, 8, (off_t)fields[i]), 8);
		bad = good * 2 + 8;
		assert_int_equal(pwrite(fd, &bad, 8, (off_t)fields[i]), 8);
		assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), -EBADMSG);
		assert_int_equal(attach(f), -EBADMSG);
		assert_int_equal(pwrite(fd, &good, 8, (off_t)fields[i]), 8);
		close(fd);
	}
	assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), 0);
	nt_ring_close(&seen);
}

static void cut_data_are_refused_and_not_mapped(void **state)
{
	struct files *f = *state;
	struct nt_ring seen;

	assert_int_equal(attach(f), 0);
	nt_ring_close(&f->ring);
	assert_int_equal(truncate(f->data, 4096), 0);
	assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), -EBADMSG);
	assert_int_equal(attach(f), -EBADMSG);
	unlink(f->data);
	assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), -ENODATA);
	assert_int_equal(attach(f), -ENODATA);
}

static void a_half_made_ring_is_made_anew(void **state)
{
	static const off_t sizes[] = {0, 100, 4096, 1 << 20};
	struct files *f = *state;
	struct nt_ring seen;
	uint64_t nothing = 0;

	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		off_t size = sizes[i / 2];

		assert_int_equal(attach(f), 0);
		nt_ring_close(&f->ring);
		overwrite(f, f->descriptor, &nothing, sizeof(nothing), 0); /* the magic: it comes last */
		assert_int_equal(truncate(f->descriptor, size), 0);
		/* The data get their name after the draft is written. */
		if (i % 2 || size < (off_t)sizeof(struct nt_ring_descriptor))
			unlink(f->data);
		assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), -EAGAIN);
		assert_int_equal(attach(f), 0);
		assert_int_equal(f->next_seq, 1);
		assert_int_equal(nt_ring_epoch(&f->ring), 1);
		nt_ring_close(&f->ring);
	}
}

static void too_little_room_is_an_error_and_leaves_nothing(void **state)
{
	struct files *f = *state;

	if (geteuid() || mount("none", f->directory, "tmpfs", 0, "size=4m")) {
		print_message("skipped: a small file system to fill takes root\n");
		skip();
	}
	f->options.capacity = 8 << 20;
	assert_int_equal(attach(f), -ENOSPC);
	assert_non_null(strstr(f->fault.text, "needs 8388608 bytes"));
	assert_int_equal(file_count(f), 0);
	f->options.capacity = 1 << 20;
	assert_int_equal(attach(f), 0);
	nt_ring_close(&f->ring);
	assert_int_equal(nt_ring_remove(f->directory, "t", &f->fault), 0);
	assert_int_equal(umount(f->directory), 0);
}

static void a_bad_name_or_directory_or_size_is_refused(void **state)
{
	static const char *const names[] = {"", ".", "../x", "a/b", ".hidden", "sp ace"};
	struct files *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		strcpy(f->options.name, names[i]);
		assert_int_equal(attach(f), -EINVAL);
		assert_int_equal(nt_ring_remove(f->directory, names[i], &f->fault), -EINVAL);
	}
	strcpy(f->options.name, "t");
	f->options.capacity = 0;
	assert_int_equal(attach(f), -EINVAL);
	f->options.capacity = UINT64_MAX;
	assert_int_equal(attach(f), -EINVAL);
	assert_int_equal(file_count(f), 0);
	strcpy(f->options.shm_directory, "/nonexistent");
	assert_int_equal(attach(f), -ENOENT);
	assert_int_equal(nt_ring_remove(f->directory, "t", &f->fault), -ENOENT);
}

/* Runs `act` as user and group 65534 and returns its status. */
static int as_nobody(struct files *f, gid_t group, int (*act)(struct files *))
{
	int status;
	pid_t child = fork();

	if (!child) {
		if (setgroups(group ? 1 : 0, &group) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(99);
		_exit(act(f));
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_as_reader(struct files *f)
{
	struct nt_ring seen;

	return -nt_ring_open(&seen, f->descriptor, &f->fault);
}

static int open_for_writing(struct files *f)
{
	char lock[128];

	snprintf(lock, sizeof(lock), "%s/t.lock", f->directory);
	return open(f->descriptor, O_RDWR) >= 0 || open(lock, O_RDONLY) >= 0;
}

static int attach_as_writer(struct files *f)
{
	return -attach(f);
}

static void the_group_reads_and_nobody_else_and_none_of_them_writes_or_locks(void **state)
{
	struct files *f = *state;

	if (geteuid()) {
		print_message("skipped: becoming another user takes root\n");
		skip();
	}
	f->options.group = 4321;
	assert_int_equal(attach(f), 0);
	assert_int_equal(as_nobody(f, 4321, open_as_reader), 0);
	assert_int_equal(as_nobody(f, 0, open_as_reader), EACCES);
	assert_int_equal(as_nobody(f, 4321, open_for_writing), 0);
	assert_int_equal(as_nobody(f, 4321, attach_as_writer), EACCES);
}

static void another_users_ring_is_not_taken_over(void **state)
{
	struct files *f = *state;

	if (geteuid()) {
		print_message("skipped: giving files away takes root\n");
		skip();
	}
	assert_int_equal(attach(f), 0);
	nt_ring_close(&f->ring);
	assert_int_equal(chown(f->descriptor, 65534, (gid_t)-1), 0);
	assert_int_equal(attach(f), -EPERM);
	/* Removing follows data_path only to files of the descriptor's owner: the data stay, until the owner is right. */
	assert_int_equal(nt_ring_remove(f->directory, "t", &f->fault), 0);
	assert_int_equal(file_count(f), 1);
	assert_int_equal(attach(f), -EEXIST);
	unlink(f->data);
	assert_int_equal(attach(f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(a_new_ring_has_three_files_and_a_reader_sees_what_is_written),
		FILE_TEST(the_sequence_goes_on_with_the_next_writer),
		FILE_TEST(a_second_writer_is_refused_and_told_the_first_ones_process),
		FILE_TEST(a_killed_writers_lock_is_free),
		FILE_TEST(another_layout_version_is_refused_by_writer_and_reader),
		FILE_TEST(another_shape_than_wanted_is_refused),
		FILE_TEST(a_damaged_descriptor_is_refused),
		FILE_TEST(cut_data_are_refused_and_not_mapped),
		FILE_TEST(a_half_made_ring_is_made_anew),
		FILE_TEST(too_little_room_is_an_error_and_leaves_nothing),
		FILE_TEST(a_bad_name_or_directory_or_size_is_refused),
		FILE_TEST(the_group_reads_and_nobody_else_and_none_of_them_writes_or_locks),
		FILE_TEST(another_users_ring_is_not_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
