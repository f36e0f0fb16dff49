/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled XDP programs, as made by embed.py. */
#ifndef NT_XDP_EMBEDDED_H
#define NT_XDP_EMBEDDED_H

#include <stddef.h>

extern const unsigned char nt_select_object[];
extern const size_t nt_select_object_bytes;

extern const unsigned char nt_generator_object[];
extern const size_t nt_generator_object_bytes;

#endif
