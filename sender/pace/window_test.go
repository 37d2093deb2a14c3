package pace

import (
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := windowSize{most: 10, size: 10}
	after := func(d time.Duration, want int) {
		t.Helper()
		now = now.Add(d)
		if got := w.allowed(now); got != want {
			t.Errorf("%d connections are allowed, want %d", got, want)
		}
	}
	after(0, 10)
	w.refuse(4, now)
	w.refuse(4, now) // several were dialled at once
	after(0, 4)
	after(29*time.Second, 4)
	after(time.Second, 5)
	w.refuse(4, now)
	after(30*time.Second, 4)
	after(30*time.Second, 5) // it was let in
	after(59*time.Second, 5)
	after(time.Second, 6)
	w.refuse(0, now)
	after(0, 1)
	after(100*time.Hour, 2)
	after(0, 2)
}
