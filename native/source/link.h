/* SPDX-License-Identifier: Apache-2.0 */
/* Link types, for C and BPF C. */
#ifndef NT_LINK_H
#define NT_LINK_H

/* What stands first in a frame. */
enum nt_link { NT_LINK_ETHERNET = 0, NT_LINK_LINUX_SLL = 1, NT_LINK_LINUX_SLL2 = 2, NT_LINK_RAW_IP = 3 };

#endif
