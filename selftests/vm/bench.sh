#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh PART...: measures what the module costs on each of KERNELS. Fails
# when a budget is broken.

. "$(dirname "$0")/lib.sh"
. "$vm/kernels.sh"

status=0
for name in $(kernels_named "${KERNELS:-$default_kernel}"); do
	PARTS=${PARTS:-$*} "$vm/vm.sh" bench "$name" </dev/null || status=1
done
exit "$status"
