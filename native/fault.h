/* SPDX-License-Identifier: Apache-2.0 */
/* Why a set-up step failed, in one line for the operator: expected, found, what to do. Never used on the hot path. */
#ifndef NT_FAULT_H
#define NT_FAULT_H

struct nt_fault {
	int error;      /* negative errno */
	char text[508]; /* one line, no newline, NUL-terminated */
};

/* Fills `fault` (which may be NULL) and returns `error`, so that a caller can write `return nt_fault_set(...)`. */
int nt_fault_set(struct nt_fault *fault, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
