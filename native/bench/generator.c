/* SPDX-License-Identifier: Apache-2.0 */
#include "generator.h"

#include "../atomic.h"
#include "../ring/layout.h"
#include "../source/frame.h"
#include "../xdp/embedded.h"
#include "generator_state.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FRAME_BYTES_LEAST 60u
#define FRAME_BYTES_MOST 1514u
#define BATCH_MOST 64u /* a veth holds 256 that its NAPI has not yet taken */
#define TTL 16
#define PAYLOAD_BYTE 0x5A

struct nt_generator {
	struct bpf_object *object;
	struct nt_generator_state *state; /* mapped: the program's own */
	int program_fd;
	uint32_t frame_bytes;
	uint32_t batch;
	char interface[IF_NAMESIZE];
	uint8_t frame[FRAME_BYTES_MOST + 6]; /* the template */
};

static int keep_quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static int check(const struct nt_generator_options *options, struct nt_fault *fault)
{
	if (options->frame_bytes < FRAME_BYTES_LEAST || options->frame_bytes > FRAME_BYTES_MOST)
		return nt_fault_set(fault, -EINVAL, "generator: expected frames of %u to %u bytes, found %u", FRAME_BYTES_LEAST,
				    FRAME_BYTES_MOST, options->frame_bytes);
	if (!memchr(options->interface, '\0', sizeof(options->interface)) || !if_nametoindex(options->interface))
		return nt_fault_set(fault, -ENODEV, "generator: %.15s: no such interface in this network namespace",
				    options->interface);
	return 0;
}

static void write_template(struct nt_generator *generator, const struct nt_generator_options *options)
{
	static const uint8_t sender[6] = {0x02, 0, 0, 0, 0, 0x01}; /* locally administered */
	struct nt_frame_facts facts = {
		.family = NT_FAMILY_IPV4,
		.source_port = options->port,
		.destination_port = options->port,
		.ttl = TTL,
		.payload_bytes = options->frame_bytes - NT_FRAME_HEADER_IPV4,
	};

	memcpy(facts.source, options->source, sizeof(options->source));
	memcpy(facts.destination, options->group, sizeof(options->group));
	nt_frame_write_header(generator->frame, &facts);
	memcpy(generator->frame + 6, sender, sizeof(sender));
	memset(generator->frame + NT_FRAME_HEADER_IPV4, PAYLOAD_BYTE, facts.payload_bytes);
}

static int load(struct nt_generator *generator, struct nt_fault *fault)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "nanotape");
	libbpf_print_fn_t print = libbpf_set_print(keep_quiet);
	struct bpf_program *program;
	void *mapped;
	int error;

	generator->object = bpf_object__open_mem(nt_generator_object, nt_generator_object_bytes, &options);
	error = generator->object ? bpf_object__load(generator->object) : -errno;
	libbpf_set_print(print);
	if (error)
		return nt_fault_set(
			fault, error,
			"generator: the kernel did not take its XDP program (%s): Linux 5.18, CAP_BPF and CAP_NET_ADMIN are needed",
			strerror(-error));
	program = bpf_object__find_program_by_name(generator->object, "nt_generate");
	generator->program_fd = program ? bpf_program__fd(program) : -EINVAL;
	mapped = mmap(NULL, sizeof(*generator->state), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_object__find_map_fd_by_name(generator->object, ".bss"), 0);
	if (generator->program_fd < 0 || mapped == MAP_FAILED)
		return nt_fault_set(fault, -EINVAL, "generator: its XDP program is not the one expected: %s", strerror(errno));
	generator->state = mapped;
	return 0;
}

int nt_generator_open(struct nt_generator **generator, const struct nt_generator_options *options, struct nt_fault *fault)
{
	int error = check(options, fault);
	struct nt_generator *made;

	if (error)
		return error;
	made = calloc(1, sizeof(*made));
	if (!made)
		return nt_fault_set(fault, -ENOMEM, "generator: out of memory");
	made->batch = BATCH_MOST;
	made->frame_bytes = options->frame_bytes;
	memcpy(made->interface, options->interface, sizeof(made->interface));
	write_template(made, options);
	error = load(made, fault);
	if (error) {
		nt_generator_close(made);
		return error;
	}
	made->state->ifindex = if_nametoindex(options->interface);
	made->state->varies = options->varies != 0;
	*generator = made;
	return 0;
}

/* Pages that come round again keep what was last written into them: nobody on a veth writes into ours. */
static int run(struct nt_generator *generator, uint32_t count)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = generator->frame, .data_size_in = generator->frame_bytes,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .repeat = (int)count, .batch_size = generator->batch);

	return bpf_prog_test_run_opts(generator->program_fd, &options) ? -errno : 0;
}

void nt_generator_pace(struct nt_generator *generator, uint64_t gap_ns, uint32_t batch)
{
	generator->state->gap_ns = gap_ns;
	generator->batch = batch < 1 ? 1 : batch > BATCH_MOST ? BATCH_MOST : batch;
}

int nt_generator_send(struct nt_generator *generator, uint32_t count, struct nt_fault *fault)
{
	uint64_t goal = nt_generator_sent(generator) + count;

	generator->state->due_ns = 0;
	generator->state->goal = goal;
	while (nt_generator_sent(generator) < goal) {
		uint64_t left = goal - nt_generator_sent(generator);
		int error = run(generator, left < INT32_MAX ? (uint32_t)left : INT32_MAX);

		if (error && error != -EINTR)
			return nt_fault_set(fault, error, "%s: live frames could not be sent: %s", generator->interface,
					    strerror(-error));
	}
	return 0;
}

uint64_t nt_generator_sent(const struct nt_generator *generator)
{
	return nt_load_relaxed(&generator->state->sent);
}

void nt_generator_times(const struct nt_generator *generator, struct nt_generator_times *times)
{
	const struct nt_generator_state *state = generator->state;

	times->took_ns = nt_load_relaxed(&state->ended_ns) - nt_load_relaxed(&state->began_ns);
	times->waited_ns = nt_load_relaxed(&state->waited_ns);
	times->late_max_ns = nt_load_relaxed(&state->late_max_ns);
	times->slipped_ns = nt_load_relaxed(&state->slipped_ns);
}

void nt_generator_close(struct nt_generator *generator)
{
	if (!generator)
		return;
	if (generator->state)
		munmap(generator->state, sizeof(*generator->state));
	bpf_object__close(generator->object);
	free(generator);
}
