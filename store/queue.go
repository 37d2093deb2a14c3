package store

import (
	"context"
	"time"
)

// A Queue is what keeps campaigns and their recipients, and what is known about the servers that they go over. Its methods
// may be called by many goroutines. After an error of a method that writes, nothing of it was written.
type Queue interface {
	Catalog
	Reporter
	Leaser
	SuppressionList
	ServerStates
	Limiter
	Scrubber

	Close() error
}

// A Catalog says what campaigns there are.
type Catalog interface {
	// Campaigns lists the campaigns in the order in which they were made.
	Campaigns(ctx context.Context) ([]Campaign, error)

	// Campaign is the one of that name, or ErrNoCampaign.
	Campaign(ctx context.Context, name string) (Campaign, error)

	// Source is the text of a campaign's file; empty when it was purged.
	Source(ctx context.Context, name string) ([]byte, error)

	// Snapshot reads the snapshot of a campaign.
	Snapshot(ctx context.Context, name string) (Snapshot, error)
}

// A Reporter says what became of recipients.
type Reporter interface {
	// Rows streams a campaign's recipients in the order in which they were loaded, those in one of the given states or,
	// without any, all of them; on request with their earlier attempts. A row is as it was when its batch was read; the
	// queue is not being read while yield has a row. An error of yield ends it and is returned.
	Rows(ctx context.Context, campaign string, states []State, earlier bool, yield func(Row) error) error
}

// A Leaser gives the right to change campaigns.
type Leaser interface {
	// Acquire takes the lease of the campaign of that name, which need not exist yet: Load makes it. ErrHeld when another
	// process has it and the store gives it to one at a time. Call Recover before the first Claim.
	Acquire(ctx context.Context, name string) (Lease, error)

	// Held reports whether a process has the lease of a campaign.
	Held(ctx context.Context, name string) (bool, error)
}

// A Lease is the right to change a campaign's rows. It ends with the process that has it, however that ends.
type Lease interface {
	Loader
	Drain
	Keeper
	Decider

	// Release gives the lease up.
	Release() error
}

// A Loader fills a campaign.
type Loader interface {
	// Load writes the campaign's snapshot and adds the recipients that next yields until io.EOF, in one transaction: after
	// an error, or a crash, nothing of it is there. Rows whose address the campaign has already are left as they are. A
	// snapshot that differs from the one that has begun to be sent is a ChangedError, unless accept.
	// Another goroutine calls next, one call after the other, and none when Load has returned.
	Load(ctx context.Context, snap Snapshot, accept bool, next func() (Recipient, error)) (Loaded, error)
}

// A Drain is what the sender needs of a lease.
type Drain interface {
	// Claim takes rows that are due (queued → claimed): the longest due first, and of those that were not tried yet the
	// lowest rank, then in the order of the list. Rows on the suppression list become suppressed in place of being claimed,
	// so that there may be fewer than are wanted, or none, while more are due.
	Claim(ctx context.Context, w Want) ([]Job, error)

	// Record is the group commit: in one transaction it ends the claims of finish and begins the messages of begin
	// (claimed → sending). It returns the jobs of begin that this owner still held, without those that were put on the
	// suppression list since; the message of any other must not be completed. When it returns without an error, everything
	// is as durable as the campaign's durability says.
	Record(ctx context.Context, begin []Job, finish []Outcome) (kept []Job, err error)

	// Pending counts what is left, and says when the next row is due (zero when none is queued).
	Pending(ctx context.Context) (counts Counts, nextDue time.Time, err error)
}

// A Keeper stands before and behind a drain.
type Keeper interface {
	// Recover settles what an owner that no longer lives left: rows that were claimed are queued again, their attempt
	// uncounted; rows that were sending are in doubt.
	Recover(ctx context.Context) (requeued, inDoubt int, err error)

	// Expire ends all rows that are queued: it is too late for them.
	Expire(ctx context.Context) error

	// Finish marks the campaign as finished if nothing is left to do, and writes down how fast the run was.
	Finish(ctx context.Context) error
}

// A Decider carries out what a person has decided.
type Decider interface {
	// Retry puts rows in state from (Failed or InDoubt) back to queued, with no attempts counted and due at once; their
	// last reply goes to the history. Those in doubt are pinned to the server that may have the message. It returns how
	// many.
	Retry(ctx context.Context, from State) (int64, error)

	// Listed counts the campaign's rows in a state that are on the suppression list.
	Listed(ctx context.Context, state State) (int64, error)

	// Unpin lets everybody who is pinned go over any server. It returns how many of them are queued.
	Unpin(ctx context.Context) (int64, error)

	// Purge deletes everything that the queue has of the campaign's recipients and of its message. What stays is its name,
	// its dates, and the counts of end states. Traces may be left until Scrub.
	Purge(ctx context.Context) error
}

// A SuppressionList holds for all campaigns of a queue.
type SuppressionList interface {
	// Suppress adds the entries that next yields until io.EOF, all of them or, after an error, none. What is on the
	// list already stays as it is: the first reason is the one that counts. It returns how many were added, and how
	// many were there.
	Suppress(ctx context.Context, next func() (Suppression, error)) (added, known int64, err error)

	// Unsuppress removes entries from the list, and returns those that were on it.
	Unsuppress(ctx context.Context, addresses []string) (removed []string, err error)

	// Suppressions streams the list in the order of its addresses. An error of yield ends it and is returned.
	Suppressions(ctx context.Context, yield func(Suppression) error) error

	// Suppressed returns the entry that keeps an address from being mailed, its own before its domain's. It reports false
	// when there is none.
	Suppressed(ctx context.Context, address string) (Suppression, bool, error)
}

// ServerStates remembers what was found out about servers.
type ServerStates interface {
	// Servers lists the servers of which something is known.
	Servers(ctx context.Context) ([]ServerState, error)

	// Server is what is known about one; the zero value but for the name when that is nothing.
	Server(ctx context.Context, name string) (ServerState, error)

	// SaveServer writes down what was found out about a server; its First, unless that is known already. A crash of the
	// machine may lose it.
	SaveServer(ctx context.Context, v ServerState) error
}

// A Limiter shares the limits of servers among everybody who sends over them with this queue.
type Limiter interface {
	// Reserve takes leave to send up to want messages over a server, or to one domain of recipients over it ("": to all),
	// in the next moment. What is not used is lost, or given back by Return.
	Reserve(ctx context.Context, server, domain string, a Allowance, want int, now time.Time) (Grant, error)

	// Return gives back what was reserved and not sent.
	Return(ctx context.Context, server, domain string, a Allowance, u Unsent) error

	// Left is how much of a quota of a server is left, and if nothing is, when there is something again.
	Left(ctx context.Context, server string, quota Rate, now time.Time) (left int, again time.Time, err error)
}

// A Scrubber forgets what was deleted.
type Scrubber interface {
	// Scrub makes the queue forget what Purge deleted, by this process or by one that did not get that far. Purged
	// campaigns of which no message was ever begun go altogether; their names are free. When nothing was deleted since the
	// last time it does nothing, and returns false.
	Scrub(ctx context.Context) (cleaned bool, err error)
}
