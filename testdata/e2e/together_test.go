package e2e

import (
	"slices"
	"testing"
	"time"

	"mailblast/sender/sink"
)

// Whatever is started at the same time, each campaign is sent by one process, once.
func TestAtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		runs  [][]string
		codes []int // sorted
	}{
		{"two by cron", [][]string{{"send", "small.yaml"}, {"send", "small.yaml"}}, []int{0, 5}},
		{"resume beside send", [][]string{{"send", "small.yaml"}, {"resume"}}, []int{0, 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			// The first one comes no further than this before the others have ended.
			others := make(chan bool)
			first := make(chan bool)
			begun := atMessage(1, nil, func() { close(first) })
			port, w := startSink(t, sink.Options{OnAccept: func(m sink.Message) {
				begun(m)
				<-others
			}})
			s := newSite(t, port)
			recipients := s.small(40, 10, plainSMTP)
			p := s.process(test.runs[0]...)
			p.start()
			<-first
			codes := []int{s.run(test.runs[1]...)}
			close(others)
			code, _ := p.end()
			if codes = append(codes, code); !slices.Equal(slices.Sorted(slices.Values(codes)), test.codes) {
				t.Errorf("exit codes %v, want %v", codes, test.codes)
			}
			s.judgeSettled(w, recipients)
		})
	}
	t.Run("four that find no queue", func(t *testing.T) {
		t.Parallel()
		port, w := startSink(t, sink.Options{})
		s := newSite(t, port)
		recipients := s.small(40, 10, plainSMTP)
		var all []*process
		for range 4 {
			p := s.process("send", "small.yaml")
			p.start()
			all = append(all, p)
		}
		done := 0
		for _, p := range all {
			switch code, _ := p.end(); code {
			case 0:
				done++
			case 5:
			default:
				t.Errorf("exit code %d", code)
			}
		}
		if done == 0 {
			t.Error("none came to the end")
		}
		s.judgeSettled(w, recipients)
	})
	t.Run("two campaigns", func(t *testing.T) {
		t.Parallel()
		const n = 300
		port, w := startSink(t, sink.Options{Latency: time.Millisecond})
		s := newSite(t, port)
		recipients := s.small(n, 10, plainSMTP)
		names := []string{"spring", "summer"}
		var all []*process
		for _, name := range names {
			p := s.process("send", "small.yaml", "--name", name)
			p.start()
			all = append(all, p)
		}
		for _, p := range all {
			if code, _ := p.end(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		}
		taken := w.record()
		for _, to := range recipients {
			if taken[to] != len(names) {
				t.Errorf("%s was taken %d times", to, taken[to])
			}
		}
		for _, name := range names {
			if sent := len(s.report(name, "--state", "sent")); sent != n {
				t.Errorf("%s: %d were sent to", name, sent)
			}
		}
	})
}
