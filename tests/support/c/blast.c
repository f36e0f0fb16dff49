/* SPDX-License-Identifier: Apache-2.0 */
/* A fast sender for tests: blast GROUP PORT COUNT RATE sends COUNT datagrams of 100 bytes, the first eight their number, at RATE a
 * second at most, in batches of 16. Says how many were sent. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 16
#define PAYLOAD 100

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int main(int argc, char **argv)
{
	static char payloads[BATCH][PAYLOAD];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec parts[BATCH];
	struct sockaddr_in to = {.sin_family = AF_INET};
	uint64_t count = argc == 5 ? strtoull(argv[3], NULL, 10) : 0;
	uint64_t rate = argc == 5 ? strtoull(argv[4], NULL, 10) : 0;
	uint64_t sent = 0;
	int64_t start = now_ns();
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || count == 0 || rate == 0 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){payloads[i], PAYLOAD};
		messages[i].msg_hdr =
			(struct msghdr){.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &parts[i], .msg_iovlen = 1};
	}
	while (sent < count) {
		unsigned int batch = count - sent < BATCH ? (unsigned int)(count - sent) : BATCH;
		int64_t due = start + (int64_t)((double)sent * 1e9 / (double)rate);
		int done;

		while (now_ns() < due)
			;
		for (unsigned int i = 0; i < batch; i++)
			memcpy(payloads[i], &(uint64_t){sent + i + 1}, sizeof(uint64_t));
		done = sendmmsg(fd, messages, batch, 0);
		if (done < 0)
			return 1;
		sent += (uint64_t)done;
	}
	printf("%lu %.3f\n", sent, (double)(now_ns() - start) / 1e9);
	return 0;
}
