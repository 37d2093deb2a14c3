//go:build unix

package sqlite

import (
	"math"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailblast/store"
	"mailblast/store/storetest"
)

func BenchmarkLoad(b *testing.B) {
	s := open(b)
	l := acquire(b, s, "test")
	next := storetest.List(b.N)
	b.ReportAllocs()
	if _, err := l.Load(b.Context(), storetest.Snapshot, false, next); err != nil {
		b.Fatal(err)
	}
}

// The worst order for the index: the rows come as if shuffled.
func BenchmarkLoadOrdered(b *testing.B) {
	s := open(b)
	l := acquire(b, s, "test")
	next := storetest.List(b.N)
	i := 0.0
	b.ReportAllocs()
	snap := storetest.Snapshot
	snap.Order, snap.Rank = "score", func([]string) float64 { i += 0.6180339887; return i - math.Floor(i) }
	if _, err := l.Load(b.Context(), snap, false, next); err != nil {
		b.Fatal(err)
	}
}

// A row's whole life in groups of ten: claim, begin, finish. Beside the time it prints what of it is the processor's.
func BenchmarkDrain(b *testing.B) {
	_, l := loaded(b, b.N)
	b.ReportAllocs()
	before := processorTime(b)
	b.ResetTimer()
	var finish []store.Outcome
	for {
		jobs := claim(b, l, 100)
		if len(jobs) == 0 {
			break
		}
		for group := range slices.Chunk(jobs, 10) {
			record(b, l, group, finish...)
			finish = finish[:0]
			for _, j := range group {
				finish = append(finish, store.Outcome{Job: j, State: store.Sent, Code: 250, Status: "2.0.0", Text: "Ok: queued as 4ABCDEF", Server: "mx.example.com"})
			}
		}
	}
	record(b, l, nil, finish...)
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// processorTime is what this process has used, in user mode and in the kernel.
func processorTime(b *testing.B) time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
