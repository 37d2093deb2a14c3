package e2e

import (
	"math/rand/v2"
	"testing"
	"time"

	"mailblast/sender/sink"
)

// kill -9 in the middle, again and again, until the rest is through: nobody gets two, nobody is forgotten, and no more
// are in doubt than two for each connection and kill.
func TestKill(t *testing.T) {
	t.Parallel()
	const n, connections = 2000, 10
	port, w := startSink(t, sink.Options{Latency: time.Millisecond})
	s := newSite(t, port)
	s.writeList(n)
	kills := 0
	for i := range 6 {
		args := []string{"send", "campaign.yaml", "--recipients", "list.csv"}
		if i%2 == 1 {
			args = []string{"resume"} // which has nothing to go on with where the kill before it hit the loading
		}
		p := s.process(args...)
		p.start()
		// A while after it has begun to send, or after a second: a kill while the list is loaded counts too.
		enough := w.count() + rand.IntN(400)
		for start := time.Now(); w.count() < enough && time.Since(start) < time.Second; {
			time.Sleep(time.Millisecond)
		}
		if p.kill() {
			kills++
		}
	}
	if code := s.run("send", "campaign.yaml", "--recipients", "list.csv"); code != 0 && code != 3 {
		t.Errorf("exit code %d", code)
	}
	states, taken := s.states(), w.record()
	doubt := 0
	for i := range n {
		address := reader(i)
		state, times := states[address], taken[address]
		switch {
		case state == "in_doubt" && times <= 1:
			doubt++
		case state == "sent" && times == 1:
		default:
			t.Errorf("%s: %s, taken %d times", address, state, times)
		}
	}
	t.Logf("%d kills, %d in doubt", kills, doubt)
	if bound := 2 * connections * kills; doubt > bound {
		t.Errorf("%d in doubt, the bound is %d", doubt, bound)
	}
	if kills < 3 {
		t.Errorf("only %d kills hit a running process", kills)
	}
}
