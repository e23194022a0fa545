/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of listeners. */
#ifndef LISTENQ_TABLES_H
#define LISTENQ_TABLES_H

#include <linux/fs.h>
#include <linux/seq_file.h>

extern const struct seq_operations sockets_ops;
extern const struct seq_operations handshakes_ops;
extern const struct seq_operations waits_ops;
extern const struct seq_operations drops_ops;
extern const struct seq_operations unix_ops;

int sockets_write(struct file *file, char *text, size_t length);

#endif /* LISTENQ_TABLES_H */
