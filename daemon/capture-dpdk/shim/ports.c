/* Ports: what they can do, how they are set up, and what they count. The structures' layout changes between versions of
 * DPDK, so plain numbers go to Rust. Errors are negative errno values. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mempool.h>

/* As `sys::ffi::PortInfo`. */
struct pc_port_info {
	char driver[32];
	uint32_t max_queues;
	uint32_t max_mtu;
	uint32_t mtu;
	int32_t socket;
	uint32_t flags;
	uint32_t key_size;
};

#define PC_CAN_RSS 1
#define PC_CAN_SCATTER 2
#define PC_CAN_SEND_SEGMENTS 4
#define PC_CAN_CHECKSUM 8

/* As `sys::ffi::PortConfig`. */
struct pc_port_config {
	uint16_t queues;
	uint16_t rx_descriptors;
	uint16_t tx_descriptors;
	uint16_t mtu;
	uint32_t wanted; /* of PC_CAN_* */
	uint16_t promiscuous;
	uint16_t room_for_tags;
};

#define PC_MAX_KEY 64

int pc_port_by_name(const char *name, uint16_t *port)
{
	return rte_eth_dev_get_port_by_name(name, port);
}

int pc_port_info(uint16_t port, struct pc_port_info *out)
{
	struct rte_eth_dev_info info;
	uint16_t mtu = 0;
	int result = rte_eth_dev_info_get(port, &info);

	if (result != 0)
		return result;
	memset(out, 0, sizeof *out);
	snprintf(out->driver, sizeof out->driver, "%s", info.driver_name);
	out->max_queues = RTE_MIN(info.max_rx_queues, info.max_tx_queues);
	out->max_mtu = info.max_mtu;
	if (rte_eth_dev_get_mtu(port, &mtu) == 0)
		out->mtu = mtu;
	out->socket = rte_eth_dev_socket_id(port);
	out->key_size = info.hash_key_size;
	if (info.flow_type_rss_offloads != 0)
		out->flags |= PC_CAN_RSS;
	if (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER)
		out->flags |= PC_CAN_SCATTER;
	if (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
		out->flags |= PC_CAN_SEND_SEGMENTS;
	if ((info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM) == RTE_ETH_RX_OFFLOAD_CHECKSUM)
		out->flags |= PC_CAN_CHECKSUM;
	return 0;
}

/* How much larger the MTU must be said to be, so that the device receives frames with two VLAN tags of it, for drivers
 * count one of them or none in what they add to an MTU: at most that. */
static uint16_t missing_for_tags(const struct pc_port_config *config, const struct rte_eth_dev_info *info)
{
	uint32_t wanted = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 2 * RTE_VLAN_HLEN;
	uint32_t added, missing;

	/* Where a driver does not say what it adds there is nothing to correct. */
	if (!config->room_for_tags || info->max_mtu == UINT16_MAX || info->max_rx_pktlen <= info->max_mtu)
		return 0;
	added = info->max_rx_pktlen - info->max_mtu;
	missing = added < wanted ? wanted - added : 0;
	return config->mtu + missing <= info->max_mtu ? missing : 0;
}

/* Tells how many descriptors there really are. */
int pc_port_configure(uint16_t port, struct pc_port_config *config)
{
	/* A repeated pair of bytes hashes both directions of a flow alike. */
	static uint8_t key[PC_MAX_KEY];
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	int result = rte_eth_dev_info_get(port, &info);

	if (result != 0)
		return result;
	memset(&conf, 0, sizeof conf);
	if (config->mtu != 0)
		conf.rxmode.mtu = config->mtu + missing_for_tags(config, &info);
	if (config->wanted & PC_CAN_SCATTER)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (config->wanted & PC_CAN_CHECKSUM)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_CHECKSUM;
	if (config->wanted & PC_CAN_SEND_SEGMENTS)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (config->wanted & PC_CAN_RSS) {
		for (unsigned int i = 0; i < PC_MAX_KEY; i++)
			key[i] = i % 2 == 0 ? 0x6d : 0x5a;
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = info.flow_type_rss_offloads &
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP);
		if (info.hash_key_size > 0 && info.hash_key_size <= PC_MAX_KEY) {
			conf.rx_adv_conf.rss_conf.rss_key = key;
			conf.rx_adv_conf.rss_conf.rss_key_len = info.hash_key_size;
		}
	}
	result = rte_eth_dev_configure(port, config->queues, config->queues, &conf);
	if (result != 0)
		return result;
	return rte_eth_dev_adjust_nb_rx_tx_desc(port, &config->rx_descriptors, &config->tx_descriptors);
}

int pc_port_start(uint16_t port, const struct pc_port_config *config, struct rte_mempool *pool)
{
	int socket = rte_eth_dev_socket_id(port);
	int result;

	for (uint16_t queue = 0; queue < config->queues; queue++) {
		result = rte_eth_rx_queue_setup(port, queue, config->rx_descriptors, socket, NULL, pool);
		if (result != 0)
			return result;
		result = rte_eth_tx_queue_setup(port, queue, config->tx_descriptors, socket, NULL);
		if (result != 0)
			return result;
	}
	result = rte_eth_dev_start(port);
	if (result != 0)
		return result;
	if (!config->promiscuous)
		return 0;
	result = rte_eth_promiscuous_enable(port);
	/* What has no filter hears everything anyway. */
	return result == -ENOTSUP ? 0 : result;
}

void pc_port_stop(uint16_t port)
{
	/* Where the device is an interface of the kernel, it is left as it was found. */
	rte_eth_promiscuous_disable(port);
	rte_eth_dev_stop(port);
}

void pc_port_close(uint16_t port)
{
	rte_eth_dev_close(port);
}

/* Megabits a second, 0 where the link is down, UINT32_MAX where it is up at a speed that is not known. */
uint32_t pc_port_link(uint16_t port)
{
	struct rte_eth_link link;

	memset(&link, 0, sizeof link);
	if (rte_eth_link_get_nowait(port, &link) != 0 || link.link_status == RTE_ETH_LINK_DOWN)
		return 0;
	return link.link_speed == RTE_ETH_SPEED_NUM_NONE ? UINT32_MAX : link.link_speed;
}

/* imissed, ierrors, rx_nombuf, oerrors. */
int pc_port_losses(uint16_t port, uint64_t *out)
{
	struct rte_eth_stats stats;
	int result;

	memset(&stats, 0, sizeof stats);
	result = rte_eth_stats_get(port, &stats);
	if (result != 0)
		return result;
	out[0] = stats.imissed;
	out[1] = stats.ierrors;
	out[2] = stats.rx_nombuf;
	out[3] = stats.oerrors;
	return 0;
}

/* As `sys::ffi::ExtendedStat`. */
struct pc_xstat {
	char name[RTE_ETH_XSTATS_NAME_SIZE];
	uint64_t value;
};

/* Fills in what there is room for, and answers how many there are. */
int pc_port_xstats(uint16_t port, struct pc_xstat *out, uint32_t room)
{
	struct rte_eth_xstat values[512];
	struct rte_eth_xstat_name names[512];
	int count = rte_eth_xstats_get_names(port, names, RTE_DIM(names));

	if (count < 0 || count > (int)RTE_DIM(names))
		return count < 0 ? count : -E2BIG;
	count = rte_eth_xstats_get(port, values, RTE_DIM(values));
	if (count < 0 || count > (int)RTE_DIM(values))
		return count < 0 ? count : -E2BIG;
	for (int i = 0; i < count && i < (int)room; i++) {
		memcpy(out[i].name, names[values[i].id].name, sizeof out[i].name);
		out[i].value = values[i].value;
	}
	return count;
}
