package sink

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A Kind is how a [Rate] counts.
type Kind string

// The kinds of rates.
const (
	Bucket     Kind = ""           // N may come at once, and are made good evenly
	Fixed      Kind = "fixed"      // N in every full second, minute or hour
	Sliding    Kind = "sliding"    // N in any second, minute or hour
	Connection Kind = "connection" // a bucket for each connection
	Warmup     Kind = "warmup"     // N in the first second, minute or hour from the first message on, and half as many again in each one after it
)

// A Limiter says whether one more message is taken now.
type Limiter interface{ Allow() bool }

// NewLimiter makes the limiter of a rate.
func NewLimiter(r Rate) Limiter {
	per := time.Duration(float64(r.Burst) / float64(r.Limit) * float64(time.Second))
	switch r.Kind {
	case Fixed, Sliding:
		return &window{n: r.Burst, per: per, fixed: r.Kind == Fixed}
	case Warmup:
		return &warmup{n: r.Burst, per: per}
	}
	return rate.NewLimiter(r.Limit, r.Burst)
}

// A window takes n messages in every time of that length.
type window struct {
	n     int
	per   time.Duration
	fixed bool

	mu    sync.Mutex
	taken []time.Time // in the window; guarded by mu
}

func (w *window) Allow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	old := func(t time.Time) bool { return now.Sub(t) >= w.per }
	if w.fixed {
		old = func(t time.Time) bool { return !t.Truncate(w.per).Equal(now.Truncate(w.per)) }
	}
	for len(w.taken) > 0 && old(w.taken[0]) {
		w.taken = w.taken[1:]
	}
	if len(w.taken) >= w.n {
		return false
	}
	w.taken = append(w.taken, now)
	return true
}

// A warmup takes n messages in a time of that length from the first one on, and half as many again in each one after
// it.
type warmup struct {
	per time.Duration

	mu    sync.Mutex
	n     int       // guarded by mu, like all below
	since time.Time // the time that runs began
	taken int       // in it
}

func (w *warmup) Allow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.since.IsZero() {
		w.since = now
	}
	for ; now.Sub(w.since) >= w.per; w.since = w.since.Add(w.per) {
		w.n, w.taken = min(w.n+(w.n+1)/2, math.MaxInt32), 0
	}
	if w.taken >= w.n {
		return false
	}
	w.taken++
	return true
}
