/* SPDX-License-Identifier: GPL-2.0-only */
/* The most that there was of something: since some moment, and lately. */
#ifndef LISTENQ_PEAK_H
#define LISTENQ_PEAK_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/types.h>

/*
 * Lately: in this window of time and the four before it. So a value is forgotten
 * 60 to 75 s after it was last reached.
 */
#define PEAK_WINDOW	(15 * HZ)
#define PEAK_WINDOWS	4

/**
 * struct peak - the most that there was
 * @newest: in the latest window in which there was a value: the window's number
 *	in the upper half, the value in the lower one
 * @older: in windows before that, by the window's number modulo PEAK_WINDOWS
 * @highest: since the start, or since peak_reset()
 * @floor: a value that is not above this changes nothing in this window
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
 * peak_raise() - there are so many now
 * @peak: the peak, in whose latest window the time still is
 * @value: so many
 *
 * Inline: the connection path does this.
 *
 * Context: any. Writes only what is a new peak, or the first value of a window.
 */
static __always_inline void peak_raise(struct peak *peak, u32 value)
{
	if (unlikely(value > READ_ONCE(peak->floor)))
		peak_raise_slowly(peak, value);
}

/* A window has ended: the next value is the first one of another. */
static inline void peak_turn(struct peak *peak)
{
	WRITE_ONCE(peak->floor, 0);
}

#endif /* LISTENQ_PEAK_H */
