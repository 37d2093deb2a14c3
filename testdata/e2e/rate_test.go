package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"mailblast/sender/sink"
)

// A limited server takes so many messages a second, by one way of counting.
type limited struct {
	name  string
	rates []sink.Rate
	fail  string // a fault besides

	perSecond int           // MAIL commands that it lets through
	tries     int           // of them that each message needs
	asks      time.Duration // for this time between two of them
	parts     []int         // messages of each run: one, or one for each time of a warm-up
	per       time.Duration // that time
}

// A limitedSite is a campaign that is sent to one without any limits being told.
type limitedSite struct {
	limited
	*site
	list     []string
	*witness             // set by start
	at       []time.Time // the server took a message; guarded by witness.mu
	outs     []string    // what each run said
	codes    []int
}

var throttling = sink.Reply{Code: 454, Text: "4.7.0 Throttling failure: faster than the account may send."}

const limitedConnections = 5

// limitedServers are one of each kind, which a campaign keeps busy for about so long. A window is that long, in seconds.
func limitedServers(perSecond, window int, long time.Duration) []limited {
	by := func(kind sink.Kind, n int, per time.Duration) sink.Rate {
		return sink.Rate{Limit: rate.Limit(float64(n) / per.Seconds()), Burst: n, Kind: kind, Reply: throttling}
	}
	windows := func(kind sink.Kind) []sink.Rate {
		return []sink.Rate{by(kind, perSecond*window, time.Duration(window)*time.Second)}
	}
	const second = time.Second
	n := perSecond * int(long/second)
	// A warm-up's first time has to leave some seconds in which the sender sees that there is nothing more to be had for now.
	first := n / 3
	day := long/3 + long/20 + 6*second
	all := []limited{
		{name: "fixed window", rates: windows(sink.Fixed)},
		{name: "sliding window", rates: windows(sink.Sliding)},
		{name: "token bucket", rates: []sink.Rate{by(sink.Bucket, perSecond, second)}},
		{name: "each connection", rates: []sink.Rate{by(sink.Connection, 2*perSecond/limitedConnections, 2*second)}},
		{name: "greylisting", rates: []sink.Rate{by(sink.Bucket, perSecond, second)},
			fail: "RCPT#1=451 4.7.1 Greylisted, please try again in 5 seconds", tries: 2, asks: 5 * second, parts: []int{n / 2}},
		{name: "warm-up", rates: []sink.Rate{by(sink.Bucket, perSecond, second), by(sink.Warmup, first, day)}, parts: []int{first, first * 3 / 2}, per: day},
	}
	for i := range all {
		l := &all[i]
		l.perSecond, l.tries = perSecond, max(l.tries, 1)
		if l.parts == nil {
			l.parts = []int{n}
		}
	}
	return all
}

// The goal of the adaptive rate, for each kind of server: every recipient is delivered, none failed, at 85 % of what the server allows or
// more, and less than 10 % of the attempts are throttled after the first ten seconds. Who misses the speed gets a second chance: the machine
// may have had other things to do.
func TestRate(t *testing.T) {
	t.Parallel()
	// Ten a second, and windows of four seconds: on a busy machine a message is late by a tenth of a second now and then. Those of a hundred
	// a second that reach the goal within so short a time beside them.
	const long = 18 * time.Second
	all := limitedServers(10, 4, long)
	for _, l := range limitedServers(100, 1, long) {
		if slices.Contains([]string{"fixed window", "token bucket", "each connection"}, l.name) {
			all = append(all, l)
		}
	}
	reach(t, all)
	if os.Getenv("MAILBLAST_TEST_ALL") != "" {
		reach(t, limitedServers(20, 1, 2*time.Minute))
		reach(t, limitedServers(100, 1, 2*time.Minute))
	}
}

// reach sends to all of them at once, as they wait nearly all of the time, and asserts the goal.
func reach(t *testing.T, servers []limited) {
	for try := 1; len(servers) > 0; try++ {
		var sites []*limitedSite
		var running sync.WaitGroup
		for _, l := range servers {
			s := l.start(t)
			sites = append(sites, s)
			running.Go(s.run)
		}
		running.Wait()
		servers = nil
		for _, s := range sites {
			t.Run(fmt.Sprintf("%s, %d a second", s.name, s.perSecond), func(t *testing.T) {
				s.t = t
				s.check()
				switch missed := s.missed(); {
				case missed != "" && try == 1:
					servers = append(servers, s.limited)
				case missed != "":
					t.Errorf("%s\n%s", missed, strings.Join(s.outs, "\n"))
				}
			})
		}
	}
}

// start starts the server and lays the campaign.
func (l limited) start(t *testing.T) *limitedSite {
	s := &limitedSite{limited: l}
	options := sink.Options{Rates: l.rates, OnAccept: func(m sink.Message) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.at = append(s.at, m.Time)
	}}
	if l.fail != "" {
		rule, err := sink.ParseRule(l.fail)
		if err != nil {
			t.Fatal(err)
		}
		options.Fail = []sink.Rule{rule}
	}
	port, w := startSink(t, options)
	s.site, s.witness = newSite(t, port), w
	n := 0
	for _, part := range l.parts {
		n += part
	}
	s.list = s.small(n, 100, strings.Replace(plainSMTP, "connections: 2", fmt.Sprint("connections: ", limitedConnections), 1))
	return s
}

// run sends everything: what the server does not take in the first run, because there is nothing more to be had for now, in the next.
func (s *limitedSite) run() {
	args := []string{"send", "small.yaml"}
	for part := range s.parts {
		wait, last := "1m", part == len(s.parts)-1
		if !last {
			wait = "500ms"
		}
		c := s.command(append(args, "--wait", wait)...)
		out, _ := c.CombinedOutput()
		s.outs, s.codes = append(s.outs, string(out)), append(s.codes, c.ProcessState.ExitCode())
		if taken := s.taking(); !last && len(taken) > 0 {
			time.Sleep(time.Until(taken[0].Add(s.per)))
		}
		args = []string{"resume"}
	}
}

// taking is when the server took each message.
func (s *limitedSite) taking() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at)
}

// check asserts that every recipient was delivered.
func (s *limitedSite) check() {
	for part, code := range s.codes {
		want := 0
		if part < len(s.parts)-1 {
			want = 4
		}
		if code != want {
			s.t.Errorf("run %d: exit code %d, want %d\n%s", part+1, code, want, s.outs[part])
		}
	}
	if doubt := s.judge(s.witness, s.list); len(doubt) > 0 {
		s.t.Errorf("in doubt: %v", doubt)
	}
}

// missed is what the speed was if it was not the goal.
func (s *limitedSite) missed() string {
	attempts, taken := s.history(), s.taking()
	first := attempts[0].Updated
	var late, refused int
	for _, a := range attempts {
		if a.Updated.Sub(first) > 10*time.Second {
			late++
			if a.Code == throttling.Code {
				refused++
			}
		}
	}
	var took time.Duration
	n := len(taken)
	for _, part := range s.parts {
		begun := taken[0]
		if s.tries > 1 {
			begun = first // nobody is taken at first
		}
		part = min(part, len(taken))
		took += taken[part-1].Sub(begun)
		taken = taken[part:]
	}
	share := (float64(n*s.tries)/float64(s.perSecond) + s.asks.Seconds()) / took.Seconds()
	said := fmt.Sprintf("%.0f %% of what the server allows; %d of %d attempts were throttled after the first ten seconds", 100*share, refused, late)
	s.t.Log(said)
	if share >= 0.85 && 10*refused < late {
		return ""
	}
	return said
}

// An attempt is when the reply to a recipient's message was written down, to the second, and what it was.
type attempt struct {
	Code    int
	Updated time.Time
}

// history is all attempts in their order, as the queue has them.
func (s *limitedSite) history() []attempt {
	s.t.Helper()
	out, err := s.command("report", "--history", "--format", "json").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	var report struct{ Recipients []attempt }
	if err := json.Unmarshal(out, &report); err != nil {
		s.t.Fatal(err)
	}
	slices.SortFunc(report.Recipients, func(a, b attempt) int { return a.Updated.Compare(b.Updated) })
	return report.Recipients
}
