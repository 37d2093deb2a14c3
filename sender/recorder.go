package sender

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"mailblast/store"
)

// A recorder writes begins and finishes: group commit. While one transaction is on its way to the disk, the entries of
// all workers gather for the next one, so that a slow disk makes groups larger and not the line longer.
type recorder struct {
	engine *engine
	mu     sync.Mutex
	next   group // what gathers
	ended  bool
	hurry  bool          // the feeder waits for what is recorded
	wake   chan struct{} // there is something in next, or enough
	took   time.Duration // the last transaction; touched only by run
	slow   atomic.Bool   // it took longer than most messages do
	failed error         // why recording ended early; read after run
}

// A group is what one transaction writes.
type group struct {
	begins   []store.Job
	waiting  []chan bool // for the begins, same order
	asking   int         // connections that ask for them
	finishes []store.Outcome
}

func newRecorder(e *engine) *recorder {
	return &recorder{engine: e, wake: make(chan struct{}, 1)}
}

// begin asks to record, for one connection, that the messages of tasks are about to leave. The answers come on kept of each: false means
// that it must not.
func (r *recorder) begin(tasks ...*task) {
	r.mu.Lock()
	for _, t := range tasks {
		t.kept = make(chan bool, 1)
		r.next.begins = append(r.next.begins, t.Job)
		r.next.waiting = append(r.next.waiting, t.kept)
	}
	r.next.asking++
	r.signal(r.next.asking == 1 || r.allAsked())
}

// finish records what became of a job.
func (r *recorder) finish(o store.Outcome) {
	r.mu.Lock()
	r.next.finishes = append(r.next.finishes, o)
	r.signal(len(r.next.finishes) == 1 || len(r.next.finishes) >= finishesMost)
}

// urgent says whether outcomes are written at once, as the feeder waits for them, or with begins.
func (r *recorder) urgent(yes bool) {
	r.mu.Lock()
	r.hurry = yes
	r.signal(yes)
}

// end lets run end when all that came before is written.
func (r *recorder) end() {
	r.mu.Lock()
	r.ended = true
	r.signal(true)
}

// signal unlocks, and wakes run if there is a reason: to wake it for every entry would cost as much as writing it.
func (r *recorder) signal(reason bool) {
	r.mu.Unlock()
	if reason {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// allAsked reports whether all connections have asked for begins, so that there is none to wait for. The caller holds mu.
func (r *recorder) allAsked() bool {
	return int64(r.next.asking) >= max(r.engine.opt.Stats.Connections.Load(), 1)
}

// run writes until end.
func (r *recorder) run() {
	var g, spare group
	for r.gather() {
		r.mu.Lock()
		g, r.next = r.next, spare
		r.mu.Unlock()
		r.write(&g)
		clear(g.begins)
		clear(g.waiting)
		clear(g.finishes)
		spare = group{begins: g.begins[:0], waiting: g.waiting[:0], finishes: g.finishes[:0]}
	}
}

const (
	// finishesWait is how long outcomes that nobody waits for wait for begins to be written with. Until they are written
	// their rows count as sending: what dies meanwhile is in doubt, within the bound.
	finishesWait = 5 * time.Millisecond

	// finishesMost is how many do not wait any longer.
	finishesMost = 500

	// lingerMost bounds how long begins wait for others.
	lingerMost = 10 * time.Millisecond

	// slowDisk is how long a transaction takes from which on a connection asks for two begins at a time. On a fast disk that
	// takes a tenth off the rate, on one that syncs in 5 ms it adds a half.
	slowDisk = 2 * time.Millisecond
)

// gather waits until there is something worth writing, and reports false when there is nothing and will be nothing. A
// transaction costs nearly as much for one begin as for twenty, so the first ones wait for those of the other connections, for at
// most as long as the last transaction took. To wait for half of them only was no faster on a quick disk, at more
// processor time, and a fifth slower on one that syncs in 5 ms.
func (r *recorder) gather() bool {
	var timer <-chan time.Time
	begun := false
	for {
		r.mu.Lock()
		begins, finishes, allAsked, hurry, ended := len(r.next.begins), len(r.next.finishes), r.allAsked(), r.hurry, r.ended
		r.mu.Unlock()
		switch {
		case ended:
			return begins+finishes > 0
		case begins > 0 && (allAsked || r.took == 0), begins == 0 && finishes > 0 && hurry, finishes >= finishesMost:
			return true
		case begins > 0 && !begun:
			begun = true
			timer = time.After(min(r.took, lingerMost))
		case finishes > 0 && timer == nil:
			timer = time.After(finishesWait)
		}
		select {
		case <-r.wake:
		case <-timer:
			return true
		}
	}
}

// write records the group and answers those who wait. A queue that cannot be written (a full disk) is tried again for a
// while: what is in memory is worth it. Then the run ends; rows whose end could not be written stay in `sending`, and the
// log has what is known of them.
func (r *recorder) write(g *group) {
	var kept []store.Job
	err := r.failed
	if err == nil {
		kept, err = r.record(g)
	}
	if err != nil {
		kept = nil
		for i := range g.finishes {
			o := &g.finishes[i]
			r.engine.opt.Log.Error("could not be written to the queue", "recipient", o.Job.Address, "state", o.State, "reply", fmt.Sprint(o.Code, " ", o.Text))
		}
		if r.failed == nil {
			r.failed = fmt.Errorf("the queue cannot be written, so nothing more is sent: %w", err)
			r.engine.stop(errors.New("the queue cannot be written"))
		}
	}
	// Jobs that another process took over are rare; one list is the other without them.
	for i, j := range g.begins {
		ok := len(kept) > 0 && kept[0].ID == j.ID
		if ok {
			kept = kept[1:]
		}
		g.waiting[i] <- ok
	}
	if n := len(g.finishes); n > 0 {
		r.engine.held.Add(-int64(n))
		select {
		case r.engine.settled <- struct{}{}:
		default:
		}
	}
}

// record is one transaction, tried again for half a minute.
func (r *recorder) record(g *group) (kept []store.Job, err error) {
	err = r.engine.retry(r.engine.work, func() (again bool, err error) {
		start := time.Now()
		kept, err = r.engine.queue.Record(r.engine.work, g.begins, g.finishes)
		r.took = time.Since(start)
		r.slow.Store(r.took > slowDisk)
		return true, err
	})
	return kept, err
}
