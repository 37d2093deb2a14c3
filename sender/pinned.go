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

// A job that is pinned to a server goes over that one only, which may have the message already (see store/sqlite/pin.go). Nobody else's messages
// wait for it: the lane of its server takes it from a channel of its own, and what has no room there, or waits there while nothing else goes on, goes
// back to the queue for a moment. When there is no such server, or it is left out, the recipient stays in the queue for the next run.

const (
	// pinnedAside is for how long a pinned job goes back to the queue that its lane has no use for.
	pinnedAside = 500 * time.Millisecond

	// strandedFor is for how long, beyond the time that the run stays for, one goes back whose server cannot be used. The next run does not mind.
	strandedFor = time.Hour
)

// goesAnywhere gives a pinned job to its lane, or puts it back; true: every worker is the right one.
func (e *engine) goesAnywhere(j store.Job) bool {
	at := slices.IndexFunc(e.lanes, func(l *lane) bool { return l.route.Name == j.Pin })
	switch {
	case at < 0:
		e.strand(j, "is not among the campaign's servers")
		e.asides++
	case !e.isOneOfSeveral():
		return true
	case e.lanes[at].leaves(j):
		e.asides++
	default:
		select {
		case e.lanes[at].pinned <- j:
		default:
			e.pinAside(j)
		}
	}
	return false
}

// leaves puts a job that is pinned to the lane's server back for the next run if the server is left out.
func (l *lane) leaves(j store.Job) bool {
	l.engine.lanesMu.Lock()
	why := l.absence.why
	l.engine.lanesMu.Unlock()
	if why != nil {
		l.engine.strand(j, "is left out: "+why.Error())
	}
	return why != nil
}

// strand puts a pinned job back for the next run.
func (e *engine) strand(j store.Job, why string) {
	e.lanesMu.Lock()
	e.stranded[j.Pin] = why
	e.lanesMu.Unlock()
	e.done(j, pace.ServiceTime{}, false, pace.Untried)
	e.returned.Add(1)
	e.recorder.finish(store.Outcome{Job: j, State: store.Queued, Due: time.Now().Add(e.opt.Wait + strandedFor)})
}

// waitFor says for which servers recipients are left; nil when there are none.
func (e *engine) waitFor() error {
	e.lanesMu.Lock()
	defer e.lanesMu.Unlock()
	if len(e.stranded) == 0 {
		return nil
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(e.stranded)) {
		all = append(all, fmt.Sprintf("server %s %s", name, e.stranded[name]))
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

// pinAside gives a job that waits for its lane back to the queue for a moment.
func (e *engine) pinAside(j store.Job) {
	e.done(j, pace.ServiceTime{}, false, pace.Untried)
	e.putAside(j, time.Now().Add(pinnedAside))
}

// releasePinned takes back what waits for its lane. It reports whether there was anything.
func (e *engine) releasePinned(back func(store.Job)) (any bool) {
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
