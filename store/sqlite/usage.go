package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"mailblast/store"
)

// Messages are counted for each server, for quotas, warm-ups and the longer rates. They are counted also when the campaign
// that sends has no such limit, as other campaigns may have one. All messages of one step of time are one number, and they
// count until the latest of them is as old as the limit is long. So no period of a limit's length has more messages than
// the limit says, whenever the period begins, and at most a step of it is lost. Messages to one domain are counted only
// where the domain's rate needs it.

// usageSteps are how finely messages are counted: by steps of that length, for limits over less than that time.
var usageSteps = [...]struct{ step, most time.Duration }{
	{time.Second, time.Hour},
	{time.Minute, 49 * time.Hour},
	{time.Hour, 367 * 24 * time.Hour},
}

// usageKept is for how many steps longer than a limit messages are kept.
const usageKept = 60

// stepOf is the step by which a limit is counted.
func stepOf(r store.Rate) time.Duration {
	i := 0
	for r.Per >= usageSteps[i].most && i < len(usageSteps)-1 {
		i++
	}
	return usageSteps[i].step
}

// windowOf is for how long a message counts from the beginning of its step on: until the latest one of the step, which
// may have left a little late, is as long ago as the limit says.
func windowOf(r store.Rate) time.Duration { return r.Per + slackOf(r) + stepOf(r) }

// quotaLeft is how much of a limit is left; when nothing is, when there is something again.
func (s *Store) quotaLeft(ctx context.Context, server, domain string, q store.Rate, now time.Time) (left int, again time.Time, err error) {
	since := now.Add(-windowOf(q)).UnixMilli()
	sum := int64(0)
	err = s.each(ctx, 1, func(row []driver.Value) error {
		n, ok := row[0].(int64)
		if sum = n; !ok {
			return errDamaged{"what was sent over a server is not counted in numbers"}
		}
		return nil
	}, "SELECT coalesce(sum(n), 0) FROM usage WHERE server = ?1 AND domain = ?2 AND step = ?3 AND at > ?4", server, domain, stepOf(q).Milliseconds(), since)
	if err != nil || sum < int64(q.N) {
		return int(int64(q.N) - sum), time.Time{}, err
	}
	again = now.Add(q.Per)
	found := false
	err = s.each(ctx, 2, func(row []driver.Value) error {
		at, ok1 := row[0].(int64)
		n, ok2 := row[1].(int64)
		if !ok1 || !ok2 {
			return errDamaged{"what was sent over a server is not counted in numbers"}
		}
		if sum -= n; sum < int64(q.N) && !found {
			again, found = time.UnixMilli(at).Add(windowOf(q)), true
		}
		return nil
	}, "SELECT at, n FROM usage WHERE server = ?1 AND domain = ?2 AND step = ?3 AND at > ?4 ORDER BY at", server, domain, stepOf(q).Milliseconds(), since)
	return 0, again, err
}

// countUsage counts the messages of a grant, inside the caller's transaction.
func (s *Store) countUsage(ctx context.Context, server, domain string, l store.Allowance, g store.Grant, now time.Time) error {
	for _, by := range usageSteps {
		step := by.step.Milliseconds()
		counts := domain == ""
		for _, r := range l.Rates {
			counts = counts || counted(r) && stepOf(r) == by.step
		}
		if !counts {
			continue
		}
		// What was counted while the clock was ahead counts from now on. Else it would count for as long as the clock was
		// ahead.
		at, last := g.Counted().Truncate(by.step).UnixMilli(), now.Add(2*horizon).UnixMilli()
		var ahead int64
		err := s.each(ctx, 1, func(row []driver.Value) error { ahead, _ = row[0].(int64); return nil },
			"SELECT coalesce(sum(n), 0) FROM usage WHERE server = ?1 AND domain = ?2 AND step = ?3 AND at > ?4", server, domain, step, last)
		if err != nil {
			return err
		}
		err = s.exec(ctx, "DELETE FROM usage WHERE server = ?1 AND domain = ?2 AND step = ?3 AND (at > ?4 OR at < ?5)",
			server, domain, step, last, now.Add(-by.most-usageKept*by.step).UnixMilli())
		if err != nil {
			return err
		}
		err = s.exec(ctx, "INSERT INTO usage (server, domain, step, at, n) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET n = n + excluded.n",
			server, domain, step, at, int64(g.N)+ahead)
		if err != nil {
			return err
		}
	}
	return nil
}

// uncountUsage takes messages out of the count, inside the caller's transaction.
func (s *Store) uncountUsage(ctx context.Context, server, domain string, n int, counted time.Time) error {
	for _, by := range usageSteps {
		err := s.exec(ctx, "UPDATE usage SET n = max(0, n - ?1) WHERE server = ?2 AND domain = ?3 AND step = ?4 AND at = ?5",
			n, server, domain, by.step.Milliseconds(), counted.Truncate(by.step).UnixMilli())
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetUsage removes what was sent to domains and counts no more, inside the caller's transaction.
func (s *Store) forgetUsage(ctx context.Context, now time.Time) error {
	for _, by := range usageSteps {
		err := s.exec(ctx, "DELETE FROM usage WHERE domain <> '' AND step = ?1 AND at < ?2", by.step.Milliseconds(), now.Add(-by.most-usageKept*by.step).UnixMilli())
		if err != nil {
			return err
		}
	}
	return nil
}

// Left is how much of a quota of a server is left, and if nothing is, when there is something again.
func (s *Store) Left(ctx context.Context, server string, q store.Rate, now time.Time) (left int, again time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, again, err = s.quotaLeft(context.WithoutCancel(ctx), server, "", q, now)
	return left, again, explain(err)
}
