package sender

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"mailblast/sender/pace"
	"mailblast/store"
)

// A lane is what a run has for one of its routes: how fast its workers may be, and what they learned of the server. What one server does
// to its lane does nothing to the others. All lanes take from the same jobs, and each from those that are pinned to its server. The fields
// are set before the goroutines start, or are safe for all of them.
type lane struct {
	engine     *engine
	route      Route
	log        *slog.Logger // says which server it is about, where there are several
	pace       *pace.Limiter
	window     *pace.Window
	pinned     chan store.Job // jobs that only this server of several may take
	perSession atomic.Int64   // messages that the server was found to take in one session; 0: no limit was found
	refusals   atomic.Int64   // replies that hit more than their recipient, since the last message that was sent
	up         atomic.Int64   // sessions that are open
	sent       atomic.Int64
	warned     atomic.Int64 // the most failures in a row that were logged, since the last message that was sent
	reported   atomic.Bool  // it was logged that the server is left out, and nothing was sent since
	outage     outage       // guarded by engine.lanesMu
	belief     belief       // in the server, where it calls recipients dead
	turn       turn         // guarded by engine.turns.mu
}

// An outage is why a server is out of use.
type outage struct {
	why   *StopError // nil: it is not
	until time.Time  // it is tried again then; zero: not in this run
}

const (
	// downFor is how long a server that cannot be reached is left to itself while there are others.
	downFor = time.Minute

	// holdMost is for how long a message waits for its server's time while another server could take it.
	holdMost = time.Second
)

// newLane makes one of so many.
func newLane(e *engine, r Route, lanes int) *lane {
	r.Connections = max(r.Connections, 1)
	l := &lane{engine: e, route: r, log: e.opt.Log, window: pace.NewWindow(r.Connections, r.Window, time.Now())}
	by := pace.Options{Open: e.opt.Open, Limits: r.Limits, Rate: r.Rate, Stay: e.opt.Wait}
	if lanes > 1 {
		by.Hold = holdMost
		l.log = l.log.With("server", r.Name)
		l.pinned = make(chan store.Job, max(1, e.opt.Batch/2/lanes))
	}
	l.pace = pace.NewLimiter(by)
	return l
}

// leaveOut takes the server out of use until a time; zero: for the rest of the run. When no server is left, stop is called with the reasons of all.
func (l *lane) leaveOut(why *StopError, until time.Time, stop func(error)) {
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	if l.outage.why != nil {
		return
	}
	l.outage = outage{why, until}
	if l.engine.severalRoutes() && !l.reported.Swap(true) {
		l.log.Warn("this server is left out", "reason", why.Error())
	}
	for _, other := range l.engine.lanes {
		if other.outage.why == nil {
			return
		}
	}
	stop(l.engine.allOut())
}

// allOut is why no server is left. The caller holds lanesMu.
func (e *engine) allOut() *StopError {
	first := e.lanes[0].outage.why
	all := &StopError{}
	var reasons []string
	same := true
	for _, l := range e.lanes {
		why := l.outage.why
		reasons = append(reasons, fmt.Sprintf("%s: %v", l.route.Name, why))
		same = same && why.Error() == first.Error()
		if !why.Until.IsZero() && (all.Until.IsZero() || why.Until.Before(all.Until)) {
			all.Until = why.Until
		}
	}
	if same {
		return first
	}
	all.Reason = "no server is left: " + strings.Join(reasons, "; ")
	return all
}

// out reports whether the server is out of use while there are others, and until when; zero: for the rest of the run.
func (l *lane) out() (until time.Time, out bool) {
	if !l.engine.severalRoutes() {
		return until, false
	}
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	return l.outage.until, l.outage.why != nil
}

// readmit ends an outage whose time is over.
func (l *lane) readmit(now time.Time) {
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	if until := l.outage.until; !until.IsZero() && !now.Before(until) {
		l.outage.why = nil
	}
}

// noteSent notes that the server took a message, so that it is well.
func (l *lane) noteSent() {
	l.sent.Add(1)
	l.refusals.Store(0)
	l.warned.Store(0)
	l.reported.Store(false)
}

func (e *engine) severalRoutes() bool { return len(e.lanes) > 1 }

// onlyRoute is the name of the server that all messages go over; "" where there are several.
func (e *engine) onlyRoute() string {
	if e.severalRoutes() {
		return ""
	}
	return e.lanes[0].route.Name
}

// othersTake reports whether another server is in use, which may take what this one does not.
func (l *lane) othersTake() bool {
	if !l.engine.severalRoutes() {
		return false
	}
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	for _, other := range l.engine.lanes {
		if other != l && other.outage.why == nil {
			return true
		}
	}
	return false
}
