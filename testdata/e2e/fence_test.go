//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mailblast/sender/sink"
)

// A process is stopped for so long that another one takes its lock, as can happen where the lock is kept by a server.
// The other one settles its rows and sends the rest. When the first one goes on, the fence lets nothing of what it had
// claimed leave, and what it learns about what had left changes nothing.
func TestStoppedForLong(t *testing.T) {
	t.Parallel()
	var s *site
	var first *process
	ready, stopped := make(chan struct{}), make(chan struct{})
	port, w := startSink(t, sink.Options{OnAccept: atMessage(25, ready, func() {
		s.halt(first)
		close(stopped)
	})})
	s = newSite(t, port)
	recipients := s.small(80, 10, plainSMTP)
	first = s.process("send", "small.yaml")
	close(ready)
	first.start()
	<-stopped
	locks, err := filepath.Glob(filepath.Join(s.dir, "queue.db.locks", "????????????????"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("locks %q, %v", locks, err)
	}
	if code := s.run("resume"); code != 5 {
		t.Errorf("while the lock is held: exit code %d", code)
	}
	if err := os.Rename(locks[0], filepath.Join(s.dir, "lost")); err != nil {
		t.Fatal(err)
	}
	if code := s.run("resume"); code != 3 {
		t.Errorf("the second one: exit code %d", code)
	}
	settled := s.states()
	first.signal(syscall.SIGCONT)
	if code, _ := first.end(); code != 3 {
		t.Errorf("the first one: exit code %d", code)
	}
	doubt := s.judge(w, recipients)
	if len(doubt) == 0 || len(doubt) > 4 {
		t.Errorf("in doubt: %q", doubt)
	}
	for to, state := range s.states() {
		if state != settled[to] {
			t.Errorf("%s was %s, and the first one has made it %s", to, settled[to], state)
		}
	}
}

// halt stops a process at a moment at which it does not hold the queue: there the others would have to wait for it.
func (s *site) halt(p *process) {
	db := s.openQueue(0)
	defer db.Close()
	for {
		p.signal(syscall.SIGSTOP)
		for state := ""; state != "T"; {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
			if err != nil {
				s.t.Error(err)
				return
			}
			_, after, _ := bytes.Cut(stat, []byte(") "))
			state = string(after[:1])
		}
		if tx, err := db.Begin(); err == nil {
			tx.Rollback()
			return
		}
		p.signal(syscall.SIGCONT)
		time.Sleep(time.Millisecond)
	}
}
