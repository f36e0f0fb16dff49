/* SPDX-License-Identifier: Apache-2.0 */
#include "sender.h"

#include "../atomic.h"
#include "../clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define QUANTUM_NS 50000ull       /* a sleep is at least this long: 15 datagrams a batch at 300,000 a second */
#define SLEEP_MOST_NS 20000000ull /* so that a stop is noticed */
#define REFUSED_SLEEP_NS 50000ull
#define DRAIN_MOST_NS 1000000000

struct nt_sender {
	uint64_t stop;
	uint64_t ran;
	uint32_t line_count;
	uint32_t reserved;
	struct nt_line *lines[NT_SENDER_LINES_MAX];
};

int nt_sender_open(struct nt_sender **sender, const struct nt_exchange_options *exchange,
		   const struct nt_sender_line_options *lines, uint32_t line_count, struct nt_fault *fault)
{
	struct nt_sender *made;

	if (line_count == 0 || line_count > NT_SENDER_LINES_MAX)
		return nt_fault_set(fault, -EINVAL, "expected 1 to %u lines, found %u", NT_SENDER_LINES_MAX, line_count);
	made = calloc(1, sizeof(*made));
	if (!made)
		return nt_fault_set(fault, -ENOMEM, "sender: out of memory");
	for (; made->line_count < line_count; made->line_count++) {
		int error = nt_line_open(&made->lines[made->line_count], exchange, &lines[made->line_count], fault);

		if (error) {
			nt_sender_close(made);
			return error;
		}
	}
	*sender = made;
	return 0;
}

void nt_sender_close(struct nt_sender *sender)
{
	if (!sender)
		return;
	for (uint32_t index = 0; index < sender->line_count; index++)
		nt_line_close(sender->lines[index]);
	free(sender);
}

void nt_sender_stop(struct nt_sender *sender)
{
	nt_store_relaxed(&sender->stop, 1);
}

static void sleep_until(int64_t wake_ns)
{
	struct timespec wake = {.tv_sec = wake_ns / 1000000000, .tv_nsec = wake_ns % 1000000000};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
}

static bool refused_for_now(int error)
{
	return error == -EAGAIN || error == -ENOBUFS;
}

static int send_line(struct nt_line *line, uint64_t now_ns, struct nt_fault *fault)
{
	int error = nt_line_send(line, now_ns);

	if (error && !refused_for_now(error))
		nt_fault_set(fault, error, "line %s: the kernel refused a datagram after %llu were sent: %s", line->options.name,
			     (unsigned long long)line->counters.sent, strerror(-error));
	return error;
}

/* One batch of each line, so that no line starves another. Says when to go on: 0 at once. */
static int send_due(struct nt_sender *sender, int64_t start_ns, uint64_t *wake_ns, struct nt_fault *fault)
{
	uint64_t due_ns = UINT64_MAX;

	for (uint32_t index = 0; index < sender->line_count; index++) {
		struct nt_line *line = sender->lines[index];
		uint64_t now_ns = (uint64_t)(nt_clock_ns(CLOCK_MONOTONIC) - start_ns);
		uint64_t line_due_ns;
		int error;

		nt_line_gather(line, now_ns);
		error = send_line(line, now_ns, fault);
		if (error && !refused_for_now(error))
			return error;
		line_due_ns = error ? now_ns + REFUSED_SLEEP_NS : nt_line_due_ns(line);
		if (line_due_ns < due_ns)
			due_ns = line_due_ns;
	}
	*wake_ns = due_ns;
	return 0;
}

/* After a stop: what is queued counts as generated, so it goes out as well. */
static int drain(struct nt_sender *sender, int64_t start_ns, struct nt_fault *fault)
{
	int64_t deadline_ns = nt_clock_ns(CLOCK_MONOTONIC) + DRAIN_MOST_NS;

	for (uint32_t index = 0; index < sender->line_count; index++) {
		struct nt_line *line = sender->lines[index];

		nt_line_release(line);
		while (line->taken < line->queued) {
			int64_t clock_ns = nt_clock_ns(CLOCK_MONOTONIC);
			int error = send_line(line, (uint64_t)(clock_ns - start_ns), fault);

			if (error && !refused_for_now(error))
				return error;
			if (error && clock_ns > deadline_ns)
				return nt_fault_set(fault, error, "line %s: %u datagrams are unsent, the kernel's queue stays full",
						    line->options.name, line->queued - line->taken);
			if (error)
				sleep_until(clock_ns + (int64_t)REFUSED_SLEEP_NS);
		}
	}
	return 0;
}

static int run_lines(struct nt_sender *sender, struct nt_fault *fault)
{
	int64_t start_ns = nt_clock_ns(CLOCK_MONOTONIC);
	uint64_t pass_ns = 0;
	uint64_t wake_ns = 0;

	while (!nt_load_relaxed(&sender->stop)) {
		int error = send_due(sender, start_ns, &wake_ns, fault);
		uint64_t now_ns = (uint64_t)(nt_clock_ns(CLOCK_MONOTONIC) - start_ns);

		if (error || wake_ns == UINT64_MAX)
			return error;
		if (wake_ns > now_ns) {
			if (wake_ns < pass_ns + QUANTUM_NS)
				wake_ns = pass_ns + QUANTUM_NS;
			if (wake_ns > now_ns + SLEEP_MOST_NS)
				wake_ns = now_ns + SLEEP_MOST_NS;
			sleep_until(start_ns + (int64_t)wake_ns);
			now_ns = (uint64_t)(nt_clock_ns(CLOCK_MONOTONIC) - start_ns);
		}
		pass_ns = now_ns;
	}
	return drain(sender, start_ns, fault);
}

int nt_sender_run(struct nt_sender *sender, struct nt_fault *fault)
{
	int slack_ns = prctl(PR_GET_TIMERSLACK);
	int error;

	if (nt_load_relaxed(&sender->ran))
		return nt_fault_set(fault, -EALREADY, "this sender has run; open another");
	nt_store_relaxed(&sender->ran, 1);
	prctl(PR_SET_TIMERSLACK, 1000); /* the default of 50 us would add to every sleep */
	error = run_lines(sender, fault);
	if (slack_ns > 0)
		prctl(PR_SET_TIMERSLACK, (unsigned long)slack_ns);
	return error;
}

void nt_sender_read(const struct nt_sender *sender, uint32_t line, struct nt_sender_counters *counters)
{
	const uint64_t *from = (const uint64_t *)&sender->lines[line]->counters;
	uint64_t *to = (uint64_t *)counters;

	_Static_assert(sizeof(*counters) % sizeof(uint64_t) == 0, "counters are words");
	for (size_t word = 0; word < sizeof(*counters) / sizeof(uint64_t); word++)
		to[word] = nt_load_relaxed(&from[word]);
}
