package e2e

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mailblast/sender/sink"
	"mailblast/testdata/harness"
)

// One of two servers goes away in the middle of a campaign: the other takes its messages, nobody gets two, and the
// report says which server took each. Only those that were under way at the moment when it was cut off are in doubt.
func TestServerGoesAway(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name  string
		how   context.Context
		doubt int // at most
	}{
		{"says goodbye", t.Context(), 0},
		{"is killed", gone, 4}, // two for each connection
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const recipients = 400
			other, stays := startSink(t, sink.Options{})
			leave := make(chan struct{})
			bad, goes := startServer(t, sink.Options{OnAccept: atMessage(40, nil, func() { close(leave) })})
			left := make(chan struct{})
			go func() {
				defer close(left)
				<-leave
				bad.Close(c.how)
			}()
			s := newSite(t, other)
			list := s.small(recipients, 50, plainSMTP)
			head, _, _ := strings.Cut(s.read("small.yaml"), "delivery:")
			head += "delivery: {batch: 50, backoff: 1s..2s}\nservers:\n  - {name: stays, host: 127.0.0.1, port: '${SMTP_PORT}', security: none, connections: 2}\n" +
				"  - {name: goes, host: 127.0.0.1, port: " + strconv.Itoa(bad.Addr().(*net.TCPAddr).Port) + ", security: none, connections: 2, weight: 2, source_ip: 127.0.0.1}\n"
			s.write(map[string]string{"small.yaml": head})
			_, out := s.output("send", "small.yaml")
			t.Logf("%s", out)
			<-left
			if !strings.Contains(string(out), "over stays: ") || !strings.Contains(string(out), "over goes: ") {
				t.Error("the summary does not say what was sent over which server")
			}
			rows := s.report()
			if len(rows) != len(list) {
				t.Errorf("%d recipients in the report", len(rows))
			}
			byStays, byGoes := stays.record(), goes.record()
			doubt := 0
			for _, r := range rows {
				took := map[string]int{"stays": byStays[r.Email], "goes": byGoes[r.Email]}
				switch {
				case took["stays"]+took["goes"] > 1:
					t.Errorf("%s got two: %v", r.Email, took)
				case r.State == "in_doubt" && r.Server == "goes":
					doubt++
				case r.State != "sent" || took[r.Server] != 1:
					t.Errorf("%s is %s over %s, and was taken by %v", r.Email, r.State, r.Server, took)
				}
			}
			if doubt > c.doubt {
				t.Errorf("%d are in doubt", doubt)
			}
		})
	}
}

// The rate of a domain is one for two processes that send two campaigns over the same server at once.
func TestDomainRateOfTwoProcesses(t *testing.T) {
	t.Parallel()
	const perSecond, recipients = 20, 25
	var mu sync.Mutex
	var at []time.Time
	port, _ := startSink(t, sink.Options{OnAccept: func(m sink.Message) {
		mu.Lock()
		defer mu.Unlock()
		at = append(at, m.Time)
	}})
	s := newSite(t, port)
	s.small(recipients, 50, plainSMTP)
	s.amend("small.yaml", "smtp:", "limits: {per_domain: {default: "+strconv.Itoa(perSecond)+"/s}}\nsmtp:")
	var working sync.WaitGroup
	for _, name := range []string{"one", "two"} {
		working.Go(func() {
			if code := s.run("send", "small.yaml", "--name", name); code != 0 {
				t.Errorf("%s: exit code %d", name, code)
			}
		})
	}
	working.Wait()
	mu.Lock()
	defer mu.Unlock()
	slices.SortFunc(at, time.Time.Compare)
	if len(at) != 2*recipients {
		t.Fatalf("%d were taken", len(at))
	}
	// A busy machine may take one of them late, and so near to the next ones.
	if took, least := at[len(at)-1].Sub(at[0]), time.Second*(2*recipients-1)/perSecond; took < least-200*time.Millisecond {
		t.Errorf("%d messages took %v, want %v or more", len(at), took, least)
	}
}

// The process is killed with messages under way over two servers. Those in doubt that are put back go over the server
// again that may have the message, and over no other one: while that is not in the campaign file they stay in the
// queue.
func TestDoubtGoesBackToItsServer(t *testing.T) {
	t.Parallel()
	var ports [2]int
	var took [2]*witness
	for i := range ports {
		ports[i], took[i] = startSink(t, sink.Options{Latency: 30 * time.Millisecond})
	}
	s := newSite(t, ports[0])
	list := s.small(500, 50, plainSMTP)
	head, _, _ := strings.Cut(s.read("small.yaml"), "smtp:")
	over := func(names ...string) {
		t.Helper()
		servers := "servers:\n"
		for i, name := range []string{"one", "two"} {
			if slices.Contains(names, name) {
				servers += fmt.Sprintf("  - {name: %s, host: 127.0.0.1, port: %d, security: none, connections: 3}\n", name, ports[i])
			}
		}
		s.write(map[string]string{"small.yaml": head + servers})
	}
	doubtful := func() map[string]string { // who is in doubt, at which server
		t.Helper()
		all := map[string]string{}
		for _, r := range s.report("--in-doubt") {
			all[r.Email] = r.Server
		}
		return all
	}
	// copies are how many messages each server took for those in doubt.
	copies := func(doubt map[string]string) (n map[string][2]int) {
		n = map[string][2]int{}
		for i := range took {
			took[i].mu.Lock()
			for a := range doubt {
				c := n[a]
				c[i] = took[i].taken[a]
				n[a] = c
			}
			took[i].mu.Unlock()
		}
		return n
	}

	over("one", "two")
	p := s.process("send", "small.yaml")
	p.start()
	harness.Eventually(func() bool { return took[0].count() >= 30 && took[1].count() >= 30 })
	p.kill()

	if code := s.run("retry", "small", "--failed"); code != 0 { // nobody, but those in doubt are found
		t.Fatalf("exit code %d", code)
	}
	doubt := doubtful()
	at := map[string]int{}
	for _, server := range doubt {
		at[server]++
	}
	if at["one"] == 0 || at["two"] == 0 || at["one"]+at["two"] != len(doubt) || len(doubt) > 12 {
		t.Fatalf("in doubt are, by server: %v", at)
	}
	before := copies(doubt)
	if code := s.run("retry", "small", "--in-doubt"); code != 0 {
		t.Errorf("retry: exit code %d", code)
	}

	over("one")
	code, out := s.output("send", "small.yaml", "--accept-changes")
	if code != 4 || !strings.Contains(string(out), "server two is not among the campaign's servers") ||
		!strings.Contains(string(out), fmt.Sprint("  ", at["two"], " still queued: mailblast resume\n")) {
		t.Errorf("without the second server: exit code %d\n%s", code, out)
	}
	over("one", "two")
	if code := s.run("send", "small.yaml", "--accept-changes"); code != 0 {
		t.Errorf("with both servers: exit code %d", code)
	}
	for a, after := range copies(doubt) {
		want := before[a]
		want[slices.Index([]string{"one", "two"}, doubt[a])]++
		if after != want {
			t.Errorf("%s, in doubt at server %s, was taken by the two %v times before, and %v times after", a, doubt[a], before[a], after)
		}
	}
	one, two := took[0].record(), took[1].record()
	for _, a := range list {
		if _, doubted := doubt[a]; !doubted && one[a]+two[a] != 1 {
			t.Errorf("%s was not taken once", a)
		}
	}
}
