//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailblast/sender/sink"
	"mailblast/testdata/harness"
)

// Whoever finds the queue locked waits, at the start and in the middle, and goes on.
func TestQueueLocked(t *testing.T) {
	t.Parallel()
	patience := longerThanSQLite
	if os.Getenv("MAILBLAST_TEST_ALL") != "" {
		patience = 62 * time.Second // each time
	}
	var s *site
	ready, released := make(chan struct{}), make(chan struct{})
	port, w := startSink(t, sink.Options{OnAccept: atMessage(30, ready, func() {
		release := s.hold()
		time.AfterFunc(patience, func() { release(); close(released) })
	})})
	s = newSite(t, port)
	close(ready)
	recipients := s.small(60, 10, plainSMTP)
	if code := s.run("send", "small.yaml", "--limit", "1"); code != 4 {
		t.Fatalf("exit code %d", code)
	}
	release := s.hold()
	p := s.process("resume")
	p.start()
	s.opened(p)
	time.Sleep(patience)
	if w.count() != 1 {
		t.Errorf("%d recipients were sent to while the queue was locked", w.count())
	}
	release()
	if code, _ := p.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	<-released
	s.judgeSettled(w, recipients)
}

// A signal ends the waiting for a locked queue: one before anything is sent, two when there is something to write down,
// whose recipients the log then names.
func TestInterruptedWhileLocked(t *testing.T) {
	t.Parallel()
	t.Run("at the start", func(t *testing.T) {
		t.Parallel()
		port, w := startSink(t, sink.Options{})
		s := newSite(t, port)
		recipients := s.small(20, 10, plainSMTP)
		if code := s.run("send", "small.yaml", "--limit", "1"); code != 4 {
			t.Fatalf("exit code %d", code)
		}
		for _, args := range [][]string{{"resume"}, {"send", "small.yaml"}, {"retry", "small", "--failed"}} {
			release := s.hold()
			p := s.process(args...)
			p.start()
			s.opened(p)
			p.signal(syscall.SIGINT)
			if code, _ := p.end(); code != 4 {
				t.Errorf("%q: exit code %d", args, code)
			}
			release()
		}
		s.run("resume")
		s.judge(w, recipients)
	})
	t.Run("in the middle", func(t *testing.T) {
		t.Parallel()
		var s *site
		var p *process
		ready, held := make(chan struct{}), make(chan func(), 1)
		port, w := startSink(t, sink.Options{OnAccept: atMessage(20, ready, func() {
			held <- s.hold()
			p.signal(syscall.SIGINT, syscall.SIGTERM)
		})})
		s = newSite(t, port)
		recipients := s.small(60, 10, plainSMTP)
		p = s.process("send", "small.yaml")
		close(ready)
		p.start()
		code, said := p.end()
		if code != 4 {
			t.Errorf("exit code %d", code)
		}
		(<-held)()
		if code := s.run("resume"); code != 3 {
			t.Errorf("resume: exit code %d", code)
		}
		for _, to := range s.judge(w, recipients) {
			if w.record()[to] > 0 && !strings.Contains(said, to) {
				t.Errorf("%s is in doubt, and the log does not name it", to)
			}
		}
	})
}

// hold takes the queue's lock as a shell would.
func (s *site) hold() (release func()) {
	s.t.Helper()
	db := s.openQueue(10 * time.Second)
	tx, err := db.Begin()
	if err != nil {
		s.t.Fatal(err)
	}
	return sync.OnceFunc(func() { tx.Rollback(); db.Close() })
}

// opened waits until a process has opened the queue: from then on it hears signals.
func (s *site) opened(p *process) {
	s.t.Helper()
	fds := fmt.Sprintf("/proc/%d/fd", p.Process.Pid)
	if !harness.Eventually(func() bool {
		entries, _ := os.ReadDir(fds)
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			to, _ := os.Readlink(filepath.Join(fds, e.Name()))
			return strings.HasSuffix(to, "queue.db-wal")
		})
	}) {
		s.t.Fatal("it never opened the queue")
	}
}

// longerThanSQLite is longer than SQLite itself waits for a lock.
const longerThanSQLite = 1300 * time.Millisecond
