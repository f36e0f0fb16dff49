/* SPDX-License-Identifier: Apache-2.0 */
/* The lending side of lend.h. */
#include "holder.h"

#include "../clock.h"
#include "../ring/lock.h"
#include "pass.h"
#include "succession.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NT_SERVER_BACKLOG 8
#define NT_LOCK_PATH_BYTES 128 /* sun_path and ".lock" */

static int make_address(struct sockaddr_un *address, const char *path, struct nt_fault *fault)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (path[0] != '/' || strlen(path) >= sizeof(address->sun_path))
		return nt_fault_set(fault, -EINVAL, "holder socket \"%s\": expected an absolute path of at most %zu bytes", path,
				    sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, path, strlen(path));
	return 0;
}

/* Whether a live process listens there, without it noticing: the kernel looks for the socket before it compares the types. */
static int probe(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	error = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : -EPROTOTYPE;
	close(fd);
	return error;
}

/* A holder that was killed a moment ago still holds its socket. */
static int probe_patiently(const struct sockaddr_un *address)
{
	int64_t deadline = nt_clock_ns(CLOCK_MONOTONIC) + NT_RETRY_NS;
	int error;

	while ((error = probe(address)) == -EPROTOTYPE && nt_clock_ns(CLOCK_MONOTONIC) < deadline)
		poll(NULL, 0, NT_RETRY_STEP_MS);
	return error;
}

static int clear_stale(const struct sockaddr_un *address, struct nt_fault *fault)
{
	struct stat status;
	int error;

	if (lstat(address->sun_path, &status))
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return nt_fault_set(fault, -EEXIST, "%s: exists and is no socket: remove it, or configure another path",
				    address->sun_path);
	error = probe_patiently(address);
	if (error == -EPROTOTYPE)
		return nt_fault_set(fault, -EADDRINUSE,
				    "%s: a holder is running already (pgrep -a nanotape-holder shows it): stop it first",
				    address->sun_path);
	if (error == -ENOENT)
		return 0; /* it was just ending */
	if (error != -ECONNREFUSED)
		return nt_fault_set(fault, error, "%s: cannot tell whether its holder is alive: %s", address->sun_path,
				    strerror(-error));
	if (unlink(address->sun_path) && errno != ENOENT)
		return nt_fault_set(fault, -errno, "%s: left by a dead holder and cannot be removed: %s", address->sun_path,
				    strerror(errno));
	return 0;
}

/* Root and the capture user may connect; the group stays ours. A holder that runs as the capture user needs no chown. */
static int grant(const struct sockaddr_un *address, const struct nt_plan_header *plan)
{
	if (plan->capture_uid != geteuid() && lchown(address->sun_path, plan->capture_uid, (gid_t)-1))
		return -errno;
	return 0;
}

static int listen_at(struct nt_server *server, const struct sockaddr_un *address, const struct nt_plan_header *plan,
		     struct nt_fault *fault)
{
	int error = clear_stale(address, fault);
	mode_t mask;

	if (error)
		return error;
	server->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0)
		return nt_fault_set(fault, -errno, "%s: %s", address->sun_path, strerror(errno));
	mask = umask(0117);
	error = bind(server->listener, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;
	umask(mask);
	if (error)
		return nt_fault_set(fault, error, "%s: the holder socket cannot be made: %s", address->sun_path, strerror(-error));
	snprintf(server->path, sizeof(server->path), "%s", address->sun_path);
	error = grant(address, plan);
	if (error)
		return nt_fault_set(fault, error, "%s: cannot be given to user %u: %s", address->sun_path, plan->capture_uid,
				    strerror(-error));
	if (listen(server->listener, NT_SERVER_BACKLOG))
		return nt_fault_set(fault, -errno, "%s: cannot listen: %s", address->sun_path, strerror(errno));
	return 0;
}

/* Two holders that start at once must not both find the same stale socket. A file of its own, 0600: the directory is open to the
 * ring's group, and whoever may open a file may lock it. */
static int lock_start(char path[NT_LOCK_PATH_BYTES], int *lock_fd, const char *socket_path, struct nt_fault *fault)
{
	int64_t deadline = nt_clock_ns(CLOCK_MONOTONIC) + NT_RETRY_NS;
	int error;

	snprintf(path, NT_LOCK_PATH_BYTES, "%s.lock", socket_path);
	while ((error = nt_lock_take(lock_fd, path, "", NULL)) == -EBUSY && nt_clock_ns(CLOCK_MONOTONIC) < deadline)
		poll(NULL, 0, NT_RETRY_STEP_MS);
	if (error == -EBUSY)
		return nt_fault_set(
			fault, error,
			"%s: locked by another holder that is starting (pgrep -a nanotape-holder shows it): stop it first", path);
	if (error)
		return nt_fault_set(fault, error, "%s: the lock file beside the holder socket cannot be made: %s", path,
				    strerror(-error));
	return 0;
}

void nt_server_init(struct nt_server *server)
{
	memset(server, 0, sizeof(*server));
	server->listener = server->borrower = server->succession = server->heir = -1;
}

int nt_server_open(struct nt_server *server, const struct nt_plan_header *plan, struct nt_fault *fault)
{
	struct sockaddr_un address;
	char lock[NT_LOCK_PATH_BYTES];
	int lock_fd;
	int error;

	error = make_address(&address, plan->holder_socket, fault);
	if (error)
		return error;
	error = lock_start(lock, &lock_fd, plan->holder_socket, fault);
	if (error)
		return error;
	error = listen_at(server, &address, plan, fault);
	nt_lock_release(lock_fd, lock, true);
	if (error)
		nt_server_close(server);
	return error;
}

static int send_hello(int fd, const struct nt_holder *holder, enum nt_lend_status status, pid_t borrower)
{
	struct nt_lend_hello hello = {
		.magic = NT_LEND_MAGIC,
		.version = NT_LEND_VERSION,
		.status = status,
		.holder_id = holder->id,
		.lane_count = status == NT_LEND_OK ? holder->lane_count : 0,
		.borrower_pid = (uint32_t)borrower,
		.holder_pid = (uint32_t)getpid(),
	};

	return send(fd, &hello, sizeof(hello), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(hello) ? 0 : -errno;
}

static void forget_borrower(struct nt_server *server)
{
	close(server->borrower);
	server->borrower = -1;
	server->borrower_pid = 0;
}

/* A borrower says nothing: anything but silence is its end. */
static bool borrower_is_gone(const struct nt_server *server)
{
	struct pollfd watched = {.fd = server->borrower, .events = POLLIN};

	return poll(&watched, 1, 0) > 0;
}

static bool lend(int fd, const struct nt_holder *holder)
{
	if (send_hello(fd, holder, NT_LEND_OK, 0))
		return false;
	for (uint32_t i = 0; i < holder->lane_count; i++)
		if (nt_lane_pass(fd, &holder->lanes[i]))
			return false;
	return true;
}

static void answer(struct nt_server *server, const struct nt_holder *holder)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t bytes = sizeof(peer);
	int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (server->borrower >= 0 && borrower_is_gone(server))
		forget_borrower(server);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) ||
	    (peer.uid != 0 && peer.uid != holder->plan->header->capture_uid)) {
		send_hello(fd, holder, NT_LEND_DENIED, 0);
	} else if (server->borrower >= 0) {
		send_hello(fd, holder, NT_LEND_BUSY, server->borrower_pid);
	} else if (lend(fd, holder)) {
		server->borrower = fd;
		server->borrower_pid = peer.pid;
		return;
	}
	close(fd);
}

/* Somebody asks to be the heir. False: the supervisor is gone. */
static bool hear_heir(struct nt_server *server, const struct nt_holder *holder)
{
	struct nt_heir heir;
	uint32_t count;
	int connection;
	ssize_t got = nt_take(server->succession, &heir, sizeof(heir), &connection, 1, &count);

	if (got == 0 || got == -ECONNRESET)
		return false;
	if (got < 0 || count != 1)
		return true; /* nothing that we know of */
	if (heir.magic != NT_WILL_MAGIC || heir.version != NT_WILL_VERSION) {
		nt_bequeath_refuse(connection, NT_WILL_OTHER_VERSION);
	} else if (server->heir >= 0) {
		nt_bequeath_refuse(connection, NT_WILL_BUSY);
	} else if (nt_bequeath(connection, holder, server->listener) == 0) {
		server->heir = connection;
		return true;
	}
	close(connection);
	return true;
}

/* The heir has taken over: true; or it has died, and all is to be as it was. */
static bool heir_took_over(struct nt_server *server, const struct nt_holder *holder, int *error, struct nt_fault *fault)
{
	struct nt_heir heir;
	uint32_t count;
	int stray;
	ssize_t got = nt_take(server->heir, &heir, sizeof(heir), &stray, 1, &count);

	nt_close_fds(&stray, count);
	close(server->heir); /* it waits for this */
	server->heir = -1;
	*error = 0;
	if (got > 0 && heir.magic == NT_WILL_MAGIC) {
		server->path[0] = '\0'; /* the socket is the heir's */
		return true;
	}
	*error = nt_bequeath_revoke(holder, fault);
	return false;
}

/* The heir is looked at first and polled last: who finds it in charge is not to be lent to by us. */
int nt_server_run(struct nt_server *server, const struct nt_holder *holder, int signal_fd, struct nt_fault *fault)
{
	for (;;) {
		struct pollfd watched[] = {
			{.fd = signal_fd, .events = POLLIN},          {.fd = server->listener, .events = POLLIN},
			{.fd = server->borrower, .events = POLLIN}, /* poll ignores -1 */
			{.fd = server->succession, .events = POLLIN}, {.fd = server->heir, .events = POLLIN},
		};
		int error = 0;

		if (poll(watched, 5, -1) < 0 && errno != EINTR)
			return nt_fault_set(fault, -errno, "poll: %s", strerror(errno));
		if (server->heir >= 0 && watched[4].revents && (heir_took_over(server, holder, &error, fault) || error))
			return error;
		if (watched[0].revents)
			return 0;
		if (server->borrower >= 0 && watched[2].revents)
			forget_borrower(server);
		if (watched[1].revents)
			answer(server, holder);
		if (watched[3].revents && !hear_heir(server, holder))
			return 0;
	}
}

void nt_server_close(struct nt_server *server)
{
	if (server->borrower >= 0)
		close(server->borrower);
	if (server->listener >= 0)
		close(server->listener);
	if (server->heir >= 0)
		close(server->heir);
	if (server->path[0])
		unlink(server->path);
	server->borrower = server->listener = server->heir = -1;
	server->path[0] = '\0';
}
