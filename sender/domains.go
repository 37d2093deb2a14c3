package sender

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mailblast/store"
)

// domains keep the recipients' domains from each other's way: a domain that is slow, or has a rate of its own, has few jobs with the
// workers, and its others are parked, while those of other domains go by.
//
// How many a domain may have is found as Postfix finds its concurrency: one begins with few, and every job that a server
// has answered makes room for one more. A domain that hangs from its first message on never gets beyond the few. One that begins
// to hang when it has many may keep as many connections waiting as it had; to prevent that, a list with one large domain would have
// to leave connections unused. Those that are found to be slow have half of the connections, all together, while the workers have enough
// without them.
//
// What is parked is claimed, and no more than a batch of it is kept: a list may begin with ten thousand rows of one slow domain. When
// that much is there, those whose domain has kept them waiting for long go back to the queue for a while, and so do, until it has room
// again, further ones.
type domains struct {
	most   int                        // jobs at a time; 0: no limit but what is found
	limits func(domain string) Limits // nil: none
	mu     sync.Mutex                 // guards all, and busy and window of each
	all    map[string]*domain
	busy   int           // of all
	up     *atomic.Int64 // connections that are open
	parked int           // touched by the feeder only, as is what is not guarded
	looked time.Time     // for slow ones,
	slow   []*domain     // and these were
	behind []*domain     // have messages behind others
	halved time.Time     // served of each
}

type domain struct {
	busy, window int
	behind       int // those of busy that wait for the server to answer messages to other domains; touched by the feeder only
	parked       []parkedJob
	served       service
	slow         bool          // it kept those waiting that were parked:
	keep         int           // no more are parked than these, the others go back to the queue,
	gap          time.Duration // at this distance,
	back         time.Time     // the last until then
	pace         *pace         // nil: no rate
	counted      []time.Time   // when those that are busy were, by the rate: the oldest first
	until        time.Time
}

// A service is how long servers took for a number of messages.
type service struct {
	took time.Duration
	n    float64
}

func (s *service) add(o service) { s.took, s.n = s.took+o.took, s.n+o.n }

// mean is that of one message; zero: nothing is known.
func (s service) mean() time.Duration { return time.Duration(float64(s.took) / max(s.n, 1)) }

type parkedJob struct {
	store.Job
	since time.Time
}

const (
	windowFirst = 2 // jobs of a domain of which nothing is known
	windowMost  = 1 << 20
	domainsMost = 10_000 // are remembered, besides those that are busy
	takenAhead  = 3      // jobs that a worker holds: of the message that is sent, the next, and the one after it

	slowAfter = time.Second      // a domain that keeps jobs parked for so long, and takes longer than others for each, is slow
	asideMost = 10 * time.Second // its jobs go back to the queue for so long at most
)

func newDomains(o Options) *domains {
	return &domains{most: o.PerDomain, limits: o.DomainLimits, all: map[string]*domain{}, up: &o.Stats.Connections, halved: time.Now()}
}

// get finds a domain, or begins one.
func (d *domains) get(name string) *domain {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.all[name]
	if v == nil {
		if len(d.all) >= domainsMost {
			d.forget()
		}
		v = &domain{window: windowFirst}
		if d.limits != nil {
			if l := d.limits(name); l != nil {
				v.pace = &pace{limits: l}
			}
		}
		d.all[name] = v
	}
	return v
}

// forget drops the domains of which nothing has to be remembered. The caller holds mu.
func (d *domains) forget() {
	for name, v := range d.all {
		if v.busy == 0 && len(v.parked) == 0 {
			delete(d.all, name)
		}
	}
}

// excuse leaves out of account what a domain has with the workers behind messages to others which the server does not answer: those others
// hang, and if all that the domain may have is behind them, it would hang with them. Behind is asked when something is parked.
func (d *domains) excuse(behind func() map[string]int) {
	for _, v := range d.behind {
		v.behind = 0
	}
	d.behind = d.behind[:0]
	if d.parked == 0 {
		return
	}
	for name, n := range behind() {
		v := d.get(name)
		v.behind = n
		d.behind = append(d.behind, v)
	}
}

// admit takes one job's worth of a domain, or says that it has to be parked, and if that is for a rate, until when.
func (d *domains) admit(ctx context.Context, v *domain, now time.Time) (ok bool, err error) {
	d.mu.Lock()
	room := v.busy-v.behind < v.window && (d.most == 0 || v.busy < d.most) && !(v.slow && d.slowHaveEnough())
	d.mu.Unlock()
	if !room || now.Before(v.until) {
		return false, nil
	}
	if v.pace != nil {
		v.pace.granting.Lock()
		wait, err := v.pace.take(ctx, now, 0, 1+len(v.parked))
		counted := v.pace.grant.Counted()
		v.pace.granting.Unlock()
		if errors.Is(err, errNotYet) {
			v.until = now.Add(wait)
			return false, nil
		}
		if err != nil {
			return false, err
		}
		d.mu.Lock()
		v.counted = append(v.counted, counted)
		d.mu.Unlock()
	}
	d.mu.Lock()
	v.busy++
	d.busy++
	d.mu.Unlock()
	return true, nil
}

// slowHaveEnough says that slow domains have half of the connections, and the others need the rest: each connection has something to do, or
// as much as it takes at a time while no others are there. The caller holds mu.
func (d *domains) slowHaveEnough() bool {
	up, busy := int(d.up.Load()), 0
	for _, v := range d.slow {
		if v.slow {
			busy += v.busy
		}
	}
	enough := up
	if busy == d.busy {
		enough = takenAhead * up
	}
	return busy >= max(1, up/2) && d.busy >= enough
}

// done notes that an admitted job came to an end, what the server did for it, whether that was an answer, and what is given back to the
// domain's rate. It reports whether another one waits for that.
func (d *domains) done(name string, by service, answered bool, back store.Unsent) bool {
	d.mu.Lock()
	v := d.all[name]
	v.busy--
	d.busy--
	v.served.add(by)
	if answered { // a domain that hangs, time-out after time-out, gets no more
		v.window = min(v.window+1, windowMost)
	}
	more := len(v.parked) > 0
	var given pass
	if v.pace != nil {
		given.counted = v.counted[0] // or later: then it is given back on the safe side
		v.counted = v.counted[1:]
	}
	d.mu.Unlock()
	if v.pace != nil && back.N > 0 {
		v.pace.giveBack(given, back)
	}
	return more
}

// end gives back what was not used of the domains' rates.
func (d *domains) end(ctx context.Context) error {
	for _, v := range d.all {
		if v.pace != nil {
			if err := v.pace.end(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// park keeps a job for later.
func (d *domains) park(v *domain, j store.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v.parked = append(v.parked, parkedJob{j, time.Now()})
	d.parked++
}

// shed takes the jobs of slow domains off what is parked, so that half of most is left of them all together. Up is since when there are
// sessions: for what was before no domain can be blamed. Waiting is how long messages to a domain wait for the server already.
func (d *domains) shed(now time.Time, most int, up time.Time, waiting map[string]service, aside func(store.Job, time.Time)) {
	if now.Sub(d.looked) < slowAfter/10 {
		return
	}
	d.looked = now
	d.mu.Lock()
	defer d.mu.Unlock()
	var all service
	for name, v := range d.all {
		all.add(v.served)
		all.add(waiting[name])
	}
	d.slow = d.slow[:0]
	for name, v := range d.all {
		own := v.served
		own.add(waiting[name])
		late := !up.IsZero() && len(v.parked) > 0 && now.Sub(later(v.parked[0].since, up)) >= slowAfter
		blamed := v.pace != nil || v.behind > 0 && v.behind == v.busy || own.n > 0 && own.mean() >= all.mean()*9/10
		if v.slow = late && blamed || v.slow && now.Before(v.back); v.slow {
			d.slow = append(d.slow, v)
		}
	}
	since := now.Sub(d.halved)
	half := since >= slowAfter
	for _, v := range d.slow {
		v.keep = most / 2 / len(d.slow)
		if half || v.gap == 0 {
			v.gap = min(asideMost, time.Duration(float64(since)/max(v.served.n, 1))) // half of what was served before is in it
		}
		for len(v.parked) > v.keep {
			last := len(v.parked) - 1
			aside(v.parked[last].Job, v.comeBack(now))
			v.parked = v.parked[:last]
			d.parked--
		}
	}
	if half {
		d.halved = now
		for _, v := range d.all {
			v.served.took, v.served.n = v.served.took/2, v.served.n/2
		}
	}
}

// comeBack says when a job of a slow domain that goes back to the queue is due again: they come twice as quickly as it took jobs lately.
func (v *domain) comeBack(now time.Time) time.Time {
	v.back = later(v.back, now.Add(slowAfter/2)).Add(v.gap)
	if most := now.Add(asideMost); v.back.After(most) {
		v.back = most
	}
	return v.back
}

// recovered ends that a domain is slow, when it takes what is claimed and none of its jobs has to come back.
func (v *domain) recovered(now time.Time) {
	v.slow = v.slow && now.Before(v.back)
}

// release hands out what is parked and may go now. It returns when there may be more, zero if that depends on jobs that come to an end.
func (d *domains) release(ctx context.Context, hand func(store.Job) bool) (next time.Time, err error) {
	if d.parked == 0 {
		return next, nil
	}
	d.mu.Lock()
	var waiting []*domain
	for _, v := range d.all {
		if len(v.parked) > 0 {
			waiting = append(waiting, v)
		}
	}
	d.mu.Unlock()
	for _, v := range waiting {
		for len(v.parked) > 0 {
			ok, err := d.admit(ctx, v, time.Now())
			if err != nil {
				return next, err
			}
			if !ok {
				if v.until.After(time.Now()) && (next.IsZero() || v.until.Before(next)) {
					next = v.until
				}
				break
			}
			j := v.parked[0].Job
			d.mu.Lock()
			v.parked = v.parked[1:]
			d.mu.Unlock()
			d.parked--
			if !hand(j) {
				return next, nil
			}
		}
	}
	return next, nil
}

// clear yields what is parked.
func (d *domains) clear(yield func(store.Job)) {
	for _, v := range d.all {
		for _, j := range v.parked {
			yield(j.Job)
		}
		d.mu.Lock()
		v.parked = nil
		d.mu.Unlock()
	}
	d.parked = 0
}
