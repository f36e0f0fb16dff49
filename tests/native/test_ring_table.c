/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs, flows, sources, and a reader's status file. */
#include "../../native/atomic.h"
#include "ring_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_record_belongs_to_the_writer_that_published_it(void **state)
{
	struct fixture *f = *state;
	struct nt_ring_epoch entry;
	uint64_t next_seq;

	put_many(&f->writer, SPAN, 10);
	assert_int_equal(nt_ring_restart(&f->ring, 0xABC, &next_seq, &f->fault), 0);
	assert_int_equal(nt_ring_restart(&f->ring, 0xDEF, &next_seq, &f->fault), 0); /* one that wrote nothing */
	nt_writer_init(&f->writer, &f->ring, next_seq);
	put_many(&f->writer, SPAN, 10);
	assert_int_equal(nt_ring_epoch_of(&f->ring, 10), 1);
	assert_int_equal(nt_ring_epoch_of(&f->ring, 11), 3);
	assert_int_equal(nt_ring_epoch_read(&f->ring, 3, &entry), 0);
	assert_int_equal(entry.holder_id, 0xDEF);
	assert_int_equal(entry.first_seq, 11);
	assert_int_equal(entry.first_position, 10 * SPAN);
	assert_int_equal(entry.writer_pid, getpid());
	assert_int_equal(entry.clock_domain, NT_CLOCK_UTC);
	assert_int_equal(entry.tai_offset_ns % 1000000000, 0);
	assert_int_equal(nt_ring_writer_pid(&f->ring), getpid());
}

static void the_history_of_epochs_forgets_the_oldest(void **state)
{
	struct fixture *f = *state;
	struct nt_ring_epoch entry;
	uint64_t next_seq;

	for (uint64_t i = 0; i < NT_RING_EPOCHS + 10; i++) {
		put(&f->writer, SPAN);
		assert_int_equal(nt_ring_restart(&f->ring, i, &next_seq, &f->fault), 0);
		nt_writer_init(&f->writer, &f->ring, next_seq);
	}
	assert_int_equal(nt_ring_epoch(&f->ring), NT_RING_EPOCHS + 11);
	assert_int_equal(nt_ring_epoch_of(&f->ring, NT_RING_EPOCHS + 10), NT_RING_EPOCHS + 10);
	assert_int_equal(nt_ring_epoch_of(&f->ring, 3), 0);
	assert_int_equal(nt_ring_epoch_read(&f->ring, 11, &entry), -ENOENT);
	assert_int_equal(nt_ring_epoch_read(&f->ring, 12, &entry), 0);
	assert_int_equal(nt_ring_epoch_read(&f->ring, 0, &entry), -ENOENT);
	assert_int_equal(nt_ring_epoch_read(&f->ring, NT_RING_EPOCHS + 12, &entry), -ENOENT);
}

static struct nt_flow flow_of(uint16_t port, const char *channel)
{
	struct nt_flow flow = {.family = NT_FAMILY_IPV4, .port = port, .vlan = NT_VLAN_NONE, .group = {239, 1, 1, 1}};

	strcpy(flow.interface, "eth1");
	strcpy(flow.feed, "itch");
	strcpy(flow.channel, channel);
	return flow;
}

static void a_flow_keeps_its_id_and_another_name_is_another_flow(void **state)
{
	struct fixture *f = *state;
	struct nt_flow first = flow_of(1, "one");
	struct nt_flow second = flow_of(1, "two");
	uint32_t id = 0;

	assert_int_equal(nt_ring_flow_id(&f->ring, &first, &id, &f->fault), 0);
	assert_int_equal(id, 1);
	assert_int_equal(nt_ring_flow_id(&f->ring, &second, &id, &f->fault), 0);
	assert_int_equal(id, 2);
	first.id = 77;
	strcpy(first.channel + 8, "after the end of the text");
	assert_int_equal(nt_ring_flow_id(&f->ring, &first, &id, &f->fault), 0);
	assert_int_equal(id, 1);
	assert_int_equal(nt_ring_flow_count(&f->ring), 2);
	assert_string_equal(f->ring.flows[1].channel, "two");
	assert_int_equal(f->ring.flows[1].id, 2);
}

static void a_flow_is_looked_for_where_its_own_id_says_first(void **state)
{
	struct fixture *f = *state;
	struct nt_flow first = flow_of(1, "one");
	struct nt_flow second = flow_of(1, "two");
	uint32_t id = 0;

	assert_int_equal(nt_ring_flow_id(&f->ring, &first, &id, &f->fault), 0);
	assert_int_equal(nt_ring_flow_id(&f->ring, &second, &id, &f->fault), 0);
	second.id = 1; /* wrong: another flow's */
	assert_int_equal(nt_ring_flow_id(&f->ring, &second, &id, &f->fault), 0);
	assert_int_equal(id, 2);
	second.id = 3; /* not there yet */
	assert_int_equal(nt_ring_flow_id(&f->ring, &second, &id, &f->fault), 0);
	assert_int_equal(id, 2);
	/* What no writer makes, the same flow twice: only who does not search from the start finds the second. */
	f->ring.flows[1] = f->ring.flows[0];
	f->ring.flows[1].id = 2;
	first.id = 2;
	assert_int_equal(nt_ring_flow_id(&f->ring, &first, &id, &f->fault), 0);
	assert_int_equal(id, 2);
	assert_int_equal(nt_ring_flow_count(&f->ring), 2);
}

static void a_full_flow_table_is_refused_and_still_finds_what_it_has(void **state)
{
	struct fixture *f = *state;
	struct nt_flow flow = flow_of(0, "x");
	uint32_t id;

	for (uint32_t i = 0; i < NT_RING_FLOWS_MAX; i++) {
		flow.port = (uint16_t)i;
		assert_int_equal(nt_ring_flow_id(&f->ring, &flow, &id, &f->fault), 0);
		assert_int_equal(id, i + 1);
	}
	flow.vlan = 5;
	assert_int_equal(nt_ring_flow_id(&f->ring, &flow, &id, &f->fault), -ENOSPC);
	assert_non_null(strstr(f->fault.text, "8192"));
	flow.vlan = NT_VLAN_NONE;
	assert_int_equal(nt_ring_flow_id(&f->ring, &flow, &id, &f->fault), 0);
	assert_int_equal(id, NT_RING_FLOWS_MAX);
}

static void a_source_keeps_its_slot_and_its_counters_across_restarts(void **state)
{
	struct fixture *f = *state;
	struct nt_source_counters copy;
	uint64_t next_seq;
	uint32_t slot = 9;

	assert_int_equal(nt_ring_source_slot(&f->ring, "afxdp:eth1:0", "eth1", NT_SOURCE_AFXDP, 0, &slot, &f->fault), 0);
	assert_int_equal(slot, 0);
	assert_int_equal(nt_ring_source_slot(&f->ring, "afxdp:eth1:1", "eth1", NT_SOURCE_AFXDP, 1, &slot, &f->fault), 0);
	assert_int_equal(slot, 1);
	f->ring.sources[1].loop.packets = 42;
	assert_int_equal(nt_ring_restart(&f->ring, 0, &next_seq, &f->fault), 0);
	assert_int_equal(nt_ring_source_slot(&f->ring, "afxdp:eth1:1", "eth1", NT_SOURCE_AFXDP, 1, &slot, &f->fault), 0);
	assert_int_equal(slot, 1);
	assert_int_equal(nt_ring_source_read(&f->ring, 1, &copy), 0);
	assert_int_equal(copy.loop.packets, 42);
	assert_string_equal(copy.name, "afxdp:eth1:1");
	assert_int_equal(nt_ring_source_read(&f->ring, 2, &copy), -ENOENT);
	for (uint32_t i = 2; i < NT_RING_SOURCES_MAX; i++)
		assert_int_equal(nt_ring_source_slot(&f->ring, "socket", "lo", NT_SOURCE_SOCKET, i, &slot, &f->fault), 0);
	assert_int_equal(nt_ring_source_slot(&f->ring, "more", "lo", NT_SOURCE_SOCKET, 0, &slot, &f->fault), -ENOSPC);
}

struct counting {
	struct nt_source_counters *slot;
	uint64_t stop;
};

static void *offer_then_take(void *context)
{
	struct counting *counting = context;

	for (uint64_t packets = 1; !nt_load_relaxed(&counting->stop); packets++) {
		nt_store_relaxed(&counting->slot->stats.offered, packets);
		nt_store_release(&counting->slot->loop.packets, packets);
	}
	return NULL;
}

static void a_copy_of_the_counters_never_shows_more_taken_than_offered(void **state)
{
	struct fixture *f = *state;
	struct nt_source_counters copy;
	struct counting counting = {0};
	uint32_t wrong = 0;
	pthread_t thread;
	uint32_t slot;

	assert_int_equal(nt_ring_source_slot(&f->ring, "synthetic:lo", "lo", NT_SOURCE_SYNTHETIC, 0, &slot, &f->fault), 0);
	counting.slot = &f->ring.sources[slot];
	assert_int_equal(pthread_create(&thread, NULL, offer_then_take, &counting), 0);
	for (uint32_t i = 0; i < 200000; i++) {
		nt_ring_source_read(&f->ring, slot, &copy);
		wrong += copy.loop.packets > copy.stats.offered;
	}
	nt_store_relaxed(&counting.stop, 1);
	pthread_join(thread, NULL);
	assert_int_equal(wrong, 0);
}

static void a_status_file_shows_the_readers_books(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/nt-status-XXXXXX";
	struct nt_reader_status *status;
	struct nt_reader_status copy;

	close(mkstemp(path)); /* of a reader that died: replaced */
	put_many(&f->writer, SPAN, 2000);
	while (nt_reader_next(&f->reader, NULL))
		;
	assert_int_equal(nt_reader_status_create(&status, path, "recorder", &f->ring, &f->fault), 0);
	nt_reader_status_update(status, &f->reader);
	assert_int_equal(nt_reader_status_load(&copy, path), 0);
	assert_string_equal(copy.name, "recorder");
	assert_int_equal(copy.pid, getpid());
	assert_int_equal(copy.first_seq, 1);
	assert_int_equal(copy.next_seq, 2001);
	assert_int_equal(copy.records + copy.lost, 2000);
	assert_true(copy.lost > 0);
	assert_int_equal(copy.loss_events, 1);
	assert_int_equal(copy.position, f->writer.tail);
	assert_true(copy.recorded == NT_COUNT_UNKNOWN && copy.write_failures == NT_COUNT_UNKNOWN);
	assert_memory_equal(copy.ring_id, f->ring.descriptor->ring_id, 16);
	nt_reader_status_recorded(status, 10, 0, 4096);
	assert_int_equal(nt_reader_status_load(&copy, path), 0);
	assert_int_equal(copy.recorded, 10);
	assert_int_equal(copy.records + copy.lost, 2000);
	status->changes++; /* died in the middle of an update */
	assert_int_equal(nt_reader_status_load(&copy, path), -EAGAIN);
	assert_int_equal(copy.recorded, 10);
	nt_reader_status_close(status, path);
	assert_int_equal(nt_reader_status_load(&copy, path), -ENOENT);
}

static void what_is_no_status_file_is_refused(void **state)
{
	struct nt_reader_status copy;
	char path[] = "/tmp/nt-status-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(nt_reader_status_load(&copy, path), -EAGAIN);
	assert_int_equal(ftruncate(fd, sizeof(copy)), 0);
	assert_int_equal(nt_reader_status_load(&copy, path), -EAGAIN);
	assert_int_equal(pwrite(fd, "something", 9, 0), 9);
	assert_int_equal(nt_reader_status_load(&copy, path), -EBADMSG);
	close(fd);
	unlink(path);
	assert_int_equal(nt_reader_status_load(&copy, "/tmp"), -EBADMSG);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(20); /* for one that waits for somebody to write into it */
	assert_int_equal(nt_reader_status_load(&copy, path), -EBADMSG);
	alarm(0);
	unlink(path);
}

static void a_status_file_that_was_cut_is_not_taken_for_whole(void **state)
{
	static const off_t sizes[] = {0, 4, 8, 100, sizeof(struct nt_reader_status) - 1};
	struct nt_reader_status copy = {0};
	struct nt_reader_status *status;
	struct fixture *f = *state;
	char path[] = "/tmp/nt-status-XXXXXX";

	close(mkstemp(path));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(nt_reader_status_create(&status, path, "cut", &f->ring, &f->fault), 0);
		assert_int_equal(truncate(path, sizes[i]), 0);
		assert_int_equal(nt_reader_status_load(&copy, path), -EAGAIN);
		assert_int_equal(copy.magic, 0);
		nt_reader_status_close(status, path);
	}
}

static void a_status_file_in_a_missing_directory_is_refused(void **state)
{
	struct fixture *f = *state;
	struct nt_reader_status *status;

	assert_int_equal(nt_reader_status_create(&status, "/nonexistent/directory/r", "r", &f->ring, &f->fault), -ENOENT);
	assert_non_null(strstr(f->fault.text, "/nonexistent/directory/r"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_record_belongs_to_the_writer_that_published_it),
		RING_TEST(the_history_of_epochs_forgets_the_oldest),
		RING_TEST(a_flow_keeps_its_id_and_another_name_is_another_flow),
		RING_TEST(a_flow_is_looked_for_where_its_own_id_says_first),
		RING_TEST(a_full_flow_table_is_refused_and_still_finds_what_it_has),
		RING_TEST(a_source_keeps_its_slot_and_its_counters_across_restarts),
		RING_TEST(a_copy_of_the_counters_never_shows_more_taken_than_offered),
		RING_TEST(a_status_file_shows_the_readers_books),
		RING_TEST(what_is_no_status_file_is_refused),
		RING_TEST(a_status_file_that_was_cut_is_not_taken_for_whole),
		RING_TEST(a_status_file_in_a_missing_directory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
