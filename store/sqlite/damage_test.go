package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailblast/store"
	"mailblast/store/storetest"
)

// used is the file of a queue that was closed in order, with rows in every state, and which of its addresses may be sent to.
func used(t *testing.T) (content []byte, recipients []store.Recipient, mayBeSent map[string]bool) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		a := fmt.Sprintf("%x.%d@example.com", random.Uint64(), i) // no byte makes one of them another
		recipients = append(recipients, store.Recipient{Identity: a, Address: a, Values: []string{a, "Ada"}, Line: i + 2})
	}
	s := open(t)
	l := acquire(t, s, "test")
	if _, err := l.Load(t.Context(), storetest.Snapshot, false, storetest.Each(recipients)); err != nil {
		t.Fatal(err)
	}
	jobs := claim(t, l, 250)
	record(t, l, jobs[:200])
	ends := map[int]store.Outcome{0: {State: store.Sent, Code: 250, Text: "ok"}, 1: {State: store.Failed, Code: 550}, 2: {State: store.InDoubt}, 3: {State: store.Queued, Kind: store.Deferred, Due: time.Now()}}
	var finish []store.Outcome
	mayBeSent = map[string]bool{}
	for i, r := range recipients {
		mayBeSent[r.Address] = i >= 200
	}
	for i, j := range jobs[:190] {
		o := ends[min(i%8, 3)]
		if i%8 > 3 {
			o = ends[0]
		}
		o.Job = j
		mayBeSent[j.Address] = o.State == store.Queued
		finish = append(finish, o)
	}
	record(t, l, nil, finish...)
	l.Release()
	s.Close()
	content, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	return content, recipients, mayBeSent
}

// goOn does what send does with a queue that is there: it returns which addresses it would send to, and whether the
// queue was refused before anything in it was changed.
func goOn(t *testing.T, path string, recipients []store.Recipient) (to []string, refused bool, err error) {
	s, err := Open(t.Context(), path, true)
	if err != nil {
		return nil, true, err
	}
	defer s.Close()
	l, err := s.acquire(t.Context(), "test")
	if err != nil {
		return nil, true, err
	}
	defer l.Release()
	if _, _, err = l.Recover(t.Context()); err != nil {
		return nil, false, err
	}
	if _, err := l.Load(t.Context(), storetest.Snapshot, true, storetest.Each(recipients)); err != nil {
		return nil, false, err
	}
	jobs, err := l.Claim(t.Context(), store.Want{N: 1000})
	for _, j := range jobs {
		to = append(to, j.Address)
	}
	return to, false, err
}

// One wrong byte anywhere: the queue is refused as it is, or what is wrong does not matter. Nobody is sent to twice.
func TestFlippedBytes(t *testing.T) {
	content, recipients, mayBeSent := used(t)
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(3, 4))
	refusals := 0
	try := func(at int, with byte) {
		path := filepath.Join(dir, fmt.Sprint(at, "-", with))
		damaged := bytes.Clone(content)
		damaged[at] ^= with
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		to, refused, err := goOn(t, path, recipients)
		if err != nil && strings.Contains(err.Error(), "panic") {
			t.Errorf("byte %d: %v", at, err)
		}
		if refused {
			refusals++
			if after, _ := os.ReadFile(path); !bytes.Equal(after, damaged) {
				t.Errorf("byte %d ^ %#x: refused (%v) and changed", at, with, err)
			}
		}
		known := 0
		for _, a := range to {
			if may, is := mayBeSent[a]; is && !may {
				t.Errorf("byte %d ^ %#x: %s would be sent to again", at, with, a)
			} else if is {
				known++
			}
		}
		// At most one row is hurt.
		if err == nil && known < 120 {
			t.Errorf("byte %d ^ %#x: only %d of the recipients are left, and nobody said so", at, with, known)
		}
		for _, part := range append([]string{"-journal"}, parts...) {
			os.Remove(path + part)
		}
	}
	for at := range 100 {
		try(at, 1<<random.IntN(8))
	}
	for range 200 {
		try(random.IntN(len(content)), 1<<random.IntN(8))
	}
	t.Logf("%d of 300 were refused", refusals)
	if refusals < 50 {
		t.Errorf("only %d were refused", refusals)
	}
}

// A file that was cut is refused, even one of which nothing is left.
func TestTruncated(t *testing.T) {
	content, recipients, _ := used(t)
	for _, n := range []int{0, 1, 50, 100, 4095, 4096, 5000, 8191, 8192, len(content) / 2, len(content) - 8192, len(content) - 4096, len(content) - 1} {
		path := filepath.Join(t.TempDir(), "queue.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := goOn(t, path, recipients); err != nil { // makes the locks
			t.Fatal(err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cut := whole[:n]
		if err := os.WriteFile(path, cut, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, refused, err := goOn(t, path, recipients); !refused || !strings.Contains(err.Error(), "left as it is") && !strings.Contains(err.Error(), "left as it") && !strings.Contains(err.Error(), "was left") {
			t.Errorf("cut to %d of %d octets: %v", n, len(whole), err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, cut) {
			t.Errorf("cut to %d octets: the file was changed", n)
		}
	}
}

// An index that names a row that is not queued, or not held, does not have it sent again, in a queue that is too large to be
// verified at the start.
func TestIndexOutOfStep(t *testing.T) {
	_, l := loaded(t, 3)
	jobs := claim(t, l, 3)
	record(t, l, jobs)
	record(t, l, nil, store.Outcome{Job: jobs[0], State: store.Sent}, store.Outcome{Job: jobs[1], State: store.Sent}, store.Outcome{Job: jobs[2], State: store.Sent})
	for _, query := range []string{
		"PRAGMA writable_schema=ON",
		"UPDATE sqlite_schema SET sql = replace(sql, '''queued''', '''sent''') WHERE name = 'job_due'",
		"UPDATE sqlite_schema SET sql = replace(sql, 'IS NOT NULL', 'IS NULL') WHERE name = 'job_held'",
		"PRAGMA writable_schema=RESET",
		"REINDEX",
		"PRAGMA writable_schema=ON",
		"UPDATE sqlite_schema SET sql = replace(sql, '''sent''', '''queued''') WHERE name = 'job_due'",
		"UPDATE sqlite_schema SET sql = replace(sql, 'IS NULL', 'IS NOT NULL') WHERE name = 'job_held'",
		"PRAGMA writable_schema=RESET",
	} {
		if _, err := l.store.writer.ExecContext(t.Context(), query); err != nil {
			t.Fatal(query, err)
		}
	}
	if jobs, err := l.Claim(t.Context(), store.Want{N: 3}); err == nil || len(jobs) != 0 {
		t.Errorf("claimed what was sent: %+v, %v", jobs, err)
	}
	if requeued, doubt, err := l.Recover(t.Context()); err == nil || requeued+doubt > 0 {
		t.Errorf("recovered what was sent: %d, %d, %v", requeued, doubt, err)
	}
}

// A wrong byte in a row's state, in a queue that is too large to be verified at the start, is found at the end at the
// latest: no campaign is called finished that has a row which nobody settles, and nobody waits for it without end.
func TestFlippedState(t *testing.T) {
	large := storetest.Snapshot
	large.Files = map[string][]byte{"large.pdf": bytes.Repeat([]byte("x"), verifyMost+1)}
	s := open(t)
	l := acquire(t, s, "test")
	if _, err := l.Load(t.Context(), large, false, storetest.List(5)); err != nil {
		t.Fatal(err)
	}
	// User 0 is sent, 1 failed, 2 being sent, 3 claimed, 4 queued.
	jobs := claim(t, l, 4)
	record(t, l, jobs[:3])
	record(t, l, nil, store.Outcome{Job: jobs[0], State: store.Sent, Code: 250}, store.Outcome{Job: jobs[1], State: store.Failed, Code: 550})
	l.Release()
	s.Close()
	content, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	// run goes on with the queue, and returns what ends it.
	run := func(path string) error {
		s, err := Open(t.Context(), path, false)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		defer s.Close()
		l, err := s.acquire(t.Context(), "test")
		if err != nil {
			return fmt.Errorf("acquire: %w", err)
		}
		defer l.Release()
		if _, _, err := l.Recover(t.Context()); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		for {
			jobs, err := l.Claim(t.Context(), store.Want{N: 10})
			if err != nil {
				return fmt.Errorf("claim: %w", err)
			}
			if len(jobs) == 0 {
				break
			}
			for _, j := range record(t, l, jobs) {
				record(t, l, nil, store.Outcome{Job: j, State: store.Sent, Code: 250})
			}
		}
		if err := l.Finish(t.Context()); err != nil {
			return fmt.Errorf("finish: %w", err)
		}
		c, err := s.Campaign(t.Context(), "test")
		if err == nil && c.Finished.IsZero() {
			return errors.New("not finished")
		}
		return err
	}
	for _, test := range []struct {
		user        int
		state, with string
		stops       string
	}{
		{0, "sent", "sent", ""},
		{0, "sent", "rent", "finish"},
		{1, "failed", "gailed", "finish"},
		{2, "sending", "s-nding", "recover"},
		{3, "claimed", "clbimed", "recover"},
		{4, "queued", "pueued", "claim"},
	} {
		t.Run(test.with, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			damaged := bytes.Clone(content)
			row := fmt.Appendf(nil, `["user%d@example.com","Ada"]`, test.user)
			found := false
			for rest := damaged; ; {
				_, after, ok := bytes.Cut(rest, row)
				if !ok {
					break
				}
				rest = after
				if at := bytes.Index(after[:12], []byte(test.state)); at >= 0 {
					copy(after[at:], test.with)
					found = true
				}
			}
			if !found {
				t.Fatal("there is no such row")
			}
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			err := run(path)
			if test.stops == "" && err != nil || test.stops != "" && (err == nil || !strings.HasPrefix(err.Error(), test.stops+": ") || !strings.Contains(err.Error(), "damaged")) {
				t.Errorf("got %v; want %q", err, test.stops)
			}
		})
	}
}

// A tally that says that somebody waits, when nobody does, does not have the run wait without end.
func TestNobodyWaits(t *testing.T) {
	s, l := loaded(t, 3)
	if _, err := s.writer.ExecContext(t.Context(), "UPDATE tally SET n = n + 4"); err != nil {
		t.Fatal(err)
	}
	claim(t, l, 3)
	if _, err := l.Claim(t.Context(), store.Want{N: 3}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}

// The tally is part of what a queue is verified by.
func TestTallyOutOfStep(t *testing.T) {
	s, l := loaded(t, 3)
	if _, err := s.writer.ExecContext(t.Context(), "UPDATE job SET state = 'sent' WHERE id = 2"); err != nil {
		t.Fatal(err)
	}
	l.Release()
	if _, err := s.acquire(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
	if _, err := s.acquire(t.Context(), "another"); err != nil {
		t.Error(err)
	}
}

// A row is in one of the states, and a number of rows is not negative.
func TestImpossible(t *testing.T) {
	s, l := loaded(t, 3)
	for _, info := range store.States() {
		if _, err := s.writer.ExecContext(t.Context(), "UPDATE job SET state = ?1 WHERE id = 2", string(info.State)); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.writer.ExecContext(t.Context(), "UPDATE job SET state = 'sant' WHERE id = 2"); err == nil {
		t.Error("there is a state sant")
	}
	if _, err := s.writer.ExecContext(t.Context(), "UPDATE tally SET n = -1"); err != nil {
		t.Fatal(err)
	}
	l.Release()
	if _, err := s.acquire(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "less than none") {
		t.Errorf("got %v", err)
	}
}

// What was deferred while the clock was a day ahead is due as long from now as it was then, and only once; what was deferred
// by the right clock, or lies in the past, stays.
func TestClockSetBack(t *testing.T) {
	s, l := loaded(t, 4)
	now := time.Now()
	const day = 24 * time.Hour
	for id, c := range []struct{ updated, due time.Duration }{
		{day, day + 5*time.Minute}, {day, day - time.Hour}, {-time.Minute, 4 * time.Hour}, {-day, -day + time.Minute},
	} {
		if _, err := s.writer.ExecContext(t.Context(), "UPDATE job SET updated = ?, due = ? WHERE id = ?", millis(now.Add(c.updated)), millis(now.Add(c.due)), id+1); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		recovered(t, l, 0, 0)
		want := []time.Duration{5 * time.Minute, -time.Hour, 4 * time.Hour, -day + time.Minute}
		i := 0
		if err := s.Rows(t.Context(), "test", nil, false, func(r store.Row) error {
			if off := r.Due.Sub(now) - want[i]; off < -time.Second || off > 30*time.Second {
				t.Errorf("row %d is due in %v, want %v", i+1, r.Due.Sub(now), want[i])
			}
			i++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// Eight processes that find no queue make one.
func TestMadeByMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "queue.db")
	errs := make(chan error)
	for i := range 8 {
		go func() {
			s, err := Open(t.Context(), path, true)
			if err == nil {
				var l *Lease
				if l, err = s.acquire(t.Context(), fmt.Sprint("campaign ", i)); err == nil {
					_, err = l.Load(t.Context(), storetest.Snapshot, false, storetest.List(10))
				}
			}
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// Two names of one queue are one queue.
func TestOneQueueByTwoNames(t *testing.T) {
	s := open(t)
	acquire(t, s, "test")
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(s.Path(), link); err != nil {
		t.Fatal(err)
	}
	other, err := Open(t.Context(), link, false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if l, err := other.Acquire(t.Context(), "test"); err == nil {
		l.Release()
		t.Error("the same campaign was acquired twice")
	}
}
