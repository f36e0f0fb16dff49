/* SPDX-License-Identifier: Apache-2.0 */
/* nanotape-bench ring: what a packet costs on its way from memory into the ring, beside a memcpy. */
#include "number.h"
#include "ring_run.h"
#include "verbs.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char *const nt_memory_names[] = {"shm", "huge_2m", "huge_1g"};

static int nt_ring_usage(void)
{
	fprintf(stderr,
		"usage: nanotape-bench ring --shm DIR [--hugepages DIR] [--capacity BYTES] [--frame-bytes %u..%u]\n"
		"                           [--packets N] [--readers 0..%u] [--core N] [--reader-core N]\n"
		"                           [--batch 1..%u] [--prefetch 0..%u]\n",
		NT_SYNTHETIC_FRAME_MIN, NT_SYNTHETIC_FRAME_MAX, NT_BENCH_READERS_MAX, NT_BATCH_PACKETS, NT_PREFETCH_MAX);
	return 2;
}

static bool nt_ring_take_number(struct nt_bench_ring_options *options, int option, const char *text)
{
	static const struct {
		int option;
		uint64_t most;
	} known[] = {
		{'c', UINT64_C(1) << 40},
		{'f', NT_SYNTHETIC_FRAME_MAX},
		{'n', UINT64_MAX},
		{'r', NT_BENCH_READERS_MAX},
		{'k', 1023},
		{'l', 1023},
		{'b', NT_BATCH_PACKETS},
		{'p', NT_PREFETCH_MAX},
	};
	uint64_t number = 0;
	bool good = false;

	for (size_t at = 0; at < sizeof(known) / sizeof(known[0]); at++)
		good |= known[at].option == option && nt_bench_number(text, known[at].most, &number);
	switch (option) {
	case 'c':
		options->ring.capacity = number;
		break;
	case 'f':
		options->frame_bytes = (uint32_t)number;
		break;
	case 'n':
		options->packets = number;
		break;
	case 'r':
		options->readers = (uint32_t)number;
		break;
	case 'k':
		options->core = (int)number;
		break;
	case 'l':
		options->reader_core = (int)number;
		break;
	case 'b':
		options->batch = (uint32_t)number;
		break;
	case 'p':
		options->prefetch = (uint32_t)number;
		break;
	default:
		break;
	}
	return good;
}

static bool nt_ring_take_text(char *place, size_t room, const char *text)
{
	return (size_t)snprintf(place, room, "%s", text) < room;
}

static bool nt_ring_parse(struct nt_bench_ring_options *options, int count, char **words)
{
	static const struct option known[] = {
		{"shm", required_argument, NULL, 's'},
		{"hugepages", required_argument, NULL, 'h'},
		{"capacity", required_argument, NULL, 'c'},
		{"frame-bytes", required_argument, NULL, 'f'},
		{"packets", required_argument, NULL, 'n'},
		{"readers", required_argument, NULL, 'r'},
		{"core", required_argument, NULL, 'k'},
		{"reader-core", required_argument, NULL, 'l'},
		{"batch", required_argument, NULL, 'b'},
		{"prefetch", required_argument, NULL, 'p'},
		{NULL, 0, NULL, 0},
	};
	bool good = true;
	int option;

	while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
		if (option == 's')
			good &= nt_ring_take_text(options->ring.shm_directory, sizeof(options->ring.shm_directory), optarg);
		else if (option == 'h')
			good &= nt_ring_take_text(options->ring.hugepage_directory, sizeof(options->ring.hugepage_directory),
						  optarg);
		else
			good &= option != '?' && nt_ring_take_number(options, option, optarg);
	}
	return good && optind == count && options->ring.shm_directory[0] && options->packets &&
	       options->frame_bytes >= NT_SYNTHETIC_FRAME_MIN;
}

static void nt_ring_print(const struct nt_bench_ring_options *options, const struct nt_bench_ring_result *result)
{
	printf("{\"frame_bytes\": %u, \"packets\": %llu, \"ring_ns\": %.3f, \"memcpy_ns\": %.3f, \"memory\": \"%s\", "
	       "\"newest_seq\": %llu, \"checked\": %llu, \"seccomp\": %s, \"readers\": [",
	       options->frame_bytes, (unsigned long long)options->packets, result->ring_ns, result->memcpy_ns,
	       nt_memory_names[result->memory_kind], (unsigned long long)result->newest_seq, (unsigned long long)result->checked,
	       result->seccomp ? "true" : "false");
	for (uint32_t at = 0; at < options->readers; at++)
		printf("%s{\"records\": %llu, \"lost\": %llu, \"error\": %d}", at ? ", " : "",
		       (unsigned long long)result->readers[at].records, (unsigned long long)result->readers[at].lost,
		       result->readers[at].error);
	printf("]}\n");
}

int nt_bench_ring(int count, char **words)
{
	struct nt_bench_ring_options options = {
		.ring = {.name = "bench", .capacity = 256u << 20, .group = UINT32_MAX, .lock_memory = 1},
		.frame_bytes = 242,
		.packets = 1000000,
		.core = -1,
		.reader_core = -1,
	};
	struct nt_bench_ring_result result = {0};
	struct nt_fault fault = {0};

	if (!nt_ring_parse(&options, count, words))
		return nt_ring_usage();
	options.ring.hugepages = options.ring.hugepage_directory[0] ? NT_HUGEPAGES_PREFER : NT_HUGEPAGES_OFF;
	if (nt_bench_ring_run(&options, &result, &fault)) {
		fprintf(stderr, "nanotape-bench: %s\n", fault.text);
		return 1;
	}
	nt_ring_print(&options, &result);
	return 0;
}
