/* SPDX-License-Identifier: Apache-2.0 */
/* One measurement of how long a packet takes from its stamp to whoever receives it. A thread of ours sends evenly from another network
 * namespace and another core; one of several receivers takes the packets. Not for callers but latency*.c. */
#ifndef NT_BENCH_LATENCY_H
#define NT_BENCH_LATENCY_H

#include "../atomic.h"
#include "../plan/plan.h"
#include "latency_samples.h"

#include <stdbool.h>
#include <sched.h>
#include <time.h>

#define NT_LATENCY_APART 128

struct nt_latency_options {
	const char *mode;
	const char *plan;        /* names interface, flow, holder, ring and core of the receiving side */
	const char *exchange;    /* file of the sender's network namespace; NULL: ours */
	const char *interface;   /* of the sender's side */
	uint64_t rate_pps;       /* even gaps: what is late is not made up for */
	uint64_t packets;        /* all in all */
	uint64_t warm_up;        /* of them, the first, left out of the figures */
	uint32_t frame_bytes;    /* 60 to 1514 */
	uint32_t packets_a_call; /* sent at once */
	int sender_core;         /* -1: not pinned */
	uint8_t source_address[4];
};

struct nt_latency_sender;

struct nt_latency {
	struct nt_latency_options options;
	struct nt_plan plan;
	struct nt_latency_sender *sender;
	/* Called by the sender's thread again and again while it waits; NULL: nothing. For the receiver that shares its core. */
	void (*meanwhile)(struct nt_latency *run);
	void *receiver; /* of `meanwhile` */
	bool rings;     /* it was captured into a ring: the next two say how */
	bool huge;      /* the ring lies on huge pages */
	bool caged;     /* the loop's thread would have been killed at a system call */
	/* What one core writes for each packet lies apart from what the other reads meanwhile, or both would be measured waiting. */
	_Alignas(NT_LATENCY_APART) struct nt_samples samples;
	_Alignas(NT_LATENCY_APART) uint64_t sender_done;
};

/* A receiver: makes itself ready, calls nt_sender_go, adds each packet's delay to the samples, and ends as soon as
 * nt_latency_is_over. Runs in the calling thread. */
typedef int (*nt_latency_receiver)(struct nt_latency *run, struct nt_fault *fault);

/* latency_afxdp.c: the lane that the plan's holder lends. */
int nt_latency_bare(struct nt_latency *run, struct nt_fault *fault);   /* a loop that does nothing else: the least there is */
int nt_latency_loop(struct nt_latency *run, struct nt_fault *fault);   /* the capture loop: visible in the ring */
int nt_latency_reader(struct nt_latency *run, struct nt_fault *fault); /* in the hand of a reader that spins beside the sender */
/* latency_stalls.c: nobody receives; the samples are the times for which the core was away. */
int nt_latency_stalls(struct nt_latency *run, struct nt_fault *fault);
/* latency_socket.c: the plan's first flow. */
int nt_latency_socket(struct nt_latency *run, struct nt_fault *fault); /* plain UDP, the kernel's stamp */
/* latency_packet.c: all IPv4 of the plan's interface. */
int nt_latency_packet(struct nt_latency *run, struct nt_fault *fault); /* TPACKET_V3, the kernel's stamp */

/* For receivers that rely on the kernel's stamps: asked for, they begin a while later, in a work queue, and until then it stamps what is
 * handed out as if it had come just then. */
static inline void nt_latency_await_stamps(void)
{
	static const struct timespec pause = {.tv_nsec = 50000000};

	nanosleep(&pause, NULL);
}

/* latency_sender.c. A thread that is ready to send, and waits. Packets that are not sent yet when it is closed never will be. */
int nt_latency_sender_open(struct nt_latency *run, struct nt_fault *fault);
void nt_latency_sender_go(struct nt_latency *run);
/* All was sent, and a while has passed in which the last packet could come. */
static inline bool nt_latency_sender_is_done(const struct nt_latency *run)
{
	return nt_load_acquire(&run->sender_done);
}
/* Waits for that; for a receiver that needs no thread of its own. */
int nt_latency_sender_join(struct nt_latency *run, struct nt_fault *fault);
void nt_latency_sender_close(struct nt_latency *run);

struct nt_latency_sent {
	uint64_t packets;
	int64_t took_ns;     /* from the first call to the last */
	int64_t late_max_ns; /* the worst gap, beyond what it should have been */
	uint64_t late;       /* calls that came later than a whole gap: the rate fell short by as many */
};
/* After the join. */
struct nt_latency_sent nt_latency_sent(const struct nt_latency *run);

/* The calling thread, and threads that it starts. -1: anywhere. */
static inline int nt_latency_pin(int core, struct nt_fault *fault)
{
	cpu_set_t set;

	if (core < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET((unsigned int)core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == 0)
		return 0;
	return nt_fault_set(fault, -1, "core %d: cannot run there; this needs two cores", core);
}

static inline bool nt_latency_is_over(const struct nt_latency *run)
{
	return run->samples.added >= run->options.packets || nt_latency_sender_is_done(run);
}

#endif
