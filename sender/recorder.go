package sender

import (
	"errors"
	"fmt"
	"time"

	"mailblast/store"
)

// A recorder writes begins and finishes: group commit. While one transaction is on its way to the disk, the entries of
// all workers gather for the next one, so that a slow disk makes groups larger and not the line longer.
type recorder struct {
	*engine
	in  chan entry
	err error // why recording ended early; read after run

	// Touched only by run.
	begins   []store.Job
	finishes []store.Outcome
	waiting  []chan bool // of begins, same order
	took     time.Duration
}

// An entry is either a begin, whose worker waits on kept, or an outcome.
type entry struct {
	begin   store.Job
	kept    chan bool
	outcome store.Outcome
}

// groupMost is how many entries one transaction takes.
const groupMost = 2000

func newRecorder(e *engine) *recorder {
	return &recorder{engine: e, in: make(chan entry, 4*e.Connections)}
}

// begin asks to record that the message of j is about to leave. The answer comes on kept: false means that it must not.
func (r *recorder) begin(j store.Job, kept chan bool) { r.in <- entry{begin: j, kept: kept} }

// finish records what became of a job.
func (r *recorder) finish(o store.Outcome) { r.in <- entry{outcome: o} }

// run writes until in is closed.
func (r *recorder) run() {
	for e := range r.in {
		r.add(e)
		r.gather()
		r.write()
	}
}

func (r *recorder) add(e entry) {
	if e.kept != nil {
		r.begins = append(r.begins, e.begin)
		r.waiting = append(r.waiting, e.kept)
	} else {
		r.finishes = append(r.finishes, e.outcome)
	}
}

// lingerFrom is how long a transaction takes for which it pays to linger: far less than any fsync, as half as many
// transactions are also half their processor time (BenchmarkRun: 40 % more messages on a disk that syncs in 0.2 ms).
const lingerFrom = 100 * time.Microsecond

// gather takes what is there, and if writing takes its time waits a moment for the workers that the last group let go. Without that
// they would fall into two halves, each waiting through the other half's transaction as well as its own.
func (r *recorder) gather() {
	var linger <-chan time.Time
	if r.took > lingerFrom {
		linger = time.After(min(r.took/4, 10*time.Millisecond))
	}
	for len(r.begins)+len(r.finishes) < groupMost {
		select {
		case e, ok := <-r.in:
			if !ok {
				return
			}
			r.add(e)
			continue
		default:
		}
		if linger == nil || int64(len(r.begins)) >= r.up.Load() {
			return
		}
		select {
		case e, ok := <-r.in:
			if !ok {
				return
			}
			r.add(e)
		case <-linger:
			linger = nil
		}
	}
}

// write records the group and answers those who wait. A queue that cannot be written (a full disk) is tried again for a
// while: what is in memory is worth it. Then the run ends; rows whose end could not be written stay in `sending`, and the
// log has what is known of them.
func (r *recorder) write() {
	var kept []store.Job
	err := r.err
	if err == nil {
		kept, err = r.record()
	}
	if err != nil {
		kept = nil
		for i := range r.finishes {
			o := &r.finishes[i]
			r.Log.Error("could not be written to the queue", "recipient", o.Job.Address, "state", o.State, "reply", fmt.Sprint(o.Code, " ", o.Text))
		}
		if r.err == nil {
			r.err = fmt.Errorf("the queue cannot be written, so nothing more is sent: %w", err)
			r.cancel(errors.New("the queue cannot be written"))
		}
	}
	// Jobs that another process took over are rare; one list is the other without them.
	for i, j := range r.begins {
		ok := len(kept) > 0 && kept[0].ID == j.ID
		if ok {
			kept = kept[1:]
		}
		r.waiting[i] <- ok
	}
	if n := len(r.finishes); n > 0 {
		r.held.Add(-int64(n))
		select {
		case r.settled <- struct{}{}:
		default:
		}
	}
	clear(r.begins)
	clear(r.finishes)
	r.begins, r.finishes, r.waiting = r.begins[:0], r.finishes[:0], r.waiting[:0]
}

// record is one transaction, tried again for half a minute.
func (r *recorder) record() (kept []store.Job, err error) {
	for try := range 6 {
		start := time.Now()
		kept, err = r.queue.Record(r.work, r.begins, r.finishes)
		r.took = time.Since(start)
		if err == nil || r.work.Err() != nil {
			return kept, err
		}
		r.Log.Warn("the queue cannot be written, trying again", "error", err)
		select {
		case <-time.After(time.Second << try):
		case <-r.work.Done():
		}
	}
	return nil, err
}
