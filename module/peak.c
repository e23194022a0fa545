// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peaks: the highest value so far, and that of the last minute.
 *
 * Windows are numbered by jiffies. Where jiffies have 32 bits, the numbers jump when
 * they wrap, which forgets the earlier windows.
 */
#include <linux/kernel.h>

#include "peak.h"

/*
 * Keep the highest value of a window that has ended, in place of one more than
 * PEAK_WINDOWS old, and 0 for windows without a value. One CPU does this per window.
 */
static void keep_older(struct peak *peak, u64 newest, u32 window)
{
	u32 ended = newest >> 32;
	u32 skipped = min_t(u32, window - ended - 1, PEAK_WINDOWS);

	WRITE_ONCE(peak->older[ended % PEAK_WINDOWS], (u32)newest);
	while (skipped--)
		WRITE_ONCE(peak->older[++ended % PEAK_WINDOWS], 0);
}

/* The number of the current window. */
static u32 window_now(void)
{
	return jiffies / PEAK_WINDOW;
}

/**
 * peak_raise_slowly() - the part of peak_raise() that writes
 * @peak: the peak
 * @value: the value now
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
		/* Another CPU has begun the next window already. */
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
	/* Both are as high now, until the window ends or peak_reset(). */
	WRITE_ONCE(peak->floor, value);
	/*
	 * Pairs with peak_reset(): one of the two sees what the other did. And this
	 * CPU may have been held up beyond the end of the window.
	 */
	smp_mb();
	if (READ_ONCE(peak->highest) < value || window_now() != window)
		WRITE_ONCE(peak->floor, 0);
}

/**
 * peak_reset() - reset the highest value; that of the last minute stays
 * @peak: the peak
 * @value: the value now
 *
 * Context: any.
 */
void peak_reset(struct peak *peak, u32 value)
{
	WRITE_ONCE(peak->highest, value);
	/* peak_raise_slowly() writes the floor, and then reads the highest value. */
	smp_mb();
	WRITE_ONCE(peak->floor, 0);
}

/**
 * peak_window_end() - when the current window ends
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
 * peak_lately() - the highest value of the last minute
 * @peak: the peak
 *
 * Context: any.
 * Return: the highest value reached in the last 60 s; none that was last reached
 * more than 75 s ago counts.
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
