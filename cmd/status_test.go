package cmd

import (
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"mailblast/store"
	"mailblast/store/sqlite"
)

// What is shown on a terminal of 80 columns fits it, without a line that breaks in the middle of a word; elsewhere all
// columns are there.
func TestStatusFits(t *testing.T) {
	s := statusJSON{reportHead: reportHead{Campaign: "weekly-2026-11-28"}}
	s.Counts.Sent, s.Counts.Failed = 1_000_000, 12
	whole := statusTable([]statusJSON{s}, 0)
	for _, column := range []string{"DEFERRED", "FAILED", "IN DOUBT", "SUPPRESSED", "INVALID"} {
		if !strings.Contains(whole, column) {
			t.Errorf("%s is missing:\n%s", column, whole)
		}
	}
	narrow := statusTable([]statusJSON{s}, 80)
	if text.LongestLineLen(narrow) > 80 || !strings.Contains(narrow, "FAILED") || strings.Contains(narrow, "IN DOUBT") || !strings.Contains(narrow, "1,000,000") || !strings.Contains(narrow, "NEXT DUE") {
		t.Errorf("on 80 columns:\n%s", narrow)
	}
	line := "relay (smtp.example.com:587 club): takes about 14 messages a second; 0 left of 50000/d; waits: the quota of 50000/d is used up"
	wrapped := wrap(line, 80)
	if text.LongestLineLen(wrapped) > 80 || strings.ReplaceAll(wrapped, "\n ", "") != line {
		t.Errorf("wrapped:\n%s", wrapped)
	}
	if got := wrap(line, 0); got != line {
		t.Errorf("where there is no terminal: %q", got)
	}
}

// What has expired while its window is shut does not wait for it: the next run writes that down.
func TestStatusOfWhatHasExpired(t *testing.T) {
	q, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "queue.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	lease, err := q.Acquire(t.Context(), "short")
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	rows := []store.Recipient{{Identity: "ada@example.com", Address: "ada@example.com", Values: []string{"ada@example.com"}}}
	source := "name: short\nfrom: a@example.com\nsubject: s\nrecipients: l.csv\ntext: b.txt\nsmtp: {host: smtp.example.com}\n" +
		"delivery: {send_window: 02:00-03:00 UTC, expires: 3h}\n"
	_, err = lease.Load(t.Context(), store.Snapshot{Source: []byte(source), Columns: []string{"email"}, MessageDomain: "example.com", Durability: "strict"}, false,
		func() (r store.Recipient, err error) {
			if len(rows) == 0 {
				return r, io.EOF
			}
			r, rows = rows[0], rows[1:]
			return r, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	c, err := q.Campaign(t.Context(), "short")
	if err != nil {
		t.Fatal(err)
	}
	c.Created = time.Date(2099, 6, 1, 2, 30, 0, 0, time.UTC)
	end := c.Created.Add(3 * time.Hour)
	for _, test := range []struct {
		now   time.Time
		waits string
		due   *time.Time
	}{
		{c.Created, "", nil},
		{c.Created.Add(time.Hour), "it is outside of its send_window", &end},
		{end, "", nil},
		{end.Add(time.Hour), "", nil},
	} {
		s := statusOf(c)
		if err := s.ask(t.Context(), q, c, nil, test.now); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(s.WaitsFor, test.waits) || (test.waits == "") != (s.WaitsFor == "") || (s.NextDue == nil) != (test.due == nil) || test.due != nil && !s.NextDue.Equal(*test.due) {
			t.Errorf("at %v: waits for %q, due %v, want %q, %v", test.now, s.WaitsFor, s.NextDue, test.waits, test.due)
		}
	}
}
