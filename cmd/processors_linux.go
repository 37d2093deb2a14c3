package cmd

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lookEvery  = time.Second
	busyLooks  = 3    // in a row are no accident
	busyShare  = 0.97 // of the processor's time, or of one processor by this process alone
	statFields = 8    // of a processor in /proc/stat; what follows is a part of these
)

// stayTogether keeps this process on one processor, as a batch job, until apart is called or that processor is busy.
//
// The threads of a run hand over to each other several times a message: a reply wakes a worker, the worker the recorder, the recorder
// the worker. Spread over the processors, each time an idle one is woken and a cache is cold, and replies wait where the thread waits
// that polls for them, behind the server's if that is on the same machine. So the run is a batch job (SCHED_BATCH of sched(7): it has
// its share, but who is woken does not take the processor at once), and stays where it is until that processor has nothing left to
// give, which is at some thousand messages a second, or others want it. From then on it has all that it may use, as other programs do.
//
// A policy that somebody has chosen stays as it is, and so do the processors where GOMAXPROCS is set, one is allowed, or the kernel refuses. The
// policy is not undone.
func stayTogether(every time.Duration, busyOn func(cpu int) (busy func() bool)) (apart func()) {
	eachThread(func(id int) {
		if attr, err := unix.SchedGetAttr(id, 0); err == nil && attr.Policy == unix.SCHED_NORMAL {
			attr.Policy, attr.Runtime = unix.SCHED_BATCH, 0 // no slice of its own, though newer kernels tell of one
			_ = unix.SchedSetAttr(id, attr, 0)
		}
	})
	var all, one unix.CPUSet
	stat, _ := os.ReadFile("/proc/thread-self/stat")
	cpu, ok := parseProcessor(stat)
	if !ok || os.Getenv("GOMAXPROCS") != "" || unix.SchedGetaffinity(0, &all) != nil || all.Count() < 2 || !all.IsSet(cpu) {
		return func() {}
	}
	one.Set(cpu)
	move := func(to *unix.CPUSet) {
		eachThread(func(id int) { _ = unix.SchedSetaffinity(id, to) })
	}
	runtime.GOMAXPROCS(1) // first: the runtime would count the processors of a thread that was moved already
	move(&one)
	busy, end := busyOn(cpu), make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		defer move(&all) // also what a thread made while it was not moved yet
		defer runtime.SetDefaultGOMAXPROCS()
		defer move(&all)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for looks := 0; looks < busyLooks; {
			select {
			case <-end:
				return
			case <-ticker.C:
			}
			if looks++; !busy() {
				looks = 0
			}
		}
	})
	return func() {
		close(end)
		watching.Wait()
	}
}

// eachThread calls do for each thread of this process. A thread inherits from the one that made it: when a look finds none that is new,
// none is left out.
func eachThread(do func(id int)) {
	for done := map[int]bool{}; ; {
		found := false
		threads, _ := os.ReadDir("/proc/self/task")
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			done[id], found = true, true
			do(id)
		}
		if !found {
			return
		}
	}
}

// busyProcessor says at each call whether a processor was busy since the call before. Whether this process alone would have kept one
// busy is asked as well: in a container /proc/stat may number the processors otherwise.
func busyProcessor(cpu int) (busy func() bool) {
	look := func() (idle, total int64, own time.Duration, at time.Time) {
		stat, _ := os.ReadFile("/proc/stat")
		idle, total = parseIdle(stat, cpu)
		var r unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
		return idle, total, time.Duration(r.Utime.Nano() + r.Stime.Nano()), time.Now()
	}
	idle, total, own, at := look()
	return func() bool {
		i, t, o, now := look()
		busy := isBusy(i-idle, t-total, o-own, now.Sub(at))
		idle, total, own, at = i, t, o, now
		return busy
	}
}

// isBusy says whether a processor that had nothing to do for idle of total ticks, where this process was on one for own of passed, is busy.
func isBusy(idle, total int64, own, passed time.Duration) bool {
	return float64(idle) <= (1-busyShare)*float64(total) || float64(own) >= busyShare*float64(passed)
}

// parseProcessor is the processor that a thread was on last (proc_pid_stat(5)).
func parseProcessor(stat []byte) (cpu int, ok bool) {
	const first, processor = 3, 39 // fields; the second one, in brackets, may hold anything
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= processor-first {
		return 0, false
	}
	cpu, err := strconv.Atoi(string(fields[processor-first]))
	return cpu, err == nil
}

// parseIdle is how long a processor has had nothing to do but wait for a disk, and for how long that is counted, in ticks
// (proc_stat(5)); zeros for one that is not there.
func parseIdle(stat []byte, cpu int) (idle, total int64) {
	name := "cpu" + strconv.Itoa(cpu)
	for line := range bytes.Lines(stat) {
		fields := bytes.Fields(line)
		if len(fields) <= statFields || string(fields[0]) != name {
			continue
		}
		for i, field := range fields[1 : statFields+1] {
			n, err := strconv.ParseInt(string(field), 10, 64)
			if err != nil {
				return 0, 0
			}
			total += n
			if i == 3 || i == 4 { // idle, iowait
				idle += n
			}
		}
		return idle, total
	}
	return 0, 0
}
