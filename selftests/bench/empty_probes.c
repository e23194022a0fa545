// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes that do nothing: what the kernel itself takes for being probed.
 *
 *	insmod empty_probes.ko enter=SYMBOL,... leave=SYMBOL,...
 *
 * @enter gets kprobes, @leave return probes; a function that the kernel
 * doesn't have fails the load.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

static char *enter[16];
static unsigned int enter_count;
module_param_array(enter, charp, &enter_count, 0444);
MODULE_PARM_DESC(enter, "functions that get a probe");

static char *leave[16];
static unsigned int leave_count;
module_param_array(leave, charp, &leave_count, 0444);
MODULE_PARM_DESC(leave, "functions that get a return probe");

static struct kprobe kprobes[ARRAY_SIZE(enter)];
static struct kretprobe kretprobes[ARRAY_SIZE(leave)];

static int entered(struct kprobe *kp, struct pt_regs *regs)
{
	return 0;
}

static int left(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	return 0;
}

static void remove_probes(unsigned int kprobes_count,
			  unsigned int kretprobes_count)
{
	while (kprobes_count--)
		unregister_kprobe(&kprobes[kprobes_count]);
	while (kretprobes_count--)
		unregister_kretprobe(&kretprobes[kretprobes_count]);
}

static int __init empty_probes_init(void)
{
	unsigned int i, j = 0;
	int err;

	for (i = 0; i < enter_count; i++) {
		kprobes[i].symbol_name = enter[i];
		kprobes[i].pre_handler = entered;
		err = register_kprobe(&kprobes[i]);
		if (err)
			goto remove;
	}
	for (j = 0; j < leave_count; j++) {
		kretprobes[j].kp.symbol_name = leave[j];
		kretprobes[j].entry_handler = left;
		kretprobes[j].handler = left;
		kretprobes[j].maxactive = 512;
		err = register_kretprobe(&kretprobes[j]);
		if (err)
			goto remove;
	}
	return 0;

remove:
	remove_probes(i, j);
	return err;
}

static void __exit empty_probes_exit(void)
{
	remove_probes(enter_count, leave_count);
}

module_init(empty_probes_init);
module_exit(empty_probes_exit);
MODULE_DESCRIPTION("Probes that do nothing");
MODULE_LICENSE("GPL");
