/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

int nt_process_signals(struct nt_fault *fault)
{
	sigset_t stop;
	int fd;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? nt_fault_set(fault, -errno, "signalfd: %s", strerror(errno)) : fd;
}

int nt_process_die_with(pid_t parent, struct nt_fault *fault)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0))
		return nt_fault_set(fault, -errno, "cannot follow the parent's death: %s", strerror(errno));
	/* The parent may have gone before the request: then no signal will come. */
	return getppid() == parent ? 0 : nt_fault_set(fault, -ESRCH, "the parent process has ended already");
}

const char *nt_process_level(enum nt_level level)
{
	if (!getenv("NANOTAPE_PRIORITIES"))
		return "";
	return level == NT_LEVEL_ERROR ? "<3>" : level == NT_LEVEL_WARNING ? "<4>" : "<6>";
}
