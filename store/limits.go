package store

import "time"

// A Rate is at most N messages in Per, whenever Per begins.
type Rate struct {
	N   int
	Per time.Duration
}

// An Allowance is what may be sent over a server, or over it to one domain. All of its parts hold.
type Allowance struct {
	Rates  []Rate
	Quotas []Rate                          // of an hour or more
	Warmup func(day int) (r Rate, ok bool) // the quota of a day, counted from 0 at the first message that was taken; nil: none
}

// A Grant is leave to send N messages: the first from From on, and each of the others Every after the one before. Each
// lapses Slack after its time. With N = 0 nothing may be sent before From; Used is then the quota that is used up, or
// zero when it is a rate.
type Grant struct {
	N     int
	From  time.Time
	Every time.Duration
	Slack time.Duration
	Used  Rate
}

// Counted is when the messages of the grant are counted for quotas and rates, for Return.
func (g Grant) Counted() time.Time { return g.From.Add(time.Duration(g.N-1) * g.Every) }

// Unsent are N messages of a grant, counted then, that no server has taken. Those of them that were offered to one are
// not taken off the rate's spread: else there would be no limit for messages that are refused.
type Unsent struct {
	N, Offered int
	Counted    time.Time
}
