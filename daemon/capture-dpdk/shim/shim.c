/* What Rust cannot call: DPDK's inline functions, and structures whose layout changes between versions. Plain
 * numbers and pointers go through here, a burst at a time. Errors are negative errno values. */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_flow.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* As `sys::mbuf::Mbuf`. */
struct pc_mbuf {
	struct rte_mbuf *mbuf;
	uint8_t *data;
	uint32_t length; /* of the first segment */
	uint32_t total;
	uint16_t segments;
	uint16_t flags;
	uint32_t reserved;
};

#define PC_CHECKSUM_GOOD 1

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
/* Most packets that `pc_tx` is given: as many as one burst and the outbox hold. */
#define PC_MAX_SEND 128

int pc_eal_init(int argc, char **argv)
{
	return rte_eal_init(argc, argv) < 0 ? -rte_errno : 0;
}

void pc_eal_cleanup(void)
{
	rte_eal_cleanup();
}

const char *pc_version(void)
{
	return rte_version();
}

const char *pc_strerror(int error)
{
	return rte_strerror(error);
}

int pc_thread_register(void)
{
	return rte_thread_register();
}

void pc_thread_unregister(void)
{
	rte_thread_unregister();
}

/* Pools and buffers. */

struct rte_mempool *pc_pool_create(const char *name, uint32_t size, uint32_t cache, uint16_t room, int socket)
{
	return rte_pktmbuf_pool_create(name, size, cache, 0, room, socket);
}

void pc_pool_free(struct rte_mempool *pool)
{
	rte_mempool_free(pool);
}

uint32_t pc_pool_available(const struct rte_mempool *pool)
{
	return rte_mempool_avail_count(pool);
}

static void describe(struct rte_mbuf *mbuf, struct pc_mbuf *out)
{
	out->mbuf = mbuf;
	out->data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	out->length = mbuf->data_len;
	out->total = mbuf->pkt_len;
	out->segments = mbuf->nb_segs;
	out->flags = (mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD ? PC_CHECKSUM_GOOD : 0;
	out->reserved = 0;
}

int pc_alloc(struct rte_mempool *pool, uint16_t length, struct pc_mbuf *out)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	if (mbuf == NULL)
		return -ENOMEM;
	if (rte_pktmbuf_append(mbuf, length) == NULL) {
		rte_pktmbuf_free(mbuf);
		return -EMSGSIZE;
	}
	describe(mbuf, out);
	return 0;
}

void pc_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

/* Hangs `tail` behind `head`, which owns it from then on. */
int pc_chain(struct rte_mbuf *head, struct rte_mbuf *tail, struct pc_mbuf *out)
{
	int result = rte_pktmbuf_chain(head, tail);

	if (result == 0)
		describe(head, out);
	return result;
}

/* `length` is the packet's or less. */
void pc_gather(const struct rte_mbuf *mbuf, uint8_t *into, uint32_t length)
{
	for (; mbuf != NULL && length > 0; mbuf = mbuf->next) {
		uint32_t part = RTE_MIN(length, (uint32_t)mbuf->data_len);

		memcpy(into, rte_pktmbuf_mtod(mbuf, const uint8_t *), part);
		into += part;
		length -= part;
	}
}

void pc_scatter(struct rte_mbuf *mbuf, const uint8_t *from, uint32_t length)
{
	for (; mbuf != NULL && length > 0; mbuf = mbuf->next) {
		uint32_t part = RTE_MIN(length, (uint32_t)mbuf->data_len);

		memcpy(rte_pktmbuf_mtod(mbuf, uint8_t *), from, part);
		from += part;
		length -= part;
	}
}

/* Packets. */

uint16_t pc_rx(uint16_t port, uint16_t queue, struct pc_mbuf *out, uint16_t count)
{
	struct rte_mbuf *mbufs[PC_MAX_SEND];
	uint16_t received, kept = 0;

	received = rte_eth_rx_burst(port, queue, mbufs, RTE_MIN(count, (uint16_t)PC_MAX_SEND));
	for (uint16_t i = 0; i < received; i++) {
		if (i + 1 < received)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + 1], void *));
		/* A tag that the device took off goes back: frames leave as they came. */
		if (unlikely(mbufs[i]->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) && rte_vlan_insert(&mbufs[i]) != 0) {
			rte_pktmbuf_free(mbufs[i]);
			continue;
		}
		/* Flags for receiving mean other things for sending. */
		describe(mbufs[i], &out[kept++]);
		mbufs[i]->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	}
	return kept;
}

/* The first packets, as many as are answered, belong to the device from then on. */
uint16_t pc_tx(uint16_t port, uint16_t queue, const struct pc_mbuf *packets, uint16_t count)
{
	struct rte_mbuf *mbufs[PC_MAX_SEND];
	uint16_t sent = 0, now;

	count = RTE_MIN(count, (uint16_t)PC_MAX_SEND);
	for (uint16_t i = 0; i < count; i++)
		mbufs[i] = packets[i].mbuf;
	/* Some drivers take no more than a part at a time. */
	while (sent < count && (now = rte_eth_tx_burst(port, queue, mbufs + sent, count - sent)) > 0)
		sent += now;
	return sent;
}

/* Ports. */

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

/* Rules by which a device drops packets itself. */

/* As `sys::flow::FlowMatch`. */
struct pc_flow_match {
	uint8_t source[16]; /* of IPv4 the first four bytes */
	uint8_t destination[16];
	uint16_t source_port;
	uint16_t destination_port;
	uint16_t vlans[2]; /* outermost first */
	uint8_t vlan_count;
	uint8_t version; /* 4 or 6 */
	uint8_t protocol; /* TCP or UDP */
	uint8_t reserved;
};

#define PC_FLOW_COUNTS 1 /* the device counts what it drops */
#define PC_FLOW_KEEPS_ENDS 2 /* TCP segments with SYN, FIN or RST are not meant */

/* What a rule is made of: its items point into the rest. */
struct pc_rule {
	struct rte_flow_attr attributes;
	struct rte_flow_item items[8];
	struct rte_flow_action actions[3];
	struct rte_flow_item_vlan vlans[2], vlan_mask;
	struct rte_flow_item_ipv4 v4, v4_mask;
	struct rte_flow_item_ipv6 v6, v6_mask;
	struct rte_flow_item_tcp tcp, tcp_mask;
	struct rte_flow_item_udp udp, udp_mask;
	struct rte_flow_action_count count;
};

static void add_item(struct pc_rule *rule, uint32_t *length, enum rte_flow_item_type type, const void *spec, const void *mask)
{
	rule->items[*length].type = type;
	rule->items[*length].spec = spec;
	rule->items[*length].mask = mask;
	*length += 1;
}

static int make_rule(struct pc_rule *rule, const struct pc_flow_match *match, uint32_t wanted)
{
	uint32_t items = 0, actions = 0;

	memset(rule, 0, sizeof *rule);
	rule->attributes.ingress = 1;
	add_item(rule, &items, RTE_FLOW_ITEM_TYPE_ETH, NULL, NULL);
	/* A tag's priority may be any. */
	rule->vlan_mask.hdr.vlan_tci = RTE_BE16(0x0fff);
	for (uint32_t i = 0; i < RTE_MIN(match->vlan_count, (uint32_t)RTE_DIM(rule->vlans)); i++) {
		rule->vlans[i].hdr.vlan_tci = rte_cpu_to_be_16(match->vlans[i]);
		add_item(rule, &items, RTE_FLOW_ITEM_TYPE_VLAN, &rule->vlans[i], &rule->vlan_mask);
	}
	if (match->version == 4) {
		memcpy(&rule->v4.hdr.src_addr, match->source, 4);
		memcpy(&rule->v4.hdr.dst_addr, match->destination, 4);
		memset(&rule->v4_mask.hdr.src_addr, 0xff, 4);
		memset(&rule->v4_mask.hdr.dst_addr, 0xff, 4);
		add_item(rule, &items, RTE_FLOW_ITEM_TYPE_IPV4, &rule->v4, &rule->v4_mask);
	} else {
		memcpy(&rule->v6.hdr.src_addr, match->source, 16);
		memcpy(&rule->v6.hdr.dst_addr, match->destination, 16);
		memset(&rule->v6_mask.hdr.src_addr, 0xff, 16);
		memset(&rule->v6_mask.hdr.dst_addr, 0xff, 16);
		add_item(rule, &items, RTE_FLOW_ITEM_TYPE_IPV6, &rule->v6, &rule->v6_mask);
	}
	if (match->protocol == IPPROTO_TCP) {
		rule->tcp.hdr.src_port = rte_cpu_to_be_16(match->source_port);
		rule->tcp.hdr.dst_port = rte_cpu_to_be_16(match->destination_port);
		rule->tcp_mask.hdr.src_port = rule->tcp_mask.hdr.dst_port = UINT16_MAX;
		if (wanted & PC_FLOW_KEEPS_ENDS)
			rule->tcp_mask.hdr.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG;
		add_item(rule, &items, RTE_FLOW_ITEM_TYPE_TCP, &rule->tcp, &rule->tcp_mask);
	} else if (match->protocol == IPPROTO_UDP) {
		rule->udp.hdr.src_port = rte_cpu_to_be_16(match->source_port);
		rule->udp.hdr.dst_port = rte_cpu_to_be_16(match->destination_port);
		rule->udp_mask.hdr.src_port = rule->udp_mask.hdr.dst_port = UINT16_MAX;
		add_item(rule, &items, RTE_FLOW_ITEM_TYPE_UDP, &rule->udp, &rule->udp_mask);
	} else {
		return -ENOTSUP;
	}
	add_item(rule, &items, RTE_FLOW_ITEM_TYPE_END, NULL, NULL);
	if (wanted & PC_FLOW_COUNTS) {
		rule->actions[actions].type = RTE_FLOW_ACTION_TYPE_COUNT;
		rule->actions[actions++].conf = &rule->count;
	}
	rule->actions[actions++].type = RTE_FLOW_ACTION_TYPE_DROP;
	rule->actions[actions].type = RTE_FLOW_ACTION_TYPE_END;
	return 0;
}

/* Drivers say why in words of their own, or not at all. */
static int refusal(int code, const struct rte_flow_error *error, char *why, uint32_t room)
{
	snprintf(why, room, "%s", error->message != NULL ? error->message : rte_strerror(-code));
	return code;
}

/* Would the device take such a rule? */
int pc_flow_validate(uint16_t port, const struct pc_flow_match *match, uint32_t wanted, char *why, uint32_t room)
{
	struct rte_flow_error error;
	struct pc_rule rule;
	int result = make_rule(&rule, match, wanted);

	memset(&error, 0, sizeof error);
	if (result == 0)
		result = rte_flow_validate(port, &rule.attributes, rule.items, rule.actions, &error);
	return result == 0 ? 0 : refusal(result < 0 ? result : -EIO, &error, why, room);
}

int pc_flow_create(uint16_t port, const struct pc_flow_match *match, uint32_t wanted, struct rte_flow **flow, char *why,
		   uint32_t room)
{
	struct rte_flow_error error;
	struct pc_rule rule;
	int result = make_rule(&rule, match, wanted);

	memset(&error, 0, sizeof error);
	if (result != 0)
		return refusal(result, &error, why, room);
	*flow = rte_flow_create(port, &rule.attributes, rule.items, rule.actions, &error);
	if (*flow == NULL)
		return refusal(rte_errno > 0 ? -rte_errno : -EIO, &error, why, room);
	return 0;
}

int pc_flow_destroy(uint16_t port, struct rte_flow *flow)
{
	struct rte_flow_error error;

	return rte_flow_destroy(port, flow, &error);
}

/* Packets and bytes that the rule has dropped. */
int pc_flow_query(uint16_t port, struct rte_flow *flow, uint64_t *out)
{
	struct rte_flow_action_count conf;
	struct rte_flow_action action[2];
	struct rte_flow_query_count count;
	struct rte_flow_error error;
	int result;

	memset(&conf, 0, sizeof conf);
	memset(action, 0, sizeof action);
	memset(&count, 0, sizeof count);
	action[0].type = RTE_FLOW_ACTION_TYPE_COUNT;
	action[0].conf = &conf;
	action[1].type = RTE_FLOW_ACTION_TYPE_END;
	result = rte_flow_query(port, flow, action, &count, &error);
	if (result != 0)
		return result;
	out[0] = count.hits_set ? count.hits : 0;
	out[1] = count.bytes_set ? count.bytes : 0;
	return 0;
}

#ifdef PC_RINGS
#include <rte_eth_ring.h>
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
#endif
