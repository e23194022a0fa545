#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh PART...: measures what the module costs on each of KERNELS.
# Status 3: nothing worse than a budget that is broken.

. "$(dirname "$0")/lib.sh"
. "$vm/kernels.sh"

status=0
names=$(kernels_named "${KERNELS:-$default_kernel}")
for name in $names; do
	one=0
	PARTS=${PARTS:-$*} "$vm/vm.sh" bench "$name" </dev/null || one=$?
	if [ "$one" -ne 0 ] && { [ "$status" -eq 0 ] || [ "$one" -ne 3 ]; }; then
		status=$one
	fi
done
exit "$status"
