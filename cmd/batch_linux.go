package cmd

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// batch tells the kernel that this process is a batch job, as SCHED_BATCH of sched(7): it has its share of the processors, but whoever
// it hands something to does not lose its place to it at each wake-up. The threads of a run wake each other several times a
// message; so more is there to do when one of them gets its turn, for a fifth less processor time. New threads take after the one
// that made them. Where somebody has chosen another policy, or the kernel refuses, everything stays as it is.
func batch() {
	for done := map[int]bool{}; ; {
		found := false
		threads, _ := os.ReadDir("/proc/self/task")
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			done[id], found = true, true
			if attr, err := unix.SchedGetAttr(id, 0); err == nil && attr.Policy == unix.SCHED_NORMAL {
				attr.Policy = unix.SCHED_BATCH
				_ = unix.SchedSetAttr(id, attr, 0)
			}
		}
		if !found { // nor did one that was not asked yet make another meanwhile
			return
		}
	}
}
