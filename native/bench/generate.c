/* SPDX-License-Identifier: Apache-2.0 */
/* nanotape-bench generate: offers numbered packets to an interface at an even rate, and says what that took. */
#include "generator.h"
#include "verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define SECOND_NS 1000000000
#define BATCH_SPAN_NS 32000u /* packets of one batch arrive together, so much after the first of them was due */

struct nt_generate {
	struct nt_generator_options generator;
	uint64_t packets;
	uint64_t rate; /* packets a second; 0: as fast as it goes */
	int core;      /* -1: any */
};

static bool read_number(const char *text, uint64_t most, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno && *number <= most;
}

static bool read_option(struct nt_generate *options, int option, const char *word)
{
	uint64_t number = 0;
	bool good = true;

	switch (option) {
	case 'i':
		good = strlen(word) < sizeof(options->generator.interface);
		if (good)
			strcpy(options->generator.interface, word);
		return good;
	case 'n':
		return read_number(word, UINT64_MAX, &options->packets);
	case 'r':
		return read_number(word, SECOND_NS, &options->rate);
	case 'b':
		good = read_number(word, UINT32_MAX, &number);
		options->generator.frame_bytes = (uint32_t)number;
		return good;
	case 'g':
		return inet_pton(AF_INET, word, options->generator.group) == 1;
	case 's':
		return inet_pton(AF_INET, word, options->generator.source) == 1;
	case 'p':
		good = read_number(word, UINT16_MAX, &number);
		options->generator.port = (uint16_t)number;
		return good;
	case 'v':
		options->generator.varies = 1;
		return true;
	case 'c':
		good = read_number(word, CPU_SETSIZE - 1, &number);
		options->core = (int)number;
		return good;
	default:
		return false;
	}
}

static bool read_options(struct nt_generate *options, int count, char **words)
{
	static const struct option known[] = {
		{"interface", required_argument, NULL, 'i'}, {"packets", required_argument, NULL, 'n'},
		{"rate", required_argument, NULL, 'r'},      {"frame-bytes", required_argument, NULL, 'b'},
		{"group", required_argument, NULL, 'g'},     {"source", required_argument, NULL, 's'},
		{"port", required_argument, NULL, 'p'},      {"varied", no_argument, NULL, 'v'},
		{"core", required_argument, NULL, 'c'},      {NULL, 0, NULL, 0},
	};
	bool good = true;
	int option;

	*options = (struct nt_generate){
		.generator = {.frame_bytes = 242, .group = {239, 192, 0, 1}, .source = {10, 255, 0, 1}, .port = 31001},
		.core = -1,
	};
	while ((option = getopt_long(count, words, "", known, NULL)) != -1)
		good &= read_option(options, option, optarg);
	if (good && optind == count && options->generator.interface[0] && options->packets)
		return true;
	fprintf(stderr, "usage: nanotape-bench generate --interface NAME --packets N [--rate PPS] [--frame-bytes 242]\n"
			"       [--group A.B.C.D] [--source A.B.C.D] [--port N] [--varied] [--core N]\n");
	return false;
}

static int pin(int core, struct nt_fault *fault)
{
	cpu_set_t cores;

	if (core < 0)
		return 0;
	CPU_ZERO(&cores);
	CPU_SET(core, &cores);
	if (sched_setaffinity(0, sizeof(cores), &cores))
		return nt_fault_set(fault, -errno, "core %d: cannot run there: %s", core, strerror(errno));
	return 0;
}

static double seconds(struct timeval begin, struct timeval end)
{
	return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_usec - begin.tv_usec) / 1e6;
}

/* All in one system call: each ends with a grace period of RCU. */
static int send_all(struct nt_generator *generator, const struct nt_generate *options, struct nt_fault *fault)
{
	int error = 0;

	if (options->rate) {
		uint64_t gap_ns = SECOND_NS / options->rate;

		nt_generator_pace(generator, gap_ns, (uint32_t)(BATCH_SPAN_NS / gap_ns));
	}
	for (uint64_t left = options->packets; left && !error;) {
		uint32_t count = left < INT32_MAX ? (uint32_t)left : INT32_MAX;

		error = nt_generator_send(generator, count, fault);
		left -= count;
	}
	return error;
}

static int generate(const struct nt_generate *options, struct nt_fault *fault)
{
	struct nt_generator_times times;
	struct nt_generator *generator;
	struct rusage before;
	struct rusage after;
	uint64_t sent;
	double took;
	int error = pin(options->core, fault);

	if (!error)
		error = nt_generator_open(&generator, &options->generator, fault);
	if (error)
		return error;
	getrusage(RUSAGE_SELF, &before);
	error = send_all(generator, options, fault);
	getrusage(RUSAGE_SELF, &after);
	sent = nt_generator_sent(generator);
	nt_generator_times(generator, &times);
	took = (double)(times.took_ns ? times.took_ns : 1) / SECOND_NS; /* of a single packet */
	nt_generator_close(generator);
	if (error)
		return error;
	printf("{\"sent\": %" PRIu64 ", \"seconds\": %.6f, \"pps\": %.1f, \"cpu_user_s\": %.6f, \"cpu_system_s\": %.6f, "
	       "\"waited_s\": %.6f, \"late_max_ns\": %" PRIu64 ", \"slipped_ns\": %" PRIu64 "}\n",
	       sent, took, (double)sent / took, seconds(before.ru_utime, after.ru_utime), seconds(before.ru_stime, after.ru_stime),
	       (double)times.waited_ns / SECOND_NS, times.late_max_ns, times.slipped_ns);
	return 0;
}

int nt_bench_generate(int count, char **words)
{
	struct nt_fault fault = {0};
	struct nt_generate options;

	if (!read_options(&options, count, words))
		return 2;
	if (generate(&options, &fault)) {
		fprintf(stderr, "nanotape-bench: %s\n", fault.text);
		return 1;
	}
	return fflush(stdout) ? 1 : 0;
}
