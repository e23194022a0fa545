# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Boots OUT/vmlinuz and OUT/initramfs in QEMU and judges the kernel's log.

# accelerator: of this machine's processors for one of $arch.
accelerator()
{
	if [ -n "$icount" ]; then
		echo icount
	elif [ "$arch" = amd64 ] && has_kvm; then
		echo kvm
	else
		echo tcg
	fi
}

# emulated: has $qemu run what make_emulator has unpacked: by its own loader, with its
# own libraries and firmware.
emulated()
{
	local usr=$cache/$emulator/usr lib

	make_emulator
	lib=$usr/lib/x86_64-linux-gnu
	export QEMU_MODULE_DIR=$lib/qemu
	qemu=("$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$usr/bin/${qemu[0]}"
		-L "$usr/share/qemu" -L "$usr/share/seabios" "${qemu[@]:1}")
}

# settings: those of the test programs, for their environment.
settings()
{
	env | sed -n 's/^LISTENQ_\(SEED\|LOADS\|SECONDS\|QUICK\)=./&/p'
}

# boot NAME MODE OUT [OPTION]...: with $memory MB and $processors, or with one
# whose clock counts instructions where $icount is not empty. Where $disk is not
# empty, the initramfs hands over to the systemd that is on it. The console goes
# to $console_log, by default OUT/console.log, the verdict port to stdout. In mode
# shell the console is the terminal's. OPTION is for QEMU, VM_APPEND for the kernel.
boot()
{
	local name=$1 mode=$2 out=$3 accel append status=0
	local limit=${VM_TIMEOUT:-900} log=${console_log:-$3/console.log}
	local qemu console verdict channel

	accel=$(accelerator)
	architecture "$arch"
	if [ "$accel" = kvm ]; then
		need "${qemu[0]}"
	else
		emulated
	fi
	# Where QEMU walks page tables, a fifth level costs a quarter of a VM's time,
	# and copying by one instruction that it carries out byte by byte a tenth.
	case $arch-$accel in
	amd64-kvm) qemu+=(-cpu host -accel kvm) ;;
	amd64-tcg) qemu+=(-cpu "max,-la57,-erms,-fsrm") ;;
	amd64-icount) qemu+=(-cpu max) ;;
	esac
	case $accel in
	# The clock counts instructions, a nanosecond each; waiting takes none.
	icount) qemu+=(-accel tcg -icount 'shift=0,sleep=off' -smp 1) ;;
	# Its processors take turns: VMs run side by side, and with a thread for each
	# processor they take a quarter more of this machine's.
	tcg) qemu+=(-accel "tcg,thread=single" -smp "$processors") ;;
	kvm) qemu+=(-smp "$processors") ;;
	esac
	append="console=$console ignore_loglevel printk.devkmsg=on"
	append+=" panic_on_warn=1 oops=panic panic=-1 softlockup_panic=1"
	# Both are tried for a moment at boot, in which a VM that is short of processor
	# time sees no tick, or takes its TSC for five times slower than it is.
	[ "$arch" != amd64 ] || append+=" no_timer_check"
	[ "$arch-$accel" != amd64-tcg ] || append+=" clocksource=hpet"
	# There is nothing to be protected; where it is emulated it costs another tenth.
	[ "$accel" != tcg ] || append+=" mitigations=off"
	# tomoyo would take a socket's lock before listen() asks for it, where
	# tests want it to wait.
	append+=" lsm=apparmor"
	append+=" vm_mode=$mode vm_verdict=$verdict vm_tests=\"${TESTS:-}\""
	append+=" vm_limit=$limit"
	append+=" $cmdline ${VM_APPEND:-} $(settings)"
	if [ -n "$disk" ]; then
		append+=" vm_disk=/dev/vda systemd.wants=selftests.service"
		# Caches are not rebuilt, drivers not looked for: nothing needs them.
		append+=" systemd.condition_needs_update=no"
		append+=" systemd.mask=systemd-udev-trigger.service"
		qemu+=(-drive "file=$disk,format=raw,if=virtio,readonly=on")
	fi
	qemu+=(-nodefaults -no-user-config -display none -no-reboot
		-m "$memory" -kernel "$out/vmlinuz" -initrd "$out/initramfs" "${@:4}")

	if [ "$mode" = shell ]; then
		limit=infinity
		append=${append/ignore_loglevel/loglevel=4}
		append+=" vm_size=$(stty size 2>/dev/null | tr ' ' x || :)"
		append+=" vm_term=${TERM:-} vm_locale=$user_locale"
		qemu+=(-chardev "stdio,id=console,mux=on,signal=off,logfile=$log"
			-mon chardev=console -serial chardev:console)
	else
		qemu+=(-chardev "stdio,id=verdict,signal=off"
			-serial "file:$log" "${channel[@]}")
	fi
	say "$name: booting in QEMU ($accel$(
		[ "$accel" != tcg ] || echo ', emulated: no usable KVM'))"
	timeout --foreground -k 5 "$limit" "${qemu[@]}" -append "$append" ||
		status=$?
	[ "$status" -ne 124 ] || say "$name: the VM was stopped after $limit s"
	return "$status"
}

# patterns FILE: without comments and blank lines, which grep would match.
patterns()
{
	grep -vE '^[[:space:]]*(#|$)' "$1"
}

# own_frames LOG: without what an interrupt has interrupted, further down on a
# stack that KCSAN prints: that has nothing to do with the race. And without the stack
# of whoever met the limit of a memory cgroup: tests do that on purpose.
own_frames()
{
	awk '
		/BUG: KCSAN:/ { report = 1 }
		/Reported by Kernel Concurrency Sanitizer/ || /^\[[^]]*\][[:space:]]*$/ { below = 0 }
		/Reported by Kernel Concurrency Sanitizer/ { report = 0 }
		/ invoked oom-killer: / { limit = 1 }
		/oom-kill:constraint=|no killable processes/ { limit = 0 }
		!below && !limit
		report && / asm_(sysvec|exc|common)_/ { below = 1 }' "$1"
}

# judge_log LOG: fails, and shows why, when the kernel said what it may not,
# and when that can't be known.
judge_log()
{
	local log=$1 deny allow found why=''

	if ! deny=$(patterns "$vm/log-deny") || ! allow=$(patterns "$vm/log-allow"); then
		die "no patterns in $vm/log-deny or log-allow: restore them with git"
	fi
	if [ ! -s "$log" ]; then
		why='the kernel log is empty'
	elif found=$(own_frames "$log" | grep -aE "$deny" | grep -avE "$allow"); then
		why="the kernel log has: $(head -n 1 <<<"$found" | tr -d '\r')"
	elif ! grep -aq 'vm: end' "$log"; then
		why='the kernel log is cut short'
	fi
	[ -n "$why" ] || return 0
	printf '# %s; the end of %s:\n' "$why" "$log"
	[ ! -e "$log" ] || tail -n 40 "$log" | tr -d '\r' | sed 's/^/#   /'
	return 1
}
