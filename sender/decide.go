package sender

import (
	"errors"
	"math/rand/v2"
	"time"

	"mailblast/sender/reply"
	"mailblast/store"
)

// quotaMost is how long a recipient waits at most for a new quota: no server says when its day began, and somebody may
// buy more.
const quotaMost = time.Hour

// decide returns what becomes of a recipient by a server's answer. It is pure but for the jitter of the back-off.
func (o *Options) decide(j store.Job, a reply.Answer, server string, now time.Time) store.Outcome {
	out := store.Outcome{Job: j, Code: a.Code, Status: a.Status, Text: a.Text, Server: server}
	switch {
	case a.Verdict == reply.Sent && a.Stage == reply.Dot:
		out.State = store.Sent
	case a.Verdict == reply.Permanent:
		out.State = store.Failed
		if a.Class == reply.HardBounce { // and not where only the message was refused
			out.Kind = store.Bounced
		}
	case a.Quota > 0:
		// No recipient fails because the quota of the day is used up.
		out.State, out.Due = store.Queued, now.Add(min(a.Quota, quotaMost))
	case a.Verdict == reply.Throttle, a.Stage == reply.Mail:
		// The server had not seen the recipient, or speaks of the speed. This is not about the recipient, so no attempt
		// is used up, and throttled mail is never given up.
		out.State, out.Due = store.Queued, now.Add(jitter(time.Second))
	default:
		o.again(&out, now, a.RetryAfter)
	}
	return out
}

// decideInterrupted returns what becomes of a recipient by an error of the session. It reports false if the server had
// not seen the recipient: then the message was not tried, and is put back. An error that explains nothing may have come
// after the message had left.
func (o *Options) decideInterrupted(j store.Job, err error, server string, now time.Time) (out store.Outcome, tried bool) {
	out = store.Outcome{Job: j, Text: err.Error(), Server: server}
	var e *reply.Error
	known := errors.As(err, &e)
	switch {
	case !known, e.Explanation.Rule == "", e.Explanation.Verdict == reply.InDoubt:
		out.State = store.InDoubt
	case e.Explanation.Scope == reply.Session, e.Explanation.Scope == reply.Server:
		return out, false
	default:
		o.again(&out, now, 0)
	}
	return out, true
}

// again makes of an outcome the recipient's next attempt, or its failure if there were enough. named is the time after
// which the server wants the message again, as in greylisting; 0: it names none. A server that names one again was
// wrong the first time: from the second attempt on, named may make the back-off longer and not shorter, so that no
// attempts are lost to a server that always says the same.
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

// backoff returns the time from an attempt (from 1) to the next one. It doubles each time, up to most, less up to a
// fifth, so that messages that failed together do not come back together. It is less and not more, so that a run that
// stays for a minute (--wait) stays for what is deferred by a minute.
func backoff(attempt int, least, most time.Duration) time.Duration {
	d := least
	for i := 1; i < attempt && d < most; i++ {
		d *= 2
	}
	d = min(d, most)
	return d - rand.N(d/5+1)
}

// jitter returns d, up to a fifth more or less.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(d/5*2+1)
}
