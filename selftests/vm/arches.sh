# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # read by the scripts that source this
#
# The architectures that listenq is tested on, one short description each.

# architecture ARCH: of what Debian calls ARCH, sets
#   karch	what the kernel calls it
#   triplet	what the compiler calls it
#   cross	the prefix of the compiler's name; empty where it is the build machine's
#   emulator	Debian 13's package of its QEMU
#   qemu	QEMU's command, and the machine
#   console	the kernel's name of the first serial port
#   verdict	the kernel's name of the port that the verdict comes from
#   channel	QEMU's options for that port, whose chardev is "verdict"
architecture()
{
	# The same wherever there is PCI.
	channel=(-device 'pci-serial,chardev=verdict')
	case $1 in
	amd64)
		karch=x86_64 triplet=x86_64-linux-gnu emulator=qemu-system-x86
		qemu=(qemu-system-x86_64 -machine pc)
		console=ttyS0 verdict=ttyS1 channel=(-serial chardev:verdict)
		;;
	arm64)
		karch=arm64 triplet=aarch64-linux-gnu emulator=qemu-system-arm
		qemu=(qemu-system-aarch64 -machine virt -cpu cortex-a57)
		console=ttyAMA0 verdict=ttyS0
		;;
	riscv64)
		karch=riscv triplet=riscv64-linux-gnu emulator=qemu-system-riscv
		qemu=(qemu-system-riscv64 -machine virt)
		console=ttyS0 verdict=ttyS1
		;;
	s390x)
		karch=s390 triplet=s390x-linux-gnu emulator=qemu-system-s390x
		qemu=(qemu-system-s390x -machine s390-ccw-virtio)
		console=ttysclp0 verdict=hvc0
		channel=(-device virtio-serial-ccw -device 'virtconsole,chardev=verdict')
		;;
	esac
	cross=$triplet-
	[ "$1" != amd64 ] || cross=''
}
