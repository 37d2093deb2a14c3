package sender

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"mailblast/sender/pace"
	"mailblast/store"
)

// A Server is one of those that a run sends over. The zero value of a field means what its comment says.
type Server struct {
	Name                  string // for the record and the log
	Transport             Transport
	Weight                int           // its part of the messages, while it can; 0, for all servers: whoever is free takes the next one
	Connections           int           // 1
	MessagesPerConnection int           // 0: no limit
	Pipeline              int           // messages under way at a time on a connection, where the server does chunking; 1
	Limits                pace.Reserver // nil: none, as fast as the server takes it
	Rate                  float64       // messages a second that it was found to take before; 0: not known
	Window                int           // connections that it was found to let in; 0: not known

	// Learned is told what was found out, during the run too, so that one that is killed has learned something; nil: nobody is. After
	// an error the run goes on.
	Learned func(context.Context, ServerStats) error
}

// ServerStats is what a run has found out about a server by now, or by its end.
type ServerStats struct {
	Name   string
	Sent   int64
	Rate   float64    // 0: there is no limit
	Window int        // 0: there is no limit
	Out    *StopError // why it is not sent over any more; nil: it is
}

// A lane is what a run has for one of its servers: its workers, how fast they may be, and what they learned of it. What one server does
// to its lane does nothing to the others. All lanes take from the same jobs, and each from those that are pinned to its server. The fields
// are set before the goroutines start, or are safe for all of them.
type lane struct {
	engine     *engine
	route      Server
	Log        *slog.Logger // says which server it is about, where there are several
	pace       *pace.Limiter
	window     *pace.Window
	pinned     chan store.Job // to this server, of several
	perSession atomic.Int64   // messages that the server was found to take in one session; 0: no limit was found
	refusals   atomic.Int64   // replies that hit more than their recipient, since the last message that was sent
	up         atomic.Int64   // sessions that are open
	sent       atomic.Int64
	warned     atomic.Int64 // the most failures in a row that were logged, since the last message that was sent
	told       atomic.Bool  // it was logged that the server is left out, and nothing was sent since
	absence    absence      // guarded by engine.lanesMu
	belief     belief       // in the server, where it calls recipients dead
	turn       turn         // guarded by engine.turns.mu
}

// An absence is that a server is left out.
type absence struct {
	why   *StopError // nil: it is not
	until time.Time  // it is tried again then; zero: not in this run
}

// downFor is how long a server that cannot be reached is left to itself while there are others.
const downFor = time.Minute

// holdMost is for how long a message waits for its server's time while another server could take it.
const holdMost = time.Second

func newLane(e *engine, s Server, oneOfSeveral bool) *lane {
	s.Connections = max(s.Connections, 1)
	by := pace.Options{Open: e.opt.Open, Limits: s.Limits, Rate: s.Rate, Stay: e.opt.Wait}
	if oneOfSeveral {
		by.Hold = holdMost
	}
	return &lane{engine: e, route: s, pace: pace.NewLimiter(by), window: pace.NewWindow(s.Connections, s.Window, time.Now()), Log: e.opt.Log}
}

// stats are the lane's.
func (l *lane) stats() ServerStats {
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	return ServerStats{Name: l.route.Name, Sent: l.sent.Load(), Rate: l.pace.Found(), Window: l.window.Found(), Out: l.absence.why}
}

const (
	// tellPoll is how often it is looked whether there is something to tell, and tellPause how long it is between two times that it is told.
	tellPoll  = time.Second
	tellPause = 10 * time.Second
)

// tell tells what was found out about the server whenever that has changed, until ctx ends.
func (l *lane) tell(ctx context.Context) {
	told := ServerStats{Rate: l.route.Rate, Window: l.route.Window}
	var last time.Time
	for pace.Sleep(ctx, tellPoll, nil) == nil {
		now := l.stats()
		if now.news(told) && time.Since(last) >= tellPause {
			last = time.Now()
			if err := l.route.Learned(ctx, now); err == nil {
				told = now
			} else if ctx.Err() == nil {
				l.Log.Warn("what was found out about the server could not be written down yet", "error", err)
			}
		}
	}
}

// news reports whether more is known than before: that the server took a message at all is, too.
func (s ServerStats) news(before ServerStats) bool {
	return s.Sent > 0 && before.Sent == 0 || s.Rate != before.Rate || s.Window != before.Window || s.Out != before.Out
}

// retire leaves the server out until a time, or with none, for the rest of the run. When none is left the run stops: stop is called with the
// reasons of all.
func (l *lane) retire(why *StopError, until time.Time, stop func(error)) {
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	if l.absence.why != nil {
		return
	}
	l.absence = absence{why, until}
	if l.engine.isOneOfSeveral() && !l.told.Swap(true) {
		l.Log.Warn("this server is left out", "reason", why.Error())
	}
	for _, other := range l.engine.lanes {
		if other.absence.why == nil {
			return
		}
	}
	stop(l.engine.allOut())
}

// allOut is why no server is left. The caller holds lanesMu.
func (e *engine) allOut() *StopError {
	first := e.lanes[0].absence.why
	all := &StopError{}
	var reasons []string
	same := true
	for _, l := range e.lanes {
		why := l.absence.why
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

// out reports whether the server is left out while there are others, and until when.
func (l *lane) out() (until time.Time, out bool) {
	if !l.engine.isOneOfSeveral() {
		return until, false
	}
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	return l.absence.until, l.absence.why != nil
}

// comeBack ends an absence whose time is over.
func (l *lane) comeBack(now time.Time) {
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	if until := l.absence.until; !until.IsZero() && !now.Before(until) {
		l.absence.why = nil
	}
}

// works notes that a message was sent.
func (l *lane) works() {
	l.sent.Add(1)
	l.refusals.Store(0)
	l.warned.Store(0)
	l.told.Store(false)
}

func (e *engine) isOneOfSeveral() bool { return len(e.lanes) > 1 }

// onlyRoute is the name of the server that all messages go over; "" where there are several.
func (e *engine) onlyRoute() string {
	if e.isOneOfSeveral() {
		return ""
	}
	return e.lanes[0].route.Name
}

// othersTake reports whether another server could take what this one does not.
func (l *lane) othersTake() bool {
	if !l.engine.isOneOfSeveral() {
		return false
	}
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	for _, other := range l.engine.lanes {
		if other != l && other.absence.why == nil {
			return true
		}
	}
	return false
}
