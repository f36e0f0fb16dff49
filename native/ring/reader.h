/* SPDX-License-Identifier: Apache-2.0 */
/* A reader: copies chunks out of the ring, checks that the writer did not overtake it meanwhile, hands out whole records, and
 * counts exactly what it lost. Never writes to the ring, never makes the writer wait. */
#ifndef NT_RING_READER_H
#define NT_RING_READER_H

#include "ring.h"

enum nt_reader_start { NT_START_LATEST = 0, NT_START_OLDEST = 1, NT_START_SEQUENCE = 2 };
enum nt_reader_resume { NT_RESUME_QUARTER = 0, NT_RESUME_OLDEST = 1, NT_RESUME_LATEST = 2 };

struct nt_reader {
	struct nt_ring *ring;
	uint64_t position;       /* everything below it is handed out, skipped or lost */
	uint64_t next_seq;       /* sequence expected next; 0: not known yet */
	uint64_t records;        /* handed out */
	uint64_t lost;           /* sequences skipped, in all */
	uint64_t loss_events;    /* losses that follow each other without a record between them are one */
	uint64_t lost_before;    /* sequences lost just before the record handed out last */
	uint32_t resume;         /* enum nt_reader_resume */
	uint32_t pending_loss;   /* inside a loss event that no record has ended yet */
	uint8_t *chunk;          /* private copy, NT_RING_CHUNK_BYTES */
	uint64_t chunk_position; /* ring position of chunk[0] */
	uint64_t chunk_bytes;    /* bytes valid */
	uint64_t tail;           /* as loaded before the chunk was copied */
};

/* Starts at the newest. The ring must stay open as long as the reader. */
int nt_reader_init(struct nt_reader *reader, struct nt_ring *ring, enum nt_reader_resume resume, struct nt_fault *fault);
void nt_reader_free(struct nt_reader *reader);

/* Goes to the newest (the next record will be one that is not published yet), the oldest intact, or a given sequence. A
 * sequence that is gone already is a loss, counted when the next record is read. The next one to be published may be asked
 * for; one beyond it is refused with -ERANGE. Returns 0 or a negative errno (-EBADMSG: no writer could have written this;
 * -EAGAIN: overtaken again and again), and then leaves the reader where it was. */
int nt_reader_seek(struct nt_reader *reader, enum nt_reader_start start, uint64_t sequence);

/* The next record, valid until the next call; NULL when there is none yet. `error` (may be NULL) is set to a negative errno
 * when the ring holds what no writer could have written. */
const struct nt_record *nt_reader_next(struct nt_reader *reader, int *error);

/* Bytes published that the reader has not handed out. */
uint64_t nt_reader_lag_bytes(const struct nt_reader *reader);

/* A reader's own small file, so that others can see it: written by the reader, mapped by anyone who may read it. */
#define NT_READER_STATUS_MAGIC 0x3153524452544Eull
struct nt_reader_status {
	uint64_t magic;
	uint32_t version; /* 1 */
	uint32_t pid;
	uint8_t ring_id[16];
	uint64_t position; /* all records below it are handed out */
	uint64_t next_seq;
	uint64_t records;
	uint64_t lost;
	uint64_t loss_events;
	int64_t updated_ns;      /* UTC */
	uint64_t recorded;       /* on disk; NT_COUNT_UNKNOWN for a reader that does not record */
	uint64_t write_failures; /* records that could not be written; likewise */
	uint64_t written_bytes;  /* likewise */
	uint64_t first_seq;      /* first sequence that this reader accounts for */
	char name[64];
	uint64_t changes; /* odd while the reader writes: nt_reader_status_load waits for an even one */
	uint64_t
		settled; /* position below which nothing is asked of the ring again, should the reader be killed; NT_COUNT_UNKNOWN for
			   * one that does not record */
	uint8_t reserved[48];
};
_Static_assert(sizeof(struct nt_reader_status) == 240, "reader status");
_Static_assert(offsetof(struct nt_reader_status, position) == 32, "position");
_Static_assert(offsetof(struct nt_reader_status, recorded) == 80, "recorded");
_Static_assert(offsetof(struct nt_reader_status, name) == 112, "name");
_Static_assert(offsetof(struct nt_reader_status, changes) == 176, "changes");
_Static_assert(offsetof(struct nt_reader_status, settled) == 184, "settled");

int nt_reader_status_create(struct nt_reader_status **status, const char *path, const char *name, const struct nt_ring *ring,
			    struct nt_fault *fault);
void nt_reader_status_update(struct nt_reader_status *status, const struct nt_reader *reader);
/* What a recorder adds: all three NT_COUNT_UNKNOWN until this is called. */
void nt_reader_status_recorded(struct nt_reader_status *status, uint64_t recorded, uint64_t write_failures, uint64_t written_bytes);
/* What a recorder has handed out is in its segment, or will never be: all below `position`. */
void nt_reader_status_settled(struct nt_reader_status *status, uint64_t position);
/* Unmaps, and removes the file. */
void nt_reader_status_close(struct nt_reader_status *status, const char *path);
/* For others: a consistent copy of the file at `path`. -EAGAIN: being made, or its reader died in the middle of an update (the copy
 * is filled, its figures may belong to two updates); -EBADMSG: not a status file of this version. */
int nt_reader_status_load(struct nt_reader_status *copy, const char *path);

#endif
