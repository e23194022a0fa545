// SPDX-License-Identifier: GPL-2.0-only
/*
 * The most that there was of something.
 *
 * Windows are numbered by jiffies. Where these have 32 bits the numbers jump when
 * they wrap, and what was before that is forgotten.
 */
#include <linux/kernel.h>

#include "peak.h"

/*
 * A window has ended: what was the most in it is kept, where what is more than
 * PEAK_WINDOWS old has been, and that there was nothing in those skipped. One CPU
 * does this for a window.
 */
static void keep_older(struct peak *peak, u64 newest, u32 window)
{
	u32 ended = newest >> 32;
	u32 skipped = min_t(u32, window - ended - 1, PEAK_WINDOWS);

	WRITE_ONCE(peak->older[ended % PEAK_WINDOWS], (u32)newest);
	while (skipped--)
		WRITE_ONCE(peak->older[++ended % PEAK_WINDOWS], 0);
}

/* The number of the window that it is now. */
static u32 window_now(void)
{
	return jiffies / PEAK_WINDOW;
}

/**
 * peak_raise_slowly() - peak_raise(), where there is something to write
 * @peak: the peak
 * @value: so many
 *
 * Context: any.
 */
void peak_raise_slowly(struct peak *peak, u32 value)
{
	u32 window = window_now();
	u64 newest = atomic64_read(&peak->newest);
	u32 highest = READ_ONCE(peak->highest);
	u64 is64;
	u32 is;

	while (highest < value) {
		is = cmpxchg(&peak->highest, highest, value);
		if (is == highest)
			break;
		highest = is;
	}
	for (;;) {
		/* On another CPU, the next window has begun meanwhile. */
		if (newest >> 32 == (u32)(window + 1))
			window++;
		if (newest >> 32 == window && (u32)newest >= value)
			break;
		is64 = atomic64_cmpxchg(&peak->newest, newest,
					(u64)window << 32 | value);
		if (is64 == newest) {
			if (newest >> 32 != window)
				keep_older(peak, newest, window);
			break;
		}
		newest = is64;
	}
	/* Both are as high, and stay so until the window ends or a reset. */
	WRITE_ONCE(peak->floor, value);
	/*
	 * With that of peak_reset(): one of the two sees what the other does. And
	 * this CPU may have been elsewhere for a while.
	 */
	smp_mb();
	if (READ_ONCE(peak->highest) < value || window_now() != window)
		WRITE_ONCE(peak->floor, 0);
}

/**
 * peak_reset() - begin anew to look for the highest; what was lately stays
 * @peak: the peak
 * @value: how many there are now
 *
 * Context: any.
 */
void peak_reset(struct peak *peak, u32 value)
{
	WRITE_ONCE(peak->highest, value);
	/* Who raises it writes the floor, and looks for the highest next. */
	smp_mb();
	WRITE_ONCE(peak->floor, 0);
}

/**
 * peak_window_end() - when the window that it is ends
 *
 * Context: any.
 * Return: the time, in jiffies (32 bits).
 */
u32 peak_window_end(void)
{
	unsigned long now = jiffies;

	return now - now % PEAK_WINDOW + PEAK_WINDOW;
}

/**
 * peak_lately() - the most that there was in the last minute
 * @peak: the peak
 *
 * Context: any.
 * Return: the highest value that was reached in the last 60 s; none that was
 * last reached more than 75 s ago.
 */
u32 peak_lately(const struct peak *peak)
{
	u64 newest = atomic64_read(&peak->newest);
	u32 window = newest >> 32;
	u32 age = window_now() - window;
	u32 highest = newest;
	u32 i;

	if (age > PEAK_WINDOWS)
		return 0;
	for (i = 1; i <= PEAK_WINDOWS - age; i++)
		highest = max(highest,
			      READ_ONCE(peak->older[(window - i) % PEAK_WINDOWS]));
	return highest;
}
