/* SPDX-License-Identifier: Apache-2.0 */
#include "holder.h"

#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ask(int fd, unsigned long command, struct ifreq *request, const char *name)
{
	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", name);
	return ioctl(fd, command, request) ? -errno : 0;
}

static void read_driver(struct nt_interface *interface, int fd)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (char *)&info};

	if (ask(fd, SIOCETHTOOL, &request, interface->name) == 0)
		snprintf(interface->driver, sizeof(interface->driver), "%s", info.driver);
	else
		snprintf(interface->driver, sizeof(interface->driver), "unknown");
}

/* Not every driver has channels; sysfs shows the queues of the network namespace that it was mounted in. */
static uint32_t count_queue_folders(const char *name)
{
	char path[64];
	uint32_t count = 0;
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/sys/class/net/%s/queues", name);
	folder = opendir(path);
	if (!folder)
		return 0;
	while ((entry = readdir(folder)))
		count += strncmp(entry->d_name, "rx-", 3) == 0;
	closedir(folder);
	return count;
}

static uint32_t count_queues(const struct nt_interface *interface, int fd)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {.ifr_data = (char *)&channels};

	if (ask(fd, SIOCETHTOOL, &request, interface->name) == 0 && channels.rx_count + channels.combined_count > 0)
		return channels.rx_count + channels.combined_count;
	return count_queue_folders(interface->name);
}

static int read_facts(struct nt_interface *interface, int fd, struct nt_fault *fault)
{
	struct ifreq request = {0};
	int error = ask(fd, SIOCGIFFLAGS, &request, interface->name);

	if (error)
		return nt_fault_set(fault, error, "%s: flags cannot be read: %s", interface->name, strerror(-error));
	if (!(request.ifr_flags & IFF_UP))
		return nt_fault_set(fault, -ENETDOWN, "%s: is down, expected up: ip link set %s up", interface->name,
				    interface->name);
	if (ask(fd, SIOCGIFMTU, &request, interface->name) == 0)
		interface->mtu = (uint32_t)request.ifr_mtu;
	read_driver(interface, fd);
	interface->queues = count_queues(interface, fd);
	return 0;
}

int nt_interface_read(struct nt_interface *interface, const char *name, struct nt_fault *fault)
{
	int error;
	int fd;

	memset(interface, 0, sizeof(*interface));
	snprintf(interface->name, sizeof(interface->name), "%s", name);
	interface->index = (int)if_nametoindex(name);
	if (interface->index == 0)
		return nt_fault_set(fault, -ENODEV,
				    "%s: no such interface in this network namespace (ip link shows those there are)", name);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return nt_fault_set(fault, -errno, "%s: no socket to ask about it: %s", name, strerror(errno));
	error = read_facts(interface, fd, fault);
	close(fd);
	return error;
}
