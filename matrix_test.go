package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailblast/sender"
)

// The matrix: what becomes of a recipient when the server lies at a stage (see liar_test.go for stages and lies), once, and
// is honest from then on. There is one message before and one behind, which are sent whatever happens. A cell of one letter is for
// servers with and without PIPELINING; of two, the first is without; "." is not a cell.
//
//	s  sent, at the first try
//	b  put back, as the server had not seen the recipient: the attempt does not count. Then sent
//	l  not sent, as the content was not complete or the server said so: later. Then sent
//	f  failed: refused for good
//	d  in doubt: the content was complete, and no reply says what became of it
//	x  put back, and the run stopped: a person has to look. The next run sends
//	u  b or l: a reset may overtake the replies to earlier commands of the flight
//	e  l or d: the end of the connection may come before or after the end of the message
//
// What the letters stand on. The first reply after a command is its reply, and counts by its first digit (RFC 5321 4.2.1): 259
// is as good as 250, but for the opening, which fails closed. A reply that does not fit (3xx to MAIL, 2xx to DATA) or is none
// breaks the session, and the message is unsent or in doubt by where its last octet was. Before DATA's 354 a client may not
// send content, so a reply more than was asked for costs the connection and never a message; with PIPELINING a reply that
// comes early cannot be told from one that is quick, and it is harmless, as the command was on its way (column MAIL). A reply inside
// the message answers nothing: it is kept, but only as the reason for another attempt (column body). Bytes behind the 220 of STARTTLS are
// an attack (CVE-2011-0411). No answer to RSET or QUIT can hurt a message. Who was refused at RCPT stays refused
// whatever DATA is answered with.
const matrix = `
          connect greeting EHLO STARTTLS TLS EHLO2 AUTH MAIL RCPT DATA body part dot RSET QUIT refused lone
right     s       s        s    s        s   s     s    s    s    s    s    s    s   s    s    .f      .f
closed    b       .        .    .        .   .     .    .    .    .    .    .    .   .    .    .       .
FIN       b       b        b    b        b   b     b    b    l    l    l    d    d   b    s    .f      .f
RST       b       b        b    b        b   b     b    b    lu   lu   l    d    d   b    s    .f      .f
half      .       b        b    b        b   b     b    b    l    l    l    d    d   b    s    .f      .f
421       .       b        b    b        x   b     b    b    l    l    l    l    l   b    s    .f      .f
4xx       .       b        b    b        x   b     b    b    l    l    l    l    l   b    s    .f      .f
5xx       .       x        x    x        x   x     x    f    f    f    l    f    f   b    s    .f      .f
5xx5xx    .       x        x    x        x   x     x    f    f    f    l    f    f   b    s    .f      .f
2xx       .       x        x    x        x   x     x    s    s    l    l    s    s   s    s    .f      .f
3xx       .       x        x    x        x   x     x    b    l    l    l    d    d   b    s    .f      .f
hang      b       b        b    b        b   b     b    b    l    l    l    d    d   b    s    .f      .f
drip      .       s        s    s        x   s     s    s    s    s    l    s    s   s    s    .f      .f
trickle   .       b        b    b        x   b     b    b    l    l    l    d    d   b    s    .f      .f
garbage   .       b        b    b        x   b     b    b    l    l    l    d    d   b    s    .f      .f
huge      .       b        b    b        x   b     b    b    l    l    l    d    d   b    s    .f      .f
many      .       b        b    b        x   b     b    b    l    l    l    d    d   b    s    .f      .f
bare      .       s        s    s        x   s     s    s    s    s    l    s    s   s    s    .f      .f
LF        .       s        s    s        x   s     s    s    s    s    l    s    s   s    s    .f      .f
NUL       .       b        b    b        x   b     b    b    l    l    l    d    d   b    s    .f      .f
mismatch  .       b        b    b        x   b     b    b    l    l    l    d    d   b    s    .f      .f
early     .       .        b    b        .   x     b    bs   ls   ls   .    .    l   s    s    .f      .f
doubled   .       b        b    x        .   b     b    l    l    l    l    s    s   bl   s    .f      .f
unasked   .       x        b    x        .   b     x    l    l    l    l    s    s   bl   s    .f      .f
farewell  .       b        b    x        .   b     b    l    l    l    l    .    s   b    s    .f      .f
leave     .       b        b    b        .   b     b    l    l    e    l    .    s   b    s    .f      .f
`

// A cell is one of the matrix.
type cell struct {
	stage, lie string
	pipelining bool
	want       string
	tls        bool // from the first octet; else it is plain text, but for what follows STARTTLS
}

func cells() []cell {
	var all []cell
	var stages []string
	for row := range strings.Lines(strings.TrimSpace(matrix)) {
		words := strings.Fields(row)
		if stages == nil {
			stages = words
			continue
		}
		for i, letters := range words[1:] {
			if len(letters) == 1 {
				letters += letters
			}
			for j, pipelining := range []bool{false, true} {
				if letters[j] != '.' {
					all = append(all, cell{stages[i], words[0], pipelining, letters[j : j+1], false})
				}
			}
		}
	}
	return all
}

// meaning is what the journal may say of the target.
var meaning = map[string][]string{
	"s": {"sent"}, "b": {"back sent"}, "l": {"later sent"}, "f": {"failed"}, "d": {"in_doubt"}, "x": {"back sent"},
	"u": {"back sent", "later sent"}, "e": {"later sent", "in_doubt"},
}

func (c cell) String() string {
	mode := "plain"
	if c.pipelining {
		mode = "pipelined"
	}
	if c.tls {
		mode += " over TLS"
	}
	return strings.Join([]string{c.stage, c.lie, mode}, "/")
}

// TestMatrix runs the real engine, over the real sessions and on a real queue, against a server that lies.
func TestMatrix(t *testing.T) {
	leaks := watchLeaks(t)
	site := newLiarSite(t)
	all := cells()
	for i, c := range all {
		c.tls = !slices.Contains([]string{"STARTTLS", "TLS", "EHLO2"}, c.stage)
		if c.tls && (i%7 == 0 || os.Getenv("MAILBLAST_TEST_ALL") != "") {
			all = append(all, c)
		}
	}
	t.Logf("%d cells", len(all))
	if len(all) < 250 {
		t.Error("these are too few")
	}
	// They wait most of the time, so more run at a time than there are processors.
	places := make(chan struct{}, 64)
	var running sync.WaitGroup
	for _, c := range all {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			t.Run(c.String(), func(t *testing.T) { site.check(t, c) })
		})
	}
	running.Wait()
	leaks()
}

func (s *liarSite) check(t *testing.T, c cell) {
	l := &liar{stage: c.stage, name: c.lie, pipelining: c.pipelining, implicit: c.tls}
	d := s.newDrain(t, l, []string{first, target, last})
	switch {
	case c.stage == "body" && slices.Contains([]string{"huge", "many", "line", "lines"}, c.lie): // neither side reads
		d.timeouts.DataBlock = short
	case c.lie != "hang" && c.lie != "trickle":
	case slices.Contains([]string{"connect", "greeting", "EHLO", "STARTTLS", "TLS", "EHLO2", "AUTH"}, c.stage):
		d.timeouts.Greeting = short
	default:
		*map[string]*time.Duration{
			"MAIL": &d.timeouts.Mail, "RSET": &d.timeouts.Mail, "RCPT": &d.timeouts.Rcpt, "DATA": &d.timeouts.DataInit, "refused": &d.timeouts.DataInit,
			"body": &d.timeouts.DataBlock, "part": &d.timeouts.DataDone, "dot": &d.timeouts.DataDone, "lone": &d.timeouts.DataDone, "QUIT": &d.timeouts.Quit,
		}[c.stage] = short
	}
	if slices.Contains([]string{"connect", "greeting", "EHLO", "STARTTLS", "TLS", "EHLO2", "AUTH", "QUIT"}, c.stage) {
		d.server.MessagesPerConnection = 1 // so that the target has a session of its own
	}
	err := d.run(t)
	if stopped := (*sender.StopError)(nil); errors.As(err, &stopped) != (c.want == "x") {
		t.Errorf("the run ended with %v", err)
	}
	if c.want == "x" {
		err = d.run(t)
	}
	if err != nil {
		t.Errorf("the last run ended with %v", err)
	}
	d.finish(t)
	if got := d.journal.of(target); !slices.Contains(meaning[c.want], got) {
		t.Errorf("the target is %q, want %q", got, meaning[c.want])
	}
	if got, want := d.journal.of(first), map[bool]string{false: "sent", true: "failed"}[c.stage == "RSET"]; got != want {
		t.Errorf("the one before is %q, want %q", got, want)
	}
	if got := d.journal.of(last); got != "sent" && !strings.HasSuffix(got, " sent") {
		t.Errorf("the one behind is %q", got)
	}
	if !l.told && c.lie != "right" && c.lie != "closed" {
		t.Error("the lie was not told")
	}
}

// TestFlood: a reply without end costs the connection and no memory.
func TestFlood(t *testing.T) {
	leaks := watchLeaks(t)
	site := newLiarSite(t)
	for _, c := range []cell{
		{"greeting", "line", true, "b", false}, {"EHLO", "line", true, "b", false}, {"AUTH", "line", true, "b", false}, {"MAIL", "line", true, "b", false}, {"RCPT", "line", false, "l", false}, {"DATA", "line", true, "l", false},
		{"body", "line", true, "l", false}, {"dot", "line", true, "d", false}, {"RSET", "line", false, "b", false}, {"lone", "line", true, "f", false}, {"QUIT", "line", false, "s", false},
		{"greeting", "lines", true, "b", false}, {"EHLO", "lines", true, "b", false}, {"MAIL", "lines", false, "b", false}, {"RCPT", "lines", true, "l", false}, {"DATA", "lines", true, "l", false},
		{"body", "lines", false, "l", false}, {"dot", "lines", false, "d", false},
	} {
		t.Run(c.String(), func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			site.check(t, c)
			runtime.ReadMemStats(&after)
			// All that was allocated, not what is left of it; in column body that is also the liar's reading of 10 MB.
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 24 {
				t.Errorf("%d MB for a reply of 64 MB", mb)
			}
		})
	}
	leaks()
}

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
		for _, c.pipelining = range []bool{false, true} {
			c.lie = "wait"
			t.Run(c.String(), func(t *testing.T) {
				// What hangs holds its message, and perhaps the next one.
				d := site.newDrain(t, &liar{stage: c.stage, name: c.lie, pipelining: c.pipelining, patience: len(list) - 2}, list)
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

// short is the time-out of a stage at which the server hangs.
const short = time.Second
