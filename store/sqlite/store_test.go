package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailblast/store"
)

// open makes a queue in a folder of the test's own.
func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "queue.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func acquire(t testing.TB, s *Store, name string) *Lease {
	t.Helper()
	l, err := s.acquire(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Release() })
	return l
}

var snapshot = store.Snapshot{Path: "campaign.yaml", Source: []byte("name: test"), Columns: []string{"email", "first name"},
	Files: map[string][]byte{"a.html": []byte("<p>"), "empty.txt": {}}, MessageDomain: "example.com", Durability: "strict"}

// list yields n recipients user0@example.com and on.
func list(n int) func() (store.Recipient, error) {
	i := 0
	return func() (store.Recipient, error) {
		if i == n {
			return store.Recipient{}, io.EOF
		}
		i++
		a := fmt.Sprintf("user%d@example.com", i-1)
		return store.Recipient{Identity: a, Address: a, Values: []string{a, "Ada"}, Line: i + 1}, nil
	}
}

// loaded is a queue whose campaign "test" has n recipients.
func loaded(t testing.TB, n int) (*Store, *Lease) {
	t.Helper()
	s := open(t)
	l := acquire(t, s, "test")
	if _, err := l.Load(t.Context(), snapshot, false, list(n)); err != nil {
		t.Fatal(err)
	}
	return s, l
}

func claim(t testing.TB, l *Lease, n int) []store.Job {
	t.Helper()
	return claimOver(t, l, "", n)
}

// claimOver claims for a run that has one server.
func claimOver(t testing.TB, l *Lease, route string, n int) []store.Job {
	t.Helper()
	jobs, err := l.Claim(t.Context(), store.Want{N: n, Route: route})
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func record(t testing.TB, l *Lease, begin []store.Job, finish ...store.Outcome) []store.Job {
	t.Helper()
	kept, err := l.Record(t.Context(), begin, finish)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func countsOf(t testing.TB, s *Store) store.Counts {
	t.Helper()
	c, err := s.Campaign(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	// The tally must say what counting says.
	var counted store.Counts
	if err := s.Rows(t.Context(), "test", nil, false, func(r store.Row) error {
		*counted.Of(r.State)++
		if r.State == store.Queued && r.Attempts > 0 {
			counted.Deferred++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if counted != c.Counts {
		t.Errorf("tally %+v, counted %+v", c.Counts, counted)
	}
	return c.Counts
}

func TestLoad(t *testing.T) {
	s, l := loaded(t, 120)
	if c := countsOf(t, s); c.Queued != 120 || c.Total() != 120 {
		t.Errorf("counts %+v", c)
	}

	// Sending the same list again, with one more row, a known one, a bad one, and one more column in front.
	snap := snapshot
	snap.Columns = []string{"town", "email", "first name"}
	rows := []store.Recipient{
		{Identity: "user0@example.com", Address: "USER0@example.com", Values: []string{"Wien", "", ""}},
		{Identity: "new@example.com", Address: "new@example.com", Values: []string{"Wien", "new@example.com", "Eva"}},
		{Identity: "invalid nonsense", Address: "nonsense", Invalid: "no @ in the address"},
	}
	done, err := l.Load(t.Context(), snap, false, slicesNext(rows))
	if err != nil || done != (store.Loaded{Added: 2, Invalid: 1, Known: 1}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if c := countsOf(t, s); c.Queued != 121 || c.Invalid != 1 {
		t.Errorf("counts %+v", c)
	}
	c, _ := s.Campaign(t.Context(), "test")
	if want := []string{"email", "first name", "town"}; !slices.Equal(c.Columns, want) {
		t.Errorf("columns %q, want %q: stored rows are read by position", c.Columns, want)
	}
	jobs := claim(t, l, 1000)
	if got := string(jobs[len(jobs)-1].Fields); got != `["new@example.com","Eva","Wien"]` {
		t.Errorf("fields %s", got)
	}
	if j := jobs[0]; j.Domain != "example.com" || !strings.HasSuffix(j.MessageID, "@example.com") || j.Attempt != 1 {
		t.Errorf("job %+v", j)
	}
}

func slicesNext(rows []store.Recipient) func() (store.Recipient, error) {
	return func() (r store.Recipient, err error) {
		if len(rows) == 0 {
			return r, io.EOF
		}
		r, rows = rows[0], rows[1:]
		return r, nil
	}
}

// A list that breaks off leaves nothing behind: neither its rows nor the campaign.
func TestLoadIsOneTransaction(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	broken := errors.New("broken row")
	next := list(1000)
	n := 0
	_, err := l.Load(t.Context(), snapshot, false, func() (store.Recipient, error) {
		if n++; n > 500 {
			return store.Recipient{}, broken
		}
		return next()
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if all, err := s.Campaigns(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := l.Load(t.Context(), snapshot, false, list(3)); err != nil {
		t.Fatal(err)
	}
	if c := countsOf(t, s); c.Total() != 3 {
		t.Errorf("%+v", c)
	}
}

// Of a list whose rows are there already in part, wherever they stand in it, those that are new are counted, each as what it is.
func TestLoadTwice(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	suppress(t, s, "@example.net")
	snap := ordered("score", func(values []string) float64 {
		if values[1] == "?" {
			return math.Inf(1)
		}
		return 1
	})
	var rows, half []store.Recipient
	var want [2]store.Loaded // of half, and of all after it
	for i := range 1777 {
		r := store.Recipient{Identity: fmt.Sprintf("user%d@example.com", i), Values: []string{"", "7"}, Line: i}
		of := &want[min(i%3, 1)]
		of.Added++
		switch {
		case i%7 == 0:
			r.Identity = fmt.Sprintf("user%d@example.net", i)
			of.Suppressed++
		case i%11 == 0:
			r.Invalid = "not an address"
			of.Invalid++
		case i%5 == 0:
			r.Values[1] = "?"
			of.Unranked++
		}
		r.Address = r.Identity
		rows = append(rows, r)
		if i%3 == 0 {
			half = append(half, r)
		}
	}
	want[1].Known = int64(len(half))
	for i, list := range [][]store.Recipient{half, rows, rows} {
		done, err := l.Load(t.Context(), snap, false, slicesNext(list))
		if i == 2 {
			if err != nil || done != (store.Loaded{Known: int64(len(rows))}) {
				t.Errorf("once more: %+v, %v", done, err)
			}
		} else if err != nil || done != want[i] {
			t.Errorf("%+v, %v, want %+v", done, err, want[i])
		}
	}
	if c := countsOf(t, s); c.Total() != int64(len(rows)) {
		t.Errorf("%+v", c)
	}
	var lines []int
	if err := s.each(t.Context(), 1, func(row []driver.Value) error { lines = append(lines, int(row[0].(int64))); return nil },
		"SELECT line FROM job WHERE line % 3 > 0 ORDER BY id"); err != nil || !slices.IsSorted(lines) || len(lines) != len(rows)-len(half) {
		t.Errorf("rows are not in the order of the list: %v, %v", lines, err)
	}
}

// A load that the queue does not take is undone as well. Nobody reads the list any more then, and rows are checked as before it.
func TestLoadRefused(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	if err := s.exec(t.Context(), "CREATE TEMP TRIGGER full BEFORE INSERT ON job WHEN new.line = 3000 BEGIN SELECT RAISE(FAIL, 'no more room'); END"); err != nil {
		t.Fatal(err)
	}
	calls := 0
	next := list(1_000_000)
	_, err := l.Load(t.Context(), snapshot, false, func() (store.Recipient, error) { calls++; return next() })
	before := calls
	if err == nil || err.Error() != "no more room" {
		t.Errorf("got %q", err)
	}
	if all, err := s.Campaigns(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if err := s.exec(t.Context(), "DROP TRIGGER full"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Load(t.Context(), snapshot, false, list(3)); err != nil {
		t.Fatal(err)
	}
	if calls != before || calls > 10_000 {
		t.Errorf("next was called %d times, %d of them before Load returned", calls, before)
	}
	for _, wrong := range []string{"UPDATE job SET state = 'nonsense'", "UPDATE job SET campaign = 99"} {
		if err := s.exec(t.Context(), wrong); err == nil {
			t.Errorf("taken: %s", wrong)
		}
	}
}

// Of large rows few are in memory at a time.
func TestLoadLargeRows(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	if err := s.exec(t.Context(), "PRAGMA cache_size=5"); err != nil { // what is written down is in the log at once
		t.Fatal(err)
	}
	large := strings.Repeat("x", 200<<10)
	n := 0
	if _, err := l.Load(t.Context(), snapshot, false, func() (store.Recipient, error) {
		info, err := os.Stat(s.Path() + "-wal")
		if err != nil || n-int(info.Size())/len(large) > 10 {
			t.Errorf("%d rows were read, and only %d octets are in the log: %v", n, info.Size(), err)
		}
		if n == 40 {
			return store.Recipient{}, io.EOF
		}
		n++
		a := fmt.Sprintf("user%d@example.com", n)
		return store.Recipient{Identity: a, Address: a, Values: []string{a, large}, Line: n}, nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshot(t *testing.T) {
	s, l := loaded(t, 1)
	snap, err := s.Snapshot(t.Context(), "test")
	if err != nil || string(snap.Source) != "name: test" || string(snap.Files["a.html"]) != "<p>" || snap.Files["empty.txt"] == nil {
		t.Fatalf("%+v, %v", snap, err)
	}
	changed := snapshot
	changed.Files = map[string][]byte{"a.html": []byte("<h1>"), "empty.txt": {}, "new.png": {1}}
	if _, err := l.Load(t.Context(), changed, false, list(0)); err != nil {
		t.Errorf("nothing has left, so a change is welcome: %v", err)
	}
	record(t, l, claim(t, l, 1))
	var ce *store.ChangedError
	if _, err := l.Load(t.Context(), snapshot, false, list(0)); !errors.As(err, &ce) || !slices.Equal(ce.What, []string{"a.html", "new.png"}) {
		t.Errorf("got %v", err)
	}
	if snap, _ := s.Snapshot(t.Context(), "test"); string(snap.Files["a.html"]) != "<h1>" {
		t.Error("the refused snapshot was stored")
	}
	if _, err := l.Load(t.Context(), snapshot, true, list(0)); err != nil {
		t.Error(err)
	}
	if snap, _ := s.Snapshot(t.Context(), "test"); string(snap.Files["a.html"]) != "<p>" || len(snap.Files) != 2 {
		t.Errorf("accepted, but not stored: %v", snap.Files)
	}
}

// The table of section "states": from each state, what each change does.
func TestTransitions(t *testing.T) {
	later := time.Now().Add(time.Hour)
	sent := func(j store.Job) store.Outcome {
		return store.Outcome{Job: j, State: store.Sent, Code: 250, Status: "2.0.0", Text: "ok", Server: "mx"}
	}
	for _, test := range []struct {
		name string
		do   func(t *testing.T, l *Lease, j store.Job)
		want store.Counts
	}{
		{"claim", func(t *testing.T, l *Lease, j store.Job) {}, store.Counts{Claimed: 1}},
		{"begin", func(t *testing.T, l *Lease, j store.Job) { record(t, l, []store.Job{j}) }, store.Counts{Sending: 1}},
		{"begin, sent", func(t *testing.T, l *Lease, j store.Job) { record(t, l, []store.Job{j}); record(t, l, nil, sent(j)) }, store.Counts{Sent: 1}},
		{"sent twice", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, []store.Job{j})
			record(t, l, nil, sent(j), store.Outcome{Job: j, State: store.Failed})
		}, store.Counts{Sent: 1}},
		{"refused at RCPT, before begin", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Failed, Code: 550})
		}, store.Counts{Failed: 1}},
		{"begin after the end", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Failed})
			if kept := record(t, l, []store.Job{j}); len(kept) != 0 {
				t.Error("a finished row was begun")
			}
		}, store.Counts{Failed: 1}},
		{"begin twice", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, []store.Job{j})
			if kept := record(t, l, []store.Job{j}); len(kept) != 0 {
				t.Error("begun twice")
			}
		}, store.Counts{Sending: 1}},
		{"deferred", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, []store.Job{j})
			record(t, l, nil, store.Outcome{Job: j, State: store.Queued, Due: later, Kind: store.Deferred, Code: 451, Text: "later"})
			if jobs := claim(t, l, 1); len(jobs) != 0 {
				t.Error("claimed before it is due")
			}
		}, store.Counts{Queued: 1, Deferred: 1}},
		{"throttled", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Queued, Due: later, Code: 454})
		}, store.Counts{Queued: 1}},
		{"released and claimed again", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Queued})
			if jobs := claim(t, l, 1); len(jobs) != 1 || jobs[0].Attempt != 1 {
				t.Errorf("%+v", jobs)
			}
		}, store.Counts{Claimed: 1}},
		{"deferred, due, claimed", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Queued, Kind: store.Deferred})
			if jobs := claim(t, l, 1); len(jobs) != 1 || jobs[0].Attempt != 2 || jobs[0].MessageID != j.MessageID {
				t.Errorf("%+v", jobs)
			}
		}, store.Counts{Claimed: 1}},
		{"an old claim's begin", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Queued, Kind: store.Deferred})
			claim(t, l, 1)
			if kept := record(t, l, []store.Job{j}, sent(j)); len(kept) != 0 {
				t.Error("the fence let an old claim through")
			}
		}, store.Counts{Claimed: 1}},
		{"another owner's begin", func(t *testing.T, l *Lease, j store.Job) {
			j.Owner++
			if kept := record(t, l, []store.Job{j}, sent(j)); len(kept) != 0 {
				t.Error("the fence let another owner through")
			}
		}, store.Counts{Claimed: 1}},
		{"recover: claimed", func(t *testing.T, l *Lease, j store.Job) { recovered(t, l, 1, 0) }, store.Counts{Queued: 1}},
		{"recover: sending", func(t *testing.T, l *Lease, j store.Job) { record(t, l, []store.Job{j}); recovered(t, l, 0, 1) }, store.Counts{InDoubt: 1}},
		{"recover: begin of the dead", func(t *testing.T, l *Lease, j store.Job) {
			recovered(t, l, 1, 0)
			if kept := record(t, l, []store.Job{j}); len(kept) != 0 {
				t.Error("recovered, and begun by the one that lost it")
			}
		}, store.Counts{Queued: 1}},
		{"recover: claimed before a reboot, process durability", func(t *testing.T, l *Lease, j store.Job) {
			l.durability = "process"
			if _, err := l.store.writer.ExecContext(t.Context(), "UPDATE owner SET boot = 'another'"); err != nil {
				t.Fatal(err)
			}
			recovered(t, l, 0, 1)
		}, store.Counts{InDoubt: 1}},
		{"recover: claimed where starts have no names, process durability", func(t *testing.T, l *Lease, j store.Job) {
			l.durability = "process"
			if _, err := l.store.writer.ExecContext(t.Context(), "UPDATE owner SET boot = ''"); err != nil {
				t.Fatal(err)
			}
			recovered(t, l, 0, 1)
		}, store.Counts{InDoubt: 1}},
		{"recover: claimed since the reboot, process durability", func(t *testing.T, l *Lease, j store.Job) {
			l.durability = "process"
			recovered(t, l, 1, 0)
		}, store.Counts{Queued: 1}},
		{"retry in doubt", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, []store.Job{j})
			recovered(t, l, 0, 1)
			retried(t, l, store.InDoubt, 1)
		}, store.Counts{Queued: 1}},
		{"retry failed", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Failed, Code: 550})
			retried(t, l, store.InDoubt, 0)
			retried(t, l, store.Failed, 1)
		}, store.Counts{Queued: 1}},
		{"suppressed while it is claimed: too late", func(t *testing.T, l *Lease, j store.Job) {
			suppress(t, l.store, "user0@example.com")
			record(t, l, []store.Job{j})
			record(t, l, nil, sent(j))
		}, store.Counts{Sent: 1}},
		{"deferred, suppressed, claimed", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Queued, Kind: store.Deferred, Code: 451})
			suppress(t, l.store, "@example.com")
			if jobs := claim(t, l, 1); len(jobs) != 0 {
				t.Errorf("%+v", jobs)
			}
			if kept := record(t, l, []store.Job{j}, sent(j)); len(kept) != 0 {
				t.Error("begun after it was suppressed")
			}
		}, store.Counts{Suppressed: 1}},
		{"bounced, retried, claimed", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Failed, Kind: store.Bounced})
			if n, err := l.Listed(t.Context(), store.Failed); n != 1 || err != nil {
				t.Errorf("%d listed, %v", n, err)
			}
			retried(t, l, store.Failed, 1)
			claim(t, l, 1)
		}, store.Counts{Suppressed: 1}},
		{"bounced, retried, removed from the list, claimed", func(t *testing.T, l *Lease, j store.Job) {
			record(t, l, nil, store.Outcome{Job: j, State: store.Failed, Kind: store.Bounced})
			retried(t, l, store.Failed, 1)
			if removed, err := l.store.Unsuppress(t.Context(), []string{"user0@example.com", "nobody@example.com"}); err != nil || len(removed) != 1 {
				t.Errorf("%v, %v", removed, err)
			}
			claim(t, l, 1)
		}, store.Counts{Claimed: 1}},
		{"an old claim's bounce", func(t *testing.T, l *Lease, j store.Job) {
			j.Owner++
			record(t, l, nil, store.Outcome{Job: j, State: store.Failed, Kind: store.Bounced})
			if _, listed, err := l.store.Suppressed(t.Context(), "user0@example.com"); listed || err != nil {
				t.Errorf("the fence let a suppression through, %v", err)
			}
		}, store.Counts{Claimed: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, l := loaded(t, 1)
			test.do(t, l, claim(t, l, 1)[0])
			if got := countsOf(t, s); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func recovered(t *testing.T, l *Lease, requeued, inDoubt int) {
	t.Helper()
	if r, d, err := l.Recover(t.Context()); r != requeued || d != inDoubt || err != nil {
		t.Errorf("recovered %d, %d in doubt, %v; want %d, %d", r, d, err, requeued, inDoubt)
	}
}

func retried(t *testing.T, l *Lease, from store.State, want int64) {
	t.Helper()
	if n, err := l.Retry(t.Context(), from); n != want || err != nil {
		t.Errorf("retried %d, %v", n, err)
	}
}

// A claim that was lost is left out of a group, and all others of the group are written.
func TestLostClaimInGroup(t *testing.T) {
	s, l := loaded(t, 6)
	jobs := claim(t, l, 6)
	record(t, l, jobs[:3])
	jobs[1].Attempt++ // as if this claim were older than the one that the queue knows
	jobs[4].Owner++
	suppressed := store.Outcome{Job: jobs[2], State: store.Failed, Kind: store.Bounced, Code: 550, Text: "no such user"} // writes to more than one row
	kept := record(t, l, jobs[3:], store.Outcome{Job: jobs[0], State: store.Sent}, store.Outcome{Job: jobs[1], State: store.Sent}, suppressed)
	if len(kept) != 2 || kept[0].ID != jobs[3].ID || kept[1].ID != jobs[5].ID {
		t.Errorf("begun: %v", kept)
	}
	if c, want := countsOf(t, s), (store.Counts{Sent: 1, Failed: 1, Sending: 3, Claimed: 1}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
}

// A row is in one of the states of the table, or not written.
func TestStates(t *testing.T) {
	s, _ := loaded(t, 1)
	for _, info := range store.States() {
		if err := s.exec(t.Context(), "UPDATE job SET state = ?1", string(info.State)); err != nil {
			t.Errorf("%s: %v", info.State, err)
		}
	}
	if err := s.exec(t.Context(), "UPDATE job SET state = ?1", "lost"); err == nil {
		t.Error("a state that there is not was written")
	}
}

// Who has no time left is not told that somebody else holds the campaign.
func TestAcquireTooLate(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	l, err := s.Acquire(ctx, "test")
	if errors.Is(err, store.ErrHeld) {
		t.Error(err)
	}
	if err == nil {
		l.Release()
	}
}

func TestOneHolder(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	if _, err := s.Acquire(t.Context(), "test"); !errors.Is(err, store.ErrHeld) {
		t.Errorf("got %v", err)
	}
	acquire(t, s, "another")
	l.Release()
	acquire(t, s, "test")
}

// What is not a queue of ours is refused, byte for byte as it was.
func TestOpenRefuses(t *testing.T) {
	s, l := loaded(t, 300)
	l.Release()
	s.Close()
	good, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(good)
	for i := 100; i < 4096; i++ {
		damaged[i] = 0xff
	}
	newer := slices.Clone(good)
	newer[63] = 200 // user_version
	older := slices.Clone(good)
	older[63] = 9
	foreign := slices.Clone(good)
	copy(foreign[68:], "abcd") // application_id
	for _, test := range []struct {
		name, want string
		content    []byte
	}{
		{"text", "not a mailblast queue", []byte("email\nada@example.com\n")},
		{"truncated", "not a mailblast queue", good[:10]},
		{"foreign", "not a mailblast queue", foreign},
		{"newer", "newer version", newer},
		{"older", "with that version", older},
		{"damaged", "damaged", damaged},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "q.db")
			if err := os.WriteFile(path, test.content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), path, true)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want %q in it", err, test.want)
			}
			if after, _ := os.ReadFile(path); !slices.Equal(after, test.content) {
				t.Error("the file was changed")
			}
		})
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "none.db"), false); !errors.Is(err, store.ErrNoQueue) {
		t.Errorf("got %v", err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "what? 100%#.db")
	s, err := Open(t.Context(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := acquire(t, s, "test")
	if _, err := l.Load(t.Context(), snapshot, false, list(10)); err != nil {
		t.Fatal(err)
	}
	err = filepath.Walk(filepath.Dir(path), func(p string, fi os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", filepath.Base(p), fi.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A queue that everybody could read is closed to them; a file that is not a queue is left alone.
func TestOpenClosesToOthers(t *testing.T) {
	s, l := loaded(t, 1)
	l.Release()
	s.Close()
	for _, test := range []struct{ was, want os.FileMode }{{0o644, 0o640}, {0o666, 0o660}, {0o606, 0o600}, {0o660, 0o660}, {0o600, 0o600}} {
		if err := os.Chmod(s.Path(), test.was); err != nil {
			t.Fatal(err)
		}
		again, err := Open(t.Context(), s.Path(), false)
		if err != nil {
			t.Fatal(err)
		}
		l := acquire(t, again, "test")
		if _, err := l.Claim(t.Context(), store.Want{N: 1}); err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if info, err := os.Stat(s.Path() + suffix); err != nil || info.Mode().Perm() != test.want {
				t.Errorf("%v: queue.db%s is %v (%v), want %v", test.was, suffix, info.Mode(), err, test.want)
			}
		}
		l.Release()
		again.Close()
	}
	other := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(other, []byte("buy milk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(other, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), other, true); err == nil {
		t.Fatal("opened")
	}
	if info, err := os.Stat(other); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A writer that is locked out waits, and the transaction then happens once.
func TestLockedQueue(t *testing.T) {
	s, l := loaded(t, 1)
	other, err := Open(t.Context(), s.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	locked, done := make(chan bool), make(chan error)
	go func() {
		done <- other.write(context.Background(), func(context.Context) error {
			close(locked)
			time.Sleep(50 * time.Millisecond)
			return nil
		})
	}()
	<-locked
	if jobs := claim(t, l, 10); len(jobs) != 1 {
		t.Errorf("%d jobs", len(jobs))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What is queued, deferred or not, ends when it is too late.
func TestExpire(t *testing.T) {
	s, l := loaded(t, 5)
	jobs := claim(t, l, 3)
	record(t, l, nil, store.Outcome{Job: jobs[0], State: store.Queued, Due: time.Now().Add(time.Hour), Kind: store.Deferred, Code: 451, Text: "later"},
		store.Outcome{Job: jobs[1], State: store.Sent, Code: 250})
	if err := l.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := countsOf(t, s); c != (store.Counts{Failed: 3, Sent: 1, Claimed: 1}) {
		t.Errorf("%+v", c)
	}
	if err := s.Rows(t.Context(), "test", []store.State{store.Failed}, false, func(r store.Row) error {
		if r.Reply != "expired" || r.Code != 0 {
			t.Errorf("%+v", r)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
