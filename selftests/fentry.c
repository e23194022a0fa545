// SPDX-License-Identifier: GPL-2.0-only
/* fentry.h says what each is for. */

#define _GNU_SOURCE
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "listenq.h"
#include "fentry.h"

#define BTF	"/sys/kernel/btf/vmlinux"
/* The kernel's own number, which it lets out here. */
#define ENOTSUPP	524

/* Newer than the oldest headers. */
#define KIND_FLOAT	16
#define KIND_DECL_TAG	17
#define KIND_TYPE_TAG	18
#define KIND_ENUM64	19

static int map = -1;
static int links[FENTRY_MOST * FENTRY_SIDES];
static int links_count;
static int attached_before;

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

const char *fentry_lacks(void)
{
	if (access(BTF, R_OK))
		return "no BTF of this kernel's";
	return lq_tracefs("enabled_functions") ? NULL : "no enabled_functions";
}

/* ---- BTF ---- */

/* How many bytes follow upon a type's description. */
static size_t trailer(const struct btf_type *type)
{
	int count = BTF_INFO_VLEN(type->info);
	/* Headers differ in how many bits a kind has. */
	int kind = type->info >> 24 & 0x1f;

	switch (kind) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case KIND_DECL_TAG:
		return sizeof(__u32);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return count * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return count * sizeof(struct btf_enum);
	case KIND_ENUM64:
		return count * 3 * sizeof(__u32);
	case BTF_KIND_FUNC_PROTO:
		return count * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return count * sizeof(struct btf_var_secinfo);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case KIND_FLOAT:
	case KIND_TYPE_TAG:
		return 0;
	default:
		errx(1, BTF ": a type of the unknown kind %d", kind);
	}
}

static const struct btf_header *read_btf(void)
{
	static void *btf;
	struct stat stat;
	int fd;

	if (btf)
		return btf;
	fd = open(BTF, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat))
		err(1, BTF);
	btf = malloc(stat.st_size);
	if (!btf)
		err(1, BTF);
	for (off_t got = 0; got < stat.st_size;) {
		ssize_t n = read(fd, btf + got, stat.st_size - got);

		if (n <= 0)
			err(1, BTF);
		got += n;
	}
	close(fd);
	return btf;
}

/* The number that the function goes by. */
static int type_of(const char *function)
{
	const struct btf_header *btf = read_btf();
	const char *data = (const char *)btf + btf->hdr_len;
	const char *strings = data + btf->str_off;
	const char *at = data + btf->type_off;
	const char *end = at + btf->type_len;

	for (int id = 1; at < end; id++) {
		const struct btf_type *type = (const struct btf_type *)at;

		if ((type->info >> 24 & 0x1f) == BTF_KIND_FUNC &&
		    !strcmp(strings + type->name_off, function))
			return id;
		at += sizeof(*type) + trailer(type);
	}
	errx(1, "no function %s in " BTF, function);
}

/* ---- programs ---- */

/* At how many functions ftrace calls a program of BPF's, whosever. */
static int attached(void)
{
	const char *dir = lq_tracefs("enabled_functions");
	char path[PATH_MAX], line[1024];
	int count = 0;
	FILE *file;

	if (!dir)
		errx(1, "no enabled_functions");
	snprintf(path, sizeof(path), "%s/enabled_functions", dir);
	file = fopen(path, "r");
	if (!file)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), file))
		count += strstr(line, "direct") && strstr(line, "-->");
	fclose(file);
	return count;
}

static void make_map(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(__u32),
		.value_size = FENTRY_MOST * FENTRY_SIDES * sizeof(__u64),
		.max_entries = 1,
	};

	/* Before 5.11 maps and programs count as locked memory. */
	if (setrlimit(RLIMIT_MEMLOCK, &all))
		err(1, "RLIMIT_MEMLOCK");
	map = bpf(BPF_MAP_CREATE, &attr);
	if (map < 0)
		err(1, "a map of BPF's");
}

/* A program that adds 1 to the @slot'th number of the map's only value. */
static int load_program(int type, int side, int slot)
{
	const struct bpf_insn insns[] = {
		{
			.code = BPF_LD | BPF_DW | BPF_IMM,
			.dst_reg = BPF_REG_1,
			.src_reg = BPF_PSEUDO_MAP_VALUE,
			.imm = map,
		},
		{ },
		{
			.code = BPF_ALU64 | BPF_MOV | BPF_K,
			.dst_reg = BPF_REG_2,
			.imm = 1,
		},
		{
			.code = BPF_STX | BPF_DW | BPF_XADD,
			.dst_reg = BPF_REG_1,
			.src_reg = BPF_REG_2,
			.off = slot * sizeof(__u64),
		},
		{
			.code = BPF_ALU64 | BPF_MOV | BPF_K,
			.dst_reg = BPF_REG_0,
		},
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.insns = (uintptr_t)insns,
		.insn_cnt = sizeof(insns) / sizeof(*insns),
		.license = (uintptr_t)"GPL",
		.expected_attach_type = side == FENTRY ? BPF_TRACE_FENTRY :
							 BPF_TRACE_FEXIT,
		.attach_btf_id = type,
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

static int attach(int program)
{
	union bpf_attr attr = { .raw_tracepoint.prog_fd = program };

	return bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
}

bool fentry_attach(unsigned int index, const char *function)
{
	int type = type_of(function);

	if (index >= FENTRY_MOST)
		errx(1, "too many functions");
	if (map < 0) {
		attached_before = attached();
		make_map();
	}
	for (int side = 0; side < FENTRY_SIDES; side++) {
		int program = load_program(type, side,
					   index * FENTRY_SIDES + side);
		int link = program < 0 ? -1 : attach(program);

		if (link < 0 && errno == ENOTSUPP && side == FENTRY) {
			close(program);
			return false;
		}
		if (link < 0)
			err(1, "%s: %s", side == FENTRY ? "fentry" : "fexit",
			    function);
		close(program);
		links[links_count++] = link;
	}
	return true;
}

void fentry_detach(void)
{
	while (links_count)
		close(links[--links_count]);
	close(map);
	map = -1;
	/* The kernel does the rest later. */
	lq_wait_until(attached() == attached_before);
}

long long fentry_hits(unsigned int index, int side)
{
	__u64 counts[FENTRY_MOST * FENTRY_SIDES];
	const __u32 key = 0;
	union bpf_attr attr = {
		.map_fd = map,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)counts,
	};

	if (bpf(BPF_MAP_LOOKUP_ELEM, &attr))
		err(1, "a map of BPF's");
	return counts[index * FENTRY_SIDES + side];
}
