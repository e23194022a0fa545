# SPDX-License-Identifier: GPL-2.0-only
#
# Changes one thing in a C file of the module's: mutants.sh says what for.
#
#	awk -f mutate.awk FILE			prints how many changes there are
#	awk -v number=N -f mutate.awk FILE	prints the file with the Nth of them
#
# What may change is in the bodies of functions, and in the values of macros that are
# constants: an operator, a constant, an operand
# of && and ||, a condition, a branch of ?:, what is returned, a statement. Comments,
# strings, the preprocessor's other lines and declarations are left alone, and so are
# calls that lock, order, wait for what is under way, or free: one run of the tests can't
# tell that such a call is gone.

# change(FROM, LENGTH, TEXT): notes one. It keeps the lines that it covers, since their
# numbers are in the object code.
function change(from, len, text,	old, lines)
{
	old = substr(file, from, len)
	lines = gsub(/\n/, "\n", old) - gsub(/\n/, "\n", text)
	while (lines-- > 0)
		text = text "\n"
	count++
	if (count == number)
		changed = substr(file, 1, from - 1) text substr(file, from + len)
}

# spaces(FROM, END): code loses what stands there, but for the ends of lines.
function spaces(from, end,	part)
{
	part = substr(code, from, end - from)
	gsub(/[^\n]/, " ", part)
	code = substr(code, 1, from - 1) part substr(code, end)
}

# find_end(FROM): where a comment, a string or a character ends.
function find_end(from,		two, i, c)
{
	two = substr(file, from, 2)
	if (two == "//")
		return from + match(substr(file, from), /\n/) - 1
	if (two == "/*")
		return from + index(substr(file, from), "*/") + 1
	for (i = from + 1; i <= size; i++) {
		c = substr(file, i, 1)
		if (c == "\\")
			i++
		else if (c == substr(two, 1, 1))
			return i + 1
	}
	return i
}

# skim(): code becomes the file without what is left alone; each of its characters has
# the place that it has in the file.
function skim(		i, c, end, lines, n, at, line, inside, continued, listed)
{
	code = file
	for (i = 1; i <= size; i++) {
		c = substr(file, i, 1)
		if (c == "\"" || c == "'" || c == "/" && substr(file, i + 1, 1) ~ /[\/*]/) {
			end = find_end(i)
			# A string is an operand all the same.
			if (c == "/")
				spaces(i, end)
			else
				spaces(i + 1, end - 1)
			i = end - 1
		}
	}
	n = split(code, lines, "\n")
	at = 1
	for (i = 1; i <= n; i++) {
		line = lines[i]
		if (line ~ /^\{/)
			inside = 1
		if (line ~ /^\}/)
			inside = 0
		if (line ~ /^\t+static / && inside)
			listed = 1
		if (match(line, /^#define [A-Z0-9_]+[ \t]+/) && line !~ /\\$/)
			spaces(at, at + RLENGTH)
		else if (!inside || line ~ /^[ \t]*#/ || continued || listed || is_declaration(line))
			spaces(at, at + length(line))
		continued = (line ~ /^[ \t]*#/ || continued) && line ~ /\\$/
		if (listed && line ~ /;$/)
			listed = 0
		at += length(line) + 1
	}
}

# is_declaration(LINE): one that gives no value.
function is_declaration(line)
{
	return line ~ /^\t+(const |struct |enum |union |unsigned )*[a-z_][a-z0-9_]* (const )?\**[a-z_][a-z0-9_]*(\[[^\]]*\])*(, \**[a-z_][a-z0-9_]*(\[[^\]]*\])*)*;$/ &&
		line !~ /^\t+(return|goto) /
}

# right(FROM, ALL): where an operand that begins there ends; ALL: of ?:.
function right(from, all,	i, c, depth)
{
	for (i = from; i <= size; i++) {
		c = substr(code, i, 1)
		if (c ~ /[([{]/)
			depth++
		else if (c ~ /[])}]/ && depth-- == 0)
			return i
		else if (!depth && (c ~ /[;,?:]/ || !all && substr(code, i, 2) ~ /^(&&|\|\|)$/))
			return i
	}
	return i
}

# left(END, ALL): where an operand that ends there begins.
function left(end, all,		i, c, depth)
{
	for (i = end - 1; i > 0; i--) {
		c = substr(code, i, 1)
		if (c ~ /[])}]/)
			depth++
		else if (c ~ /[([{]/ && depth-- == 0)
			break
		else if (!depth && (c ~ /[;,?:]/ ||
				    !all && substr(code, i - 1, 2) ~ /^(&&|\|\|)$/ ||
				    c == "=" && substr(code, i - 1, 3) !~ /[=!<>]=|==$/ ||
				    c ~ /[ \t]/ && substr(code, i - 6, 6) ~ /[^a-z_]?return$/))
			break
	}
	return i + match(substr(code, i + 1), /[^ \t\n]/)
}

# matching(FROM): where the parenthesis closes that opens there.
function matching(from,		i, c, depth)
{
	for (i = from; i <= size; i++) {
		c = substr(code, i, 1)
		if (c == "(")
			depth++
		else if (c == ")" && --depth == 0)
			return i
	}
	return 0
}

# logical(AT): && or ||.
function logical(at,	end, from)
{
	change(at, 2, substr(code, at, 2) == "&&" ? "||" : "&&")
	end = right(at + 2, 0)
	from = at
	while (substr(code, from - 1, 1) ~ /[ \t\n]/)
		from--
	change(from, end - from, "")
	from = left(at, 0)
	end = at + 1 + match(substr(code, at + 2), /[^ \t\n]/)
	change(from, end - from, "")
}

# either(AT): a ? and its two branches.
function either(at,	from, colon, end)
{
	from = left(at, 1)
	colon = right(at + 1, 1)
	if (substr(code, colon, 1) != ":")
		return
	end = right(colon + 1, 1)
	change(from, end - from, trim(substr(file, at + 1, colon - at - 1)))
	change(from, end - from, trim(substr(file, colon + 1, end - colon - 1)))
}

function trim(text)
{
	sub(/^[ \t\n]+/, "", text)
	sub(/[ \t\n]+$/, "", text)
	return text
}

# word(AT, WORD)
function word(at, name,		open, end, value)
{
	if (name == "if") {
		open = at + index(substr(code, at), "(") - 1
		end = matching(open)
		change(open, end - open + 1, "(!" substr(file, open, end - open + 1) ")")
	} else if (name == "true" || name == "false") {
		change(at, length(name), name == "true" ? "false" : "true")
	} else if (name == "break" || name == "continue") {
		change(at, length(name), name == "break" ? "continue" : "break")
	} else if (name == "return") {
		end = right(at + 6, 1)
		while (substr(code, end, 1) != ";" && end < size)
			end = end + 1
		value = trim(substr(file, at + 6, end - at - 6))
		if (value !~ /^(|-?[0-9]+|true|false|NULL)$/)
			change(at, end - at, "return 0")
	}
}

# number_of(AT): the next one.
function number_of(at,	text, digits)
{
	match(substr(code, at, 40), /^(0[xX][0-9a-fA-F]+|[0-9]+)[uUlL]*/)
	text = substr(code, at, RLENGTH)
	digits = text
	sub(/[uUlL]+$/, "", digits)
	if (digits ~ /^0./)
		change(at, length(text), "(" text " + 1)")
	else
		change(at, length(text), digits + 1 substr(text, length(digits) + 1))
	return length(text)
}

# statement(AT): one that begins there, if it is an expression.
function statement(at,	text, i, c, depth, before)
{
	text = substr(code, at, 200)
	if (text !~ /^[*(]*[A-Za-z_][A-Za-z0-9_]*(\(|\.|->|\[|\+\+|--| ([-+*\/|&^%]|<<|>>)?= )/ &&
	    text !~ /^(\+\+|--)/)
		return
	if (text ~ /^([a-z_]*_(un)?lock(_[a-z]*)?|smp_[a-z_]*|rcu_[a-z_]*|synchronize_[a-z_]*|[a-z_]*_sync|kv?free|free_percpu|preempt_[a-z_]*|local_(bh|irq)_[a-z]*|cond_resched|might_sleep|lockdep_[a-z_]*|prefetch[a-z]*|barrier|unroll_loop|WARN[A-Z_]*|BUILD_[A-Z_]*|static_assert)\(/)
		return
	for (i = at - 1; i > 0 && substr(code, i, 1) ~ /[ \t\n]/; i--)
		;
	before = substr(code, i, 1)
	if (before !~ /[;{}):]/ && substr(code, i - 3, 4) != "else")
		return
	for (i = at; i <= size; i++) {
		c = substr(code, i, 1)
		if (c == "{" && !depth)
			return
		if (c ~ /[([{]/)
			depth++
		else if (c ~ /[])}]/)
			depth--
		else if (c == ";" && !depth)
			break
	}
	change(at, i - at, "")
}

function all_changes(	i, c, two, three, text, spaced, first, line)
{
	first = line = 1
	for (i = 1; i <= size; i++) {
		c = substr(code, i, 1)
		if (c == "\n") {
			first = 1
			line = i + 1
		}
		if (c ~ /[ \t\n]/)
			continue
		if (first && substr(file, line, 1) != "#")
			statement(i)
		first = 0
		two = substr(code, i, 2)
		three = substr(code, i, 3)
		spaced = substr(code, i - 1, 3) ~ /^ .[ \n]$/
		if (c ~ /[A-Za-z_]/) {
			match(substr(code, i, 80), /^[A-Za-z0-9_]+/)
			text = substr(code, i, RLENGTH)
			word(i, text)
			i += length(text) - 1
		} else if (c ~ /[0-9]/) {
			i += number_of(i) - 1
		} else if (three == "<<=" || three == ">>=") {
			i += 2
		} else if (two in other) {
			if (two == "&&" || two == "||")
				logical(i)
			else if (other[two] != "")
				change(i, 2, other[two])
			i++
		} else if (c == "?") {
			either(i)
		} else if (c == "!") {
			if (substr(code, i - 4, 4) != "if (")
				change(i, 1, "")
		} else if (c == "<" || c == ">") {
			change(i, 1, c "=")
		} else if (spaced && c in other) {
			change(i, 1, other[c])
		}
	}
}

BEGIN {
	n = split("<= < >= > == != != == << >> >> << ++ -- -- ++ += -= -= += |= &= &= |= + - - + * / / * & | | & % /", pair, " ")
	for (i = 1; i < n; i += 2)
		other[pair[i]] = pair[i + 1]
	other["->"] = ""
	other["&&"] = other["||"] = "both"
}

{ file = file $0 "\n" }

END {
	size = length(file)
	skim()
	all_changes()
	if (number)
		printf "%s", changed
	else
		print count + 0
}
