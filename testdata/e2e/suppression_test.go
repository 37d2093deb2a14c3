package e2e

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"mailblast/sender/sink"
)

// Whoever is put on the suppression list while a campaign is sent, by another process, is not sent to, even if the run
// has claimed everybody by then. Nothing is said of the two that have begun.
func TestSuppressWhileSending(t *testing.T) {
	t.Parallel()
	const n, late = 24, 2
	var s *site
	ready := make(chan struct{})
	port, w := startSink(t, sink.Options{OnAccept: atMessage(1, ready, func() {
		args := []string{"suppress", "add", "@.example.org"}
		for i := late; i < n; i += 2 {
			args = append(args, fmt.Sprintf("Reader%d@Example.COM", i))
		}
		if code := s.run(args...); code != 0 {
			t.Errorf("suppress add: exit code %d", code)
		}
	})})
	s = newSite(t, port)
	s.amend("campaign.yaml", "connections: 10", "connections: 1")
	s.write(map[string]string{"campaign.yaml": s.read("campaign.yaml") + "delivery: {batch: 1}\n"})
	s.writeList(n)
	close(ready)
	if code := s.run("send", "campaign.yaml", "--recipients", "list.csv"); code != 0 {
		t.Errorf("exit code %d", code)
	}
	states, taken := s.states(), w.record()
	for i := range n {
		address, want := reader(i), "sent"
		if i >= late && i%2 == 0 {
			want = "suppressed"
		}
		if states[address] != want || (taken[address] == 1) != (want == "sent") {
			t.Errorf("%s is %s, want %s; taken: %v", address, states[address], want, taken)
		}
	}
}

// An import of suppressions holds no more than a few rows at a time, however long the list is: what is alive after each
// collection stays below what the addresses alone would take.
func TestImportIsFlat(t *testing.T) {
	t.Parallel()
	const n, most = 100_000, 3 // megabytes
	s := newSite(t, 0)
	list := bytes.NewBufferString("email,reason\n")
	for i := range n {
		fmt.Fprintf(list, "reader%d@example%d.com,unsubscribed by link\n", i, i%1000)
	}
	s.write(map[string]string{"suppressed.csv": list.String()})
	c := s.command("suppress", "import", "suppressed.csv")
	c.Env = append(c.Env, "GODEBUG=gctrace=1", "GOGC=100")
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("100,000 added")) {
		t.Fatalf("%v\n%s", err, out)
	}
	// gc 7 @0.155s 1%: …, 3->4->1 MB, 4 MB goal, …: at its beginning, at its end, and what is alive.
	collections := regexp.MustCompile(`(?m)^gc .*, \d+->\d+->(\d+) MB`).FindAllSubmatch(out, -1)
	if len(collections) < 10 {
		t.Errorf("%d collections are too few to tell:\n%s", len(collections), out)
	}
	for _, alive := range collections {
		if mb, err := strconv.Atoi(string(alive[1])); err != nil || mb > most {
			t.Errorf("%s MB are alive, want at most %d:\n%s", alive[1], most, alive[0])
		}
	}
}
