package pace

import (
	"context"
	"sync"
	"time"
)

// Domains keep the recipients' domains from each other's way: a domain that is slow, or has a rate of its own, has few jobs with the
// workers, and its others are parked, while those of other domains go by.
//
// How many a domain may have is found as Postfix finds its concurrency: a domain begins with few, and every job that a server
// has answered makes room for one more. A domain that hangs from its first message on never gets beyond the few. One that begins
// to hang when it has many may keep as many connections waiting as it had; to prevent that, a list with one large domain would have
// to leave connections unused. Domains that are found to be slow share half of the connections, as long as the others keep the workers
// busy.
//
// A parked job is claimed, and no more than a batch of them is kept: a list may begin with ten thousand rows of one slow domain. When
// there are that many, those that a slow domain has kept waiting are postponed, which means that they go back to the queue for a while, and
// so are further ones until the domain has room again.
//
// One goroutine schedules: all methods but Done are its alone, and so are the fields that mu does not guard.
type Domains[Job any] struct {
	most   int                          // jobs of a domain at a time; 0: no limit but what is found
	limits func(domain string) Reserver // nil: none
	open   func() int                   // connections

	mu   sync.Mutex // guards all, busy, and what is marked so of each domain
	all  map[string]*domain[Job]
	busy int // of all

	parked int
	looked time.Time      // for slow ones,
	slow   []*domain[Job] // and these were
	behind []*domain[Job] // have messages behind others
	halved time.Time      // service of each
}

type domain[Job any] struct {
	busy, window int         // jobs that the workers have, and may have; guarded by mu
	service      ServiceTime // guarded by mu
	counted      []time.Time // when those that are busy count for the rate, the oldest first; guarded by mu

	behind int           // those of busy that wait for the server to answer messages to other domains
	parked []parked[Job] // the oldest first; its length is guarded by mu
	slow   bool          // it kept those waiting that were parked:
	keep   int           // no more are parked than these, the others are postponed,
	gap    time.Duration // at this distance,
	back   time.Time     // the last until then
	rate   *Grants       // nil: none
	until  time.Time     // nothing is admitted before, by the rate
}

type parked[Job any] struct {
	job   Job
	since time.Time
}

// A ServiceTime is how long servers took for a number of messages together.
type ServiceTime struct {
	Took time.Duration
	N    float64
}

// Add adds another one.
func (s *ServiceTime) Add(o ServiceTime) { s.Took, s.N = s.Took+o.Took, s.N+o.N }

// mean is that of one message; zero: nothing is known.
func (s ServiceTime) mean() time.Duration { return time.Duration(float64(s.Took) / max(s.N, 1)) }

// An Admission says what is to be done with a job.
type Admission int

const (
	Admitted  Admission = iota // it goes to a worker; Done follows
	Parked                     // Domains keep it
	Postponed                  // it goes back to the queue, until the time that comes with it
)

const (
	windowFirst = 2 // jobs of a domain of which nothing is known
	windowMost  = 1 << 20
	domainsMost = 10_000 // are remembered, besides those that are busy
	takenAhead  = 3      // jobs that a worker holds: of the message that is sent, the next, and the one after it

	slowAfter    = time.Second      // a domain that keeps jobs parked for so long, and takes longer than others for each, is slow
	postponeMost = 10 * time.Second // its jobs are postponed for so long at most
)

// NewDomains has no domains yet. most is how many jobs of each there may be at a time, 0 for no limit but what is found; limits are those
// of each domain, nil where there are none; open counts the connections.
func NewDomains[Job any](most int, limits func(domain string) Reserver, open func() int) *Domains[Job] {
	return &Domains[Job]{most: most, limits: limits, open: open, all: map[string]*domain[Job]{}, halved: time.Now()}
}

// get finds a domain, or begins one.
func (d *Domains[Job]) get(name string) *domain[Job] {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.all[name]
	if v == nil {
		if len(d.all) >= domainsMost {
			d.forget()
		}
		v = &domain[Job]{window: windowFirst}
		if d.limits != nil {
			v.rate = NewGrants(d.limits(name), 0)
		}
		d.all[name] = v
	}
	return v
}

// forget drops the domains of which nothing has to be remembered. The caller holds mu.
func (d *Domains[Job]) forget() {
	for name, v := range d.all {
		if v.busy == 0 && len(v.parked) == 0 {
			delete(d.all, name)
		}
	}
}

// Place says what is to be done with a job of a domain, and parks it if it is to wait here. due is for a job that is postponed.
func (d *Domains[Job]) Place(ctx context.Context, name string, j Job) (a Admission, due time.Time, err error) {
	v := d.get(name)
	if len(v.parked) == 0 { // else it would overtake
		if ok, err := d.admit(ctx, v, time.Now()); err != nil {
			return a, due, err
		} else if ok {
			// When a domain takes what is claimed and none of its jobs has to come back, it is slow no more.
			v.slow = v.slow && time.Now().Before(v.back)
			return Admitted, due, nil
		}
	}
	if v.slow && len(v.parked) >= v.keep {
		return Postponed, v.postpone(time.Now()), nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v.parked = append(v.parked, parked[Job]{j, time.Now()})
	d.parked++
	return Parked, due, nil
}

// Parked is how many jobs are parked.
func (d *Domains[Job]) Parked() int { return d.parked }

// Behind does not count against a domain those of its jobs that wait on a connection behind messages to other domains which the server does not
// answer. The other domains hang; this one would hang with them if all that it may have is behind them. count is called only when something is
// parked.
func (d *Domains[Job]) Behind(count func() map[string]int) {
	for _, v := range d.behind {
		v.behind = 0
	}
	d.behind = d.behind[:0]
	if d.parked == 0 {
		return
	}
	for name, n := range count() {
		v := d.get(name)
		v.behind = n
		d.behind = append(d.behind, v)
	}
}

// admit takes one job's worth of a domain, if there is room for it and its rate allows it.
func (d *Domains[Job]) admit(ctx context.Context, v *domain[Job], now time.Time) (ok bool, err error) {
	d.mu.Lock()
	room := v.busy-v.behind < v.window && (d.most == 0 || v.busy < d.most) && !(v.slow && d.slowHaveEnough())
	d.mu.Unlock()
	if !room || now.Before(v.until) {
		return false, nil
	}
	var counted time.Time
	if v.rate != nil {
		ok, at, wait, err := v.rate.Try(ctx, now, 1+len(v.parked))
		if err != nil {
			return false, err
		}
		if !ok {
			v.until = now.Add(wait)
			return false, nil
		}
		counted = at
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.rate != nil {
		v.counted = append(v.counted, counted)
	}
	v.busy++
	d.busy++
	return true, nil
}

// slowHaveEnough reports whether slow domains have their half of the connections, and the workers have enough to do without more of them: a job for
// each connection, or as many as a worker holds where there are no other domains. The caller holds mu.
func (d *Domains[Job]) slowHaveEnough() bool {
	open, busy := d.open(), 0
	for _, v := range d.slow {
		if v.slow {
			busy += v.busy
		}
	}
	enough := open
	if busy == d.busy {
		enough = takenAhead * open
	}
	return busy >= max(1, open/2) && d.busy >= enough
}

// Done notes that an admitted job came to an end, what the server did for it, whether that was an answer, and what the domain's rate has of it. It
// reports whether another one waits for that.
func (d *Domains[Job]) Done(name string, by ServiceTime, answered bool, use Use) (waits bool) {
	d.mu.Lock()
	v := d.all[name]
	v.busy--
	d.busy--
	v.service.Add(by)
	if answered { // a domain that hangs, time-out after time-out, gets no more
		v.window = min(v.window+1, windowMost)
	}
	waits = len(v.parked) > 0
	var counted time.Time
	if v.rate != nil {
		counted = v.counted[0] // or later: then it is given back on the safe side
		v.counted = v.counted[1:]
	}
	d.mu.Unlock()
	v.rate.Return(counted, use)
	return waits
}

// End gives back what was not used of the domains' rates.
func (d *Domains[Job]) End(ctx context.Context) error {
	for _, v := range d.all {
		if err := v.rate.End(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Postpone takes jobs of slow domains off what is parked, until half of most is left of them, all together, and calls back for each with the time when
// it is due again. connected is since when there have been sessions: no domain is to blame for the time before. waiting says for how long messages
// to a domain wait for the server already. Postpone does nothing when it was called a moment ago.
func (d *Domains[Job]) Postpone(now time.Time, most int, connected time.Time, waiting map[string]ServiceTime, back func(Job, time.Time)) {
	if now.Sub(d.looked) < slowAfter/10 {
		return
	}
	d.looked = now
	d.mu.Lock()
	defer d.mu.Unlock()
	d.findSlow(now, connected, waiting)
	since := now.Sub(d.halved)
	half := since >= slowAfter
	for _, v := range d.slow {
		v.keep = most / 2 / len(d.slow)
		if half || v.gap == 0 {
			v.gap = min(postponeMost, time.Duration(float64(since)/max(v.service.N, 1))) // half of what was served before is in it
		}
		for len(v.parked) > v.keep {
			last := len(v.parked) - 1
			back(v.parked[last].job, v.postpone(now))
			v.parked = v.parked[:last]
			d.parked--
		}
	}
	if half {
		d.halved = now
		for _, v := range d.all {
			v.service.Took, v.service.N = v.service.Took/2, v.service.N/2
		}
	}
}

// findSlow finds the domains that keep their jobs waiting, and are to blame for it. The caller holds mu.
func (d *Domains[Job]) findSlow(now, connected time.Time, waiting map[string]ServiceTime) {
	var all ServiceTime
	for name, v := range d.all {
		all.Add(v.service)
		all.Add(waiting[name])
	}
	d.slow = d.slow[:0]
	for name, v := range d.all {
		own := v.service
		own.Add(waiting[name])
		late := !connected.IsZero() && len(v.parked) > 0 && now.Sub(later(v.parked[0].since, connected)) >= slowAfter
		blamed := v.rate != nil || v.behind > 0 && v.behind == v.busy || own.N > 0 && own.mean() >= all.mean()*9/10
		if v.slow = late && blamed || v.slow && now.Before(v.back); v.slow {
			d.slow = append(d.slow, v)
		}
	}
}

// postpone says when a job of a slow domain is due again: they come twice as quickly as it took jobs lately.
func (v *domain[Job]) postpone(now time.Time) time.Time {
	v.back = later(v.back, now.Add(slowAfter/2)).Add(v.gap)
	if most := now.Add(postponeMost); v.back.After(most) {
		v.back = most
	}
	return v.back
}

// Release hands out what is parked and may go now, until hand reports that there are to be no more. It returns when there may be more, zero if
// that depends on jobs that come to an end.
func (d *Domains[Job]) Release(ctx context.Context, hand func(Job) bool) (next time.Time, err error) {
	if d.parked == 0 {
		return next, nil
	}
	d.mu.Lock()
	var waiting []*domain[Job]
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
			j := v.parked[0].job
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

// Clear yields what is parked.
func (d *Domains[Job]) Clear(yield func(Job)) {
	for _, v := range d.all {
		for _, p := range v.parked {
			yield(p.job)
		}
		d.mu.Lock()
		v.parked = nil
		d.mu.Unlock()
	}
	d.parked = 0
}
