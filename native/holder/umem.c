/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of one lane: a memfd, so that it can be lent, on huge pages where there are any. */
#include "holder.h"

#include "../ring/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NT_HUGE_2M (2ull << 20)
#define NT_HUGE_SYSFS "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static uint64_t read_number(const char *path)
{
	unsigned long long number = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

static int allocate(struct nt_umem *umem, uint64_t bytes, unsigned int flags, const char *name)
{
	int error;

	umem->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	if (umem->fd < 0)
		return -errno;
	umem->bytes = bytes;
	umem->frames = MAP_FAILED;
	/* fallocate, not only ftruncate: memory that is not there must be missed now, not by a fault in the kernel's copy. */
	if (ftruncate(umem->fd, (off_t)bytes) == 0 && fallocate(umem->fd, 0, 0, (off_t)bytes) == 0)
		umem->frames = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, umem->fd, 0);
	/* A borrower could pull the memory from under its successors otherwise. */
	if (umem->frames != MAP_FAILED && fcntl(umem->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return 0;
	error = -errno;
	nt_umem_free(umem);
	return error;
}

static void explain_shortage(char *text, size_t room, const struct nt_plan_source *source, const struct nt_interface *interface)
{
	uint64_t lane = ((uint64_t)source->descriptors * source->frame_bytes + NT_HUGE_2M - 1) / NT_HUGE_2M;
	uint64_t needed = lane * interface->queues;
	uint64_t total = read_number(NT_HUGE_SYSFS "nr_hugepages");
	uint64_t available = read_number(NT_HUGE_SYSFS "free_hugepages");
	uint64_t reserved = read_number(NT_HUGE_SYSFS "resv_hugepages");

	available -= reserved < available ? reserved : available;
	snprintf(
		text, room,
		"%s: its UMEM needs %llu huge pages of 2 MiB (%u frames of %u bytes for each of %u queues), %llu are free: sysctl -w vm.nr_hugepages=%llu",
		interface->name, (unsigned long long)needed, source->descriptors, source->frame_bytes, interface->queues,
		(unsigned long long)available, (unsigned long long)(total + needed));
}

int nt_umem_make(struct nt_umem *umem, const struct nt_plan_source *source, const struct nt_interface *interface, uint32_t queue,
		 struct nt_fault *fault)
{
	uint64_t bytes = (uint64_t)source->descriptors * source->frame_bytes;
	uint64_t huge_bytes = (bytes + NT_HUGE_2M - 1) / NT_HUGE_2M * NT_HUGE_2M;
	char shortage[320];
	char name[64];
	int error;

	snprintf(name, sizeof(name), "nanotape-umem-%s-%u", interface->name, queue);
	if (source->umem_hugepages != NT_HUGEPAGES_OFF) {
		umem->memory = NT_MEMORY_HUGE_2M;
		if (allocate(umem, huge_bytes, MFD_HUGETLB | MFD_HUGE_2MB, name) == 0)
			return 0;
		explain_shortage(shortage, sizeof(shortage), source, interface);
		if (source->umem_hugepages == NT_HUGEPAGES_REQUIRE)
			return nt_fault_set(fault, -ENOMEM, "%s (or set umem_hugepages = \"prefer\")", shortage);
		if (queue == 0)
			nt_holder_say(NT_LEVEL_WARNING, "%s; using ordinary pages", shortage);
	}
	umem->memory = NT_MEMORY_SHM;
	error = allocate(umem, bytes, 0, name);
	if (error)
		return nt_fault_set(fault, error, "%s: no memory for the UMEM of queue %u (%llu bytes): %s", interface->name, queue,
				    (unsigned long long)bytes, strerror(-error));
	return 0;
}

void nt_umem_free(struct nt_umem *umem)
{
	if (umem->frames && umem->frames != MAP_FAILED)
		munmap(umem->frames, umem->bytes);
	if (umem->fd >= 0)
		close(umem->fd);
	umem->frames = NULL;
	umem->fd = -1;
}
