// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Both ends of a load for measurements: frames of ever other sources, and what counts and eats them. */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Where frames go. */
const volatile __u32 egress = 0;
/* The sources: `first` | a number without order >> `bits`, `sources` of them in turn. */
const volatile __u32 first = 0;
const volatile __u32 bits = 0;
const volatile __u32 sources = 1;

__u32 next = 0;
__u64 arrived = 0;

/* Run by BPF_PROG_TEST_RUN over live frames of Ethernet and IPv4. The checksum stays as it is: nobody looks at it. */
SEC("xdp")
int scatter(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	__u32 number = next;

	if ((void *)(ip + 1) > end)
		return XDP_ABORTED;
	next = number + 1 < sources ? number + 1 : 0;
	ip->saddr = bpf_htonl(first | number * 0x9e3779b1U >> bits);
	return bpf_redirect(egress, 0);
}

SEC("xdp")
int arrive(struct xdp_md *ctx)
{
	__sync_fetch_and_add(&arrived, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
