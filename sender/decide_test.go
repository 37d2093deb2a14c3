package sender

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"mailblast/sender/reply"
	"mailblast/store"
)

func TestDecide(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	o := Options{Attempts: 3, BackoffMin: time.Minute, BackoffMax: time.Hour}
	for _, c := range []struct {
		attempt int
		stage   reply.Stage
		code    int
		text    string
		state   store.State
		counted bool
		delay   time.Duration // give or take a fifth
	}{
		{1, reply.Dot, 250, "ok", store.Sent, false, 0},
		{3, reply.Dot, 250, "ok", store.Sent, false, 0},
		{1, reply.Rcpt, 250, "ok", store.Queued, true, time.Minute},
		{1, reply.Rcpt, 550, "5.1.1 no such user", store.Failed, false, 0},
		{1, reply.Dot, 550, "5.1.1 no such user", store.Failed, false, 0},
		{1, reply.Dot, 554, "5.7.1 message refused by policy", store.Failed, false, 0},
		{1, reply.Rcpt, 552, "5.3.4 message too big", store.Failed, false, 0},
		{1, reply.Mail, 550, "5.1.1 no such user", store.Failed, false, 0},
		{1, reply.Mail, 550, "5.1.8 bad sender", store.Failed, false, 0},
		{1, reply.Mail, 451, "not now", store.Queued, false, time.Second},
		{3, reply.Mail, 451, "not now", store.Queued, false, time.Second},
		{3, reply.Mail, 530, "Authentication required", store.Queued, false, time.Second},
		{1, reply.Rcpt, 451, "not now", store.Queued, true, time.Minute},
		{2, reply.Data, 451, "not now", store.Queued, true, 2 * time.Minute},
		{3, reply.Dot, 451, "not now", store.Failed, false, 0},
		{1, reply.Rcpt, 451, "Greylisted, try again in 5 seconds", store.Queued, true, 5 * time.Second},
		{2, reply.Rcpt, 451, "Greylisted, try again in 5 seconds", store.Queued, true, 2 * time.Minute},
		{1, reply.Dot, 451, "Greylisted, come back in 00:10:00", store.Queued, true, 10 * time.Minute},
		{2, reply.Data, 451, "Greylisted, come back in 00:10:00", store.Queued, true, 10 * time.Minute},
		{1, reply.Rcpt, 451, "Greylisted, come back in 2 days", store.Queued, true, time.Hour},
		{3, reply.Rcpt, 451, "Greylisted, try again in 5 seconds", store.Failed, false, 0},
		{1, reply.Rcpt, 554, "Relay access denied", store.Queued, true, time.Minute},
		{3, reply.Dot, 454, "Throttling failure: Daily message quota exceeded.", store.Queued, false, time.Hour},
		{3, reply.Dot, 451, "Maximum credits exceeded", store.Queued, false, time.Hour},
		{1, reply.Mail, 452, "4.5.3 Daily message limit exceeded", store.Queued, false, time.Hour},
		{3, reply.Rcpt, 550, "5.4.5 Daily limit reached, try again in 10 minutes", store.Queued, false, 10 * time.Minute},
		{3, reply.Rcpt, 454, "Throttling failure: faster than the account may send.", store.Queued, false, time.Second},
		{9, reply.Dot, 454, "Throttling failure: faster than the account may send.", store.Queued, false, time.Second},
	} {
		t.Run(fmt.Sprintf("attempt %d, %v: %d %s", c.attempt, c.stage, c.code, c.text), func(t *testing.T) {
			j := store.Job{ID: 7, Attempt: c.attempt}
			out := o.decide(j, replies.Answer(c.stage, reply.Reply{Code: c.code, Status: "1.2.3", Text: c.text}), "mx:25", now)
			if want := c.stage != reply.Mail && c.text == "5.1.1 no such user"; out.Kind.Suppresses() != want {
				t.Errorf("kind %d, suppresses: want %v", out.Kind, want)
			}
			if out.State != c.state || (out.Kind == store.Deferred) != c.counted {
				t.Errorf("%s, kind %d; want %s, counted %v", out.State, out.Kind, c.state, c.counted)
			}
			if out.Job.ID != 7 || out.Code != c.code || out.Status != "1.2.3" || out.Text != c.text || out.Server != "mx:25" {
				t.Errorf("the reply is not kept: %+v", out)
			}
			if c.delay == 0 && !out.Due.IsZero() || c.delay > 0 && !near(out.Due.Sub(now), c.delay) {
				t.Errorf("due after %v, want %v", out.Due.Sub(now), c.delay)
			}
		})
	}
}

// A dead address goes on the suppression list and a refused message does not; a user's own rule is asked first.
func TestDecideDead(t *testing.T) {
	o := Options{Attempts: 3}.withDefaults()
	own := reply.NewClassifier([]reply.OwnRule{
		{Name: "rules[0]", Match: regexp.MustCompile(`^550 5\.1\.1 closed on Sundays`), Class: reply.Throttled},
		{Name: "rules[1]", Match: regexp.MustCompile(`left the club`), Class: reply.HardBounce},
	})
	for _, c := range []struct {
		r        reply.Reply
		state    store.State
		suppress bool
	}{
		{reply.Reply{Code: 250}, store.Sent, false},
		{reply.Reply{Code: 550, Status: "5.1.1", Text: "no such user"}, store.Failed, true},
		{reply.Reply{Code: 550, Status: "5.7.1", Text: "spam"}, store.Failed, false},
		{reply.Reply{Code: 550, Status: "5.1.1", Text: "closed on Sundays"}, store.Queued, false},
		{reply.Reply{Code: 450, Text: "he left the club"}, store.Failed, true},
	} {
		if out := o.decide(store.Job{Attempt: 1}, own.Answer(reply.Dot, c.r), "mx:25", time.Now()); out.State != c.state || out.Kind.Suppresses() != c.suppress {
			t.Errorf("%s: %s, suppress %v; want %s, %v", c.r, out.State, out.Kind.Suppresses(), c.state, c.suppress)
		}
	}
}

// What an error of the session means for the message of that moment. One that explains nothing may have come after the
// message had left.
func TestDecideInterrupted(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	o := Options{Attempts: 3, BackoffMin: time.Minute, BackoffMax: time.Hour}
	lost := errors.New("connection reset")
	for _, c := range []struct {
		name    string
		err     error
		attempt int
		state   store.State // "": put back
		counted bool
	}{
		{"before the recipient was seen", reply.Broken(reply.Mail, lost), 1, "", false},
		{"before that, at the last attempt", reply.Broken(reply.Rset, lost), 3, "", false},
		{"at RCPT", reply.Broken(reply.Rcpt, lost), 1, store.Queued, true},
		{"in the content", reply.Broken(reply.Data, lost), 2, store.Queued, true},
		{"in the content, at the last attempt", reply.Broken(reply.Data, lost), 3, store.Failed, false},
		{"behind the last octet", reply.Broken(reply.Dot, lost), 1, store.InDoubt, false},
		{"behind the last octet, at the last attempt", reply.Broken(reply.Dot, lost), 3, store.InDoubt, false},
		{"of a whole message", reply.Broken(reply.Mail, lost).InDoubt(), 1, store.InDoubt, false},
		{"wrapped", fmt.Errorf("over there: %w", reply.Broken(reply.Mail, lost)), 1, "", false},
		{"a server that cannot be used", reply.Unusable(reply.Mail, lost, ""), 1, "", false},
		{"not explained", &reply.Error{Stage: reply.Mail, Err: lost}, 1, store.InDoubt, false},
		{"of no known kind", lost, 1, store.InDoubt, false},
	} {
		out, tried := o.decideInterrupted(store.Job{ID: 7, Attempt: c.attempt}, c.err, "mx:25", now)
		if tried != (c.state != "") || tried && (out.State != c.state || (out.Kind == store.Deferred) != c.counted || out.Job.ID != 7 || out.Text != c.err.Error() || out.Server != "mx:25") {
			t.Errorf("%s: tried %v, %+v; want %q, counted %v", c.name, tried, out, c.state, c.counted)
		}
	}
}

// near reports whether d is want, give or take a fifth.
func near(d, want time.Duration) bool { return d >= want-want/5 && d <= want+want/5 }

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		attempt           int
		least, most, want time.Duration
	}{
		{1, time.Minute, 4 * time.Hour, time.Minute},
		{2, time.Minute, 4 * time.Hour, 2 * time.Minute},
		{5, time.Minute, 4 * time.Hour, 16 * time.Minute},
		{8, time.Minute, 4 * time.Hour, 128 * time.Minute},
		{9, time.Minute, 4 * time.Hour, 4 * time.Hour},
		{1_000_000, time.Minute, 4 * time.Hour, 4 * time.Hour},
		{1, time.Hour, time.Minute, time.Minute},
		{1, 0, 0, 0},
	} {
		lowest, highest := time.Duration(1<<62), time.Duration(0)
		for range 1000 {
			d := backoff(c.attempt, c.least, c.most)
			lowest, highest = min(lowest, d), max(highest, d)
		}
		if !near(lowest, c.want) || highest > c.want {
			t.Errorf("attempt %d of %v..%v: %v to %v, want about %v", c.attempt, c.least, c.most, lowest, highest, c.want)
		}
		if c.want > 0 && highest-lowest < c.want/10 {
			t.Errorf("attempt %d of %v..%v: %v to %v is no jitter", c.attempt, c.least, c.most, lowest, highest)
		}
	}
}
