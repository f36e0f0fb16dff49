/* SPDX-License-Identifier: Apache-2.0 */
/* nanotape-bench: what `nanotape bench` cannot measure from Python. */
#include "../process.h"
#include "verbs.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct nt_bench_verb {
	const char *name;
	int (*run)(int count, char **words);
};

static const struct nt_bench_verb verbs[] = {
	{"generate", nt_bench_generate},
	{"ring", nt_bench_ring},
	{"fill", nt_bench_fill},
	{"latency", nt_bench_latency},
	{NULL, NULL},
};

int main(int count, char **words)
{
	nt_process_die_with(getppid(), NULL); /* whom nobody waits for any more loads the machine for nothing */
	for (const struct nt_bench_verb *verb = verbs; verb->name; verb++)
		if (count > 1 && !strcmp(words[1], verb->name))
			return verb->run(count - 1, words + 1);
	fprintf(stderr, "usage: nanotape-bench VERB [OPTION]...; verbs:");
	for (const struct nt_bench_verb *verb = verbs; verb->name; verb++)
		fprintf(stderr, " %s", verb->name);
	fprintf(stderr, "\n");
	return 2;
}
