package sender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailblast/campaign/mail"
	"mailblast/sender/pace"
	"mailblast/sender/reply"
	"mailblast/store"
	"mailblast/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// address is the nth recipient's.
func address(n int) string { return fmt.Sprintf("u%d@example.com", n) }

// A queue is a real store with one campaign, and a second handle on the same file to see what is durable in it.
type queue struct {
	store.Lease
	path   string
	second store.Queue
}

func newQueue(t testing.TB, recipients int, durability string) *queue {
	t.Helper()
	q := &queue{path: filepath.Join(t.TempDir(), "queue.db")}
	first, err := sqlite.Open(t.Context(), q.path, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { first.Close() })
	if q.Lease, err = first.Acquire(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Release() })
	n := 0
	snapshot := store.Snapshot{Source: []byte("name: test"), Columns: []string{"email"}, MessageDomain: "example.com", Durability: durability}
	if _, err := q.Load(t.Context(), snapshot, false, func() (store.Recipient, error) {
		if n == recipients {
			return store.Recipient{}, io.EOF
		}
		a := address(n)
		n++
		return store.Recipient{Identity: a, Address: a, Values: []string{a}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if q.second, err = sqlite.Open(t.Context(), q.path, false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.second.Close() })
	return q
}

// rows are the recipients by address, as the second handle sees them.
func (q *queue) rows(t testing.TB, states ...store.State) map[string]store.Row {
	t.Helper()
	all := map[string]store.Row{}
	// Not the test's context, which the driver would watch in one more goroutine for each row.
	if err := q.second.Rows(context.Background(), "test", states, false, func(r store.Row) error {
		all[r.Email] = r
		return nil
	}); err != nil {
		t.Error(err)
	}
	return all
}

// limited holds limits with the second handle, as another process would.
func limited(q *queue, rates ...store.Rate) pace.Reserver {
	if len(rates) == 0 {
		return nil
	}
	return limits{q.second, store.Allowance{Rates: rates}}
}

type limits struct {
	store  store.Queue
	limits store.Allowance
}

func (l limits) Reserve(ctx context.Context, want int) (store.Grant, error) {
	return l.store.Reserve(ctx, "fake:25", "", l.limits, want, time.Now())
}

func (l limits) Return(ctx context.Context, u store.Unsent) error {
	return l.store.Return(ctx, "fake:25", "", l.limits, u)
}

// A server answers as its scripts say, and keeps what it saw. A script is what happens to one recipient's messages, try
// after try; the last entry is for all further ones. An entry is one of
//
//	STAGE CODE TEXT   the reply at mail, rcpt, data or dot; "dot 250 ok" is what happens without a script
//	lost STAGE        the connection breaks there: at mail, rcpt, data (before the content was written), content (in the
//	                  middle of it), end (with its last byte), dot (the server took the message, its reply is lost)
//	hang STAGE        as lost, but only once somebody closes the session
//	late STAGE        as lost, but the session does not know that it is broken
//	wait ENTRY        as ENTRY, but the envelope and the end of the message are answered a second late
type server struct {
	t       testing.TB
	queue   *queue // to look at while sending; may be nil
	scripts map[string][]string
	depth   int     // messages that may be in flight on a session, whole ones if more than 1; 0: 1
	dials   []error // what becomes of the dials, one after the other; nil: a session. The last entry is for all further ones
	dialing func()

	letsIn, perSession int // sessions at a time, messages in each; 0: any number

	mu         sync.Mutex
	dialled    int
	open       int
	most       int            // sessions open at a time
	quits      int            // sessions that ended politely
	turnedAway int            // dials that found enough sessions open
	tries      map[string]int // envelopes whose answers were asked for
	completed  map[string]int // messages of which the last byte may have arrived, and that were not refused
	accepted   map[string]int // messages that were taken
	at         []time.Time    // of the envelopes
	carried    []int          // messages by session, in the order of the dials
}

func newServer(t testing.TB, q *queue, scripts map[string][]string) *server {
	return &server{t: t, queue: q, scripts: scripts, tries: map[string]int{}, completed: map[string]int{}, accepted: map[string]int{}}
}

// replies explains what the servers of all tests say.
var replies = reply.NewClassifier(nil)

func (s *server) Dial(ctx context.Context) (Session, error) {
	if s.dialing != nil {
		s.dialing()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dials) > 0 {
		err := s.dials[0]
		if len(s.dials) > 1 {
			s.dials = s.dials[1:]
		}
		if err != nil {
			s.dialled++
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, reply.Broken(reply.Connect, err)
	}
	if s.letsIn > 0 && s.open >= s.letsIn {
		s.turnedAway++
		return nil, refusedDial(reply.Connect, 421, "Too many connections from your address")
	}
	s.dialled++
	s.open++
	s.most = max(s.most, s.open)
	s.carried = append(s.carried, 0)
	return &session{server: s, number: len(s.carried) - 1, closed: make(chan struct{})}, nil
}

// refusedDial is the error for a dial that the server refuses.
func refusedDial(stage reply.Stage, code int, text string) error {
	a := replies.Answer(stage, reply.Reply{Code: code, Text: text})
	return &reply.Error{Stage: stage, Reply: a.Reply, Explanation: a.Explanation}
}

// A session checks that it is used in order, as Session says, and not at all once it is broken.
type session struct {
	*server
	number int

	offered, ready *mail.Message
	inFlight       []*mail.Message // sent or refused, and not told of
	refused        map[*mail.Message]reply.Answer
	script         map[*mail.Message]string
	waits          map[*mail.Message]bool

	dead   bool // an error was returned
	once   sync.Once
	closed chan struct{}
}

func (s *session) Depth() int { return max(s.depth, 1) }

func (s *session) Broken() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

func (s *session) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
	})
}

func (s *session) Quit() {
	if !s.Broken() {
		s.mu.Lock()
		s.quits++
		s.mu.Unlock()
	}
	s.Close()
}

func (s *session) expect(what string, ok bool) {
	if !ok || s.dead {
		s.t.Errorf("the session was used out of order: %s", what)
	}
}

func (s *session) Offer(m *mail.Message) {
	s.expect("Offer", s.offered == nil && (s.ready == nil || s.Depth() == 1))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
	s.offered = m
}

// play finds what happens to m.
func (s *session) play(m *mail.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.script == nil {
		s.script, s.waits, s.refused = map[*mail.Message]string{}, map[*mail.Message]bool{}, map[*mail.Message]reply.Answer{}
	}
	entry := "dot 250 ok"
	if s.perSession > 0 && s.carried[s.number] >= s.perSession {
		entry = "mail 421 Too many messages in this session"
	}
	if script := s.scripts[m.To]; len(script) > 0 {
		entry = script[min(s.tries[m.To], len(script)-1)]
	}
	s.script[m], s.waits[m] = strings.CutPrefix(entry, "wait ")
}

// fault ends the session if the script of m says that it breaks at stage.
func (s *session) fault(m *mail.Message, stage string, at reply.Stage) error {
	how, where, _ := strings.Cut(s.script[m], " ")
	switch {
	case s.Broken():
	case where != stage:
		return nil
	case how == "hang":
		<-s.closed
	case how == "lost":
		s.Close()
	case how == "late":
	default:
		return nil
	}
	s.dead = true
	return reply.Broken(at, errors.New("connection reset"))
}

// says is the script's reply to m at a stage, or that there is none.
func (s *session) says(m *mail.Message, stage string, at reply.Stage) (reply.Answer, bool) {
	words := strings.SplitN(s.script[m], " ", 3)
	code, err := strconv.Atoi(words[1])
	if words[0] != stage || err != nil {
		return reply.Answer{}, false
	}
	if code == 421 {
		s.Close()
	}
	return replies.Answer(at, reply.Reply{Code: code, Text: words[2]}), true
}

// Ready asks the server at a depth of 1, and else nobody.
func (s *session) Ready() (bool, error) {
	m := s.offered
	s.expect("Ready", m != nil && s.ready == nil && len(s.inFlight) < s.Depth())
	s.offered = nil
	s.play(m)
	if s.Depth() > 1 && s.Broken() {
		return false, reply.Broken(reply.Mail, errors.New("broken"))
	}
	if s.Depth() == 1 && s.waits[m] {
		time.Sleep(time.Second)
	}
	s.mu.Lock()
	s.tries[m.To]++
	s.mu.Unlock()
	if s.Depth() == 1 {
		for _, stage := range []reply.Stage{reply.Mail, reply.Rcpt, reply.Data} {
			name := strings.ToLower(stage.String())
			if err := s.fault(m, name, stage); err != nil {
				return false, err
			}
			if a, ok := s.says(m, name, stage); ok {
				s.refused[m] = a
				s.inFlight = append(s.inFlight, m)
				return false, nil
			}
		}
	}
	s.ready = m
	return true, nil
}

// Send breaks half way where the script says so; of a whole message there is more on the way than of the content alone.
func (s *session) Send() error {
	m := s.ready
	s.expect("Send", m != nil && len(s.inFlight) < s.Depth())
	s.ready = nil
	s.look(m, max(s.Depth(), 2))
	for _, stage := range []string{"data", "content"} {
		if err := s.fault(m, stage, reply.Data); err != nil {
			if s.Depth() > 1 {
				s.dead = false // others have answers
				s.Close()
			}
			return err
		}
	}
	s.mu.Lock()
	s.completed[m.To]++
	s.carried[s.number]++
	s.mu.Unlock()
	if s.Depth() == 1 {
		if err := s.fault(m, "end", reply.Dot); err != nil {
			return err
		}
	}
	s.inFlight = append(s.inFlight, m)
	return nil
}

// look looks at what is about to leave, and whether the queue knows; places rows may be on their way for each session.
func (s *session) look(m *mail.Message, places int) {
	if !strings.Contains(string(m.Content[0]), "<"+m.To+">") {
		s.t.Errorf("the content sent to %s is %q", m.To, m.Content)
	}
	if s.queue != nil {
		if row := s.queue.rows(s.t)[m.To]; row.State != store.Sending {
			s.t.Errorf("%s is sent while its row is durably %q", m.To, row.State)
		}
		s.mu.Lock()
		most := places * s.most
		s.mu.Unlock()
		if n := len(s.queue.rows(s.t, store.Sending)); n > most {
			s.t.Errorf("%d rows are sending on %d connections", n, most/places)
		}
	}
}

// Answer is the script's reply, or that the connection was lost: then nobody has another.
func (s *session) Answer() (reply.Answer, error) {
	if len(s.inFlight) == 0 {
		s.t.Fatal("the session was used out of order: Answer")
	}
	m := s.inFlight[0]
	s.inFlight = s.inFlight[1:]
	if a, ok := s.refused[m]; ok {
		return a, nil
	}
	if s.Depth() == 1 {
		return s.answerOne(m)
	}
	if s.dead {
		return reply.Answer{}, reply.Broken(reply.Dot, errors.New("connection reset"))
	}
	for name, stage := range map[string]reply.Stage{"mail": reply.Mail, "rcpt": reply.Rcpt, "dot": reply.Dot} {
		a, ok := s.says(m, name, stage)
		if !ok {
			continue
		}
		s.count(m, a.Code/100 == 2)
		return a, nil
	}
	s.dead = true
	s.Close()
	return reply.Answer{}, reply.Broken(reply.Dot, errors.New("connection reset"))
}

func (s *session) answerOne(m *mail.Message) (reply.Answer, error) {
	s.expect("Answer", true)
	if s.waits[m] {
		time.Sleep(time.Second)
	}
	a, ok := s.says(m, "dot", reply.Dot)
	s.count(m, !ok || a.Code/100 == 2)
	if !ok {
		return a, s.fault(m, "dot", reply.Dot)
	}
	return a, nil
}

// count notes whether the server took a message.
func (s *session) count(m *mail.Message, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if taken {
		s.accepted[m.To]++
	} else {
		s.completed[m.To]--
	}
}

// compose writes into memory that the next call overwrites, as the contract allows.
func compose() Compose {
	var b []byte
	return func(j store.Job) (mail.Message, error) {
		b = append(b[:0], "To: <"+j.Address+">\r\n\r\nHello\r\n"...)
		return mail.Message{From: "news@example.com", To: j.Address, Content: [][]byte{b}, Size: len(b)}, nil
	}
}

// verify asserts what holds after every run: no message was completed twice, each row is in a state that agrees with
// what the server knows, and each row that is not in want is sent.
func (s *server) verify(q *queue, recipients int, want map[string]store.State) {
	s.t.Helper()
	rows := q.rows(s.t)
	if len(rows) != recipients {
		s.t.Errorf("%d rows, want %d", len(rows), recipients)
	}
	for a, row := range rows {
		if s.completed[a] > 1 || s.accepted[a] > 1 {
			s.t.Errorf("%s may have got %d copies, and got %d", a, s.completed[a], s.accepted[a])
		}
		if s.completed[a] > 0 && row.State != store.Sent && row.State != store.InDoubt {
			s.t.Errorf("%s may have been taken by the server and is %s", a, row.State)
		}
		if s.accepted[a] == 0 && row.State == store.Sent {
			s.t.Errorf("%s is sent, and the server did not take it", a)
		}
		expected, ok := want[a]
		if !ok {
			expected = store.Sent
		}
		if row.State != expected {
			s.t.Errorf("%s is %s (%d %s), want %s", a, row.State, row.Code, row.Reply, expected)
		}
	}
}

// spreadOut are limits of one run: messages at even distances.
func spreadOut(r store.Rate) pace.Reserver {
	gap := r.Per / time.Duration(r.N)
	return &spread{gap: gap + gap/100, slack: gap / 100}
}

type spread struct {
	gap   time.Duration
	slack time.Duration // a message that is later is the first of a new row: else the one behind it would come too soon
	next  time.Time
}

func (s *spread) Reserve(context.Context, int) (store.Grant, error) {
	now := time.Now()
	from := now
	if s.next.After(from) {
		from = s.next
	}
	s.next = from.Add(s.gap)
	return store.Grant{N: 1, From: from, Slack: s.slack}, nil
}

func (s *spread) Return(context.Context, store.Unsent) error { return nil }
