package sender

import (
	"context"
	"time"

	"mailblast/sender/pace"
)

// A Route is a server that a run sends over, and how. The zero value of a field means what its comment says.
type Route struct {
	Name                  string // for the record and the log
	Transport             Transport
	Weight                int           // its part of the messages, while it can; 0, for all routes: whoever is free takes the next one
	Connections           int           // 1
	MessagesPerConnection int           // 0: no limit
	Limits                pace.Reserver // nil: none, as fast as the server takes it
	Rate                  float64       // messages a second that it was found to take before; 0: not known
	Window                int           // connections that it was found to let in; 0: not known

	// Learned is told what was found out, during the run too, so that one that is killed has learned something; nil: nobody is. After
	// an error the run goes on.
	Learned func(context.Context, RouteStats) error
}

// RouteStats is what a run has found out about a server by now, or by its end.
type RouteStats struct {
	Name   string
	Sent   int64
	Rate   float64    // 0: there is no limit
	Window int        // 0: there is no limit
	Out    *StopError // why it is not sent over any more; nil: it is
}

// stats are what is known of the lane's route by now.
func (l *lane) stats() RouteStats {
	l.engine.lanesMu.Lock()
	defer l.engine.lanesMu.Unlock()
	return RouteStats{Name: l.route.Name, Sent: l.sent.Load(), Rate: l.pace.Found(), Window: l.window.Found(), Out: l.outage.why}
}

const (
	// learnedPoll is how often it is looked whether there is something to report, and learnedPause how long it is between two reports.
	learnedPoll  = time.Second
	learnedPause = 10 * time.Second
)

// reportLearned tells the route's owner what was found out whenever that has changed, until ctx ends.
func (l *lane) reportLearned(ctx context.Context) {
	told := RouteStats{Rate: l.route.Rate, Window: l.route.Window}
	var last time.Time
	for pace.Sleep(ctx, learnedPoll, nil) == nil {
		now := l.stats()
		if now.differ(told) && time.Since(last) >= learnedPause {
			last = time.Now()
			if err := l.route.Learned(ctx, now); err == nil {
				told = now
			} else if ctx.Err() == nil {
				l.log.Warn("what was found out about the server could not be written down yet", "error", err)
			}
		}
	}
}

// differ reports whether more is known than before, which that the server took a message at all is, too.
func (s RouteStats) differ(before RouteStats) bool {
	return s.Sent > 0 && before.Sent == 0 || s.Rate != before.Rate || s.Window != before.Window || s.Out != before.Out
}
