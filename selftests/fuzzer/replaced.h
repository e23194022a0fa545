/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included by the compiler before each file of the tool: what surroundings.c takes
 * the place of, so that the tool ends where the fuzzer goes on, and finds a
 * terminal, a clock and keys that an input decides on.
 */
#define main		tool_main
#define exit		tool_exit
#define poll		tool_poll
#define ppoll		tool_ppoll
#define raise		tool_raise
#define nanosleep	tool_nanosleep
#define isatty		tool_isatty
#define clock_gettime	tool_clock_gettime
#define setlocale	tool_setlocale
#define newterm		tool_newterm
#define delscreen	tool_delscreen
#define wgetch		tool_wgetch
