/* SPDX-License-Identifier: Apache-2.0 */
/* Which process has a socket open, in a folder made like /proc. */
#include "holder/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char proc[] = "/tmp/nanotape-proc-XXXXXX";

static const char *in_proc(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	return path;
}

static void make_process(const char *pid, const char *name, const char *link)
{
	char path[64];
	FILE *comm;

	mkdir(in_proc(pid), 0700);
	snprintf(path, sizeof(path), "%s/comm", pid);
	comm = fopen(in_proc(path), "w");
	assert_non_null(comm);
	fputs(name, comm);
	fclose(comm);
	snprintf(path, sizeof(path), "%s/fd", pid);
	mkdir(in_proc(path), 0700);
	snprintf(path, sizeof(path), "%s/fd/3", pid);
	assert_int_equal(symlink(link, in_proc(path)), 0);
}

static void remove_process(const char *pid)
{
	static const char *const names[] = {"%s/fd/3", "%s/fd", "%s/comm", "%s"};
	char path[64];

	for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
		snprintf(path, sizeof(path), names[at], pid);
		remove(in_proc(path));
	}
}

static void the_first_process_that_has_a_socket_open_is_its_owner(void **state)
{
	struct nt_socket_owner owners[] = {{.inode = 99}, {.inode = 77}, {.inode = 77}, {.inode = 0}, {.inode = 5}};
	/* In whichever order a folder lists them. */
	struct nt_socket_owner known[] = {{.inode = 77, .pid = 5}, {.inode = 78, .pid = 4000}};

	(void)state;
	assert_non_null(mkdtemp(proc));
	make_process("300", "late\n", "socket:[77]");
	make_process("20", "feed\tha\x1bndler\n", "socket:[77]");
	make_process("21", "other\n", "socket:[0]");
	make_process("24", "one\n", "socket:[78]");
	make_process("22", "pipe\n", "pipe:[5]");
	mkdir(in_proc("23"), 0700); /* gone but for its folder */
	nt_socket_owners_find(owners, 5, proc);
	assert_int_equal(owners[2].inode, 77);
	assert_int_equal(owners[2].pid, 20);
	assert_string_equal(owners[2].process, "feed?ha?ndler");
	assert_int_equal(owners[3].pid, 20);
	assert_int_equal(owners[0].pid | owners[1].pid | owners[4].pid, 0);
	nt_socket_owners_find(known, 2, proc);
	assert_int_equal(known[0].pid, 5);
	assert_int_equal(known[1].pid, 24);
	for (size_t at = 0; at < 6; at++)
		remove_process((const char *[]){"300", "20", "21", "22", "23", "24"}[at]);
	assert_int_equal(rmdir(proc), 0);
	nt_socket_owners_find(owners, 5, proc); /* a host without /proc */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_process_that_has_a_socket_open_is_its_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
