# SPDX-License-Identifier: GPL-2.0-only
#
# `make help` lists the targets; what kbuild reads is Kbuild.

KDIR ?= /lib/modules/$(shell uname -r)/build
VM := selftests/vm

# Those that the scripts take, so that `make check KERNELS=...` works as
# `KERNELS=... make check` does.
export KERNELS KERNEL KSFT TESTS PARTS MINUTES LISTENQ_CACHE
export LISTENQ_SEED LISTENQ_LOADS LISTENQ_SECONDS
ifneq ($(KERNEL),)
export KDIR
endif

module: ## build module/listenq.ko for this kernel, or for KDIR=build
	@test -e "$(KDIR)/Makefile" || { echo "listenq: no kernel headers in $(KDIR):" \
		"install linux-headers-$$(uname -r) (Fedora: kernel-devel, Arch: linux-headers) or set KDIR=" >&2; exit 1; }
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)" modules

tools: ## build tools/listenq, which shows the files to people
	$(MAKE) -C tools

demo: ## show in a VM, in two minutes, what the module shows
	@$(VM)/deps.sh demo
	@$(VM)/vm.sh demo

shell: ## a prompt in the same VM, the module loaded
	@$(VM)/deps.sh shell
	@$(VM)/vm.sh shell

check: ## run the selftests in a VM: KERNELS="name ..."|all, TESTS="name ...", KERNEL=bzImage KDIR=build
	@$(VM)/deps.sh check
	@$(VM)/check.sh

bench: ## what the module costs, in instructions, beside what people use instead: KERNELS=
	@$(VM)/deps.sh bench
	@$(VM)/bench.sh path read change rate || echo "listenq: a budget is broken, see above" >&2

bench-check: ## the same, and fail when a budget is broken
	@$(VM)/deps.sh bench
	@$(VM)/bench.sh path read change

coverage: ## run the selftests in debug VMs, show which lines of the module they reach: TESTS="name ..."
	@$(VM)/deps.sh coverage
	@$(VM)/coverage.sh

stress: ## everything at once, on four processors: KERNELS, LISTENQ_LOADS=1000, LISTENQ_SECONDS=60, LISTENQ_SEED
	@$(VM)/deps.sh check
	@TESTS=stress KERNELS="$(or $(KERNELS),debug)" $(VM)/check.sh

soak: ## the same and fuzz with one seed after the other, for MINUTES=30, on KERNELS=debug
	@$(VM)/deps.sh check
	@MINUTES="$(or $(MINUTES),30)" $(VM)/vm.sh soak "$(or $(KERNELS),debug)"

lint: ## checkpatch, sparse, W=1, shellcheck, codespell, mandoc
	@$(VM)/deps.sh lint
	@$(VM)/lint.sh

deps: ## install what the targets above need (as root; else say how)
	@$(VM)/deps.sh all

clean: ## remove what make built here; the cache in ~/.cache/listenq stays
	@find . -path ./.git -prune -o \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name '*.symvers' \
		-o -name modules.order \) -type f -exec rm -f {} +
	@rm -f tools/listenq

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' Makefile | expand -t 12

.PHONY: module tools demo shell check bench bench-check coverage stress soak lint deps
.PHONY: clean help
