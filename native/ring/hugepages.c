/* SPDX-License-Identifier: Apache-2.0 */
/* Huge pages through hugetlbfs: finding a mount with the right page size, and saying how to reserve pages when they lack. */
#include "hugepages.h"
#include "shape.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LOG2_2M 21u
#define LOG2_1G 30u

/* log2 of the page size of the hugetlbfs that `directory` lies on; 0 when it lies on something else. */
static uint32_t page_log2_of(const char *directory)
{
	struct statfs fs;

	if (statfs(directory, &fs) || fs.f_type != HUGETLBFS_MAGIC || fs.f_bsize <= 0)
		return 0;
	return (uint32_t)__builtin_ctzl((unsigned long)fs.f_bsize);
}

/* The first mount of this page size, one that we may write to if there is any. */
static bool find_mount(uint32_t page_bytes_log2, char *directory, size_t room)
{
	FILE *mounts = setmntent("/proc/mounts", "r");
	struct mntent entry;
	char line[1024];
	bool found = false;
	bool writable = false;

	while (mounts && !writable && getmntent_r(mounts, &entry, line, sizeof(line))) {
		if (strcmp(entry.mnt_type, "hugetlbfs") || page_log2_of(entry.mnt_dir) != page_bytes_log2)
			continue;
		writable = !faccessat(AT_FDCWD, entry.mnt_dir, W_OK | X_OK, AT_EACCESS);
		if ((!found || writable) && (size_t)snprintf(directory, room, "%s", entry.mnt_dir) < room)
			found = true;
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

static const char *size_text(uint32_t page_bytes_log2)
{
	return page_bytes_log2 == LOG2_1G ? "1 GiB" : "2 MiB";
}

static int choose_directory(char *directory, size_t room, uint32_t *log2, const struct nt_ring_options *options,
			    struct nt_fault *fault)
{
	uint32_t wanted = options->page_bytes_log2;

	if (options->hugepage_directory[0]) {
		*log2 = page_log2_of(options->hugepage_directory);
		if (!*log2)
			return nt_fault_set(fault, -ENODEV,
					    "ring %s: hugepage directory %s: a directory on hugetlbfs expected, something else"
					    " found; mount one there: mount -t hugetlbfs -o pagesize=%s none %s",
					    options->name, options->hugepage_directory, wanted == LOG2_1G ? "1G" : "2M",
					    options->hugepage_directory);
		if (wanted && wanted != *log2)
			return nt_fault_set(fault, -EINVAL,
					    "ring %s: hugepage directory %s: pages of %s expected, pages of %llu bytes found;"
					    " name another directory",
					    options->name, options->hugepage_directory, size_text(wanted), 1ull << *log2);
		return (size_t)snprintf(directory, room, "%s", options->hugepage_directory) < room ? 0 : -ENAMETOOLONG;
	}
	*log2 = wanted ? wanted : LOG2_2M;
	if (find_mount(*log2, directory, room))
		return 0;
	if (!wanted && find_mount(LOG2_1G, directory, room)) {
		*log2 = LOG2_1G;
		return 0;
	}
	return nt_fault_set(fault, -ENODEV,
			    "ring %s: no hugetlbfs with pages of %s is mounted; mount one: mkdir -p /dev/hugepages &&"
			    " mount -t hugetlbfs -o pagesize=%s none /dev/hugepages",
			    options->name, size_text(*log2), *log2 == LOG2_1G ? "1G" : "2M");
}

static int placement_size(struct nt_placement *placement, const struct nt_ring_options *options, struct nt_fault *fault)
{
	placement->bytes = nt_shape_capacity(options->capacity, placement->page_bytes_log2);
	if (!placement->bytes)
		return nt_fault_set(fault, -EINVAL, "ring %s: a capacity of 1 to %llu bytes expected, %llu found", options->name,
				    (unsigned long long)NT_RING_CAPACITY_MAX, (unsigned long long)options->capacity);
	return 0;
}

int nt_placement_huge(struct nt_placement *placement, const struct nt_ring_options *options, struct nt_fault *fault)
{
	char directory[256];
	int error = choose_directory(directory, sizeof(directory), &placement->page_bytes_log2, options, fault);
	int bytes;

	if (error)
		return error;
	if (placement->page_bytes_log2 != LOG2_2M && placement->page_bytes_log2 != LOG2_1G)
		return nt_fault_set(fault, -EINVAL, "ring %s: %s: pages of 2 MiB or 1 GiB expected, pages of %llu bytes found",
				    options->name, directory, 1ull << placement->page_bytes_log2);
	placement->memory_kind = placement->page_bytes_log2 == LOG2_1G ? NT_MEMORY_HUGE_1G : NT_MEMORY_HUGE_2M;
	bytes = snprintf(placement->path, sizeof(placement->path), "%s/%s.data", directory, options->name);
	if (bytes < 0 || (size_t)bytes >= sizeof(placement->path))
		return nt_fault_set(fault, -ENAMETOOLONG, "ring %s: %s: too long a path", options->name, directory);
	return placement_size(placement, options, fault);
}

int nt_placement_shm(struct nt_placement *placement, const struct nt_ring_options *options, const char *path,
		     struct nt_fault *fault)
{
	int bytes = snprintf(placement->path, sizeof(placement->path), "%s", path);

	placement->memory_kind = NT_MEMORY_SHM;
	placement->page_bytes_log2 = 12;
	if (bytes < 0 || (size_t)bytes >= sizeof(placement->path))
		return nt_fault_set(fault, -ENAMETOOLONG, "ring %s: %s: too long a path", options->name, path);
	return placement_size(placement, options, fault);
}

/* A number from sysfs about huge pages of this size; -1 when there is none. */
static long long pages_in_sysfs(uint32_t page_bytes_log2, const char *file)
{
	char path[128];
	char text[32] = "";
	int fd;
	ssize_t bytes;

	if (snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/%s", (1ull << page_bytes_log2) / 1024, file) <
	    0)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	return bytes > 0 ? atoll(text) : -1;
}

static int refuse_for_room(const struct nt_placement *placement, int fd, int error, const char *name, struct nt_fault *fault)
{
	long long needed = (long long)(placement->bytes >> placement->page_bytes_log2);
	long long reserved = pages_in_sysfs(placement->page_bytes_log2, "nr_hugepages");
	long long available = pages_in_sysfs(placement->page_bytes_log2, "free_hugepages") -
			      pages_in_sysfs(placement->page_bytes_log2, "resv_hugepages");
	struct statfs fs = {0};

	if (placement->memory_kind != NT_MEMORY_SHM && reserved >= 0 && available < needed)
		return nt_fault_set(fault, -ENOMEM,
				    "ring %s needs %lld huge pages of %s, %lld are free; reserve them: echo %lld >"
				    " /sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
				    name, needed, size_text(placement->page_bytes_log2), available, reserved + needed - available,
				    (1ull << placement->page_bytes_log2) / 1024);
	if (error == -ENOSPC && !fstatfs(fd, &fs))
		return nt_fault_set(fault, error,
				    "%s: ring %s needs %llu bytes, %llu are free there; make room, or ask for a smaller ring",
				    placement->path, name, (unsigned long long)placement->bytes,
				    (unsigned long long)fs.f_bavail * (unsigned long long)fs.f_bsize);
	return nt_fault_set(fault, error, "%s: no room for %llu bytes of ring %s: %s", placement->path,
			    (unsigned long long)placement->bytes, name, strerror(-error));
}

int nt_allocate_blocks(int fd, uint64_t bytes)
{
	while (fallocate(fd, 0, 0, (off_t)bytes))
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int refuse_taken(const struct nt_placement *placement, const char *name, struct nt_fault *fault)
{
	return nt_fault_set(fault, -EEXIST,
			    "%s: there already, and not this ring %s's: another ring of that name, with another shm_dir, may have"
			    " it; use another ring name or directory, or remove the file if it is nobody's",
			    placement->path, name);
}

int nt_placement_allocate(const struct nt_placement *placement, int *fd, const char *name, struct nt_fault *fault)
{
	char directory[sizeof(placement->path)];
	struct stat there;
	int error;

	*fd = -1;
	if (!lstat(placement->path, &there)) /* nt_placement_link sees it too, but only after the pages were taken */
		return refuse_taken(placement, name, fault);
	memcpy(directory, placement->path, sizeof(directory));
	*strrchr(directory, '/') = 0;
	*fd = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (*fd < 0)
		return nt_fault_set(fault, -errno,
				    "%s: the data file of ring %s cannot be made: %s; its directory must be writable for user"
				    " %u, on a file system with O_TMPFILE (tmpfs, hugetlbfs)",
				    placement->path, name, strerror(errno), (unsigned int)geteuid());
	error = nt_allocate_blocks(*fd, placement->bytes);
	if (!error)
		return 0;
	error = refuse_for_room(placement, *fd, error, name, fault);
	close(*fd);
	*fd = -1;
	return error;
}

int nt_placement_link(const struct nt_placement *placement, int fd, const char *name, struct nt_fault *fault)
{
	char unnamed[32];
	int error;

	snprintf(unnamed, sizeof(unnamed), "/proc/self/fd/%d", fd);
	if (!linkat(AT_FDCWD, unnamed, AT_FDCWD, placement->path, AT_SYMLINK_FOLLOW))
		return 0;
	error = -errno;
	if (error == -EEXIST)
		return refuse_taken(placement, name, fault);
	return nt_fault_set(fault, error, "%s: the data file of ring %s cannot be given its name: %s", placement->path, name,
			    strerror(-error));
}

/* On kernels before 5.14, which cannot populate on request; the blocks are there. */
static void touch_pages(volatile uint8_t *mapping, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i += 4096)
		mapping[i] = mapping[i];
}

int nt_map_populated(void **mapping, int fd, uint64_t bytes)
{
	*mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*mapping == MAP_FAILED)
		return -errno;
	if (madvise(*mapping, bytes, MADV_POPULATE_WRITE)) {
		int error = errno;

		if (error != EINVAL) {
			munmap(*mapping, bytes);
			return -error;
		}
		touch_pages(*mapping, bytes);
	}
	return 0;
}
