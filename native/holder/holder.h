/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's own structures: what it made, with privilege, and keeps alive as long as it runs. */
#ifndef NT_HOLDER_H
#define NT_HOLDER_H

#include "../plan/plan.h"
#include "../process.h"
#include "../source/packet.h"
#include "../xdp/flow_keys.h"
#include "lend.h"

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <xdp/xsk.h>

/* Sockets, links and queues of a process that was killed are freed late: what is busy is asked for again, so long. */
#define NT_RETRY_NS 1000000000ll
#define NT_RETRY_STEP_MS 20

struct nt_interface { /* facts about a network interface */
	char name[16];
	char driver[32];
	int index;
	uint32_t mtu;
	uint32_t queues; /* RX queues that exist now; 0: not to be learned */
};

struct nt_maps {          /* of an XDP program, which its successor goes on with */
	int sockets_fd;   /* XSKMAP */
	int counters_fd;  /* writable, since the kernel maps no array through a read-only descriptor */
	int sequences_fd; /* by flow id, as many as a ring can have */
};

struct nt_program { /* the XDP program of one interface */
	char interface[16];
	int ifindex;
	struct bpf_object *object;
	int link_fd;         /* closing the last one detaches the program */
	int code_fd;         /* the program itself; belongs to `object` */
	struct nt_maps maps; /* likewise */
	uint32_t stamp_kind;
	bool skb_mode;
};

struct nt_umem { /* frames of one lane */
	int fd;  /* memfd */
	void *frames;
	uint64_t bytes;
	uint32_t memory; /* enum nt_memory_kind */
};

struct nt_lane { /* one AF_XDP socket on one queue, or one packet socket */
	struct nt_umem memory;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion; /* never used, but the kernel insists */
	struct xsk_ring_cons receive;
	int socket_fd; /* of `socket`; of an heir that has none its own */
	struct nt_lend_lane facts;
	int counters_fd;
	struct nt_packet_socket packet; /* with facts.kind NT_SOURCE_PACKET this alone */
};

struct nt_joins { /* sockets that do nothing but be members of groups, or keep an interface promiscuous */
	int *sockets;
	uint32_t count;
};

struct nt_holder {
	const struct nt_plan *plan;
	uint64_t id;
	struct nt_program programs[NT_PLAN_SOURCES_MAX];
	uint32_t program_count;
	struct nt_lane lanes[NT_LEND_LANES_MAX];
	uint32_t lane_count;
	struct nt_joins joins;
};

struct nt_server {
	char path[108]; /* as long as sun_path */
	int listener;
	int borrower; /* -1: nobody */
	pid_t borrower_pid;
	int succession; /* an heir asks here, and its end is the supervisor's; -1: none */
	int heir;       /* who has asked; -1: nobody */
};

/* interface.c */
int nt_interface_read(struct nt_interface *interface, const char *name, struct nt_fault *fault);

/* privilege.c: whether what the plan's sources take is there. Dropping leaves nothing. */
int nt_privilege_check(const struct nt_plan *plan, struct nt_fault *fault);
int nt_privilege_drop(struct nt_fault *fault);
bool nt_privilege_has(unsigned int capability);

/* program.c: load the program for an interface's flows; with maps of a predecessor, whose stamps are of `stamp_kind`, it goes on with
 * those. */
int nt_program_load(struct nt_program *program, const struct nt_interface *interface, const struct nt_plan *plan,
		    const struct nt_maps *kept, uint32_t stamp_kind, struct nt_fault *fault);
/* Load it and attach it. */
int nt_program_attach(struct nt_program *program, const struct nt_interface *interface, const struct nt_plan *plan,
		      const struct nt_plan_source *source, struct nt_fault *fault);
void nt_program_close(struct nt_program *program);

/* selection.c: what the program selects on an interface. */
void nt_selection_describe(struct nt_selection *selection, const struct nt_plan *plan, const char *interface);
int nt_selection_fill(int flows4_fd, int flows6_fd, const struct nt_plan *plan, const char *interface, struct nt_fault *fault);

/* umem.c */
int nt_umem_make(struct nt_umem *umem, const struct nt_plan_source *source, const struct nt_interface *interface, uint32_t queue,
		 struct nt_fault *fault);
void nt_umem_free(struct nt_umem *umem);

/* lanes.c */
int nt_lane_open(struct nt_lane *lane, const struct nt_plan_source *source, const struct nt_interface *interface, uint32_t queue,
		 const struct nt_program *program, struct nt_fault *fault);
/* All the sockets of a packet source, into `source->fanout` lanes; all or none. */
int nt_lanes_open_packet(struct nt_lane *lanes, const struct nt_plan *plan, const struct nt_plan_source *source,
			 const struct nt_interface *interface, struct nt_fault *fault);
/* Passes on what it consists of: to a borrower, or to an heir. */
int nt_lane_pass(int socket, const struct nt_lane *lane);
void nt_lane_close(struct nt_lane *lane);

/* joins.c */
int nt_joins_open(struct nt_joins *joins, const struct nt_plan *plan, const struct nt_plan_source *source, int ifindex,
		  struct nt_fault *fault);
void nt_joins_close(struct nt_joins *joins);

/* sources.c: everything that the plan's afxdp and packet sources need. What was opened is to be closed, whatever came of it. */
int nt_sources_open(struct nt_holder *holder, struct nt_fault *fault);
void nt_sources_close(struct nt_holder *holder);

/* server.c */
void nt_server_init(struct nt_server *server);
int nt_server_open(struct nt_server *server, const struct nt_plan_header *plan, struct nt_fault *fault);
/* Lends until `signal_fd` has a signal to read, the supervisor is gone, or an heir has taken over. */
int nt_server_run(struct nt_server *server, const struct nt_holder *holder, int signal_fd, struct nt_fault *fault);
void nt_server_close(struct nt_server *server);

/* main.c: one line to stderr, of this level. */
void nt_holder_say(enum nt_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
