# SPDX-License-Identifier: GPL-2.0-only
#
# `make help` lists the targets; what kbuild reads is Kbuild.

KDIR ?= /lib/modules/$(shell uname -r)/build
VM := selftests/vm

# Those that the scripts take, so that `make check KERNELS=...` works as
# `KERNELS=... make check` does.
export KERNELS KERNEL MODULES KSFT TESTS PARTS MINUTES FILES V LISTENQ_CACHE
export LISTENQ_SEED LISTENQ_LOADS LISTENQ_SECONDS
export FILE COUNT SEED CHANGE
ifneq ($(KERNEL),)
export KDIR
endif

.DEFAULT_GOAL := module

headers:
	@test -e "$(KDIR)/Makefile" || { echo "listenq: no kernel headers in $(KDIR):" \
		"install linux-headers-$$(uname -r) (Fedora: kernel-devel, Arch: linux-headers) or set KDIR=" >&2; exit 1; }

# A kernel that clang has built takes modules that clang has built, and that lld has
# linked. LLVM=-21 selects a version.
ifeq ($(origin LLVM),undefined)
llvm = $(shell sed -n 's/^CONFIG_CC_IS_CLANG=y$$/LLVM=1/p' \
	"$(KDIR)/include/config/auto.conf" 2>/dev/null)
endif

module: headers ## build module/listenq.ko for this kernel, or for KDIR=build
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)/module" $(llvm) modules

# Where the module goes, of the kernel in KDIR; and its source, for DKMS.
release = $(shell sed -n 's/^.define UTS_RELEASE "\(.*\)"$$/\1/p' \
	"$(KDIR)/include/generated/utsrelease.h" 2>/dev/null)
modules = $(DESTDIR)/lib/modules/$(release)
version := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"$$/\1/p' dkms.conf)
dkms_source = $(DESTDIR)/usr/src/listenq-$(version)

# $(call may_write,FOLDER): fail early, and say what to do.
may_write = mkdir -p "$(1)" 2>/dev/null && test -w "$(1)" || { \
	echo "listenq: can't write to $(1): be root, or set DESTDIR=" >&2; exit 1; }

# A kernel that signs all its modules can't where its key isn't. What else is
# built is to be installed here too.
install: module ## install it for this kernel, or for KDIR=build, and listenq(8) if built: PREFIX=, DESTDIR=
	@$(call may_write,$(modules))
	@echo "listenq: installing into $(modules)/updates"
	@$(MAKE) --no-print-directory -C "$(KDIR)" M="$(CURDIR)/module" $(llvm) \
		INSTALL_MOD_PATH="$(DESTDIR)" INSTALL_MOD_DIR=updates DEPMOD=true \
		$(if $(wildcard $(KDIR)/certs/signing_key.x509),,CONFIG_MODULE_SIG_ALL=) modules_install
	@test -n "$(DESTDIR)" || depmod "$(release)"
	@test ! -e tools/listenq || $(MAKE) --no-print-directory -C tools install

uninstall: headers ## take away what install put there
	@$(call may_write,$(modules))
	@echo "listenq: removing $(modules)/updates/listenq.ko"
	@rm -f "$(modules)/updates/listenq.ko"*
	@rmdir "$(modules)/updates" 2>/dev/null || :
	@test -n "$(DESTDIR)" || depmod "$(release)"
	@$(MAKE) --no-print-directory -C tools uninstall

dkms-install: $(if $(DESTDIR),,headers) dkms-remove ## let DKMS build and install it, for this kernel and those to come
	@$(call may_write,$(DESTDIR)/usr/src)
	@echo "listenq: copying the source to $(dkms_source)"
	@install -d "$(dkms_source)/module"
	@install -m 644 COPYING Kbuild dkms.conf "$(dkms_source)"
	@install -m 644 module/Kbuild $(filter-out %.mod.c,$(wildcard module/*.[ch])) "$(dkms_source)/module"
	@test -n "$(DESTDIR)" || dkms install "listenq/$(version)" \
		-k "$(release)" --kernelsourcedir "$(abspath $(KDIR))"

dkms-remove: ## take away every version that dkms-install left
	@$(call may_write,$(DESTDIR)/usr/src)
	@test -n "$(DESTDIR)" || command -v dkms >/dev/null || { \
		echo "listenq: there is no dkms: install the package dkms" >&2; exit 1; }
	@set -e; for source in "$(DESTDIR)"/usr/src/listenq-*; do \
		test -e "$$source" || continue; \
		for owner in "dpkg -S" "rpm -qf" "pacman -Qo"; do \
			! $$owner "$$source" >/dev/null 2>&1 || { \
				echo "listenq: $$source belongs to the package listenq-dkms:" \
					"remove that" >&2; exit 1; }; \
		done; \
		echo "listenq: removing $$source"; \
		id=listenq/$${source##*/listenq-}; \
		test -n "$(DESTDIR)" || test ! -e "/var/lib/dkms/$$id" || \
			dkms remove "$$id" --all; \
		rm -rf "$$source"; \
	done

# What git knows or would add, as it lies here; SOURCE_DATE_EPOCH, else the time of
# the last commit, else of dkms.conf. The same tree makes the same bytes.
dist: ## make the release tarball, build/listenq-VERSION.tar.gz
	@$(VM)/deps.sh dist
	@$(VM)/dist.sh

deb: ## build the Debian packages listenq-dkms and listenq-tools, in build/
	@command -v dpkg-buildpackage >/dev/null || { echo "listenq: this takes Debian's tools:" \
		"install build-essential debhelper dh-dkms" >&2; exit 1; }
	@dpkg-checkbuilddeps 2>/dev/null || { echo "listenq: something is missing to build it:" \
		"run apt-get build-dep ./ as root" >&2; exit 1; }
	@rm -rf build && mkdir -p build/listenq
	@echo "listenq: building the packages in build/; the log is build/log"
	@tar -c --exclude-vcs --exclude=./build . | tar -x -C build/listenq
	@cd build/listenq && dpkg-buildpackage -b -us -uc >../log 2>&1 || { tail -n 20 ../log; \
		echo "listenq: dpkg-buildpackage failed, see build/log" >&2; exit 1; }
	@rm -rf build/listenq
	@ls build/*.deb

packages-check: ## build the RPMs and Arch packages of packaging/, and compare what is in them
	@$(VM)/deps.sh packages
	@$(VM)/package.sh packages

tools: ## build tools/listenq, which shows the files to people
	$(MAKE) -C tools

demo: ## show in a VM, in two minutes, what the module shows
	@$(VM)/deps.sh demo
	@$(VM)/vm.sh demo

shell: ## a prompt in the same VM, the module loaded: KERNELS=name, FILES="programs to bring along"
	@$(VM)/deps.sh shell
	@$(VM)/vm.sh shell $(KERNELS)

check: ## run the selftests in VMs: TESTS="name ..."|ci|all, KERNELS="name ..."|all|hand, KERNEL=bzImage KDIR=build
	@$(VM)/deps.sh check
	@$(VM)/check.sh

bench: ## what the module costs, in instructions, beside what people use instead: KERNELS=
	@$(VM)/deps.sh bench
	@$(VM)/bench.sh path read change rate || { test $$? -eq 3 && \
		echo "listenq: a budget is broken, see above" >&2; }

bench-check: ## the same without the rate on several processors; fails when a budget is broken
	@$(VM)/deps.sh bench
	@$(VM)/bench.sh path read change

coverage: ## run the selftests in debug VMs, show which lines of the module they reach: TESTS="name ..."
	@$(VM)/deps.sh coverage
	@$(VM)/coverage.sh

mutants: ## test the tests: change the module one thing at a time, and see which fail: FILE=module/clamp.c, COUNT=50, SEED=
	@$(VM)/deps.sh mutants
	@$(VM)/mutants.sh

stress: ## everything at once, on four processors: KERNELS, LISTENQ_LOADS=1000, LISTENQ_SECONDS=60, LISTENQ_SEED
	@$(VM)/deps.sh check
	@TESTS=stress KERNELS="$(or $(KERNELS),debug)" $(VM)/check.sh

soak: ## the same and fuzz with one seed after the other, for MINUTES=30, on one kernel, KERNELS=debug
	@$(VM)/deps.sh soak
	@$(VM)/vm.sh soak "$(or $(KERNELS),debug)"

kexec: ## boot a kernel from itself while the module is in use, and run TESTS there: KERNELS=bookworm
	@$(VM)/deps.sh kexec
	@$(VM)/vm.sh kexec "$(or $(KERNELS),bookworm)"

fuzz: ## listenq(8) on files that libFuzzer makes up, for MINUTES=1; FILES="build/crash-... ..." again
	@$(VM)/deps.sh fuzz
	@$(VM)/fuzz.sh

html: ## the documentation as web pages, in build/html
	@$(VM)/deps.sh html
	@sphinx-build -q -b html Documentation build/html
	@echo 'build/html/index.html'

lint: ## checkpatch, sparse, W=1, shellcheck, codespell, mandoc, Sphinx
	@$(VM)/deps.sh lint
	@$(VM)/lint.sh

deps: ## install what lint and the targets with VMs need (as root; else say how)
	@$(VM)/deps.sh all

clean: ## remove what make built here; the cache in ~/.cache/listenq stays
	@find . -path ./.git -prune -o \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name '*.symvers' \
		-o -name modules.order \) -type f -exec rm -f {} +
	@rm -f tools/listenq
	@rm -rf build debian/.debhelper debian/debhelper-build-stamp debian/files \
		debian/listenq-dkms debian/listenq-tools debian/*.debhelper debian/*.substvars

help: ## this list
	@sed -nE 's/^([a-z-]+):.* ## (.*)/  \1\t\2/p' Makefile | expand -t 18

.PHONY: headers module tools install uninstall dkms-install dkms-remove deb packages-check
.PHONY: demo shell check bench bench-check coverage mutants stress soak kexec fuzz html lint dist deps clean help
