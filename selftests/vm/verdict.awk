# SPDX-License-Identifier: GPL-2.0-only
#
# Counts test cases in what kselftest's run_kselftest.sh printed: each line of
# a test program, indented by "# ", is a case; a program that prints no cases
# of its own is one. A plan that was announced and not kept is a failure.
# Prints "PASSED FAILED SKIPPED".

function count(line)
{
	if (line ~ /^not ok/)
		failed++
	else if (line ~ /# *SKIP/)
		skipped++
	else
		passed++
}

{ sub(/\r$/, "") }

# One program's cases.
/^# 1\.\.[0-9]+/ {
	plan += substr($2, 4)
}
/^# (not )?ok [0-9]+/ {
	cases++
	if (/^# not ok/)
		bad++
	count(substr($0, 3))
}

# The runner's plan, and its word on a whole program.
/^1\.\.[0-9]+/ {
	programs = substr($1, 4)
}
/^(not )?ok [0-9]+ / {
	seen++
	if (cases < plan && !/# *SKIP/) {
		failed += plan - cases
		bad++
	}
	if (!cases && !plan)
		count($0)
	else if (/^not ok/ && !bad)
		failed++	# all cases passed, and then it crashed
	cases = plan = bad = 0
}
/^vm: end 0$/ { ended = 1 }

END {
	# Programs that were to run and never came to an end; the rest of the
	# one that was cut short.
	if (plan > cases)
		failed += plan - cases - 1
	if (seen < programs)
		failed += programs - seen
	else if (!ended)
		failed++
	print passed + 0, failed + 0, skipped + 0
}
