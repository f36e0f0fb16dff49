/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include "../atomic.h"
#include "../clock.h"
#include "crc32c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEND_BUFFER_BYTES (4 << 20)

static int set_option(int fd, int level, int name, const void *value, socklen_t bytes)
{
	return setsockopt(fd, level, name, value, bytes) ? -errno : 0;
}

static int set_options(int fd, const struct nt_sender_line_options *options)
{
	struct ip_mreqn interface = {.imr_ifindex = (int)options->interface_index};
	int ttl = (int)options->ttl;
	int loop = options->loop != 0;
	int yes = 1;
	int buffer = SEND_BUFFER_BYTES;
	int error = set_option(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface));

	if (!error)
		error = set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl));
	if (!error)
		error = set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof(loop));
	/* Without it the kernel hides a datagram that the queue refused (ENOBUFS), and "sent" would be too high. */
	if (!error)
		error = set_option(fd, IPPROTO_IP, IP_RECVERR, &yes, sizeof(yes));
	if (!error && set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)))
		error = set_option(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	return error;
}

static int check_source(int fd, const char *name, const char *interface, struct nt_fault *fault)
{
	struct sockaddr_in source = {0};
	socklen_t bytes = sizeof(source);

	if (getsockname(fd, (struct sockaddr *)&source, &bytes))
		return nt_fault_set(fault, -errno, "line %s: cannot read the socket's address: %s", name, strerror(errno));
	if (source.sin_addr.s_addr == INADDR_ANY)
		return nt_fault_set(fault, -EADDRNOTAVAIL,
				    "line %s: %s has no IPv4 address to send from; add one: ip address add 192.0.2.1/24 dev %s",
				    name, interface, interface);
	return 0;
}

static int open_socket(struct nt_line *line, struct nt_fault *fault)
{
	const struct nt_sender_line_options *options = &line->options;
	struct sockaddr_in target = {.sin_family = AF_INET,
				     .sin_port = htons((uint16_t)options->port),
				     .sin_addr.s_addr = options->group};
	char interface[IF_NAMESIZE] = "?";
	char group[INET_ADDRSTRLEN];
	int error;

	inet_ntop(AF_INET, &target.sin_addr, group, sizeof(group));
	if (!IN_MULTICAST(ntohl(options->group)) || options->port == 0 || options->port > 65535)
		return nt_fault_set(
			fault, -EINVAL,
			"line %s: expected an IPv4 multicast group (224.0.0.0 to 239.255.255.255) and a port of 1 to 65535, found %s:%u",
			options->name, group, options->port);
	if (!if_indextoname(options->interface_index, interface))
		return nt_fault_set(fault, -ENODEV, "line %s: no interface has the index %u in this network namespace",
				    options->name, options->interface_index);
	line->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (line->socket < 0)
		return nt_fault_set(fault, -errno, "line %s: cannot open a UDP socket: %s", options->name, strerror(errno));
	error = set_options(line->socket, options);
	if (!error && connect(line->socket, (struct sockaddr *)&target, sizeof(target)))
		error = -errno;
	if (error)
		return nt_fault_set(fault, error, "line %s: cannot send to %s:%u on %s: %s", options->name, group, options->port,
				    interface, strerror(-error));
	return check_source(line->socket, options->name, interface, fault);
}

static int check_faults(const struct nt_sender_line_options *options, struct nt_fault *fault)
{
	int error = nt_faults_check(&options->gaps, 0, options->name, "gap", fault);

	if (!error)
		error = nt_faults_check(&options->duplicates, 0, options->name, "duplicate", fault);
	if (!error)
		error = nt_faults_check(&options->reorders, 1, options->name, "reorder", fault);
	return error;
}

static void wire_batch(struct nt_line *line)
{
	for (uint32_t slot = 0; slot < NT_LINE_SLOTS; slot++) {
		line->payloads[slot] = line->storage[slot];
		line->messages[slot].msg_hdr.msg_iov = &line->vectors[slot];
		line->messages[slot].msg_hdr.msg_iovlen = 1;
	}
	line->ahead_payload = line->storage[NT_LINE_SLOTS];
	line->held_payload = line->storage[NT_LINE_SLOTS + 1];
}

int nt_line_open(struct nt_line **line, const struct nt_exchange_options *exchange, const struct nt_sender_line_options *options,
		 struct nt_fault *fault)
{
	struct nt_line *made;
	int error = check_faults(options, fault);

	if (error)
		return error;
	made = calloc(1, sizeof(*made));
	if (!made)
		return nt_fault_set(fault, -ENOMEM, "line %s: out of memory", options->name);
	made->options = *options;
	made->socket = -1;
	made->next_sequence = 1;
	wire_batch(made);
	error = nt_exchange_create(&made->exchange, exchange, fault);
	if (!error)
		error = open_socket(made, fault);
	if (error) {
		nt_line_close(made);
		return error;
	}
	*line = made;
	return 0;
}

void nt_line_close(struct nt_line *line)
{
	if (!line)
		return;
	nt_exchange_destroy(line->exchange);
	if (line->socket >= 0)
		close(line->socket);
	free(line);
}

static bool look_ahead(struct nt_line *line)
{
	if (!line->waiting && !line->ended) {
		line->waiting = nt_exchange_next_packet(line->exchange, line->ahead_payload, &line->ahead);
		line->ended = !line->waiting;
	}
	return line->waiting;
}

static void note_restart(struct nt_line *line)
{
	const struct nt_exchange_packet *ahead = &line->ahead;

	if (ahead->restarts > line->restarts) {
		if (line->options.restarts)
			line->options.restarts[line->restarts].expected = line->next_sequence;
		line->restarts = ahead->restarts;
	}
	line->next_sequence = ahead->sequence + ahead->messages;
}

static void queue(struct nt_line *line, uint8_t **payload, const struct nt_exchange_packet *packet)
{
	uint32_t slot = line->queued++;
	uint8_t *spare = line->payloads[slot];

	line->payloads[slot] = *payload;
	*payload = spare;
	line->packets[slot] = *packet;
	line->vectors[slot] = (struct iovec){.iov_base = line->payloads[slot], .iov_len = packet->bytes};
}

static bool withhold(struct nt_line *line)
{
	struct nt_sender_fault *gap = nt_faults_at(&line->options.gaps, line->ahead.number, 0);

	if (!gap)
		return false;
	gap->done++;
	nt_fault_concerns(gap, &line->ahead);
	nt_count(&line->counters.withheld, 1);
	return true;
}

static bool hold_back(struct nt_line *line)
{
	struct nt_sender_fault *reorder = nt_faults_at(&line->options.reorders, line->ahead.number, 1);
	uint8_t *spare = line->held_payload;

	if (!reorder || line->ahead.number != reorder->first_packet)
		return false;
	nt_fault_concerns(reorder, &line->ahead);
	line->holds = reorder;
	line->held = line->ahead;
	line->held_payload = line->ahead_payload;
	line->ahead_payload = spare;
	return true;
}

static void repeat_last(struct nt_line *line, uint64_t number)
{
	struct nt_sender_fault *duplicate = nt_faults_at(&line->options.duplicates, number, 0);
	uint32_t last = line->queued - 1;
	const struct nt_exchange_packet *packet = &line->packets[last];

	if (!duplicate)
		return;
	memcpy(line->payloads[line->queued], line->payloads[last], packet->bytes);
	queue(line, &line->payloads[line->queued], packet);
	duplicate->done++;
	nt_fault_concerns(duplicate, packet);
	nt_count(&line->counters.repeated, 1);
}

void nt_line_release(struct nt_line *line)
{
	if (!line->holds)
		return;
	line->holds = NULL;
	queue(line, &line->held_payload, &line->held);
}

static void pass(struct nt_line *line)
{
	uint64_t number = line->ahead.number;

	note_restart(line);
	nt_count(&line->counters.generated, 1);
	if (!withhold(line) && !hold_back(line)) {
		queue(line, &line->ahead_payload, &line->ahead);
		repeat_last(line, number);
	}
	line->waiting = false;
	if (line->holds && number > line->held.number && ++line->holds->done == line->holds->packets)
		nt_line_release(line);
}

void nt_line_gather(struct nt_line *line, uint64_t now_ns)
{
	if (line->taken == line->queued)
		line->taken = line->queued = 0;
	while (line->queued < NT_LINE_BATCH && look_ahead(line) && line->ahead.due_ns + line->options.delay_ns <= now_ns)
		pass(line);
	if (line->ended)
		nt_line_release(line);
}

static void account(struct nt_line *line, uint32_t count, uint64_t utc_ns, uint64_t now_ns)
{
	struct nt_sender_counters *counters = &line->counters;
	uint32_t crc = (uint32_t)counters->crc32c;
	uint64_t bytes = 0, messages = 0, heartbeats = 0, ends = 0;
	uint64_t late_ns = now_ns - line->packets[line->taken].due_ns - line->options.delay_ns;

	for (uint32_t slot = line->taken; slot < line->taken + count; slot++) {
		const struct nt_exchange_packet *packet = &line->packets[slot];

		crc = nt_crc32c(crc, line->payloads[slot], packet->bytes);
		bytes += packet->bytes;
		messages += packet->messages;
		heartbeats += packet->kind == NT_EXCHANGE_HEARTBEAT;
		ends += packet->kind == NT_EXCHANGE_END;
	}
	if (counters->first_ns == 0)
		nt_store_relaxed(&counters->first_ns, utc_ns);
	nt_store_relaxed(&counters->last_ns, utc_ns);
	if (late_ns > counters->late_max_ns)
		nt_store_relaxed(&counters->late_max_ns, late_ns);
	nt_store_relaxed(&counters->crc32c, crc);
	nt_count(&counters->bytes, bytes);
	nt_count(&counters->messages, messages);
	nt_count(&counters->heartbeats, heartbeats);
	nt_count(&counters->ends, ends);
	nt_count(&counters->batches, 1);
	nt_count(&counters->sent, count);
	line->taken += count;
}

int nt_line_send(struct nt_line *line, uint64_t now_ns)
{
	uint64_t utc_ns;
	int taken;

	if (line->taken == line->queued)
		return 0;
	utc_ns = (uint64_t)nt_clock_ns(CLOCK_REALTIME);
	taken = sendmmsg(line->socket, &line->messages[line->taken], line->queued - line->taken, MSG_DONTWAIT);
	if (taken > 0) {
		account(line, (uint32_t)taken, utc_ns, now_ns);
		return 0;
	}
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS)
		nt_count(&line->counters.retries, 1);
	return -errno;
}

uint64_t nt_line_due_ns(const struct nt_line *line)
{
	if (line->taken < line->queued)
		return 0;
	if (line->waiting)
		return line->ahead.due_ns + line->options.delay_ns;
	/* A full batch leaves before the stream is looked at again. */
	return line->ended ? UINT64_MAX : 0;
}
