package matrix

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// TestOthersGoOn: while one connection hangs, the other one delivers everything else.
func TestOthersGoOn(t *testing.T) {
	leaks := watchLeaks(t)
	site := newLiarSite(t)
	list := []string{first, target}
	for i := range 18 {
		list = append(list, fmt.Sprintf("other%d@example.com", i))
	}
	for _, c := range []cell{
		// Whom it hits at these three is chance.
		{stage: "greeting"}, {stage: "EHLO"}, {stage: "RSET"},
		{stage: "MAIL", want: "b"}, {stage: "RCPT", want: "l"}, {stage: "DATA", want: "l"}, {stage: "body", want: "l"}, {stage: "part", want: "d"}, {stage: "dot", want: "d"},
	} {
		for _, c.mode = range []mode{stepwise, pipelined} {
			c.lie = "wait"
			t.Run(c.String(), func(t *testing.T) {
				// What hangs holds its message, and perhaps the next one.
				d := site.newDrain(t, &liar{stage: c.stage, name: c.lie, pipelining: c.mode == pipelined, patience: len(list) - 2}, list)
				d.server.Connections = 2
				if d.server.MessagesPerConnection = 0; c.stage == "greeting" || c.stage == "EHLO" {
					d.server.MessagesPerConnection = 1
				}
				var log bytes.Buffer
				d.options.Log = slog.New(slog.NewTextHandler(&log, nil))
				if err := d.run(t); err != nil {
					t.Error(err)
				}
				d.finish(t)
				if !d.liar.told || strings.Contains(log.String(), "timeout") {
					t.Errorf("the others did not go on: told %v, first %s, target %s, %s", d.liar.told, d.journal.of(first), d.journal.of(target), &log)
				}
				for _, a := range list {
					want := []string{"sent", "back sent", "later sent"}
					switch {
					case a == target && c.want != "":
						want = meaning[c.want]
					case a == first && c.stage == "RSET":
						want = []string{"failed"}
					}
					if got := d.journal.of(a); !slices.Contains(want, got) {
						t.Errorf("%s is %q, want %q", a, got, want)
					}
				}
			})
		}
	}
	leaks()
}
