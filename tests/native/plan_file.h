/* SPDX-License-Identifier: Apache-2.0 */
/* A plan file that is good until a test makes it wrong. */
#ifndef NT_TEST_PLAN_FILE_H
#define NT_TEST_PLAN_FILE_H

#include "loop/counters.h"
#include "plan/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* A good plan: one afxdp and one socket source, two flows. */
static struct {
	struct nt_plan_header header;
	struct nt_plan_source sources[2];
	struct nt_flow flows[2];
} file;

static char path[] = "/tmp/nanotape-plan-XXXXXX";

static inline int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static inline int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

static inline int set_up(void **state)
{
	(void)state;
	memset(&file, 0, sizeof(file));
	file.header = (struct nt_plan_header){
		.magic = NT_PLAN_MAGIC,
		.version = NT_PLAN_VERSION,
		.source_count = 2,
		.flow_count = 2,
		.core = -1,
		.batch = 64,
		.holder_socket = "/run/nanotape/holder",
		.ring = {.name = "r", .shm_directory = "/dev/shm", .capacity = 1 << 20},
	};
	file.sources[0] = (struct nt_plan_source){
		.kind = NT_SOURCE_AFXDP,
		.interface = "eth1",
		.native_xdp = NT_REQUIRE,
		.descriptors = 65536,
		.frame_bytes = 2048,
	};
	file.sources[1] = (struct nt_plan_source){.kind = NT_SOURCE_SOCKET, .interface = "lo"};
	for (uint32_t at = 0; at < 2; at++)
		file.flows[at] = (struct nt_flow){
			.id = at + 1,
			.family = NT_FAMILY_IPV4,
			.port = 30001,
			.vlan = NT_VLAN_NONE,
			.group = {239, 1, 1, 1},
			.interface = "eth1",
			.feed = "feed",
			.channel = "channel",
			.line = "A",
		};
	return 0;
}

static inline int load(struct nt_plan *plan, size_t bytes, struct nt_fault *fault)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(&file, 1, bytes, out), bytes);
	fclose(out);
	memset(fault, 0, sizeof(*fault));
	return nt_plan_load(plan, path, fault);
}

/* The plan as it stands is refused, in one line that names the file and says `words`. */
static inline void refused(const char *words)
{
	struct nt_fault fault;
	struct nt_plan plan;

	assert_int_equal(load(&plan, sizeof(file), &fault), -EINVAL);
	assert_null(plan.mapping);
	assert_int_equal(strncmp(fault.text, path, strlen(path)), 0);
	assert_null(strchr(fault.text, '\n'));
	if (!strstr(fault.text, words))
		fail_msg("expected '%s' in: %s", words, fault.text);
	set_up(NULL);
}

static inline void accepted(size_t bytes)
{
	struct nt_fault fault;
	struct nt_plan plan;

	if (load(&plan, bytes, &fault))
		fail_msg("expected it to be accepted: %s", fault.text);
	nt_plan_unload(&plan);
	set_up(NULL);
}

#endif
