/** The wall clock, which people and time servers set. */

/**
 * Whether less than `ms` lie between now and a moment that `Date.now()` or a file system told. One in the future doesn't last
 * until then: the clock was set back since.
 */
export const isRecent = (at: number, ms: number): boolean => Math.abs(Date.now() - at) < ms;
