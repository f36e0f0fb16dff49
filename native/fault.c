/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

int nt_fault_set(struct nt_fault *fault, int error, const char *format, ...)
{
	if (fault) {
		va_list arguments;

		va_start(arguments, format);
		fault->error = error;
		vsnprintf(fault->text, sizeof(fault->text), format, arguments);
		va_end(arguments);
	}
	return error;
}
