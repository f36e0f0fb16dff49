/* SPDX-License-Identifier: Apache-2.0 */
/* Sends evenly: one call of the kernel a packet, which carries it through the veth, so that the next one finds nothing in its way. */
#include "latency.h"

#include "../atomic.h"
#include "../clock.h"
#include "../source/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NT_GRACE_NS 50000000 /* for the last packet to arrive */
#define NT_FRAME_BYTES_MAX 1514u
#define NT_TTL 16

struct nt_latency_sender {
	pthread_t thread;
	bool runs;
	sem_t ready, go;
	uint64_t abandon; /* close came before go */
	int socket;
	struct nt_fault fault;
	struct nt_latency_sent sent;
	uint8_t frame[NT_FRAME_BYTES_MAX];
};

static void make_frame(struct nt_latency *run)
{
	const struct nt_flow *flow = &run->plan.flows[0];
	struct nt_frame_facts facts = {
		.family = NT_FAMILY_IPV4,
		.source_port = flow->port,
		.destination_port = flow->port,
		.ttl = NT_TTL,
		.payload_bytes = run->options.frame_bytes - NT_FRAME_HEADER_IPV4,
	};

	memcpy(facts.source, run->options.source_address, 4);
	memcpy(facts.destination, flow->group, 4);
	nt_frame_write_header(run->sender->frame, &facts);
}

static int enter_namespace(const char *path, struct nt_fault *fault)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		error = nt_fault_set(fault, -errno, "%s: cannot enter this network namespace: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return error;
}

static int open_socket(struct nt_latency *run, struct nt_fault *fault)
{
	const char *interface = run->options.interface;
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
	const int yes = 1;
	int fd;

	if (!address.sll_ifindex)
		return nt_fault_set(fault, -ENODEV, "%s: the sender's namespace has no such interface", interface);
	fd = run->sender->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* receives nothing */
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return nt_fault_set(fault, -errno, "%s: cannot send raw frames: %s", interface, strerror(errno));
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes)); /* a queue would only add to the call */
	return 0;
}

static int prepare(struct nt_latency *run)
{
	struct nt_fault *fault = &run->sender->fault;
	int error = run->options.exchange ? enter_namespace(run->options.exchange, fault) : 0;

	if (!error)
		error = nt_latency_pin(run->options.sender_core, fault);
	if (!error)
		error = open_socket(run, fault);
	if (!error)
		make_frame(run);
	return error;
}

static int send_one(struct nt_latency *run)
{
	struct nt_latency_sender *sender = run->sender;
	uint64_t number = htobe64(++sender->sent.packets);

	memcpy(sender->frame + NT_FRAME_HEADER_IPV4, &number, sizeof(number));
	if (send(sender->socket, sender->frame, run->options.frame_bytes, 0) == (ssize_t)run->options.frame_bytes)
		return 0;
	return nt_fault_set(&sender->fault, -errno, "%s: packet %llu was refused: %s", run->options.interface,
			    (unsigned long long)sender->sent.packets, strerror(errno));
}

static int64_t wait_until(struct nt_latency *run, int64_t due_ns)
{
	int64_t now_ns;

	while ((now_ns = nt_clock_ns(CLOCK_MONOTONIC)) < due_ns)
		if (run->meanwhile)
			run->meanwhile(run);
	return now_ns;
}

/* What is late by more than a gap moves all that follows: made up for, it would be a burst. */
static int send_all(struct nt_latency *run)
{
	struct nt_latency_sent *sent = &run->sender->sent;
	int64_t gap_ns = (int64_t)(UINT64_C(1000000000) * run->options.packets_a_call / run->options.rate_pps);
	int64_t first_ns = nt_clock_ns(CLOCK_MONOTONIC), now_ns = first_ns;
	int error = 0;

	for (int64_t due_ns = first_ns; !error && sent->packets < run->options.packets; due_ns += gap_ns) {
		now_ns = wait_until(run, due_ns);
		if (now_ns - due_ns > sent->late_max_ns)
			sent->late_max_ns = now_ns - due_ns;
		if (now_ns - due_ns > gap_ns) {
			sent->late++;
			due_ns = now_ns;
		}
		for (uint32_t at = 0; !error && at < run->options.packets_a_call && sent->packets < run->options.packets; at++)
			error = send_one(run);
	}
	sent->took_ns = now_ns - first_ns;
	wait_until(run, nt_clock_ns(CLOCK_MONOTONIC) + NT_GRACE_NS);
	return error;
}

static void *sender_thread(void *argument)
{
	struct nt_latency *run = argument;
	struct nt_latency_sender *sender = run->sender;
	int error = prepare(run);

	sem_post(&sender->ready);
	if (error)
		return NULL;
	while (sem_wait(&sender->go) < 0)
		continue;
	if (!nt_load_acquire(&sender->abandon))
		send_all(run);
	nt_store_release(&run->sender_done, 1);
	return NULL;
}

int nt_latency_sender_open(struct nt_latency *run, struct nt_fault *fault)
{
	struct nt_latency_sender *sender = run->sender = calloc(1, sizeof(*sender));
	int error;

	if (!sender)
		return nt_fault_set(fault, -ENOMEM, "no memory for a sender");
	sender->socket = -1;
	sem_init(&sender->ready, 0, 0);
	sem_init(&sender->go, 0, 0);
	error = pthread_create(&sender->thread, NULL, sender_thread, run);
	if (error)
		return nt_fault_set(fault, -error, "cannot start the sender's thread: %s", strerror(error));
	sender->runs = true;
	while (sem_wait(&sender->ready) < 0)
		continue;
	if (sender->fault.error)
		*fault = sender->fault;
	return sender->fault.error;
}

void nt_latency_sender_go(struct nt_latency *run)
{
	sem_post(&run->sender->go);
}

int nt_latency_sender_join(struct nt_latency *run, struct nt_fault *fault)
{
	struct nt_latency_sender *sender = run->sender;

	if (sender->runs)
		pthread_join(sender->thread, NULL);
	sender->runs = false;
	if (sender->fault.error)
		*fault = sender->fault;
	return sender->fault.error;
}

void nt_latency_sender_close(struct nt_latency *run)
{
	struct nt_latency_sender *sender = run->sender;
	struct nt_fault told;

	if (!sender)
		return;
	nt_store_release(&sender->abandon, 1);
	sem_post(&sender->go);
	nt_latency_sender_join(run, &told);
	if (sender->socket >= 0)
		close(sender->socket);
	sem_destroy(&sender->ready);
	sem_destroy(&sender->go);
	free(sender);
	run->sender = NULL;
}

struct nt_latency_sent nt_latency_sent(const struct nt_latency *run)
{
	return run->sender->sent;
}
