package sqlite

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// bootID names this start of the machine, so that what was written before a reboot can be told from what was written since:
// a power cut takes what was not synced, the death of a process does not. It is "" where the system has no such name.
//
// Linux has a number for it, and so has macOS. Elsewhere it is the time of the start, which is reckoned from the clock
// of now.

// bootTimeError is how far apart the times of one start may be, as the clock is set right meanwhile. A machine does not
// start twice in that time.
const bootTimeError = 10 * time.Second

const startPrefix = "at:"

// bootTime is a bootID made of the time of the start.
func bootTime(t time.Time) string { return fmt.Sprint(startPrefix, t.Unix()) }

// sameBoot reports whether two bootIDs name the same start of the machine, as far as anybody can tell. If it is wrong
// about that after the clock was set, what was claimed counts as in doubt, and nothing worse.
func sameBoot(a, b string) bool {
	x, okX := startOf(a)
	y, okY := startOf(b)
	if okX && okY {
		return x.Sub(y).Abs() <= bootTimeError
	}
	return a != "" && a == b
}

func startOf(id string) (t time.Time, ok bool) {
	seconds, ok := strings.CutPrefix(id, startPrefix)
	if !ok {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	return time.Unix(n, 0), err == nil
}
