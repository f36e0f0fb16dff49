/* SPDX-License-Identifier: Apache-2.0 */
/* What the binding offers of the simulated exchange. */
#ifndef NT_SIMULATE_SIMULATE_H
#define NT_SIMULATE_SIMULATE_H

#include "crc32c.h"
#include "market.h"
#include "mold.h"
#include "sender.h"

#endif
