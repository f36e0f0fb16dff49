/* SPDX-License-Identifier: Apache-2.0 */
/* nanotape-holder: makes, with privilege, the kernel objects that a capture process uses without, and lends them until SIGTERM. */
#include "holder.h"
#include "../process.h"

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
};

void nt_holder_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("nanotape-holder: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

static int read_arguments(struct nt_arguments *arguments, int argc, char **argv)
{
	static const struct option options[] = {
		{"plan", required_argument, NULL, 'p'},
		{"die-with-parent", no_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'p')
			arguments->plan = optarg;
		else if (option == 'd')
			arguments->die_with_parent = true;
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

static uint64_t least_umem(const struct nt_plan *plan)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < plan->header->source_count; i++)
		if (plan->sources[i].kind == NT_SOURCE_AFXDP)
			bytes += (uint64_t)plan->sources[i].descriptors * plan->sources[i].frame_bytes;
	return bytes;
}

static int open_lanes(struct nt_holder *holder, const struct nt_plan_source *source, const struct nt_interface *interface,
		      const struct nt_program *program, struct nt_fault *fault)
{
	if (interface->queues > NT_LEND_LANES_MAX - holder->lane_count)
		return nt_fault_set(fault, -E2BIG,
				    "%s: has %u RX queues, at most %u in all can be captured: ethtool -L %s combined 1",
				    interface->name, interface->queues, NT_LEND_LANES_MAX, interface->name);
	for (uint32_t queue = 0; queue < interface->queues; queue++) {
		int error = nt_lane_open(&holder->lanes[holder->lane_count], source, interface, queue, program, fault);

		if (error)
			return error;
		holder->lane_count++;
	}
	return 0;
}

static int open_source(struct nt_holder *holder, const struct nt_plan_source *source, struct nt_fault *fault)
{
	struct nt_program *program = &holder->programs[holder->program_count];
	struct nt_interface interface;
	int error = nt_interface_read(&interface, source->interface, fault);

	if (error)
		return error;
	holder->program_count++;
	error = nt_program_attach(program, &interface, holder->plan, source, fault);
	if (!error)
		error = open_lanes(holder, source, &interface, program, fault);
	if (!error)
		error = nt_joins_open(&holder->joins, holder->plan, source, interface.index, fault);
	if (error)
		return error;
	nt_holder_say("%s: driver %s, %u queue%s, %s XDP, %s, %u descriptors of %u bytes a queue on %s", interface.name,
		      interface.driver, interface.queues, interface.queues == 1 ? "" : "s",
		      program->skb_mode ? "generic" : "native",
		      holder->lanes[holder->lane_count - 1].facts.zero_copy ? "zero-copy" : "copy mode", source->descriptors,
		      source->frame_bytes,
		      holder->lanes[holder->lane_count - 1].memory.memory == NT_MEMORY_SHM ? "ordinary pages" : "huge pages");
	if (interface.mtu + 22 > source->frame_bytes - XDP_PACKET_HEADROOM)
		nt_holder_say(
			"%s: MTU %u, but a UMEM frame holds packets of %u bytes: longer ones will be lost and counted as rx_dropped",
			interface.name, interface.mtu, source->frame_bytes - XDP_PACKET_HEADROOM);
	return 0;
}

static int open_sources(struct nt_holder *holder, struct nt_fault *fault)
{
	for (uint32_t i = 0; i < holder->plan->header->source_count; i++) {
		const struct nt_plan_source *source = &holder->plan->sources[i];
		int error = source->kind == NT_SOURCE_AFXDP ? open_source(holder, source, fault) : 0;

		if (error)
			return error;
	}
	return holder->lane_count ? 0 : nt_fault_set(fault, -EINVAL, "the plan has no afxdp source: nothing to hold");
}

/* Joins go first: nothing should be sent to us that we no longer take. */
static void close_sources(struct nt_holder *holder)
{
	nt_joins_close(&holder->joins);
	for (uint32_t i = 0; i < holder->program_count; i++)
		nt_program_close(&holder->programs[i]);
	for (uint32_t i = 0; i < holder->lane_count; i++)
		nt_lane_close(&holder->lanes[i]);
}

static int serve(struct nt_holder *holder, struct nt_server *server, int signal_fd, struct nt_fault *fault)
{
	int error = open_sources(holder, fault);

	if (!error)
		error = nt_privilege_drop(fault);
	if (!error && (puts("ready") == EOF || fflush(stdout)))
		error = nt_fault_set(fault, -errno, "nobody reads stdout: %s", strerror(errno));
	if (!error)
		error = nt_server_run(server, holder, signal_fd, fault);
	close_sources(holder);
	return error;
}

static int hold(const struct nt_arguments *arguments, pid_t parent, struct nt_fault *fault)
{
	static struct nt_holder holder; /* large, and zero */
	struct nt_server server;
	struct nt_plan plan;
	int signal_fd;
	int error;

	signal_fd = nt_process_signals(fault);
	if (signal_fd < 0)
		return signal_fd;
	if (arguments->die_with_parent && (error = nt_process_die_with(parent, fault)))
		return error;
	error = nt_plan_load(&plan, arguments->plan, fault);
	if (error)
		return error;
	raise_open_files();
	holder.plan = &plan;
	if (getrandom(&holder.id, sizeof(holder.id), 0) != sizeof(holder.id))
		return nt_fault_set(fault, -EIO, "no random number for the holder's id");
	holder.id |= 1; /* 0 means: no holder */
	error = nt_privilege_check(least_umem(&plan), fault);
	if (!error)
		error = nt_server_open(&server, plan.header, fault);
	if (!error) {
		error = serve(&holder, &server, signal_fd, fault);
		nt_server_close(&server);
	}
	nt_plan_unload(&plan);
	return error;
}

int main(int argc, char **argv)
{
	pid_t parent = getppid();
	struct nt_arguments arguments = {0};
	struct nt_fault fault = {0};

	if (read_arguments(&arguments, argc, argv)) {
		fputs("usage: nanotape-holder --plan FILE [--die-with-parent]\n", stderr);
		return NT_EXIT_USAGE;
	}
	if (hold(&arguments, parent, &fault)) {
		nt_holder_say("%s", fault.text);
		return NT_EXIT_FAILED;
	}
	return 0;
}
