/* DPDK's own start, end and threads. */
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_version.h>

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
