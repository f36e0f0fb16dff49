/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of nanotape-bench. Each reads its own options, prints one JSON object on standard output, and returns the exit status:
 * 0; 1 after one line on standard error that says what went wrong; 2 after a line of usage. cli/bench calls them. */
#ifndef NT_BENCH_VERBS_H
#define NT_BENCH_VERBS_H

int nt_bench_generate(int count, char **words);
int nt_bench_ring(int count, char **words);
int nt_bench_fill(int count, char **words);
int nt_bench_latency(int count, char **words);

#endif
