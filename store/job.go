// Package store is the contract of the queue: one durable row for each recipient of each campaign. It says what a queue
// keeps and what its changes mean; store/sqlite keeps it, and store/storetest holds whatever keeps it to this contract.
//
// A campaign's rows are loaded in one transaction together with a snapshot of everything that sending them needs. A
// process that wants to drain the campaign takes its Lease; whatever an earlier, dead holder left half done is recovered
// then. The holder claims rows in batches, records that a message is about to leave (begin), and records what became of
// it (finish).
//
// The order of these writes is the product. Before the last byte of a message may leave, its row is durably `sending`;
// only a row that is durably `claimed` can become so, and only by the owner and attempt number that claimed it. A
// process that dies therefore leaves each row in one of three places: `queued` or `claimed`, and then nothing was sent
// and it is queued again; `sending`, and then only the server knows, so it becomes `in_doubt` and is never sent again
// without a person's decision; or in an end state. No moment of death makes a second copy or loses a row.
package store

import "time"

// A State is where a recipient stands.
type State string

// The states of a recipient. `deferred` is not one: it is what a queued row with attempts is called.
const (
	Queued     State = "queued"
	Claimed    State = "claimed"
	Sending    State = "sending"
	Sent       State = "sent"
	Failed     State = "failed"
	InDoubt    State = "in_doubt"
	Suppressed State = "suppressed"
	Invalid    State = "invalid"
)

// StateInfo is one row of the state table.
type StateInfo struct {
	State    State
	Meaning  string
	LeavesBy string
}

// States is the state table, in the order in which a recipient goes through it. `mailblast help states` prints it.
func States() []StateInfo {
	return []StateInfo{
		{Queued, "waiting; due says from when. With attempts > 0 it is shown as deferred", "claim"},
		{Claimed, "in a worker's batch; provably not sent", "begin, release; recover → queued"},
		{Sending, "the last byte may have left", "finish; recover → in_doubt"},
		{Sent, "the server answered 2xx after the final dot; its reply is kept", "final"},
		{Failed, "permanently refused, or given up; the reply is kept", "retry --failed; its server is not believed → queued"},
		{InDoubt, "the connection or the process died before the reply", "retry --in-doubt, later evidence"},
		{Suppressed, "on the suppression list: never sent", "final"},
		{Invalid, "the CSV row cannot be mailed; the reason is kept", "final"},
	}
}

// A Job is one claimed recipient. Owner and Attempt are the fence: every later change carries them, and changes nothing
// if the row was claimed by somebody else since.
type Job struct {
	ID        int64
	Campaign  string
	Address   string // as it stands between angle brackets in RCPT TO
	Domain    string
	MessageID string // without angle brackets; fixed when the row was made
	Owner     int64  // of the claim: a process's own number
	Fields    []byte // JSON list of the CSV row's values, by position in Campaign.Columns
	Attempt   int    // this one included, from 1
	Pin       string // the only server that may take it, as it may have the message already; "": any
	Route     string // the server that it is about to leave over, where a run has several: whoever begins it says so
}

// A Want is what is to be claimed.
type Want struct {
	N     int    // rows at most
	Route string // the server that all messages of the run go over; "": there are several, and Job.Route says which
}

// An Outcome ends a claim.
type Outcome struct {
	Job    Job
	State  State
	Kind   Kind
	Due    time.Time // for Queued: not before
	Code   int       // the server's reply; 0 when there was none
	Status string    // RFC 3463 enhanced status code
	Text   string
	Server string
}

// A Kind is what an outcome means besides its state.
type Kind int

const (
	// Plain ends the claim, and nothing else. Queued by it, the row was not tried, or the server only throttled: the attempt
	// does not count.
	Plain Kind = iota

	// Deferred ends the claim with the row Queued for its next attempt: this one counts.
	Deferred

	// Bounced ends the claim with the row Failed. The address is dead by this reply: it goes on the suppression list, too.
	Bounced

	// Confirmed takes the place of an outcome by which the row is Failed since its claim, as the server is believed now: the
	// address goes on the suppression list, too.
	Confirmed

	// Revoked takes the place of an outcome by which the row is Failed since its claim, as the server is not believed:
	// the row is Queued for its next attempt, and this one counts.
	Revoked
)

// Amends reports whether an outcome takes the place of an earlier one, in place of ending a claim.
func (k Kind) Amends() bool { return k == Confirmed || k == Revoked }

// Suppresses reports whether an outcome puts its recipient on the suppression list.
func (k Kind) Suppresses() bool { return k == Bounced || k == Confirmed }

// Attempts is how many count when the claim has ended.
func (o *Outcome) Attempts() int {
	if o.State == Queued && o.Kind == Plain {
		return o.Job.Attempt - 1
	}
	return o.Job.Attempt
}

// Counts is how many recipients are in each state. Deferred is contained in Queued.
type Counts struct {
	Queued, Claimed, Sending, Sent, Failed, InDoubt, Suppressed, Invalid, Deferred int64
}

// Pending is how many recipients have no end state yet.
func (c Counts) Pending() int64 { return c.Queued + c.Claimed + c.Sending }

// Total is the number of recipients.
func (c Counts) Total() int64 {
	return c.Pending() + c.Sent + c.Failed + c.InDoubt + c.Suppressed + c.Invalid
}

// Of is the field that counts a state; nil for what is not one.
func (c *Counts) Of(state State) *int64 {
	switch state {
	case Queued:
		return &c.Queued
	case Claimed:
		return &c.Claimed
	case Sending:
		return &c.Sending
	case Sent:
		return &c.Sent
	case Failed:
		return &c.Failed
	case InDoubt:
		return &c.InDoubt
	case Suppressed:
		return &c.Suppressed
	case Invalid:
		return &c.Invalid
	}
	return nil
}
