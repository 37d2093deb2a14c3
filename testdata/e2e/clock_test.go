package e2e

import (
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailblast/sender/sink"
)

// The clock is set by a day in the middle of a run: nobody is lost, nobody is sent to twice, and nobody who was put off
// waits for a day. The clock of a Go program cannot be set for it alone, as it reads it without asking the system; so
// the test does the same thing from the other side, and sets all the times that are written down. Within a process time
// is told by the clock that is never set.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		by   time.Duration
		code int // of the run
	}{
		{"forth", 24 * time.Hour, 0}, // all who were put off are due
		{"back", -24 * time.Hour, 4}, // they seem to be due in a day, until the end of the run
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var s *site
			var putOff atomic.Int64
			ready := make(chan struct{})
			port, w := startSink(t, sink.Options{Fail: []sink.Rule{{
				Stage: sink.Rcpt, Pattern: regexp.MustCompile(`[05]@`), First: 1, Reply: sink.Reply{Code: 451, Text: "4.7.1 try again later"},
			}}, OnAccept: atMessage(20, ready, func() { putOff.Store(s.setClock(test.by)) })})
			s = newSite(t, port)
			close(ready)
			recipients := s.small(60, 10, plainSMTP)
			s.amend("small.yaml", "delivery: {", "delivery: {backoff: 3s..3s, ")
			p := s.process("send", "small.yaml")
			p.start()
			if code, said := p.end(); code != test.code || strings.Contains(said, "in 23h") || strings.Contains(said, "in 24h") {
				t.Errorf("exit code %d, want %d, and nobody is to wait for a day", code, test.code)
			}
			if putOff.Load() == 0 {
				t.Error("nobody had been put off by then")
			}
			if code := s.run("resume"); code != 0 {
				t.Errorf("resume: exit code %d", code)
			}
			s.judgeSettled(w, recipients)
		})
	}
}

// setClock makes the times in the queue what they are by a clock that has been set. It returns how many recipients are
// put off.
func (s *site) setClock(by time.Duration) (putOff int64) {
	db := s.openQueue(10 * time.Second)
	defer db.Close()
	result, err := db.Exec("UPDATE job SET due = due - ?1, updated = updated - ?1 WHERE state = 'queued' AND due > 0", by.Milliseconds())
	if err == nil {
		putOff, err = result.RowsAffected()
	}
	if err == nil {
		_, err = db.Exec("UPDATE job SET updated = updated - ?1 WHERE state <> 'queued'", by.Milliseconds())
	}
	if err != nil {
		s.t.Error(err)
	}
	return putOff
}
