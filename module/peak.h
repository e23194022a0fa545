/* SPDX-License-Identifier: GPL-2.0-only */
/* Peaks: the highest value so far, and that of the last minute. */
#ifndef LISTENQ_PEAK_H
#define LISTENQ_PEAK_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/types.h>

/*
 * The last minute is the current window and the PEAK_WINDOWS before it. So a value
 * is forgotten 60 to 75 s after it was last reached.
 */
#define PEAK_WINDOW	(15 * HZ)
#define PEAK_WINDOWS	4

/**
 * struct peak - the highest values
 * @newest: in the latest window with a value: the window's number in the upper half,
 *	its highest value in the lower half
 * @older: highest values of earlier windows, by the window's number modulo
 *	PEAK_WINDOWS
 * @highest: highest value since the start, or since peak_reset()
 * @floor: a value up to this changes nothing in the current window
 *
 * Any context raises it, without a lock.
 */
struct peak {
	atomic64_t newest;
	u32 older[PEAK_WINDOWS];
	u32 highest;
	u32 floor;
};

void peak_raise_slowly(struct peak *peak, u32 value);
u32 peak_window_end(void);
u32 peak_lately(const struct peak *peak);
void peak_reset(struct peak *peak, u32 value);

/**
 * peak_window_has_ended() - whether a window has ended
 * @end: from peak_window_end()
 *
 * Context: any.
 */
static __always_inline bool peak_window_has_ended(u32 end)
{
	return (s32)((u32)jiffies - end) >= 0;
}

/**
 * peak_raise() - raise a peak, if the value is higher
 * @peak: the peak; peak_turn() has been called if its window has ended
 * @value: the value now
 *
 * Inline, for the connection path.
 *
 * Context: any. Writes only for a new peak or the first value of a window.
 */
static __always_inline void peak_raise(struct peak *peak, u32 value)
{
	if (unlikely(value > READ_ONCE(peak->floor)))
		peak_raise_slowly(peak, value);
}

/* Begin a new window, in which the next value is the first. */
static inline void peak_turn(struct peak *peak)
{
	WRITE_ONCE(peak->floor, 0);
}

#endif /* LISTENQ_PEAK_H */
