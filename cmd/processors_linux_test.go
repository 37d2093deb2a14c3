package cmd

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A run is on one processor as a batch job, has all of them when that one is busy, and leaves them as they were. Where there is one only, or
// another policy was chosen, that stays.
func TestStayTogether(t *testing.T) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	policy := before.Policy
	if policy == unix.SCHED_NORMAL {
		policy = unix.SCHED_BATCH
	}
	t.Setenv("GOMAXPROCS", "")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runtime.SetDefaultGOMAXPROCS()
	procs := runtime.GOMAXPROCS(0)
	check := func(when string, processors, places int) {
		t.Helper()
		eachThread(func(id int) {
			var set unix.CPUSet
			attr, err := unix.SchedGetAttr(id, 0)
			if err != nil || unix.SchedGetaffinity(id, &set) != nil {
				return // it has ended
			}
			if set.Count() != processors || attr.Policy != policy {
				t.Errorf("%s: thread %d has %d processors and policy %d, want %d and %d", when, id, set.Count(), attr.Policy, processors, policy)
			}
		})
		if got := runtime.GOMAXPROCS(0); got != places {
			t.Errorf("%s: GOMAXPROCS=%d, want %d", when, got, places)
		}
	}
	watched := false
	never := func(int) func() bool {
		watched = true
		return func() bool { return false }
	}
	apart := stayTogether(time.Millisecond, never)
	time.Sleep(20 * time.Millisecond)
	check("together", 1, 1)
	apart()
	check("apart", all.Count(), procs)
	if several := all.Count() > 1; watched != several {
		t.Errorf("with %d processors it was watched how busy one is: %v", all.Count(), watched)
	}

	if watched {
		looks := make(chan bool)
		apart = stayTogether(time.Millisecond, func(int) func() bool { return func() bool { return <-looks } })
		for range busyLooks - 1 {
			looks <- true
		}
		looks <- false
		for range busyLooks - 1 {
			looks <- true
		}
		check("busy, but not for long", 1, 1)
		looks <- true
		apart()
		check("busy", all.Count(), procs)
	}

	t.Setenv("GOMAXPROCS", "2")
	defer stayTogether(time.Millisecond, never)()
	check("GOMAXPROCS was chosen", all.Count(), procs)
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

func TestIsBusy(t *testing.T) {
	tests := []struct {
		idle, total int64
		own, passed time.Duration
		want        bool
	}{
		{2, 100, 0, time.Second, true},
		{4, 100, 0, time.Second, false},
		{100, 100, 980 * time.Millisecond, time.Second, true}, // /proc/stat tells of another processor
		{100, 100, 900 * time.Millisecond, time.Second, false},
		{0, 0, 0, time.Second, true}, // nothing is told
	}
	for _, tt := range tests {
		if got := isBusy(tt.idle, tt.total, tt.own, tt.passed); got != tt.want {
			t.Errorf("idle %d of %d, own time %v of %v: busy %v, want %v", tt.idle, tt.total, tt.own, tt.passed, got, tt.want)
		}
	}
}

// It is set before there are threads, so that Go's own have it.
func TestTimerSlack(t *testing.T) {
	const want = 1_000_000 // nanoseconds
	if got, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || got != want {
		t.Errorf("timers may be late by %d ns, %v, want %d", got, err, want)
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
