package sender

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mailblast/sender/pace"
	"mailblast/store"
)

// A job that is pinned to a server goes over that server only, which may have the message already (see store.Job). No other message
// waits for it: the lane of its server takes it from a channel of its own. A job that finds no room there, or waits there while nothing else goes
// on, goes back to the queue for a moment. When there is no such server, or it is left out, the recipient stays in the queue for the next run.

const (
	// pinnedPause is for how long a pinned job goes back to the queue when its lane has no room for it.
	pinnedPause = 500 * time.Millisecond

	// nextRunPause is for how long it goes back when its server cannot be used, counted from the end of what the run stays for. The next run
	// takes it even so.
	nextRunPause = time.Hour
)

// handPinned gives a pinned job to its lane, or puts it back.
func (f *feeder) handPinned(j store.Job) {
	e := f.engine
	at := slices.IndexFunc(e.lanes, func(l *lane) bool { return l.route.Name == j.Pin })
	switch {
	case at < 0:
		e.keepForNextRun(j, "is not among the campaign's servers")
		f.postponed++
	case e.lanes[at].keepPinnedIfOut(j):
		f.postponed++
	default:
		select {
		case e.lanes[at].pinned <- j:
		default:
			f.postponePinned(j)
		}
	}
}

// postponePinned gives a job that waits for its lane back to the queue for a moment.
func (f *feeder) postponePinned(j store.Job) {
	f.engine.done(j, pace.ServiceTime{}, false, pace.Untried)
	f.postpone(j, time.Now().Add(pinnedPause))
}

// keepPinnedIfOut keeps a job that is pinned to the lane's server for the next run if the server is left out.
func (l *lane) keepPinnedIfOut(j store.Job) (kept bool) {
	l.engine.lanesMu.Lock()
	why := l.outage.why
	l.engine.lanesMu.Unlock()
	if why != nil {
		l.engine.keepForNextRun(j, "is left out: "+why.Error())
	}
	return why != nil
}

// keepForNextRun puts a pinned job back until the run has ended, and keeps why for what the run says at its end.
func (e *engine) keepForNextRun(j store.Job, why string) {
	e.lanesMu.Lock()
	e.missed[j.Pin] = why
	e.lanesMu.Unlock()
	e.done(j, pace.ServiceTime{}, false, pace.Untried)
	e.returned.Add(1)
	e.recorder.finish(store.Outcome{Job: j, State: store.Queued, Due: time.Now().Add(e.opt.Wait + nextRunPause)})
}

// pinnedLeft says for which servers pinned jobs are left; nil when there are none.
func (e *engine) pinnedLeft() error {
	e.lanesMu.Lock()
	defer e.lanesMu.Unlock()
	if len(e.missed) == 0 {
		return nil
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(e.missed)) {
		all = append(all, fmt.Sprintf("server %s %s", name, e.missed[name]))
	}
	return &StopError{
		Reason: "recipients who were in doubt stay in the queue, as only the server that may have their message is to take it",
		Err:    fmt.Errorf("%s; when it can be used again: mailblast resume; to send over any other: mailblast retry NAME --in-doubt --any-server", strings.Join(all, "; ")),
	}
}

// pinned counts the jobs that wait for their lanes.
func (e *engine) pinned() (n int) {
	for _, l := range e.lanes {
		n += len(l.pinned)
	}
	return n
}

// returnPinned takes back what waits for its lane. It reports whether there was anything.
func (e *engine) returnPinned(back func(store.Job)) (any bool) {
	for _, l := range e.lanes {
		for empty := false; !empty; {
			select {
			case j := <-l.pinned:
				back(j)
				any = true
			default:
				empty = true
			}
		}
	}
	return any
}
