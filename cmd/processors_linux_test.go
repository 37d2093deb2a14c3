package cmd

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A run is on one processor as a batch job, has all of them when that one is busy, and leaves them as they were.
func TestStayTogether(t *testing.T) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil || all.Count() < 2 {
		t.Skip("there is one processor only")
	}
	if attr, err := unix.SchedGetAttr(0, 0); err != nil || attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		t.Skip("the scheduling policy was chosen")
	}
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	check := func(when string, n int) {
		t.Helper()
		eachThread(func(id int) {
			var set unix.CPUSet
			attr, err := unix.SchedGetAttr(id, 0)
			if err != nil || unix.SchedGetaffinity(id, &set) != nil {
				return // it has ended
			}
			if set.Count() != n || attr.Policy != unix.SCHED_BATCH {
				t.Errorf("%s: thread %d has %d processors with policy %d, want %d", when, id, set.Count(), attr.Policy, n)
			}
		})
		if got := runtime.GOMAXPROCS(0); (got == 1) != (n == 1) && all.Count() == runtime.NumCPU() {
			t.Errorf("%s: GOMAXPROCS=%d", when, got)
		}
	}
	t.Setenv("GOMAXPROCS", "")
	never := func(int) func() bool { return func() bool { return false } }
	apart := stayTogether(time.Millisecond, never)
	time.Sleep(20 * time.Millisecond)
	check("together", 1)
	apart()
	check("apart", all.Count())

	looks := make(chan bool)
	apart = stayTogether(time.Millisecond, func(int) func() bool { return func() bool { return <-looks } })
	for range busyLooks - 1 {
		looks <- true
	}
	looks <- false
	for range busyLooks - 1 {
		looks <- true
	}
	check("busy, but not for long", 1)
	looks <- true
	apart()
	check("busy", all.Count())

	t.Setenv("GOMAXPROCS", "2")
	defer stayTogether(time.Millisecond, never)()
	check("GOMAXPROCS was chosen", all.Count())
}

// A processor that nothing is known of is busy; of one that is known, its time with nothing to do is read.
func TestBusyProcessor(t *testing.T) {
	busy := busyProcessor(1 << 20) // which is not there, so that only the process is looked at
	if !busy() {
		t.Error("a processor that nothing is known of counts as one that has something to give")
	}
	idle, total := parseIdle([]byte("cpu  9 9 9 9 9 9 9 9 9 9\ncpu10 1 1 1 1 1 1 1 1 0 0\ncpu1 10 20 30 400 50 6 7 8 9 10\nintr 5 6\n"), 1)
	if idle != 450 || total != 531 {
		t.Errorf("idle %d of %d, want 450 of 531", idle, total)
	}
	for _, stat := range []string{"", "cpu1 10 20 30\n", "cpu1 10 20 30 x 50 6 7 8 9 10\n", "cpu10 10 20 30 400 50 6 7 8 9 10\n"} {
		if idle, total := parseIdle([]byte(stat), 1); idle != 0 || total != 0 {
			t.Errorf("%q: idle %d of %d", stat, idle, total)
		}
	}
}

func TestParseProcessor(t *testing.T) {
	tests := []struct {
		stat string
		cpu  int
		ok   bool
	}{
		{"71 (mailblast) S 1 71 71 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 17 5 0 0\n", 5, true},
		{"71 (a) b (9 9) S 1 71 71 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 17 1023\n", 1023, true},
		{"71 (mailblast) S 1 71 71 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 17\n", 0, false},
		{"71 (mailblast) S 1 71 71 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 17 x 0 0\n", 0, false},
		{"", 0, false},
	}
	for _, tt := range tests {
		if cpu, ok := parseProcessor([]byte(tt.stat)); cpu != tt.cpu || ok != tt.ok {
			t.Errorf("%q: processor %d, %v, want %d, %v", tt.stat, cpu, ok, tt.cpu, tt.ok)
		}
	}
}
