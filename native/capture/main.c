/* SPDX-License-Identifier: Apache-2.0 */
/* nanotape-capture: drops every privilege, borrows or opens its sources, attaches to the ring, runs the loop until told to stop.
 * Prints "ready" when packets flow. Exit status: 0 told to stop; 1 broken; 2 usage; 3 the holder is gone; 4 finite sources done; 5 done,
 * but one of them ended at damage. */
#include "../clock.h"
#include "../process.h"
#include "identity.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NT_ENDED_POLL_MS 20 /* how soon we see that the loop ended by itself */
#define NT_LINGER_MS 50     /* a dying holder closes its connection before the kernel has detached its program */

enum nt_exit {
	NT_EXIT_DONE = 0,
	NT_EXIT_BROKEN = 1,
	NT_EXIT_USAGE = 2,
	NT_EXIT_HOLDER_GONE = 3,
	NT_EXIT_FINITE = 4,
	NT_EXIT_DAMAGED = 5,
};

struct nt_arguments {
	const char *plan;
	uid_t user;
	gid_t group;
	bool die_with_parent;
	bool resume;  /* our predecessor had begun the plan's file */
	int lifeline; /* ends with whoever started us, also where that executes itself anew; -1: none */
};

static void nt_say(const char *text)
{
	fprintf(stderr, "%snanotape-capture: %s\n", nt_process_level(NT_LEVEL_ERROR), text);
}

static bool nt_parse_id(const char *text, uint32_t *id)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	*id = (uint32_t)value;
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno && value < UINT32_MAX;
}

static bool nt_parse_arguments(struct nt_arguments *arguments, int count, char **words)
{
	static const struct option options[] = {
		{"plan", required_argument, NULL, 'p'},
		{"user", required_argument, NULL, 'u'},
		{"group", required_argument, NULL, 'g'},
		{"die-with-parent", no_argument, NULL, 'd'},
		{"resume", no_argument, NULL, 'r'},
		{"lifeline", required_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	uint32_t lifeline;
	bool good = true;
	int option;

	*arguments = (struct nt_arguments){.user = NT_IDENTITY_KEEP, .group = NT_IDENTITY_KEEP, .lifeline = -1};
	while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
		if (option == 'p')
			arguments->plan = optarg;
		else if (option == 'u')
			good &= nt_parse_id(optarg, &arguments->user);
		else if (option == 'g')
			good &= nt_parse_id(optarg, &arguments->group);
		else if (option == 'd')
			arguments->die_with_parent = true;
		else if (option == 'r')
			arguments->resume = true;
		else if (option == 'l' && nt_parse_id(optarg, &lifeline) && lifeline <= INT_MAX &&
			 fcntl((int)lifeline, F_SETFD, FD_CLOEXEC) == 0)
			arguments->lifeline = (int)lifeline;
		else
			good = false;
	}
	if (good && arguments->plan && optind == count)
		return true;
	fprintf(stderr,
		"usage: nanotape-capture --plan FILE [--user UID] [--group GID] [--die-with-parent] [--lifeline FD] [--resume]\n");
	return false;
}

/* Until a signal comes, the holder or who started us goes, or the loop ends. */
static enum nt_exit nt_wait(struct nt_session *session, int signals, int lifeline)
{
	struct pollfd watched[3] = {
		{.fd = signals, .events = POLLIN},
		{.fd = nt_session_holder_fd(session), .events = POLLIN},
		{.fd = lifeline, .events = POLLIN},
	};

	while (!nt_loop_ended(session->loop)) {
		int ready = poll(watched, 3, NT_ENDED_POLL_MS);

		nt_session_tell(session, nt_clock_ns(CLOCK_MONOTONIC), stderr);
		if (ready <= 0)
			continue;
		if (watched[0].revents || watched[2].revents)
			return NT_EXIT_DONE;
		if (watched[1].revents && nt_session_holder_is_gone(session)) {
			poll(NULL, 0, NT_LINGER_MS);
			/* A supervisor that ends all of us ends the holder first, so that the last books are exact. */
			return poll(watched, 1, 0) > 0 ? NT_EXIT_DONE : NT_EXIT_HOLDER_GONE;
		}
	}
	return NT_EXIT_FINITE;
}

static enum nt_exit nt_finish(struct nt_session *session, enum nt_exit status)
{
	int error = nt_session_stop(session);
	const struct nt_source *damaged = nt_session_damaged(session);

	nt_session_tell(session, INT64_MAX, stderr);
	if (error) {
		fprintf(stderr, "%snanotape-capture: %s: the source broke (%s): restart the capture\n",
			nt_process_level(NT_LEVEL_ERROR), nt_loop_broken(session->loop)->name, strerror(-error));
		return NT_EXIT_BROKEN;
	}
	if (status == NT_EXIT_HOLDER_GONE)
		nt_say("the holder is gone: what waited in its RX rings is in the ring; restart holder and capture");
	if (damaged && status == NT_EXIT_FINITE) {
		nt_say(damaged->note);
		return NT_EXIT_DAMAGED;
	}
	return status;
}

static int nt_run(const struct nt_arguments *arguments, pid_t parent)
{
	static struct nt_session session;
	struct nt_fault fault = {0};
	int signals = nt_process_signals(&fault);
	int error = signals < 0 ? signals : nt_identity_drop(arguments->user, arguments->group, &fault);
	enum nt_exit status;

	if (!error && arguments->die_with_parent && arguments->lifeline < 0)
		error = nt_process_die_with(parent, &fault);
	if (!error)
		error = nt_session_open(&session, arguments->plan, arguments->resume, &fault);
	if (error) {
		nt_say(fault.text);
		return NT_EXIT_BROKEN;
	}
	nt_session_describe(&session, stderr);
	printf("ready\n");
	fflush(stdout);
	status = nt_finish(&session, nt_wait(&session, signals, arguments->lifeline));
	nt_session_close(&session);
	return status;
}

int main(int count, char **words)
{
	pid_t parent = getppid();
	struct nt_arguments arguments;

	if (!nt_parse_arguments(&arguments, count, words))
		return NT_EXIT_USAGE;
	return nt_run(&arguments, parent);
}
