/* SPDX-License-Identifier: Apache-2.0 */
/* How this build was made: `name=what it is`, separated by semicolons. Written by meson. */
#ifndef NT_BUILD_INFO_H
#define NT_BUILD_INFO_H

const char *nt_build_info(void);

#endif
