/* SPDX-License-Identifier: Apache-2.0 */
#include "pcap_state.h"

#define PPM 1000000
#define GAP_MAX_NS (86400 * 1000000000ll) /* a longer one is a leap of the clock, or another day's capture: nobody waits it out */

__extension__ typedef __int128 nt_wide; /* holds any stamp in millionths */

static bool leaps(const struct nt_pcap_pace *pace, const struct nt_packet *packet)
{
	return !pace->based || packet->flags & NT_RECORD_BAD_STAMP || packet->stamp_ns < pace->last_stamp_ns ||
	       (nt_wide)packet->stamp_ns - pace->last_stamp_ns > GAP_MAX_NS;
}

int64_t nt_pcap_pace_due(struct nt_pcap_pace *pace, const struct nt_packet *packet, int64_t now_ns)
{
	nt_wide elapsed;

	if (packet->stamp_clock == NT_CLOCK_UNKNOWN)
		return now_ns;
	if (leaps(pace, packet)) {
		pace->based = true;
		pace->base_stamp_ns = packet->stamp_ns;
		pace->base_ns = now_ns;
	}
	pace->last_stamp_ns = packet->stamp_ns;
	elapsed = ((nt_wide)packet->stamp_ns - pace->base_stamp_ns) * PPM / pace->ppm;
	return elapsed < INT64_MAX - pace->base_ns ? (int64_t)(pace->base_ns + elapsed) : INT64_MAX;
}
