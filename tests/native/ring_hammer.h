/* SPDX-License-Identifier: Apache-2.0 */
/* Real processes on one ring: writers that are killed and succeeded, a fast reader, and a slow one that reads where it is just
 * about to be overtaken. Every byte follows from the sequence, so what a reader believes wrongly shows. */
#ifndef NT_TEST_RING_HAMMER_H
#define NT_TEST_RING_HAMMER_H

#include "ring_fixture.h"

#include "../../native/atomic.h"
#include "../../native/clock.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define HAMMER_KILLS 6
#define HAMMER_LIFE_NS 350000000
#define HAMMER_DEADLINE_NS 60000000000ll

struct hammer_reader { /* shared: written by the reader's process */
	uint64_t records;
	uint64_t lost;
	uint64_t loss_events;
	uint64_t next_seq;
	uint64_t broken; /* records that are not what their writer wrote, or damage reported */
};

struct hammer {
	struct nt_ring_options options;
	char descriptor[128];
	uint64_t ready; /* readers that stand at the first record */
	uint64_t writers_done;
	uint64_t torn; /* copies that the writer overtook while they were made; counted by both readers */
	struct hammer_reader fast;
	struct hammer_reader slow;
};

/* Batches of records of random length until it is killed, or until `records` are written. */
static inline void hammer_write(struct hammer *hammer, uint64_t records)
{
	struct nt_writer writer;
	struct nt_ring ring;
	struct nt_fault fault;
	uint64_t next_seq;
	uint64_t last;
	uint64_t random;

	if (nt_ring_attach_writer(&ring, &hammer->options, 1, &next_seq, &fault)) {
		fprintf(stderr, "%s\n", fault.text);
		_exit(1);
	}
	nt_writer_init(&writer, &ring, next_seq);
	last = records ? next_seq + records : UINT64_MAX;
	random = next_seq * 2654435761u + 1;
	while (writer.next_seq < last) {
		uint32_t lengths[64];
		uint32_t count;

		for (uint32_t i = 0; i < 64; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			lengths[i] = NT_RECORD_HEADER_BYTES + (uint32_t)((random >> 40) % ((random >> 33) % 16 ? 400 : 9000));
		}
		count = nt_writer_reserve(&writer, lengths, 1 + (uint32_t)((random >> 50) % 64));
		for (uint32_t i = 0; i < count; i++)
			record_fill(nt_writer_next(&writer, lengths[i]));
		nt_writer_publish(&writer);
	}
	nt_ring_close(&ring);
	_exit(0);
}

/* The slow reader waits until the writer is about to overtake it, so that it copies what is being overwritten. */
static inline void hammer_wait_for_edge(const struct nt_reader *reader, const struct hammer *hammer)
{
	uint64_t edge = reader->ring->capacity - reader->next_seq % 16 * 2048;

	while (nt_reader_lag_bytes(reader) < edge && !nt_load_acquire(&hammer->writers_done))
		;
}

static inline void hammer_read(struct hammer *hammer, struct hammer_reader *books, bool slow)
{
	struct nt_reader reader;
	struct nt_ring ring;
	struct nt_fault fault;

	if (nt_ring_open(&ring, hammer->descriptor, &fault) || nt_reader_init(&reader, &ring, NT_RESUME_QUARTER, &fault) ||
	    nt_reader_seek(&reader, NT_START_SEQUENCE, 1)) {
		fprintf(stderr, "%s\n", fault.text);
		_exit(1);
	}
	__atomic_fetch_add(&hammer->ready, 1, __ATOMIC_RELEASE);
	for (;;) {
		bool done = nt_load_acquire(&hammer->writers_done);
		const struct nt_record *record;
		int error;

		if (slow && !done && reader.position - reader.chunk_position >= reader.chunk_bytes)
			hammer_wait_for_edge(&reader, hammer);
		record = nt_reader_next(&reader, &error);
		if (record && !record_intact(record))
			nt_count(&books->broken, 1);
		if (error) {
			nt_count(&books->broken, 1);
			break;
		}
		if (!record && done)
			break;
		if (!record)
			sched_yield();
	}
	books->records = reader.records;
	books->lost = reader.lost;
	books->loss_events = reader.loss_events;
	books->next_seq = reader.next_seq;
	nt_reader_free(&reader);
	nt_ring_close(&ring);
	_exit(0);
}

static inline void hammer_kill_after(pid_t writer, int64_t nanoseconds)
{
	/* Not a wait for something: the stroke is to fall anywhere in the writer's work. */
	nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
}

/* The exit status, or -1 when the deadline passed or it died of a signal. */
static inline int hammer_wait_for(pid_t child, int64_t deadline)
{
	int status;

	while (nt_clock_ns(CLOCK_MONOTONIC) < deadline) {
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return -1;
}

/* Kills writers until there were HAMMER_KILLS and `*struck` reached `strokes` (on a busy machine a run may strike nothing, and so
 * prove nothing), or until the deadline. Returns the next sequence after the last writer. */
static inline uint64_t hammer_run(struct hammer *hammer, const uint64_t *struck, uint64_t strokes)
{
	int64_t deadline = nt_clock_ns(CLOCK_MONOTONIC) + HAMMER_DEADLINE_NS;
	struct nt_ring ring;
	struct nt_fault fault;
	uint64_t next_seq = 0;
	pid_t readers[2];
	pid_t writer;

	assert_int_equal(nt_ring_attach_writer(&ring, &hammer->options, 1, &next_seq, &fault), 0);
	nt_ring_close(&ring);
	for (int i = 0; i < 2; i++) {
		readers[i] = fork();
		if (!readers[i])
			hammer_read(hammer, i ? &hammer->slow : &hammer->fast, i);
	}
	/* On a busy machine a writer could be far ahead before a reader stands at the first record. */
	while (nt_load_acquire(&hammer->ready) < 2 && nt_clock_ns(CLOCK_MONOTONIC) < deadline)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	for (int i = 0; i < HAMMER_KILLS || nt_load_acquire(struck) < strokes; i++) {
		if (nt_clock_ns(CLOCK_MONOTONIC) > deadline - HAMMER_DEADLINE_NS / 4)
			break;
		writer = fork();
		if (!writer)
			hammer_write(hammer, 0);
		hammer_kill_after(writer, HAMMER_LIFE_NS + (int64_t)i % 8 * 7654321);
	}
	writer = fork();
	if (!writer)
		hammer_write(hammer, 1000);
	assert_int_equal(hammer_wait_for(writer, deadline), 0);
	nt_store_release(&hammer->writers_done, 1);
	assert_int_equal(hammer_wait_for(readers[0], deadline), 0);
	assert_int_equal(hammer_wait_for(readers[1], deadline), 0);
	assert_int_equal(nt_ring_attach_writer(&ring, &hammer->options, 1, &next_seq, &fault), 0);
	nt_ring_close(&ring);
	return next_seq;
}

static inline int hammer_begin(void **state)
{
	struct hammer *hammer = mmap(NULL, sizeof(*hammer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*state = hammer;
	hammer->options = (struct nt_ring_options){.name = "hammer", .capacity = 1 << 20, .group = UINT32_MAX};
	strcpy(hammer->options.shm_directory, "/dev/shm/nt-hammer-XXXXXX");
	if (!mkdtemp(hammer->options.shm_directory))
		return -1;
	snprintf(hammer->descriptor, sizeof(hammer->descriptor), "%.100s/hammer.ring", hammer->options.shm_directory);
	return 0;
}

static inline int hammer_end(void **state)
{
	struct hammer *hammer = *state;
	struct nt_fault fault;

	nt_ring_remove(hammer->options.shm_directory, "hammer", &fault);
	rmdir(hammer->options.shm_directory);
	return munmap(hammer, sizeof(*hammer));
}

#endif
