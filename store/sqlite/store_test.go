package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailblast/store"
	"mailblast/store/storetest"
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

// loaded is a queue whose campaign "test" has n recipients.
func loaded(t testing.TB, n int) (*Store, *Lease) {
	t.Helper()
	s := open(t)
	l := acquire(t, s, "test")
	if _, err := l.Load(t.Context(), storetest.Snapshot, false, storetest.List(n)); err != nil {
		t.Fatal(err)
	}
	return s, l
}

func claim(t testing.TB, l *Lease, n int) []store.Job {
	t.Helper()
	jobs, err := l.Claim(t.Context(), store.Want{N: n})
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

// A load that the queue does not take is undone as well. Nobody reads the list any more then, and rows are checked as
// before it.
func TestLoadRefused(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	if err := s.exec(t.Context(), "CREATE TEMP TRIGGER full BEFORE INSERT ON job WHEN new.line = 3000 BEGIN SELECT RAISE(FAIL, 'no more room'); END"); err != nil {
		t.Fatal(err)
	}
	calls := 0
	next := storetest.List(1_000_000)
	_, err := l.Load(t.Context(), storetest.Snapshot, false, func() (store.Recipient, error) { calls++; return next() })
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
	if _, err := l.Load(t.Context(), storetest.Snapshot, false, storetest.List(3)); err != nil {
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
	if _, err := l.Load(t.Context(), storetest.Snapshot, false, func() (store.Recipient, error) {
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

func recovered(t *testing.T, l *Lease, requeued, inDoubt int) {
	t.Helper()
	if r, d, err := l.Recover(t.Context()); r != requeued || d != inDoubt || err != nil {
		t.Errorf("recovered %d, %d in doubt, %v; want %d, %d", r, d, err, requeued, inDoubt)
	}
}

// After a reboot under durability: process a row that reads claimed may have been sending.
func TestRecoverAfterReboot(t *testing.T) {
	for _, test := range []struct {
		name, boot        string // of the owner
		requeued, inDoubt int
	}{
		{"another start", "another", 0, 1},
		{"starts have no names", "", 0, 1},
		{"the same start", bootID(), 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, l := loaded(t, 1)
			l.durability = "process"
			claim(t, l, 1)
			if err := s.exec(t.Context(), "UPDATE owner SET boot = ?1", test.boot); err != nil {
				t.Fatal(err)
			}
			recovered(t, l, test.requeued, test.inDoubt)
			if c, want := storetest.Counts(t, s), (store.Counts{Queued: int64(test.requeued), InDoubt: int64(test.inDoubt)}); c != want {
				t.Errorf("%+v, want %+v", c, want)
			}
		})
	}
}

// A message that was begun is not begun again by the same claim.
func TestBeginTwice(t *testing.T) {
	_, l := loaded(t, 1)
	jobs := claim(t, l, 1)
	record(t, l, jobs)
	if kept := record(t, l, jobs); len(kept) != 0 {
		t.Error("begun twice")
	}
}

// The list is looked at again before a begin if another process has written to the queue; who sends adds nobody that he
// has claimed.
func TestSuppressedByItself(t *testing.T) {
	s, l := loaded(t, 1)
	jobs := claim(t, l, 1)
	suppress(t, s, "user0@example.com")
	if kept := record(t, l, jobs); len(kept) != 1 {
		t.Error("the list was looked at")
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
	if _, err := l.Load(t.Context(), storetest.Snapshot, false, storetest.List(10)); err != nil {
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
