package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"mailblast/store"
	"mailblast/store/storetest"
)

// purgeable is a queue with two campaigns, "gone" and "test". Every text of the first one holds the word canary; its rows
// grew and shrank, so that pages have been split and old text lies about in them.
func purgeable(t *testing.T) (s *Store, gone, test *Lease) {
	t.Helper()
	s, test = loaded(t, 500)
	if err := s.exec(t.Context(), "INSERT INTO suppression VALUES ('someone@example.net', 'asked', 'cli', 1)"); err != nil {
		t.Fatal(err)
	}
	gone = acquire(t, s, "gone")
	snap := store.Snapshot{Path: "canary.yaml", Source: []byte("subject: canary"), Columns: []string{"email", "canary"}, MessageDomain: "canary.example", Durability: "strict",
		Files: map[string][]byte{"canary.html": bytes.Repeat([]byte("<p>canary"), 10_000), "a.html": []byte("<p>")}}
	n := 0
	_, err := gone.Load(t.Context(), snap, false, func() (store.Recipient, error) {
		if n++; n > 1000 {
			return store.Recipient{}, io.EOF
		}
		r := store.Recipient{Identity: fmt.Sprintf("canary%d@example.org", n), Values: []string{"", strings.Repeat("canary", n%300)}, Line: n}
		r.Address = r.Identity
		if n%10 == 0 {
			r.Invalid = "canary is no address"
		}
		return r, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		jobs := claim(t, gone, 100)
		if len(jobs) == 0 {
			break
		}
		record(t, gone, jobs)
		var ends []store.Outcome
		for _, j := range jobs {
			o := store.Outcome{Job: j, State: store.Sent, Code: 250, Text: strings.Repeat("canary reply", j.Attempt), Server: "canary"}
			if j.Attempt < 3 && j.ID%2 == 0 {
				o.State, o.Kind, o.Due, o.Text = store.Queued, store.Deferred, time.Now(), strings.Repeat("canary later ", 50)
			}
			ends = append(ends, o)
		}
		record(t, gone, nil, ends...)
	}
	return s, gone, test
}

// traces says how often the canary is in the queue's files.
func traces(t *testing.T, s *Store) int {
	t.Helper()
	n := 0
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		content, err := os.ReadFile(s.Path() + suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		n += bytes.Count(content, []byte("canary"))
	}
	return n
}

func purge(t *testing.T, l *Lease) {
	t.Helper()
	if err := l.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func scrub(t *testing.T, s *Store) {
	t.Helper()
	if cleaned, err := s.Scrub(t.Context()); err != nil || !cleaned {
		t.Fatal(cleaned, err)
	}
}

func TestPurge(t *testing.T) {
	s, gone, test := purgeable(t)
	if traces(t, s) < 1000 {
		t.Fatal("the canary is not there, so its absence would prove nothing")
	}
	before := storetest.Counts(t, s)
	purge(t, gone)
	scrub(t, s)
	if n := traces(t, s); n > 0 {
		t.Errorf("%d traces are left", n)
	}
	c, err := s.Campaign(t.Context(), "gone")
	if err != nil || c.Purged.IsZero() || c.Counts != (store.Counts{Sent: 900, Invalid: 100}) {
		t.Errorf("%+v, %v", c, err)
	}
	if got := storetest.Counts(t, s); got != before {
		t.Errorf("the other campaign has %+v, had %+v", got, before)
	}
	if snap, err := s.Snapshot(t.Context(), "test"); err != nil || string(snap.Files["a.html"]) != "<p>" {
		t.Errorf("the other campaign's files: %v, %v", snap.Files, err)
	}
	var rows, suppressed int
	var healthy string
	for query, to := range map[string]any{"SELECT count(*) FROM job": &rows, "SELECT count(*) FROM suppression": &suppressed, "PRAGMA integrity_check": &healthy} {
		if err := s.writer.QueryRowContext(t.Context(), query).Scan(to); err != nil {
			t.Fatal(err)
		}
	}
	if rows != 500 || suppressed != 1 || healthy != "ok" {
		t.Errorf("%d rows, %d suppressed, %s", rows, suppressed, healthy)
	}
	// Nobody knows who was sent to, so nobody is sent to.
	if _, err := gone.Load(t.Context(), storetest.Snapshot, true, storetest.List(3)); !errors.Is(err, store.ErrPurged) {
		t.Errorf("got %v", err)
	}
	// The other campaign goes on.
	if kept := record(t, test, claim(t, test, 1)); len(kept) != 1 {
		t.Error("the other campaign cannot go on")
	}
}

// A reader keeps the old pages alive: that is said, and the second run does the rest.
func TestPurgeWhileRead(t *testing.T) {
	s, gone, _ := purgeable(t)
	if _, err := s.writer.ExecContext(t.Context(), "PRAGMA busy_timeout=1"); err != nil {
		t.Fatal(err)
	}
	reader, err := s.readDB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM job").Scan(&n); err != nil {
		t.Fatal(err)
	}
	purge(t, gone)
	if _, err := s.Scrub(t.Context()); !errors.Is(err, store.ErrTraces) {
		t.Errorf("got %v", err)
	}
	if traces(t, s) == 0 {
		t.Error("there are no traces, against what was said")
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	// Another process, which has nothing to remove, knows that the cleaning is owed, and that it is not any more.
	s.Close()
	again, err := Open(t.Context(), s.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	scrub(t, again)
	if n := traces(t, s); n > 0 {
		t.Errorf("%d traces are left", n)
	}
	if cleaned, err := again.Scrub(t.Context()); err != nil || cleaned {
		t.Errorf("cleaned a clean file: %v, %v", cleaned, err)
	}
}
