package pace

import (
	"sync"
	"time"
)

// A Window says how many connections a server lets in. One that refuses a further connection has as many as it lets in; once in a while one
// more is tried. All goroutines may use it.
type Window struct {
	mu     sync.Mutex
	conns  windowSize
	inside int // workers that may have a connection
}

// NewWindow lets in so many workers at most. found is how many the server let in before; 0: not known.
func NewWindow(most, found int, now time.Time) *Window {
	w := &Window{conns: windowSize{most: most, size: most}}
	if found > 0 && found < most {
		w.conns = windowSize{most: most, size: found, step: stepMin, next: now.Add(stepMin)}
	}
	return w
}

// Enter lets in one more worker, if there may be one.
func (w *Window) Enter(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inside >= w.conns.allowed(now) {
		return false
	}
	w.inside++
	return true
}

// Refuse puts out a worker whose connection the server refused: it lets in no more than those that are left.
func (w *Window) Refuse(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inside--
	w.conns.refuse(w.inside, now)
}

// Found is how many connections the server lets in; 0: as many as were asked for.
func (w *Window) Found() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns.size == w.conns.most {
		return 0
	}
	return w.conns.size
}

// A windowSize is the arithmetic of a Window: the caller says what time it is.
type windowSize struct {
	most, size int
	step       time.Duration // until one more is tried; doubled each time that it is refused
	next       time.Time     // when it is
}

const (
	stepMin  = 30 * time.Second
	stepMost = 30 * time.Minute
)

// allowed is how many connections may be open.
func (w *windowSize) allowed(now time.Time) int {
	if w.size < w.most && !now.Before(w.next) {
		w.size++
		w.next = now.Add(w.step)
	}
	return w.size
}

// refuse notes that the server let in no more than those that are open.
func (w *windowSize) refuse(open int, now time.Time) {
	if size := max(open, 1); size < w.size {
		w.size = size
		w.step = min(max(2*w.step, stepMin), stepMost)
	}
	w.next = now.Add(w.step)
}
