package cmd

// Go's monitor thread sleeps for 20 µs at a time while a run calls C, which the kernel makes 70 of: with nothing to do it took a tenth of
// the processor time of a run. The kernel wakes it later if it is told so before there are threads, which is before Go code runs.
// It makes the timers of this process late by a millisecond at most, which is what Go's own are counted in when it waits.

// #include <sys/prctl.h>
//
// static void __attribute__((constructor)) slack(void)
// {
// 	prctl(PR_SET_TIMERSLACK, 1000000UL, 0, 0, 0); // nanoseconds
// }
import "C"
