/* SPDX-License-Identifier: Apache-2.0 */
/* Loops in processes of their own, with batches of any size, killed wherever they are, and succeeded: each packet of two sources that outlive them stands in the
 * ring once, and the counters agree with the sources. */
#include "loop/state.h"
#include "ring_files.h"

#include "atomic.h"
#include "clock.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define KILLS 100
#define HOLDER 1 /* as ring_files.h attaches */
#define LANES 2
#define FRAME 6000u /* a batch of them takes two publications */
#define PER_LIFE 1000
#define ROUNDS 4 /* of both lanes, before one is killed in the next two */

/* What a holder keeps. Of a lane's packets every fifth is not selected, and every seventh too large. */
struct lane {
	uint64_t position; /* packets released */
	uint64_t produced; /* packets that the lane has; never fewer */
	uint64_t limit;    /* it has more only where it has less than this */
};

struct shared {
	struct lane lanes[LANES];
};

struct lane_source {
	struct nt_source source;
	struct lane *lane;
	uint64_t random;
	uint32_t polls;
	int64_t polled_ns;
	bool mortal;
	bool finite; /* brings what the lane has, and no more */
};

static uint8_t frame[FRAME];

static uint64_t chosen_until(uint64_t packets)
{
	return packets - packets / 5 - packets / 7 + packets / 35;
}

/* The kernel kills this process at any moment of the next two rounds, if they take as long as the last one. */
static void have_us_killed(uint64_t random, int64_t round_ns)
{
	struct sigevent death = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	struct itimerspec after = {.it_value.tv_nsec = 1 + (long)(random % (uint64_t)(2 * round_ns)) % 999999999};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &death, &timer) || timer_settime(timer, 0, &after, NULL))
		_exit(1);
}

static void grow_older(struct lane_source *self)
{
	int64_t now_ns = nt_clock_ns(CLOCK_MONOTONIC);

	if (++self->polls == ROUNDS && self->mortal)
		have_us_killed(self->random >> 20, now_ns - self->polled_ns);
	self->polled_ns = now_ns;
}

static int lane_poll(struct nt_source *source, struct nt_batch *batch)
{
	struct lane_source *self = (struct lane_source *)source;
	struct lane *lane = self->lane;
	uint64_t position = nt_load_relaxed(&lane->position), produced = nt_load_relaxed(&lane->produced);

	if (self->finite && position == produced)
		return -ENODATA;
	grow_older(self);
	self->random = self->random * 6364136223846793005u + 1442695040888963407u;
	if (!self->finite && produced < lane->limit && produced - position < NT_BATCH_PACKETS) {
		produced += 1 + (self->random >> 40) % NT_BATCH_PACKETS;
		nt_store_relaxed(&lane->produced, produced);
	}
	for (uint64_t number = position + 1; number <= produced && number <= position + batch->limit; number++) {
		if (number % 5 == 0) {
			batch->unselected++;
			continue;
		}
		batch->packets[batch->count++] = (struct nt_packet){
			.data = frame,
			.capture_length = number % 7 ? FRAME : NT_RING_RECORD_MAX,
			.wire_length = (uint32_t)number + NT_RING_RECORD_MAX,
			.flow_id = 1,
		};
	}
	return (int)batch->count;
}

/* Takes as long as all before it, so that many die between the publication and the end of this. */
static void lane_release(struct nt_source *source, const struct nt_batch *batch)
{
	const struct lane_source *self = (const struct lane_source *)source;
	int64_t until_ns = 2 * nt_clock_ns(CLOCK_MONOTONIC) - self->polled_ns;
	struct lane *lane = self->lane;

	while (nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
		;
	nt_store_release(&lane->position, nt_load_relaxed(&lane->position) + batch->count + batch->unselected);
}

static uint64_t lane_position(const struct nt_source *source)
{
	return nt_load_relaxed(&((const struct lane_source *)source)->lane->position);
}

static void lane_read_stats(struct nt_source *source, struct nt_source_stats *stats)
{
	(void)source;
	(void)stats;
}

static const struct nt_source_ops lane_ops = {
	.poll = lane_poll,
	.release = lane_release,
	.read_stats = lane_read_stats,
	.position = lane_position,
};

static const struct nt_source_ops lane_ops_without_position = {
	.poll = lane_poll,
	.release = lane_release,
	.read_stats = lane_read_stats,
};

/* One life of the capture. */
static void live(struct files *f, struct shared *shared, const struct nt_source_ops *ops, uint64_t seed, bool to_the_end)
{
	const struct nt_loop_options options = {.core = -1, .batch = 1 + (uint32_t)(seed >> 33) % NT_BATCH_PACKETS};
	static struct lane_source lanes[LANES];
	struct nt_source *sources[LANES];
	struct nt_fault fault = {0};
	struct nt_loop *loop;

	for (uint32_t at = 0; at < LANES; at++) {
		lanes[at] = (struct lane_source){.lane = &shared->lanes[at], .random = seed + at};
		lanes[at].source = (struct nt_source){.ops = ops, .kind = NT_SOURCE_AFXDP, .queue = at, .holder_id = HOLDER};
		snprintf(lanes[at].source.name, sizeof(lanes[at].source.name), "afxdp:test0:%u", at);
		lanes[at].finite = to_the_end;
		lanes[at].mortal = !to_the_end && at == 0;
		sources[at] = &lanes[at].source;
	}
	if (attach(f) || nt_loop_create(&loop, &f->ring, f->next_seq, HOLDER, sources, LANES, &options, &fault)) {
		fprintf(stderr, "%s%s\n", f->fault.text, fault.text);
		_exit(1);
	}
	nt_loop_run(loop);
	_exit(0);
}

static pid_t begin_life(struct files *f, struct shared *shared, const struct nt_source_ops *ops, uint64_t seed, bool to_the_end)
{
	pid_t child = fork();

	if (!child)
		live(f, shared, ops, seed, to_the_end);
	assert_true(child > 0);
	return child;
}

static void wait_for_death(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Reads all there is; returns how many records were not the next of their lane. */
static uint64_t read_on(struct nt_reader *reader, uint64_t *numbers)
{
	const struct nt_record *record;
	uint64_t wrong = 0;

	while ((record = nt_reader_next(reader, NULL))) {
		uint64_t *number = &numbers[record->source];

		do
			++*number;
		while (*number % 5 == 0 || *number % 7 == 0);
		if (record->wire_length - NT_RING_RECORD_MAX != *number) {
			*number = record->wire_length - NT_RING_RECORD_MAX;
			wrong++;
		}
	}
	assert_int_equal(reader->lost, 0);
	return wrong;
}

/* The lives of KILLS captures and of one that takes the rest. Returns the records that were not the next. */
static uint64_t hammer(struct files *f, struct shared *shared, const struct nt_source_ops *ops)
{
	uint64_t random = 12345, wrong = 0, numbers[NT_RING_SOURCES_MAX] = {0};
	struct nt_reader reader;
	struct nt_ring ring;
	pid_t child;
	int status;

	f->options.capacity = 16u << 20; /* what lives bring before they are read */
	assert_int_equal(attach(f), 0);  /* there is a ring to read before the first life */
	nt_ring_close(&f->ring);
	assert_int_equal(nt_ring_open(&ring, f->descriptor, &f->fault), 0);
	assert_int_equal(nt_reader_init(&reader, &ring, NT_RESUME_OLDEST, NULL), 0);
	assert_int_equal(nt_reader_seek(&reader, NT_START_OLDEST, 0), 0);
	for (int life = 0; life < KILLS; life++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		for (int at = 0; at < LANES; at++)
			shared->lanes[at].limit = shared->lanes[at].position + PER_LIFE;
		child = begin_life(f, shared, ops, random, false);
		wait_for_death(child);
		wrong += read_on(&reader, numbers);
	}
	child = begin_life(f, shared, ops, random, true);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	wrong += read_on(&reader, numbers);
	for (uint32_t at = 0; at < LANES; at++)
		assert_int_equal(chosen_until(numbers[at]), chosen_until(shared->lanes[at].produced));
	nt_reader_free(&reader);
	nt_ring_close(&ring);
	return wrong;
}

static struct shared *make_shared(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(shared, MAP_FAILED);
	return shared;
}

static void loops_killed_anywhere_lose_and_repeat_nothing_and_their_books_are_exact(void **state)
{
	struct shared *shared = make_shared();
	struct files *f = *state;
	uint64_t repeated = 0;

	assert_int_equal(hammer(f, shared, &lane_ops), 0);
	assert_int_equal(nt_ring_open(&f->ring, f->descriptor, &f->fault), 0);
	for (uint32_t at = 0; at < LANES; at++) {
		const struct nt_loop_counters *total = &f->ring.sources[at].loop;
		uint64_t packets = shared->lanes[at].produced;

		assert_int_equal(total->packets, chosen_until(packets));
		assert_int_equal(total->unselected, packets / 5);
		assert_int_equal(total->oversize, packets / 7 - packets / 35);
		repeated += total->repeated;
	}
	assert_true(repeated > 0); /* else no kill was where it matters */
	munmap(shared, sizeof(*shared));
}

/* The control: without knowing where its source stands, a successor puts the last batch into the ring again. */
static void without_a_position_packets_are_repeated(void **state)
{
	struct shared *shared = make_shared();

	assert_true(hammer(*state, shared, &lane_ops_without_position) > 0);
	munmap(shared, sizeof(*shared));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(loops_killed_anywhere_lose_and_repeat_nothing_and_their_books_are_exact),
		FILE_TEST(without_a_position_packets_are_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
