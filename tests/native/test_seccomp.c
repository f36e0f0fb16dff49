/* SPDX-License-Identifier: Apache-2.0 */
/* A spinning loop makes no system call: counted, told and let through where it makes one all the same, or deadly. What is deadly, or
 * forbids something to the whole process, happens in a child. */
#include "atomic.h"
#include "clock.h"
#include "loop/state.h"
#include "scripted_source.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Sanitizers make system calls of their own on every thread. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_TESTABLE false
#else
#define IS_TESTABLE true
#endif

#define DEADLINE_NS 10000000000
#define FEW 3u

/* What a source does in its polls besides nothing. */
static struct {
	uint64_t polls;
	uint64_t calls_until; /* a call in each poll before this one */
	bool opens;           /* one more, another, in the poll after */
	pid_t parent;
	int opened;
	bool was_right;
} doings;

/* What became of a loop in a child. */
struct outcome {
	int started;
	struct nt_loop_facts facts;
	uint64_t calls;
	char told[128]; /* by the descriptor */
};

static struct nt_ring ring;
static struct outcome *outcome; /* shared with children */
static struct scripted source;
static struct nt_source_ops calling;

static int set_up(void **state)
{
	(void)state;
	memset(&doings, 0, sizeof(doings));
	memset(outcome, 0, sizeof(*outcome));
	scripted_init(&source, "afxdp:test0:0");
	source.source.ops = &calling;
	return nt_ring_make_private(&ring, 1u << 20, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	nt_ring_close(&ring);
	return 0;
}

static void skip_unless_testable(void)
{
	static const struct nt_loop spinning;
	const char *obstacle = IS_TESTABLE ? nt_seccomp_obstacle(&spinning) : "a sanitizer makes system calls of its own";

	if (obstacle[0]) {
		print_message("%s\n", obstacle);
		skip();
	}
}

static int calling_poll(struct nt_source *self, struct nt_batch *batch)
{
	uint64_t poll = nt_load_relaxed(&doings.polls);

	(void)self;
	(void)batch;
	if (poll < doings.calls_until)
		doings.was_right = getppid() == doings.parent;
	if (poll == doings.calls_until && doings.opens)
		doings.opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
	nt_store_release(&doings.polls, poll + 1);
	return 0;
}

static void wait_for(const uint64_t *counter, uint64_t least)
{
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;

	while (nt_load_acquire(counter) < least && nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
		sched_yield();
}

static struct nt_loop *start(uint32_t seccomp)
{
	const struct nt_loop_options options = {.core = -1, .seccomp = seccomp};
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;

	doings.parent = getppid();
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 1, &options, NULL), 0);
	assert_int_equal(nt_loop_start(loop, NULL), 0);
	return loop;
}

/* A loop's whole life, some polls beyond what its source does. */
static void live(uint32_t seccomp)
{
	struct nt_loop *loop = start(seccomp);

	assert_int_equal(nt_loop_facts(loop)->seccomp, seccomp);
	assert_int_equal(ring.descriptor->seccomp, seccomp);
	wait_for(&doings.polls, doings.calls_until + 1000);
	getppid(); /* only the loop's thread is looked at */
	assert_int_equal(nt_loop_stop(loop), 0);
	assert_true(doings.polls >= doings.calls_until + 1000);
	nt_loop_destroy(loop);
}

/* In a child, after `first`: a loop's life as far as it comes. */
static int status_of_child(uint32_t seccomp, void (*first)(void))
{
	const struct nt_loop_options options = {.core = -1, .seccomp = seccomp};
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;
	pid_t child = fork();
	int status;

	if (!child) {
		if (first)
			first();
		outcome->started = nt_loop_create(&loop, &ring, 1, 0, sources, 1, &options, NULL);
		outcome->started = outcome->started ? outcome->started : nt_loop_start(loop, NULL);
		if (outcome->started)
			_exit(0);
		outcome->facts = *nt_loop_facts(loop);
		wait_for(&doings.polls, 1000);
		nt_loop_stop(loop);
		outcome->calls = ring.descriptor->system_calls;
		memcpy(outcome->told, ring.descriptor->seccomp_reason, sizeof(outcome->told));
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void a_loop_that_makes_no_system_call_lives_and_its_thread_ends_well(void **state)
{
	(void)state;
	skip_unless_testable();
	assert_int_equal(status_of_child(NT_SECCOMP_KILL, NULL), 0);
	assert_int_equal(outcome->facts.seccomp, NT_SECCOMP_KILL);
	live(NT_SECCOMP_COUNT);
	assert_int_equal(ring.descriptor->system_calls, 0);
	assert_int_equal(ring.descriptor->last_system_call, 0);
}

static void a_system_call_kills_where_that_is_asked_for(void **state)
{
	int status;

	(void)state;
	skip_unless_testable();
	doings.calls_until = 1;
	status = status_of_child(NT_SECCOMP_KILL, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
	assert_int_equal(status_of_child(NT_SECCOMP_OFF, NULL), 0);
}

static void a_system_call_is_counted_and_let_through(void **state)
{
	char name[64];

	(void)state;
	skip_unless_testable();
	doings.calls_until = FEW;
	live(NT_SECCOMP_COUNT);
	assert_int_equal(ring.descriptor->system_calls, FEW);
	assert_true(doings.was_right);
	nt_system_call_name(ring.descriptor->last_system_call - 1, name, sizeof(name));
	assert_string_equal(name, "getppid");
}

static void the_count_goes_on_with_the_next_loop(void **state)
{
	char name[64];

	(void)state;
	skip_unless_testable();
	doings.calls_until = FEW;
	doings.opens = true;
	live(NT_SECCOMP_COUNT);
	assert_true(doings.opened >= 0);
	assert_int_equal(close(doings.opened), 0);
	assert_int_equal(ring.descriptor->system_calls, FEW + 1);
	nt_system_call_name(ring.descriptor->last_system_call - 1, name, sizeof(name));
	assert_string_equal(name, "openat");
	memset(&doings, 0, sizeof(doings));
	live(NT_SECCOMP_OFF);
	assert_int_equal(ring.descriptor->system_calls, FEW + 1);
	memset(&doings, 0, sizeof(doings));
	doings.calls_until = 1;
	live(NT_SECCOMP_COUNT);
	assert_int_equal(ring.descriptor->system_calls, FEW + 2);
}

/* The helper's other duties go on, and so does the stop. */
static void a_loop_that_calls_all_the_time_is_counted_exactly(void **state)
{
	struct nt_loop *loop;
	int64_t began_ns;

	(void)state;
	skip_unless_testable();
	doings.calls_until = UINT64_MAX;
	source.raw.offered = 1;
	loop = start(NT_SECCOMP_COUNT);
	source.raw.offered = 5;
	wait_for(&ring.sources[0].stats.offered, 5);
	assert_int_equal(nt_load_relaxed(&ring.sources[0].stats.offered), 5);
	began_ns = nt_clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(nt_loop_stop(loop), 0);
	assert_true(nt_clock_ns(CLOCK_MONOTONIC) - began_ns < DEADLINE_NS / 2);
	assert_true(doings.polls > 100);
	assert_int_equal(ring.descriptor->system_calls, doings.polls);
	nt_loop_destroy(loop);
}

static void what_was_counted_is_told_once_and_not_too_often(void **state)
{
	struct nt_call_teller teller = {.told = 7};
	struct nt_ring_descriptor *told = ring.descriptor;
	char line[256] = "";

	(void)state;
	told->system_calls = 7;
	told->last_system_call = SYS_openat + 1;
	assert_false(nt_system_calls_tell(&teller, told, 1000, line, sizeof(line)));
	told->system_calls = 8;
	assert_true(nt_system_calls_tell(&teller, told, 1000, line, sizeof(line)));
	assert_string_equal(line,
			    "loop: it made a system call (openat), which it must not while it captures: 8 in all; report this");
	assert_false(nt_system_calls_tell(&teller, told, INT64_MAX - 1, line, sizeof(line)));
	told->system_calls = 1000;
	assert_false(nt_system_calls_tell(&teller, told, 999 + NT_CALLS_TELL_NS, line, sizeof(line)));
	assert_true(nt_system_calls_tell(&teller, told, 1000 + NT_CALLS_TELL_NS, line, sizeof(line)));
	assert_string_equal(line, "loop: it made 992 system calls (the last: openat), which it must not while it captures: "
				  "1000 in all; report this");
	told->system_calls++;
	assert_true(nt_system_calls_tell(&teller, told, INT64_MAX, line, sizeof(line))); /* the last chance */
	nt_system_call_name(4000000, line, sizeof(line));
	assert_string_equal(line, "number 4000000");
}

/* A filter over seccomp(2) itself: with `flag` among its flags as `wanted`, it fails with EOWNERDEAD. */
static void forbid_filters(uint32_t flag, bool wanted)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (!filter ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EOWNERDEAD), SCMP_SYS(seccomp), 2,
			     SCMP_A0(SCMP_CMP_EQ, SECCOMP_SET_MODE_FILTER), SCMP_A1(SCMP_CMP_MASKED_EQ, flag, wanted ? flag : 0)) ||
	    seccomp_load(filter))
		_exit(9);
	seccomp_release(filter);
}

static void forbid_slow_filters(void)
{
	forbid_filters(SECCOMP_FILTER_FLAG_SPEC_ALLOW, false);
	if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) || errno != EOWNERDEAD)
		_exit(8); /* the control: without the flag it is refused */
}

static void the_filter_leaves_speculation_on(void **state)
{
	(void)state;
	skip_unless_testable();
	for (uint32_t mode = NT_SECCOMP_COUNT; mode <= NT_SECCOMP_KILL; mode++) {
		assert_int_equal(status_of_child(mode, forbid_slow_filters), 0);
		assert_int_equal(outcome->started, 0);
		assert_int_equal(outcome->facts.seccomp, mode);
	}
}

static void forbid_listeners(void)
{
	forbid_filters(SECCOMP_FILTER_FLAG_NEW_LISTENER, true);
}

static void take_the_only_listener(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = 1, .filter = &allow};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) < 0)
		_exit(9);
}

static void be_an_old_kernel(void)
{
	if (personality(UNAME26) < 0)
		_exit(9);
}

/* Where calls cannot be counted, the capture goes on, and says why nobody counts; it does not fall back to what kills. */
static void a_kernel_that_cannot_count_is_told_of_and_captures_all_the_same(void **state)
{
	static const struct {
		void (*first)(void);
		const char *why;
	} cases[] = {
		{forbid_listeners, "the kernel refuses the filter"},
		{take_the_only_listener, "another program is told"},
		{be_an_old_kernel, "Linux 5.5"},
	};

	(void)state;
	skip_unless_testable();
	doings.calls_until = FEW;
	for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
		assert_int_equal(status_of_child(NT_SECCOMP_COUNT, cases[at].first), 0);
		assert_int_equal(outcome->started, 0);
		assert_int_equal(outcome->facts.seccomp, NT_SECCOMP_OFF);
		assert_non_null(strstr(outcome->facts.seccomp_reason, cases[at].why));
		assert_string_equal(outcome->told, outcome->facts.seccomp_reason);
		assert_int_equal(outcome->calls, 0);
	}
	assert_int_equal(status_of_child(NT_SECCOMP_KILL, forbid_slow_filters) & 0x7F, SIGSYS);
}

/* What a configuration leaves out on purpose is no lack of this host's, and nothing that status need tell. */
static void a_loop_that_may_call_has_nothing_to_tell(void **state)
{
	const struct nt_loop_options options = {.core = -1, .seccomp = NT_SECCOMP_COUNT, .sleep_idle = true};
	struct nt_source *sources[] = {&source.source};
	struct nt_loop *loop;

	(void)state;
	snprintf(ring.descriptor->seccomp_reason, sizeof(ring.descriptor->seccomp_reason), "its predecessor's");
	ring.descriptor->seccomp = NT_SECCOMP_COUNT;
	assert_int_equal(nt_loop_create(&loop, &ring, 1, 0, sources, 1, &options, NULL), 0);
	assert_int_equal(ring.descriptor->seccomp, NT_SECCOMP_OFF);
	assert_string_equal(ring.descriptor->seccomp_reason, "");
	assert_int_equal(nt_loop_start(loop, NULL), 0);
	assert_non_null(strstr(nt_loop_facts(loop)->seccomp_reason, "sleep"));
	assert_string_equal(ring.descriptor->seccomp_reason, "");
	assert_int_equal(ring.descriptor->seccomp, NT_SECCOMP_OFF);
	assert_int_equal(nt_loop_stop(loop), 0);
	nt_loop_destroy(loop);
}

static void the_helper_leaves_the_listener_of_a_loop_that_ended(void **state)
{
	int64_t until_ns = nt_clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;
	struct nt_loop *loop;

	(void)state;
	skip_unless_testable();
	source.source.ops = &scripted_ops; /* at its end at once */
	loop = start(NT_SECCOMP_COUNT);
	while (__atomic_load_n(&loop->listener, __ATOMIC_ACQUIRE) >= 0 && nt_clock_ns(CLOCK_MONOTONIC) < until_ns)
		sched_yield();
	assert_int_equal(loop->listener, -1); /* else poll() would return at once for ever */
	assert_true(nt_loop_ended(loop));
	assert_int_equal(nt_loop_stop(loop), 0);
	nt_loop_destroy(loop);
}

static uint64_t listener_plus_1; /* of `unanswered` */

static void *unanswered(void *result)
{
	int listener = -1;

	if (!nt_seccomp_enter(NT_SECCOMP_COUNT, &listener, NULL)) {
		nt_store_release(&listener_plus_1, (uint64_t)listener + 1);
		*(long *)result = syscall(SYS_getppid) < 0 ? errno : 0;
	}
	return NULL;
}

static void nothing_hangs_when_nobody_answers(void **state)
{
	pthread_t thread;
	long result = 0;
	pid_t child;
	int status;

	(void)state;
	skip_unless_testable();
	child = fork();
	if (!child) {
		if (pthread_create(&thread, NULL, unanswered, &result))
			_exit(9);
		wait_for(&listener_plus_1, 1);
		_exit(0); /* while the call waits, or is about to */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(pthread_create(&thread, NULL, unanswered, &result), 0);
	wait_for(&listener_plus_1, 1);
	assert_int_equal(close((int)listener_plus_1 - 1), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(result, ENOSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_loop_that_makes_no_system_call_lives_and_its_thread_ends_well, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_system_call_kills_where_that_is_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_system_call_is_counted_and_let_through, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_count_goes_on_with_the_next_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_loop_that_calls_all_the_time_is_counted_exactly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_counted_is_told_once_and_not_too_often, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_filter_leaves_speculation_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_kernel_that_cannot_count_is_told_of_and_captures_all_the_same, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_loop_that_may_call_has_nothing_to_tell, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_helper_leaves_the_listener_of_a_loop_that_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_hangs_when_nobody_answers, set_up, tear_down),
	};

	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcome == MAP_FAILED)
		return 1;
	calling = scripted_ops;
	calling.poll = calling_poll;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
