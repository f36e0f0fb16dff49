/* SPDX-License-Identifier: Apache-2.0 */
/* What else may lie where a ring has its files: it is told from them, it holds nobody up, and it stays. */
#include "ring_files.h"

#include <fcntl.h>

/* A ring's data file under the name and with the size that they must have. */
static void copy_data(const char *from, const char *to)
{
	uint8_t *bytes = malloc(1 << 20);
	int in = open(from, O_RDONLY);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0640);

	assert_int_equal(read(in, bytes, 1 << 20), 1 << 20);
	assert_int_equal(write(out, bytes, 1 << 20), 1 << 20);
	close(in);
	close(out);
	free(bytes);
}

static void another_file_in_the_datas_place_is_refused_and_not_removed(void **state)
{
	struct files *f = *state;
	struct nt_ring seen;
	char kept[128];

	assert_int_equal(attach(f), 0);
	nt_ring_close(&f->ring);
	snprintf(kept, sizeof(kept), "%s/kept", f->directory);
	assert_int_equal(rename(f->data, kept), 0);
	copy_data(kept, f->data);
	assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), -EBADMSG);
	assert_non_null(strstr(f->fault.text, "inode"));
	assert_int_equal(attach(f), -EBADMSG);
	assert_int_equal(nt_ring_remove(f->directory, "t", &f->fault), 0);
	assert_int_equal(file_count(f), 2);
	unlink(kept);
	unlink(f->data);
}

static void a_data_file_that_is_not_ours_is_named_and_left_alone(void **state)
{
	struct files *f = *state;
	struct stat before;
	struct stat after;
	int fd = open(f->data, O_WRONLY | O_CREAT | O_EXCL, 0640);

	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(stat(f->data, &before), 0);
	assert_int_equal(attach(f), -EEXIST);
	assert_non_null(strstr(f->fault.text, f->data));
	assert_non_null(strstr(f->fault.text, "remove the file if it is nobody's"));
	assert_int_equal(stat(f->data, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_size, 8);
	assert_int_equal(file_count(f), 1);
	unlink(f->data);
	assert_int_equal(attach(f), 0);
}

/* Its creator was killed after it wrote its draft, and before it found that the data file was another ring's. */
static void a_draft_does_not_reach_another_rings_data(void **state)
{
	struct files *f = *state;
	struct nt_ring_descriptor draft;
	struct nt_ring_options options = f->options;
	struct nt_ring seen;
	struct stat data;
	char other[80];
	char path[128];
	int fd;

	assert_int_equal(attach(f), 0);
	snprintf(other, sizeof(other), "%s/other", f->directory);
	snprintf(path, sizeof(path), "%s/t.ring", other);
	assert_int_equal(mkdir(other, 0755), 0);
	draft = *f->ring.descriptor;
	draft.magic = 0;
	draft.data_inode++; /* of the file that never got its name */
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, &draft, sizeof(draft)), sizeof(draft));
	close(fd);
	strcpy(options.shm_directory, other);
	assert_int_equal(nt_ring_attach_writer(&seen, &options, 1, &f->next_seq, &f->fault), 0);
	nt_ring_close(&seen);
	assert_int_equal(stat(f->data, &data), 0);
	assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), 0);
	nt_ring_close(&seen);
	assert_int_equal(nt_ring_remove(other, "t", &f->fault), 0);
	assert_int_equal(rmdir(other), 0);
	assert_int_equal(stat(f->data, &data), 0);
}

static void a_fifo_in_a_rings_place_holds_nobody_up(void **state)
{
	struct files *f = *state;
	struct nt_ring seen;

	alarm(20); /* for one that waits for somebody to write into it */
	assert_int_equal(mkfifo(f->descriptor, 0600), 0);
	assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), -EBADMSG);
	assert_int_equal(attach(f), -EBADMSG);
	assert_int_equal(nt_ring_remove(f->directory, "t", &f->fault), 0);
	assert_int_equal(attach(f), 0);
	nt_ring_close(&f->ring);
	unlink(f->data);
	assert_int_equal(mkfifo(f->data, 0600), 0);
	assert_int_equal(nt_ring_open(&seen, f->descriptor, &f->fault), -EBADMSG);
	alarm(0);
	unlink(f->data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(another_file_in_the_datas_place_is_refused_and_not_removed),
		FILE_TEST(a_data_file_that_is_not_ours_is_named_and_left_alone),
		FILE_TEST(a_draft_does_not_reach_another_rings_data),
		FILE_TEST(a_fifo_in_a_rings_place_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
