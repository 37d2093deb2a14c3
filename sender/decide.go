package sender

import (
	"math/rand/v2"
	"time"

	"mailblast/sender/reply"
	"mailblast/store"
)

// quotaMost is how long a recipient waits at most for a quota to be new: no server says when its day began, and somebody may buy
// more.
const quotaMost = time.Hour

// decide says what becomes of a recipient by a server's reply, and repeats the verdict and its scope for what follows for the others.
// It is pure but for the jitter of the back-off.
func (o *Options) decide(j store.Job, stage reply.Stage, r reply.Reply, server string, now time.Time) (store.Outcome, reply.Verdict, reply.Scope) {
	e := o.Replies.Explain(stage, r.Code, r.Status, r.Text)
	verdict, scope := e.Verdict, e.Scope
	out := store.Outcome{Job: j, Code: r.Code, Status: r.Status, Text: r.Text, Server: server}
	switch {
	case verdict == reply.Sent && stage == reply.Dot:
		out.State = store.Sent
	case verdict == reply.Permanent:
		out.State = store.Failed
		if e.Class == reply.HardBounce { // and not where only the message was refused
			out.Kind = store.Bounced
		}
	case e.Quota > 0:
		// Nobody is to fail because the quota of the day is used up.
		out.State, out.Due = store.Queued, now.Add(min(e.Quota, quotaMost))
	case verdict == reply.Throttle, stage == reply.Mail:
		// Said before the server had seen the recipient, or of the speed: not the recipient's fault, so no attempt is
		// used up, and throttled mail is never given up.
		out.State, out.Due = store.Queued, now.Add(jitter(time.Second))
	default:
		named, exact := reply.RetryAfter(r.Text)
		if !exact {
			named = 0
		}
		o.again(&out, now, named)
	}
	return out, verdict, scope
}

// again makes an outcome the recipient's next attempt, or its end when there were enough. named is the time after which the server wants
// it again, as greylisting has one; 0: it named none. Who names one again was wrong the first time: it may then be later than the
// back-off, and not sooner, so that no attempts are lost to a server that always says the same.
func (o *Options) again(out *store.Outcome, now time.Time, named time.Duration) {
	if out.Job.Attempt >= o.Attempts {
		out.State = store.Failed
		return
	}
	out.State, out.Kind = store.Queued, store.Deferred
	wait := backoff(out.Job.Attempt, o.BackoffMin, o.BackoffMax)
	if named > wait || named > 0 && out.Job.Attempt == 1 {
		wait = min(named, o.BackoffMax)
	}
	out.Due = now.Add(wait)
}

// backoff is the time until the next attempt after the given one (from 1): doubled each time up to most, and up to a
// fifth less, so that what failed together does not come back together. Less and not more: who stays for a minute (--wait) stays for
// what is deferred by a minute.
func backoff(attempt int, least, most time.Duration) time.Duration {
	d := least
	for i := 1; i < attempt && d < most; i++ {
		d *= 2
	}
	d = min(d, most)
	return d - rand.N(d/5+1)
}

// jitter is d, up to a fifth more or less.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(d/5*2+1)
}
