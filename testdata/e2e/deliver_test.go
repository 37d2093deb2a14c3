package e2e

import (
	"testing"

	"mailblast/sender/sink"
)

// Every recipient gets one message, by the record of our own server and of one that we did not write.
func TestDeliverToEveryone(t *testing.T) {
	t.Parallel()
	const n = 2000
	t.Run("sink", func(t *testing.T) {
		t.Parallel()
		port, w := startSink(t, sink.Options{})
		s := newSite(t, port)
		s.writeList(n)
		if code := s.run("send", "campaign.yaml", "--recipients", "list.csv"); code != 0 {
			t.Errorf("exit code %d", code)
		}
		checkOnce(t, n, w.record(), s.states())
		if code := s.run("send", "campaign.yaml", "--recipients", "list.csv"); code != 0 || w.count() != n {
			t.Errorf("the same again: exit code %d, %d recipients", code, w.count())
		}
		checkOnce(t, n, w.record(), s.states())
	})
	t.Run("smtp-sink", func(t *testing.T) {
		t.Parallel()
		port, record := startPostfixSink(t)
		s := newSite(t, port)
		s.writeList(n)
		if code := s.run("send", "campaign.yaml", "--recipients", "list.csv"); code != 0 {
			t.Errorf("exit code %d", code)
		}
		checkOnce(t, n, record(), s.states())
	})
}

func checkOnce(t *testing.T, n int, taken map[string]int, states map[string]string) {
	t.Helper()
	if len(taken) != n || len(states) != n {
		t.Errorf("the server has %d recipients, the report %d; want %d", len(taken), len(states), n)
	}
	for address, times := range taken {
		if times != 1 || states[address] != "sent" {
			t.Errorf("%s: taken %d times, reported as %q", address, times, states[address])
		}
	}
}
