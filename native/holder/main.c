/* SPDX-License-Identifier: Apache-2.0 */
/* nanotape-holder: makes, with privilege, the kernel objects that a capture process uses without, and lends them until SIGTERM. With
 * --listeners it makes nothing, and prints whom its afxdp sources take packets from. */
#include "holder.h"

#include "../process.h"
#include "listeners.h"

#include <errno.h>
#include <getopt.h>
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

static int read_arguments(struct nt_arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"plan", required_argument, NULL, 'p'},
		{"die-with-parent", no_argument, NULL, 'd'},
		{"listeners", no_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'p')
			arguments->plan = optarg;
		else if (option == 'd')
			arguments->die_with_parent = true;
		else if (option == 'l')
			arguments->listeners = true;
		else
			return -EINVAL;
	}
	return arguments->plan && optind == argc ? 0 : -EINVAL;
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

static int serve(struct nt_holder *holder, struct nt_server *server, int signal_fd, struct nt_fault *fault)
{
	int error = nt_sources_open(holder, fault);

	if (!error)
		error = nt_privilege_drop(fault);
	if (!error && (puts("ready") == EOF || fflush(stdout)))
		error = nt_fault_set(fault, -errno, "nobody reads stdout: %s", strerror(errno));
	if (!error)
		error = nt_server_run(server, holder, signal_fd, fault);
	nt_sources_close(holder);
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

static int hold(const struct nt_plan *plan, int signal_fd, struct nt_fault *fault)
{
	static struct nt_holder holder; /* large, and zero */
	struct nt_server server;
	int error;

	raise_open_files();
	holder.plan = plan;
	if (getrandom(&holder.id, sizeof(holder.id), 0) != sizeof(holder.id))
		return nt_fault_set(fault, -EIO, "no random number for the holder's id");
	holder.id |= 1; /* 0 means: no holder */
	error = nt_privilege_check(plan, fault);
	if (!error)
		error = nt_server_open(&server, plan->header, fault);
	if (!error) {
		error = serve(&holder, &server, signal_fd, fault);
		nt_server_close(&server);
	}
	return error;
}

static int run(const struct nt_arguments *arguments, pid_t parent, struct nt_fault *fault)
{
	struct nt_plan plan;
	int signal_fd = nt_process_signals(fault);
	int error = signal_fd < 0 ? signal_fd : 0;

	if (!error && arguments->die_with_parent)
		error = nt_process_die_with(parent, fault);
	if (!error)
		error = nt_plan_load(&plan, arguments->plan, fault);
	if (error)
		return error;
	error = arguments->listeners ? print_listeners(&plan, fault) : hold(&plan, signal_fd, fault);
	nt_plan_unload(&plan);
	return error;
}

int main(int argc, char **argv)
{
	pid_t parent = getppid();
	struct nt_arguments arguments = {0};
	struct nt_fault fault = {0};

	if (read_arguments(&arguments, argc, argv)) {
		fputs("usage: nanotape-holder --plan FILE [--die-with-parent] [--listeners]\n", stderr);
		return NT_EXIT_USAGE;
	}
	if (run(&arguments, parent, &fault)) {
		nt_holder_say(NT_LEVEL_ERROR, "%s", fault.text);
		return NT_EXIT_FAILED;
	}
	return 0;
}
