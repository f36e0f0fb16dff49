/* SPDX-License-Identifier: Apache-2.0 */
/* nanotape-holder: makes, with privilege, the kernel objects that a capture process uses without, and lends them until SIGTERM. With
 * --succession FD another holder can take them over (succession.h), and the end of FD is the supervisor's: it ends with it. With
 * --succeed FD it does so itself: it says "prepared", and takes over when a byte comes on standard input. With --listeners it makes
 * nothing, and prints whom its afxdp sources take packets from. */
#include "holder.h"

#include "../process.h"
#include "listeners.h"
#include "succession.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#define NT_EXIT_FAILED 1
#define NT_EXIT_USAGE 2

struct nt_arguments {
	const char *plan;
	bool die_with_parent;
	bool listeners;
	int succession; /* -1: none */
	int succeed;    /* -1: nobody */
};

void nt_holder_say(enum nt_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "%snanotape-holder: ", nt_process_level(level));
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

static bool read_fd(const char *text, int *fd)
{
	char *end;
	long value = strtol(text, &end, 10);

	*fd = (int)value;
	return text[0] >= '0' && text[0] <= '9' && !*end && value <= INT_MAX && fcntl(*fd, F_SETFD, FD_CLOEXEC) == 0;
}

static int read_arguments(struct nt_arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"plan", required_argument, NULL, 'p'},    {"die-with-parent", no_argument, NULL, 'd'},
		{"listeners", no_argument, NULL, 'l'},     {"succession", required_argument, NULL, 'n'},
		{"succeed", required_argument, NULL, 's'}, {NULL, 0, NULL, 0},
	};
	bool good = true;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'p')
			arguments->plan = optarg;
		else if (option == 'd')
			arguments->die_with_parent = true;
		else if (option == 'l')
			arguments->listeners = true;
		else if (option == 'n')
			good &= read_fd(optarg, &arguments->succession);
		else if (option == 's')
			good &= read_fd(optarg, &arguments->succeed);
		else
			good = false;
	}
	return good && arguments->plan && optind == argc ? 0 : -EINVAL;
}

/* A join socket for every 20 groups, three descriptors a lane. */
static void raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int say(const char *word, struct nt_fault *fault)
{
	if (puts(word) == EOF || fflush(stdout))
		return nt_fault_set(fault, -errno, "nobody reads stdout: %s", strerror(errno));
	return 0;
}

static int make(struct nt_holder *holder, struct nt_server *server, struct nt_fault *fault)
{
	int error = nt_server_open(server, holder->plan->header, fault);

	if (!error)
		error = nt_sources_open(holder, fault);
	return error ? error : nt_privilege_drop(fault);
}

/* A byte on standard input; its end, or a signal, is none. */
static int wait_for_cue(int signal_fd, struct nt_fault *fault)
{
	struct pollfd watched[] = {{.fd = signal_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	char cue;

	while (poll(watched, 2, -1) < 0)
		if (errno != EINTR)
			return nt_fault_set(fault, -errno, "poll: %s", strerror(errno));
	if (watched[0].revents || read(STDIN_FILENO, &cue, 1) != 1)
		return nt_fault_set(fault, -ECANCELED, "told to end before it took over");
	return 0;
}

/* Rights go before the holder that runs does: should they not, it goes on. */
static int take_over(struct nt_holder *holder, struct nt_server *server, int succeed, int signal_fd, struct nt_fault *fault)
{
	static struct nt_inheritance inheritance;
	int error = nt_inherit(&inheritance, holder, succeed, fault);

	if (!error)
		error = say("prepared", fault);
	if (!error)
		error = wait_for_cue(signal_fd, fault);
	if (!error)
		error = nt_inherit_switch(&inheritance, holder, fault);
	if (!error)
		error = nt_privilege_drop(fault);
	if (!error)
		nt_inherit_take(&inheritance, holder, server);
	nt_inherit_close(&inheritance);
	return error;
}

static int print_listeners(const struct nt_plan *plan, struct nt_fault *fault)
{
	struct nt_listener *found = NULL;
	uint32_t count = 0;
	int error = nt_listeners_find(plan, &found, &count, fault);

	if (!error)
		nt_listeners_print(found, count, stdout);
	if (!error && fflush(stdout))
		error = nt_fault_set(fault, -errno, "nobody reads stdout: %s", strerror(errno));
	free(found);
	return error;
}

static int hold(const struct nt_plan *plan, const struct nt_arguments *arguments, int signal_fd, struct nt_fault *fault)
{
	static struct nt_holder holder; /* large, and zero */
	struct nt_server server;
	int error;

	raise_open_files();
	nt_server_init(&server);
	server.succession = arguments->succession;
	holder.plan = plan;
	if (getrandom(&holder.id, sizeof(holder.id), 0) != sizeof(holder.id))
		return nt_fault_set(fault, -EIO, "no random number for the holder's id");
	holder.id |= 1; /* 0 means: no holder */
	error = nt_privilege_check(plan, fault);
	if (!error && arguments->succeed >= 0)
		error = take_over(&holder, &server, arguments->succeed, signal_fd, fault);
	else if (!error)
		error = make(&holder, &server, fault);
	if (!error)
		error = say("ready", fault);
	if (!error)
		error = nt_server_run(&server, &holder, signal_fd, fault);
	nt_sources_close(&holder);
	nt_server_close(&server);
	return error;
}

static int run(const struct nt_arguments *arguments, pid_t parent, struct nt_fault *fault)
{
	struct nt_plan plan;
	int signal_fd = nt_process_signals(fault);
	int error = signal_fd < 0 ? signal_fd : 0;

	if (!error && arguments->die_with_parent && arguments->succession < 0)
		error = nt_process_die_with(parent, fault);
	if (!error)
		error = nt_plan_load(&plan, arguments->plan, fault);
	if (error)
		return error;
	error = arguments->listeners ? print_listeners(&plan, fault) : hold(&plan, arguments, signal_fd, fault);
	nt_plan_unload(&plan);
	return error;
}

int main(int argc, char **argv)
{
	pid_t parent = getppid();
	struct nt_arguments arguments = {.succession = -1, .succeed = -1};
	struct nt_fault fault = {0};

	if (read_arguments(&arguments, argc, argv)) {
		fputs("usage: nanotape-holder --plan FILE [--die-with-parent] [--succession FD] [--succeed FD] [--listeners]\n",
		      stderr);
		return NT_EXIT_USAGE;
	}
	if (run(&arguments, parent, &fault)) {
		nt_holder_say(NT_LEVEL_ERROR, "%s", fault.text);
		return NT_EXIT_FAILED;
	}
	return 0;
}
