// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer on listenq(8): every file that it reads and every output that it has.
 * An input is a command line, a terminal with keys that are pressed, and the files
 * (input.c has the format). What the sanitizers see ends the run, and so does an
 * output that is not what it should be (output.c).
 */

#include "fuzzer.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	folder_make();
	output_open();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input;
	int status;

	input_read(&input, data, size);
	status = tool_run(&input);
	output_judge(&input, status);
	input_free(&input);
	return 0;
}
