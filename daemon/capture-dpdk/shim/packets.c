/* Pools, buffers and bursts of packets: DPDK's inline functions, which Rust cannot call. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

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

/* Most packets that `pc_tx` is given: as many as one burst and the outbox hold. */
#define PC_MAX_SEND 128

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
