/* SPDX-License-Identifier: Apache-2.0 */
/* A borrower for tests: adopts what the holder lends and appends every packet to a log file that outlives it, publishing each batch
 * with one store, as the capture loop does with the ring. Says `ready PID` and, after SIGTERM, the counters of each lane as JSON.
 *
 * lane_log SOCKET LOG PLAN SNAP [DEATH]: keeps SNAP bytes of each frame. DEATH kills the process by SIGKILL in the middle of the first
 * batch: `published` (before the release) or `committed` (in the release, when rx.consumer is stored and fill.producer is not). */
#include "holder/lend.h"
#include "plan/plan.h"
#include "source/afxdp.h"
#include "source/packet.h"
#include "source/selector.h"

#include <fcntl.h>
#include <linux/if_xdp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct log_header {
	uint64_t count;
	uint64_t capacity;
	uint64_t stride;
	uint64_t holder_id;
};

struct log_entry { /* followed by the frame's first bytes */
	uint64_t flow_seq;
	int64_t stamp_ns;
	uint32_t flow_id;
	uint32_t length;
	uint32_t queue;
	uint16_t flags;
	uint8_t ts_kind;
	uint8_t stamp_clock;
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static struct log_header *open_log(const char *path)
{
	int fd = open(path, O_RDWR);
	struct stat status;
	void *log;

	if (fd < 0 || fstat(fd, &status))
		return NULL;
	log = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return log == MAP_FAILED ? NULL : log;
}

static void log_batch(struct log_header *log, const struct nt_source *source, const struct nt_batch *batch, size_t snap)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct nt_packet *packet = &batch->packets[i];
		uint64_t index = log->count + i;
		uint8_t *place = (uint8_t *)(log + 1) + index * log->stride;
		struct log_entry entry = {
			.flow_seq = packet->flow_seq,
			.stamp_ns = packet->stamp_ns,
			.flow_id = packet->flow_id,
			.length = packet->wire_length,
			.queue = source->queue,
			.flags = packet->flags,
			.ts_kind = packet->ts_kind,
			.stamp_clock = packet->stamp_clock,
		};

		if (index >= log->capacity)
			exit(3);
		memcpy(place, &entry, sizeof(entry));
		memcpy(place + sizeof(entry), packet->data, packet->capture_length < snap ? packet->capture_length : snap);
	}
	__atomic_store_n(&log->count, log->count + batch->count, __ATOMIC_RELEASE);
}

/* Does by hand what a release does up to its commit, and dies there. */
static void die_committed(int socket_fd, uint32_t count)
{
	struct xdp_mmap_offsets offsets;
	socklen_t bytes = sizeof(offsets);
	uint8_t *ring;
	uint32_t *consumer;

	if (getsockopt(socket_fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &bytes))
		exit(4);
	ring = mmap(NULL, offsets.rx.desc, PROT_READ | PROT_WRITE, MAP_SHARED, socket_fd, XDP_PGOFF_RX_RING);
	if (ring == MAP_FAILED)
		exit(4);
	consumer = (uint32_t *)(void *)(ring + offsets.rx.consumer);
	__atomic_store_n(consumer, *consumer + count, __ATOMIC_RELEASE);
	raise(SIGKILL);
}

static uint64_t unselected[NT_LEND_LANES_MAX];

static void print_stats(struct nt_source *const *sources, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct nt_source_stats stats = {0};

		sources[i]->ops->read_stats(sources[i], &stats);
		printf("{\"name\":\"%s\",\"zero_copy\":%u,\"skb_mode\":%u,\"seen\":%lu,\"unmatched\":%lu,\"no_socket\":%lu,\"redirected\":%lu,"
		       "\"unstamped\":%lu,\"dropped\":%lu,\"ring_full\":%lu,\"fill_empty\":%lu,\"occupancy\":%lu,\"taken\":%lu,\"offered\":%lu,\"socket_drops\":%lu,\"unselected\":%lu}\n",
		       sources[i]->name, sources[i]->zero_copy, sources[i]->skb_mode, stats.xdp_seen, stats.xdp_passed_unmatched,
		       stats.xdp_passed_no_socket, stats.xdp_redirected, stats.xdp_unstamped, stats.rx_dropped, stats.rx_ring_full,
		       stats.rx_fill_empty, stats.rx_occupancy, stats.rx_taken, stats.offered, stats.socket_drops, unselected[i]);
	}
}

/* The kernel keeps the newest packets of a packet socket to itself for a millisecond. */
static bool is_anything_waiting(struct nt_source *const *sources, uint32_t count)
{
	uint64_t waiting = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct nt_source_stats stats = {0};

		sources[i]->ops->read_stats(sources[i], &stats);
		waiting += stats.rx_occupancy;
	}
	return waiting > 0;
}

static void capture(struct log_header *log, const struct nt_borrowed *borrowed, struct nt_source *const *sources, size_t snap,
		    const char *death)
{
	static struct nt_batch batch = {.limit = NT_BATCH_PACKETS};

	for (bool last = false; !last;) {
		int got = 0;

		last = ended;
		for (uint32_t i = 0; i < borrowed->lane_count; i++) {
			int count;

			batch.count = batch.unselected = 0;
			count = sources[i]->ops->poll(sources[i], &batch);

			if (count < 0)
				exit(5);
			unselected[i] += batch.unselected;
			got += count + (int)batch.unselected;
			if (count == 0 && batch.unselected == 0)
				continue;
			log_batch(log, sources[i], &batch, snap);
			if (strcmp(death, "published") == 0)
				raise(SIGKILL);
			if (strcmp(death, "committed") == 0)
				die_committed(borrowed->lanes[i].socket_fd, (uint32_t)count);
			sources[i]->ops->release(sources[i], &batch);
		}
		if (got > 0 || (last && is_anything_waiting(sources, borrowed->lane_count)))
			last = false;
		else if (!last)
			sources[0]->ops->wait(sources[0], 1);
	}
}

static int adopt(struct nt_source **source, const struct nt_borrowed_lane *lane, uint64_t holder_id, const struct nt_plan *plan,
		 struct nt_fault *fault)
{
	static struct nt_selector *selector; /* there is one source in the plan */
	int error = 0;

	if (lane->facts.kind != NT_SOURCE_PACKET)
		return nt_afxdp_adopt(source, lane, holder_id, fault);
	if (!selector)
		error = nt_selector_create(&selector, plan->sources[0].select, plan->flows, plan->header->flow_count,
					   lane->facts.interface, fault);
	return error ? error : nt_packet_adopt(source, lane, holder_id, selector, fault);
}

int main(int argc, char **argv)
{
	static struct nt_borrowed borrowed;
	struct nt_source *sources[NT_LEND_LANES_MAX];
	struct nt_fault fault = {0};
	struct log_header *log = argc >= 5 ? open_log(argv[2]) : NULL;
	struct nt_plan plan = {0};

	if (!log)
		return 2;
	signal(SIGTERM, end);
	if (nt_borrow(&borrowed, argv[1], &fault)) {
		fprintf(stderr, "%s\n", fault.text);
		return 1;
	}
	if (nt_plan_load(&plan, argv[3], &fault)) {
		fprintf(stderr, "%s\n", fault.text);
		return 1;
	}
	log->holder_id = borrowed.holder_id;
	for (uint32_t i = 0; i < borrowed.lane_count; i++) {
		if (adopt(&sources[i], &borrowed.lanes[i], borrowed.holder_id, &plan, &fault)) {
			fprintf(stderr, "%s\n", fault.text);
			return 1;
		}
	}
	printf("ready %d\n", getpid());
	fflush(stdout);
	capture(log, &borrowed, sources, strtoul(argv[4], NULL, 10), argc > 5 ? argv[5] : "");
	print_stats(sources, borrowed.lane_count);
	for (uint32_t i = 0; i < borrowed.lane_count; i++)
		sources[i]->ops->close(sources[i]);
	nt_borrow_end(&borrowed);
	return 0;
}
