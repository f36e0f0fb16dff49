/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled XDP program, as made by embed.py. */
#ifndef NT_XDP_EMBEDDED_H
#define NT_XDP_EMBEDDED_H

#include <stddef.h>

extern const unsigned char nt_select_object[];
extern const size_t nt_select_object_bytes;

#endif
