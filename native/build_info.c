/* SPDX-License-Identifier: Apache-2.0 */
#include "build_info.h"

const char *nt_build_info(void)
{
	return NT_BUILD_INFO;
}
