package sink

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiter(t *testing.T) {
	for kind, want := range map[Kind][]int{ // taken of 4 tries each half second
		Bucket:     {2, 1, 1, 1},
		Connection: {2, 1, 1, 1},
		Fixed:      {2, 0, 2, 0},
		Sliding:    {2, 0, 2, 0},
		Warmup:     {2, 0, 3, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := NewLimiter(Rate{Limit: 2, Burst: 2, Kind: kind})
			for i, n := range want {
				got := 0
				for range 4 {
					if l.Allow() {
						got++
					}
				}
				if got != n {
					t.Errorf("%q, after %d halves of a second: %d, want %d", kind, i, got, n)
				}
				time.Sleep(500 * time.Millisecond)
			}
		})
	}
}
