// Package matrix tests what becomes of a recipient when a server lies, at every stage.
package matrix

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailblast/sender"
)

// The matrix: what becomes of a recipient when the server lies at a stage (see lies_test.go for stages and lies), once,
// and is honest from then on. There is one message before and one behind, which are sent whatever happens. A cell of
// one letter is for servers with and without PIPELINING; of two, the first is without; "." is not a cell.
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
// What the letters stand on. The first reply after a command is its reply, and counts by its first digit (RFC 5321
// 4.2.1): 259 is as good as 250, but for the opening, which fails closed. A reply that does not fit (3xx to MAIL, 2xx
// to DATA) or is none breaks the session, and the message is unsent or in doubt by where its last octet was. Before
// DATA's 354 a client may not send content, so a reply more than was asked for costs the connection and never a
// message; with PIPELINING a reply that comes early cannot be told from one that is quick, and it is harmless, as the
// command was on its way (column MAIL). A reply inside the message answers nothing: it is kept, but only as the reason
// for another attempt (column body). Bytes behind the 220 of STARTTLS are an attack (CVE-2011-0411). No answer to RSET
// or QUIT can hurt a message. Who was refused at RCPT stays refused whatever DATA is answered with.
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
line      .       .b       .b   .        .   .     .b   .b   l.   .l   .l   .    .d  b.   s.   .       .f
lines     .       .b       .b   .        .   .     .    b.   .l   .l   l.   .    d.  .    .    .       .
leave     .       b        b    b        .   b     b    l    l    e    l    .    s   b    s    .f      .f
`

// chunks is the matrix with CHUNKING and two messages under way: RSET, MAIL, RCPT, BDAT and the content of the target
// are there, and all of the one behind, before the server tells the lie. Each cell has the letter of the target and
// that of the one behind. The one before is sent, and so is the last one, but in row leave, where it may go out when
// the target was answered. No more than two are in doubt. What comes before MAIL is the same as above.
//
// All content has left, so a message that gets no answer is in doubt, or one that does not fit, and so is the one
// behind. Column body alone interrupts: the server has not got the last octet, and what it says by then answers
// nothing; the one behind has not left. In column QUIT it has the next session.
//
// A refusal stands, whatever comes behind it: without a sender, a recipient, or BDAT's 250 (RFC 3030 section 2),
// nothing is delivered. Only a 2xx to BDAT contradicts it: perhaps there was a refusal too many, and the 2xx is RCPT's.
// 421 refuses what it answers (RFC 5321 section 3.8), to RSET the message, and says nothing of a whole message behind
// that: some servers go on. Another refusal of RSET answers something else, as no server may refuse it (RFC 5321
// section 4.1.1.5); the replies behind it are each about one command earlier, and BDAT's is not known.
//
// There is no 354 by which to see that. A 2xx too many is taken for the reply to the next command, and the session goes
// on until more has come than was asked for: the messages were taken, and it was said of them one reply too soon.
const chunks = `
          MAIL RCPT dot body RSET QUIT refused
right     ss   ss   ss  ss   ss   ss   fs
FIN       dd   dd   dd  ls   dd   ss   fd
RST       dd   dd   dd  ls   dd   ss   fd
half      dd   dd   dd  ls   dd   ss   fd
421       bd   ld   ld  ls   bd   ss   fd
4xx       bs   ls   ls  ls   dd   ss   fs
5xx       fs   fs   fs  ls   dd   ss   fs
5xx5xx    fd   fd   fd  ls   dd   ss   fd
2xx       ss   ss   ss  ls   ss   ss   dd
3xx       dd   dd   dd  ls   dd   ss   fd
hang      dd   dd   dd  ls   dd   ss   fd
drip      ss   ss   ss  ls   ss   ss   fs
trickle   dd   dd   dd  ls   dd   ss   fd
garbage   dd   dd   dd  ls   dd   ss   fd
huge      dd   dd   dd  ls   dd   ss   fd
many      dd   dd   dd  ls   dd   ss   fd
bare      ss   ss   ss  ls   ss   ss   fs
LF        ss   ss   ss  ls   ss   ss   fs
NUL       dd   dd   dd  ls   dd   ss   fd
mismatch  dd   dd   dd  ls   dd   ss   fd
early     ss   ss   ss  .    ss   ss   fs
doubled   ss   ss   ss  ls   ss   ss   fd
unasked   ss   ss   ss  ls   ss   ss   dd
farewell  ld   ld   sb  ls   bd   ss   fb
line      dd   .    .   ls   .    .    .
lines     .    .    dd  .    .    .    .
leave     dd   dd   sd  ls   dd   ss   fd
`

// A cell is one of the matrix.
type cell struct {
	stage, lie string
	mode       mode
	want       string // of the target; with chunking, and of the one behind it
	tls        bool   // from the first octet; else it is plain text, but for what follows STARTTLS
}

// A mode is how messages are sent.
type mode string

const (
	stepwise  mode = "plain"
	pipelined mode = "pipelined"
	chunking  mode = "chunking"
)

func cells() []cell {
	var all []cell
	read := func(table string, add func(cell)) {
		var stages []string
		for row := range strings.Lines(strings.TrimSpace(table)) {
			words := strings.Fields(row)
			if stages == nil {
				stages = words
				continue
			}
			for i, letters := range words[1:] {
				add(cell{stage: stages[i], lie: words[0], want: letters})
			}
		}
	}
	read(matrix, func(c cell) {
		letters := c.want
		if len(letters) == 1 {
			letters += letters
		}
		for i, m := range []mode{stepwise, pipelined} {
			if c.mode, c.want = m, letters[i:i+1]; c.want != "." {
				all = append(all, c)
			}
		}
	})
	read(chunks, func(c cell) {
		if c.mode = chunking; c.want != "." {
			all = append(all, c)
		}
	})
	return all
}

// meaning is what the journal may say of the target.
var meaning = map[string][]string{
	"s": {"sent"}, "b": {"back sent"}, "l": {"later sent"}, "f": {"failed"}, "d": {"in_doubt"}, "x": {"back sent"},
	"u": {"back sent", "later sent"}, "e": {"later sent", "in_doubt"},
}

func (c cell) String() string {
	mode := string(c.mode)
	if c.tls {
		mode += " over TLS"
	}
	return strings.Join([]string{c.stage, c.lie, mode}, "/")
}

// silent tells whether the lie is that nothing comes, or not enough of it.
func (c cell) silent() bool { return c.lie == "hang" || c.lie == "trickle" }

// TestMatrix runs the real engine, over the real sessions and on a real queue, against a server that lies.
func TestMatrix(t *testing.T) {
	leaks := watchLeaks(t)
	site := newLiarSite(t)
	all := cells()
	for i, c := range all {
		c.tls = !slices.Contains([]string{"STARTTLS", "TLS", "EHLO2"}, c.stage)
		if c.tls && (i%8 == 0 || os.Getenv("MAILBLAST_TEST_ALL") != "") {
			all = append(all, c)
		}
	}
	t.Logf("%d cells", len(all))
	if len(all) < 250 {
		t.Error("these are too few")
	}
	// They wait most of the time, so more run at a time than there are processors; those that wait for a time-out do
	// nothing else, and all of them do it while the others run.
	places := make(chan struct{}, 64)
	var running sync.WaitGroup
	for _, c := range all {
		running.Go(func() {
			if !c.silent() {
				places <- struct{}{}
				defer func() { <-places }()
			}
			t.Run(c.String(), func(t *testing.T) { site.check(t, c) })
		})
	}
	running.Wait()
	leaks()
}

func (s *liarSite) check(t *testing.T, c cell) {
	l := &liar{stage: c.stage, name: c.lie, pipelining: c.mode != stepwise, chunking: c.mode == chunking, implicit: c.tls}
	list := []string{first, target, last}
	if l.chunking {
		list = []string{first, target, behind, last}
	}
	d := s.newDrain(t, l, list)
	switch {
	case c.stage == "body" && lies[c.lie].then == "hang": // neither side reads
		d.timeouts.DataBlock = short
	case !c.silent():
	case slices.Contains([]string{"connect", "greeting", "EHLO", "STARTTLS", "TLS", "EHLO2", "AUTH"}, c.stage):
		d.timeouts.Greeting = short
	case l.chunking && c.stage == "refused":
		d.timeouts.DataDone = short
	default:
		*map[string]*time.Duration{
			"MAIL": &d.timeouts.Mail, "RSET": &d.timeouts.Mail, "RCPT": &d.timeouts.Rcpt, "DATA": &d.timeouts.DataInit, "refused": &d.timeouts.DataInit,
			"body": &d.timeouts.DataBlock, "part": &d.timeouts.DataDone, "dot": &d.timeouts.DataDone, "lone": &d.timeouts.DataDone, "QUIT": &d.timeouts.Quit,
		}[c.stage] = short
	}
	if slices.Contains([]string{"connect", "greeting", "EHLO", "STARTTLS", "TLS", "EHLO2", "AUTH", "QUIT"}, c.stage) {
		d.server.MessagesPerConnection = 1 // so that the target has a session of its own
	}
	if l.chunking {
		d.config.Depth = 2
		d.server.MessagesPerConnection *= 2 // the one before has it as well
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
	if got := d.journal.of(target); !slices.Contains(meaning[c.want[:1]], got) {
		t.Errorf("the target is %q, want %q", got, meaning[c.want[:1]])
	}
	if l.chunking {
		if got := d.options.Stats.InDoubt.Load(); got > int64(d.config.Depth) {
			t.Errorf("%d are in doubt after one connection of %d messages", got, d.config.Depth)
		}
		if got := d.journal.of(behind); !slices.Contains(meaning[c.want[1:]], got) {
			t.Errorf("the one that was under way with it is %q, want %q", got, meaning[c.want[1:]])
		}
	}
	if got, want := d.journal.of(first), map[bool]string{false: "sent", true: "failed"}[c.stage == "RSET"]; got != want {
		t.Errorf("the one before is %q, want %q", got, want)
	}
	tooSoon := l.chunking && c.lie == "leave" // it may go out before the end of the connection is seen, in place of the target
	if got := d.journal.of(last); got != "sent" && !strings.HasSuffix(got, " sent") && !(tooSoon && got == "in_doubt") {
		t.Errorf("the one behind is %q", got)
	}
	if !l.told && c.lie != "right" && c.lie != "closed" {
		t.Error("the lie was not told")
	}
}

// short is the time-out of a stage at which the server hangs. The same stage of the other messages has it too, so it is
// longer than any answer takes on a busy machine.
const short = 10 * time.Second
