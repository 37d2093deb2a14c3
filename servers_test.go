package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"mailblast/sender/sink"
)

// One of two servers goes away in the middle of a campaign: the other takes its messages, nobody gets two, and the report says which server
// took each. Only those that were under way at the moment when it was cut off are in doubt.
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
			goes := &witness{taken: map[string]int{}}
			var n atomic.Int64
			leave := make(chan struct{})
			bad, err := sink.Start(t.Context(), sink.Options{Listen: "127.0.0.1:0", OnAccept: func(m sink.Message) {
				goes.accept(m)
				if n.Add(1) == 40 {
					close(leave)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			left := make(chan struct{})
			go func() {
				defer close(left)
				<-leave
				bad.Close(c.how)
			}()
			s := newSite(t, other)
			list := s.small(recipients, 50, plainSMTP)
			yaml, err := os.ReadFile(filepath.Join(s.dir, "small.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := strings.Cut(string(yaml), "delivery:")
			head += "delivery: {batch: 50, backoff: 1s..2s}\nservers:\n  - {name: stays, host: 127.0.0.1, port: '${SMTP_PORT}', security: none, connections: 2}\n" +
				"  - {name: goes, host: 127.0.0.1, port: " + strconv.Itoa(bad.Addr().(*net.TCPAddr).Port) + ", security: none, connections: 2, weight: 2, source_ip: 127.0.0.1}\n"
			if err := os.WriteFile(filepath.Join(s.dir, "small.yaml"), []byte(head), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := s.command("send", "small.yaml").CombinedOutput()
			t.Logf("%v\n%s", err, out)
			<-left
			if !strings.Contains(string(out), "over stays: ") || !strings.Contains(string(out), "over goes: ") {
				t.Error("the summary does not say what was sent over which server")
			}
			data, err := s.command("report", "--format", "json").Output()
			if err != nil {
				t.Fatal(err)
			}
			var report struct {
				Recipients []struct{ Email, State, Server string }
			}
			if err := json.Unmarshal(data, &report); err != nil {
				t.Fatal(err)
			}
			if len(report.Recipients) != len(list) {
				t.Errorf("%d recipients in the report", len(report.Recipients))
			}
			stays.mu.Lock()
			defer stays.mu.Unlock()
			goes.mu.Lock()
			defer goes.mu.Unlock()
			doubt := 0
			for _, r := range report.Recipients {
				took := map[string]int{"stays": stays.taken[r.Email], "goes": goes.taken[r.Email]}
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
			if n.Load() < 40 {
				t.Errorf("the server that went away took only %d", n.Load())
			}
		})
	}
}
