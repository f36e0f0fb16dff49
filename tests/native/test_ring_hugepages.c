/* SPDX-License-Identifier: Apache-2.0 */
/* Data on huge pages. Takes root: a mount namespace with a hugetlbfs of its own, and two pages reserved for the time of the
 * test. */
#include "ring_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES_FILE "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define ENOUGH (4u << 20)

struct huge {
	struct nt_ring_options options;
	struct nt_ring ring;
	struct nt_fault fault;
	uint64_t next_seq;
	char shm[64];
	char mount[64];
};

static int pages_change(int change)
{
	FILE *file = fopen(PAGES_FILE, "r+");
	int before = -1;
	int after = -1;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &before) == 1) {
		rewind(file);
		fprintf(file, "%d\n", before + change);
		fflush(file);
		rewind(file);
		if (fscanf(file, "%d", &after) != 1)
			after = before;
	}
	fclose(file);
	return after - before;
}

static int huge_begin(void **state)
{
	struct huge *h = calloc(1, sizeof(*h));

	*state = h;
	strcpy(h->shm, "/dev/shm/nt-huge-XXXXXX");
	strcpy(h->mount, "/tmp/nt-huge-XXXXXX");
	if (!mkdtemp(h->shm) || !mkdtemp(h->mount))
		return -1;
	h->options =
		(struct nt_ring_options){.name = "t", .capacity = ENOUGH, .group = UINT32_MAX, .hugepages = NT_HUGEPAGES_REQUIRE};
	strcpy(h->options.shm_directory, h->shm);
	h->ring.lock_fd = -1;
	return 0;
}

static unsigned int file_count(const char *path)
{
	DIR *directory = opendir(path);
	unsigned int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

static int huge_end(void **state)
{
	struct huge *h = *state;
	int left;

	nt_ring_close(&h->ring);
	nt_ring_remove(h->shm, "t", &h->fault);
	left = (int)(file_count(h->shm) + file_count(h->mount));
	umount(h->mount);
	rmdir(h->mount);
	rmdir(h->shm);
	free(h);
	return left;
}

static int attach(struct huge *h)
{
	return nt_ring_attach_writer(&h->ring, &h->options, 1, &h->next_seq, &h->fault);
}

static bool is_mounted; /* hugetlbfs could be mounted, seen by this process alone */

static void need_hugetlbfs(struct huge *h)
{
	if (!is_mounted || mount("none", h->mount, "hugetlbfs", 0, "pagesize=2M")) {
		print_message("skipped: mounting hugetlbfs takes root and CONFIG_HUGETLBFS\n");
		skip();
	}
}

/* Reserves two pages more; the caller gives them back. */
static void need_pages(struct huge *h)
{
	int got;

	need_hugetlbfs(h);
	got = pages_change(2);
	if (got < 2) {
		pages_change(-got);
		print_message("skipped: the kernel has no two huge pages to spare\n");
		skip();
	}
}

static void without_hugetlbfs_require_says_what_to_mount(void **state)
{
	struct huge *h = *state;

	h->options.page_bytes_log2 = 30;
	if (!is_mounted) {
		print_message("skipped: needs a mount namespace without hugetlbfs\n");
		skip();
	}
	assert_int_equal(attach(h), -ENODEV);
	assert_non_null(strstr(h->fault.text, "mount -t hugetlbfs -o pagesize=1G"));
	assert_int_equal(file_count(h->shm), 0);
}

static void a_directory_that_is_no_hugetlbfs_is_refused(void **state)
{
	struct huge *h = *state;

	strcpy(h->options.hugepage_directory, h->mount);
	assert_int_equal(attach(h), -ENODEV);
	assert_non_null(strstr(h->fault.text, "hugetlbfs expected"));
	assert_int_equal(file_count(h->shm), 0);
}

static void prefer_falls_back_and_records_why(void **state)
{
	struct huge *h = *state;

	strcpy(h->options.hugepage_directory, h->mount);
	h->options.hugepages = NT_HUGEPAGES_PREFER;
	assert_int_equal(attach(h), 0);
	assert_int_equal(h->ring.descriptor->memory_kind, NT_MEMORY_SHM);
	assert_non_null(strstr(h->ring.descriptor->fallback_reason, "hugetlbfs expected"));
	nt_ring_close(&h->ring);
	assert_int_equal(attach(h), 0); /* and the next writer takes what is there */
}

static void too_few_pages_say_how_many_and_the_command(void **state)
{
	struct huge *h = *state;

	need_hugetlbfs(h);
	h->options.capacity = 1ull << 38;
	assert_int_equal(attach(h), -ENOMEM);
	assert_non_null(strstr(h->fault.text, "needs 131072 huge pages of 2 MiB, "));
	assert_non_null(strstr(h->fault.text, " are free; reserve them: echo "));
	assert_non_null(strstr(h->fault.text, "> " PAGES_FILE));
	assert_int_equal(file_count(h->shm), 0);
	assert_int_equal(file_count(h->mount), 0);
}

static void a_ring_on_huge_pages_is_written_read_restarted_and_removed(void **state)
{
	struct huge *h = *state;
	struct nt_writer writer;
	struct nt_reader reader;
	struct nt_ring seen;
	char path[128];

	need_pages(h);
	assert_int_equal(attach(h), 0);
	assert_int_equal(h->ring.descriptor->memory_kind, NT_MEMORY_HUGE_2M);
	assert_string_equal(h->ring.descriptor->fallback_reason, "");
	nt_writer_init(&writer, &h->ring, h->next_seq);
	put_many(&writer, 1000, 5000);
	nt_ring_close(&h->ring);
	assert_int_equal(attach(h), 0);
	assert_int_equal(h->next_seq, 5001);
	nt_writer_init(&writer, &h->ring, h->next_seq);
	snprintf(path, sizeof(path), "%s/t.ring", h->shm);
	assert_int_equal(nt_ring_open(&seen, path, &h->fault), 0);
	assert_int_equal(nt_reader_init(&reader, &seen, NT_RESUME_QUARTER, &h->fault), 0);
	put(&writer, 1000);
	expect_record(&reader, 5001, 0);
	nt_reader_free(&reader);
	nt_ring_close(&seen);
	nt_ring_close(&h->ring);
	h->options.hugepages = NT_HUGEPAGES_OFF;
	assert_int_equal(attach(h), -EEXIST);
	assert_non_null(strstr(h->fault.text, "huge pages of 2 MiB"));
	assert_int_equal(nt_ring_remove(h->shm, "t", &h->fault), 0);
	assert_int_equal(file_count(h->mount), 0);
	pages_change(-2);
}

static void two_rings_of_one_name_do_not_share_their_data(void **state)
{
	struct huge *h = *state;
	struct nt_ring_options options;
	char other[] = "/dev/shm/nt-huge-XXXXXX";
	char path[128];
	struct nt_ring second;
	struct nt_ring seen;
	uint64_t next_seq;

	need_pages(h);
	strcpy(h->options.hugepage_directory, h->mount);
	assert_int_equal(attach(h), 0);
	options = h->options;
	assert_non_null(mkdtemp(other));
	strcpy(options.shm_directory, other);
	assert_int_equal(nt_ring_attach_writer(&second, &options, 1, &next_seq, &h->fault), -EEXIST);
	assert_non_null(strstr(h->fault.text, "another ring of that name, with another shm_dir"));
	assert_int_equal(file_count(other), 0);
	options.hugepages = NT_HUGEPAGES_PREFER;
	assert_int_equal(nt_ring_attach_writer(&second, &options, 1, &next_seq, &h->fault), 0);
	assert_int_equal(second.descriptor->memory_kind, NT_MEMORY_SHM);
	assert_non_null(strstr(second.descriptor->fallback_reason, "another ring of that name"));
	nt_ring_close(&second);
	assert_int_equal(nt_ring_remove(other, "t", &h->fault), 0);
	assert_int_equal(rmdir(other), 0);
	snprintf(path, sizeof(path), "%s/t.ring", h->shm);
	assert_int_equal(nt_ring_open(&seen, path, &h->fault), 0);
	nt_ring_close(&seen);
	nt_ring_close(&h->ring);
	assert_int_equal(attach(h), 0);
	nt_ring_close(&h->ring);
	assert_int_equal(nt_ring_remove(h->shm, "t", &h->fault), 0);
	pages_change(-2);
}

static void capacity_is_rounded_up_to_a_whole_page(void **state)
{
	struct huge *h = *state;

	need_pages(h);
	h->options.capacity = 1 << 16;
	assert_int_equal(attach(h), 0);
	assert_int_equal(h->ring.capacity, 2 << 20);
	nt_ring_close(&h->ring);
	assert_int_equal(nt_ring_remove(h->shm, "t", &h->fault), 0);
	pages_change(-2);
}

#define HUGE_TEST(name) cmocka_unit_test_setup_teardown(name, huge_begin, huge_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HUGE_TEST(without_hugetlbfs_require_says_what_to_mount),
		HUGE_TEST(a_directory_that_is_no_hugetlbfs_is_refused),
		HUGE_TEST(prefer_falls_back_and_records_why),
		HUGE_TEST(too_few_pages_say_how_many_and_the_command),
		HUGE_TEST(a_ring_on_huge_pages_is_written_read_restarted_and_removed),
		HUGE_TEST(two_rings_of_one_name_do_not_share_their_data),
		HUGE_TEST(capacity_is_rounded_up_to_a_whole_page),
	};

	is_mounted = !geteuid() && !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
