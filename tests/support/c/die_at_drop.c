/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a holder: it is killed when it is about to drop its capabilities, as an heir does right after it has replaced the XDP
 * program and before the holder that runs is let go. */
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

int prctl(int option, ...)
{
	if (option == PR_CAP_AMBIENT)
		kill(getpid(), SIGKILL);
	return 0;
}
