/* Ports in memory, wired to each other, for tests. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_memory.h>
#include <rte_ring.h>

#define PC_MAX_RINGS 16

/* Two ports of which each receives what the other sends. They are `net_ring_NAME0` and `net_ring_NAME1`. */
int pc_ring_ports(const char *name, uint16_t queues, uint32_t size)
{
	struct rte_ring *rings[2][PC_MAX_RINGS];
	char full[RTE_RING_NAMESIZE];

	if (queues > PC_MAX_RINGS)
		return -EINVAL;
	for (int way = 0; way < 2; way++)
		for (uint16_t queue = 0; queue < queues; queue++) {
			snprintf(full, sizeof full, "%s.%d.%u", name, way, queue);
			rings[way][queue] = rte_ring_create(full, size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
			if (rings[way][queue] == NULL)
				return -rte_errno;
		}
	for (int way = 0; way < 2; way++) {
		snprintf(full, sizeof full, "%s%d", name, way);
		if (rte_eth_from_rings(full, rings[way], queues, rings[1 - way], queues, SOCKET_ID_ANY) < 0)
			return -rte_errno;
	}
	return 0;
}
