/* SPDX-License-Identifier: Apache-2.0 */
/* nanotape-bench latency: how long packets take from their stamp to one kind of receiver, at one rate. */
#include "latency.h"

#include "number.h"
#include "verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define NT_RATE_MAX 10000000u
#define NT_PACKETS_MAX 100000000u
#define NT_A_CALL_MAX 64u
#define NT_STALLS_MAX 1000000u
#define NT_TAIL_NS 30000 /* beyond it: the timer, the hypervisor */

static const struct nt_latency_mode {
	const char *name;
	nt_latency_receiver receive;
} modes[] = {
	{"bare", nt_latency_bare},     {"loop", nt_latency_loop},     {"reader", nt_latency_reader},
	{"socket", nt_latency_socket}, {"packet", nt_latency_packet}, {"stalls", nt_latency_stalls},
};
#define NT_MODES (sizeof(modes) / sizeof(modes[0]))

static const struct nt_latency_mode *find_mode(const char *name)
{
	for (size_t at = 0; name && at < NT_MODES; at++)
		if (!strcmp(name, modes[at].name))
			return &modes[at];
	return NULL;
}

static bool is_stalls(const struct nt_latency *run)
{
	return find_mode(run->options.mode)->receive == nt_latency_stalls;
}

static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
	return nt_bench_number(text, most, number) && *number >= least;
}

static bool read_option(struct nt_latency_options *options, int option, const char *word)
{
	uint64_t number = 0;
	bool good = true;

	switch (option) {
	case 'm':
		options->mode = word;
		return find_mode(word) != NULL;
	case 'p':
		options->plan = word;
		return true;
	case 'x':
		options->exchange = word;
		return true;
	case 'i':
		options->interface = word;
		return true;
	case 'a':
		return inet_pton(AF_INET, word, options->source_address) == 1;
	case 'r':
		return read_number(word, 1, NT_RATE_MAX, &options->rate_pps);
	case 'n':
		return read_number(word, 1, NT_PACKETS_MAX, &options->packets);
	case 'w':
		return read_number(word, 0, NT_PACKETS_MAX, &options->warm_up);
	case 'b':
		good = read_number(word, 60, 1514, &number);
		options->frame_bytes = (uint32_t)number;
		return good;
	case 'k':
		good = read_number(word, 1, NT_A_CALL_MAX, &number);
		options->packets_a_call = (uint32_t)number;
		return good;
	case 'c':
		good = read_number(word, 0, CPU_SETSIZE - 1, &number);
		options->sender_core = (int)number;
		return good;
	default:
		return false;
	}
}

static bool read_options(struct nt_latency_options *options, int count, char **words)
{
	static const struct option known[] = {
		{"mode", required_argument, NULL, 'm'},        {"plan", required_argument, NULL, 'p'},
		{"exchange", required_argument, NULL, 'x'},    {"interface", required_argument, NULL, 'i'},
		{"source", required_argument, NULL, 'a'},      {"rate", required_argument, NULL, 'r'},
		{"packets", required_argument, NULL, 'n'},     {"warm-up", required_argument, NULL, 'w'},
		{"frame-bytes", required_argument, NULL, 'b'}, {"packets-a-call", required_argument, NULL, 'k'},
		{"sender-core", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0},
	};
	bool good = true;
	int option;

	*options = (struct nt_latency_options){.frame_bytes = 242, .packets_a_call = 1, .sender_core = -1};
	while (good && (option = getopt_long(count, words, "", known, NULL)) != -1)
		good = read_option(options, option, optarg);
	return good && optind == count && options->mode && options->plan && options->interface && options->rate_pps &&
	       options->packets > options->warm_up;
}

static int64_t quantile(const struct nt_latency *run, uint32_t per_mille)
{
	if (is_stalls(run))
		return nt_samples_stall_quantile(&run->samples, nt_latency_sent(run).took_ns, per_mille);
	return nt_samples_quantile(&run->samples, per_mille);
}

static void print_delays(const struct nt_latency *run)
{
	static const struct {
		const char *name;
		uint32_t per_mille;
	} quantiles[] = {{"min", 0}, {"p50", 500}, {"p90", 900}, {"p99", 990}, {"p99_9", 999}, {"max", 1000}};
	const char *separator = "";

	printf(", \"delay_ns\": {");
	for (size_t at = 0; run->samples.count && at < sizeof(quantiles) / sizeof(quantiles[0]); at++) {
		printf("%s\"%s\": %lld", separator, quantiles[at].name, (long long)quantile(run, quantiles[at].per_mille));
		separator = ", ";
	}
	printf("}, \"above_30us\": %llu", (unsigned long long)nt_samples_above(&run->samples, NT_TAIL_NS));
}

static const char *word(bool truth)
{
	return truth ? "true" : "false";
}

/* How often another process took a core from one of our threads. */
static long preemptions(void)
{
	struct rusage usage = {0};

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nivcsw;
}

static void report(struct nt_latency *run)
{
	const struct nt_latency_sent sent = nt_latency_sent(run);

	nt_samples_sort(&run->samples);
	printf("{\"mode\": \"%s\", \"rate_pps\": %llu, \"sent\": %llu, \"received\": %llu, \"samples\": %llu", run->options.mode,
	       (unsigned long long)run->options.rate_pps, (unsigned long long)sent.packets,
	       (unsigned long long)(is_stalls(run) ? 0 : run->samples.added), (unsigned long long)run->samples.count);
	print_delays(run);
	printf(", \"took_ns\": %lld, \"late_calls\": %llu, \"late_max_ns\": %lld", (long long)sent.took_ns,
	       (unsigned long long)sent.late, (long long)sent.late_max_ns);
	printf(", \"preempted\": %ld", preemptions());
	if (run->rings)
		printf(", \"huge_pages\": %s, \"seccomp\": %s", word(run->huge), word(run->caged));
	printf("}\n");
}

static int check_plan(const struct nt_plan *plan, struct nt_fault *fault)
{
	if (plan->header->source_count == 1 && plan->header->flow_count && plan->flows[0].family == NT_FAMILY_IPV4)
		return 0;
	return nt_fault_set(fault, -EINVAL, "plan: expected one source and an IPv4 flow, found %u sources and %u flows",
			    plan->header->source_count, plan->header->flow_count);
}

static int measure(struct nt_latency *run, struct nt_fault *fault)
{
	const struct nt_latency_options *options = &run->options;
	int error = nt_plan_load(&run->plan, options->plan, fault);

	if (error)
		return error;
	error = check_plan(&run->plan, fault);
	if (!error)
		error = is_stalls(run) ? nt_samples_open(&run->samples, NT_STALLS_MAX, 0, fault)
				       : nt_samples_open(&run->samples, options->packets, options->warm_up, fault);
	if (!error)
		error = nt_latency_sender_open(run, fault);
	if (!error)
		error = find_mode(options->mode)->receive(run, fault);
	if (!error)
		error = nt_latency_sender_join(run, fault);
	if (!error)
		report(run);
	nt_latency_sender_close(run);
	nt_samples_close(&run->samples);
	nt_plan_unload(&run->plan);
	return error;
}

int nt_bench_latency(int count, char **words)
{
	static struct nt_latency run;
	struct nt_fault fault = {0};

	if (!read_options(&run.options, count, words)) {
		fprintf(stderr, "usage: nanotape-bench latency --mode bare|loop|reader|socket|packet|stalls --plan FILE "
				"[--exchange NAMESPACE] --interface NAME --source ADDRESS --rate PPS --packets N [--warm-up N] "
				"[--frame-bytes N] [--packets-a-call N] [--sender-core N]\n");
		return 2;
	}
	if (!measure(&run, &fault))
		return 0;
	fprintf(stderr, "nanotape-bench latency: %s\n", fault.text);
	return 1;
}
