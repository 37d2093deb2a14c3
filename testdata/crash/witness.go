package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"mailblast/sender/sink"
)

// A witness writes down what the server has taken, before the server acknowledges it.
type witness struct {
	mu       sync.Mutex
	taken    map[string][]acceptance // by recipient
	n        int
	watch    int // reached is closed when n comes here
	reached  chan struct{}
	answered map[int64]bool // the 250 was written
}

type acceptance struct {
	id        int64
	messageID string
	at        int64 // CLOCK_MONOTONIC, nanoseconds: after the last byte had come
}

func newWitness() *witness {
	return &witness{taken: map[string][]acceptance{}, answered: map[int64]bool{}, watch: -1}
}

func (w *witness) accept(m sink.Message) {
	at := monotonic()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, to := range m.To {
		w.taken[to] = append(w.taken[to], acceptance{m.ID, m.MessageID, at})
	}
	w.n++
	if w.n == w.watch {
		close(w.reached)
	}
}

func (w *witness) reply(m sink.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered[m.ID] = true
}

// after returns a channel that is closed when n more messages were taken. It replaces the one before.
func (w *witness) after(n int) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch, w.reached = w.n+n, make(chan struct{})
	return w.reached
}

func (w *witness) recipients() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.taken)
}

// monotonic is the clock that disk/preload.c reads too.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}

// A finding is what a run broke. Kind is duplicate, lost, doubt or queue.
type finding struct{ kind, text string }

// A verdict is what a run is judged by.
type verdict struct {
	findings []finding
	doubt    int
}

func (v *verdict) find(kind, format string, args ...any) {
	v.findings = append(v.findings, finding{kind, fmt.Sprintf(format, args...)})
}

// judge compares the report and the queue, at the end of a run, with the witness. The server has been closed.
func (w *witness) judge(ctx context.Context, report *exec.Cmd, queue string, recipients []string) (verdict, error) {
	var v verdict
	out, err := report.Output()
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		return v, fmt.Errorf("report: %w: %s", err, e.Stderr)
	}
	if err != nil {
		return v, err
	}
	var r struct {
		Finished   *time.Time
		Recipients []struct {
			Email, State string
			MessageID    string `json:"message_id"`
		}
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return v, fmt.Errorf("report: %w", err)
	}
	if r.Finished == nil {
		v.find("queue", "the report says that the campaign is not finished")
	}
	type row struct{ state, messageID string }
	rows := map[string]row{}
	for _, x := range r.Recipients {
		if rows[x.Email].state != "" {
			v.find("queue", "%s is in the report twice", x.Email)
		}
		rows[x.Email] = row{x.State, x.MessageID}
	}
	for _, to := range recipients {
		taken, state := w.taken[to], rows[to].state
		if len(taken) > 1 {
			v.find("duplicate", "%s was taken %d times, the report says %q", to, len(taken), state)
		}
		if state == "in_doubt" {
			v.doubt++
		}
		switch {
		case state != "sent" && state != "in_doubt":
			v.find("lost", "%s: the report says %q, taken %d times", to, state, len(taken))
		case state == "sent" && len(taken) == 0:
			v.find("lost", "%s was never taken, the report says sent", to)
		case state == "sent" && !slices.ContainsFunc(taken, func(a acceptance) bool { return w.answered[a.id] }):
			v.find("queue", "%s: the report says sent, but the server did not say so", to)
		}
		for _, a := range taken {
			if a.messageID != rows[to].messageID {
				v.find("queue", "%s was taken with Message-ID %s, the report says %s", to, a.messageID, rows[to].messageID)
			}
		}
	}
	if len(rows) != len(recipients) {
		v.find("queue", "the report has %d recipients, the list %d", len(rows), len(recipients))
	}
	for to := range w.taken {
		if rows[to].state == "" {
			v.find("queue", "%s was taken and is not in the report", to)
		}
	}
	return v, v.inspect(ctx, queue)
}

// inspect looks into the queue itself.
func (v *verdict) inspect(ctx context.Context, queue string) error {
	db, err := sql.Open("sqlite3", "file:"+queue+"?mode=rw")
	if err != nil {
		return err
	}
	defer db.Close()
	var check string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&check); err != nil {
		return err
	}
	if check != "ok" {
		v.find("queue", "integrity_check: %s", check)
	}
	counted, err := counts(ctx, db, "SELECT state, count(*) FROM job GROUP BY state")
	if err != nil {
		return err
	}
	tally, err := counts(ctx, db, "SELECT state, n FROM tally WHERE n <> 0 AND campaign <> 0")
	if err != nil {
		return err
	}
	if !maps.Equal(counted, tally) {
		v.find("queue", "the rows are %v, the tally says %v", counted, tally)
	}
	return nil
}

func counts(ctx context.Context, db *sql.DB, query string) (map[string]int, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	m := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		m[state] = n
	}
	return m, rows.Err()
}

// An arrival is one acceptance of one recipient.
type arrival struct {
	to string
	at int64
}

// arrivals is everything that was taken, in the order of time.
func (w *witness) arrivals() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []arrival
	for to, taken := range w.taken {
		for _, a := range taken {
			all = append(all, arrival{to, a.at})
		}
	}
	slices.SortFunc(all, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return all
}
