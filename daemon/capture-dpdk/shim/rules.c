/* Rules by which a device drops packets itself. Errors are negative errno values. */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_flow.h>

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
