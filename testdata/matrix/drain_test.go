package matrix

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailblast/campaign/mail"
	"mailblast/sender"
	"mailblast/sender/reply"
	"mailblast/sender/sink"
	"mailblast/sender/smtp"
	"mailblast/store"
	"mailblast/store/sqlite"
)

// A liarSite is what all liars share.
type liarSite struct {
	server, client *tls.Config
	small, large   [][]byte // content
	replies        *reply.Classifier
}

// smallEnd is how a small message ends.
const smallEnd = "x\r\n.\r\nx\r\n"

func newLiarSite(t *testing.T) *liarSite {
	t.Helper()
	certificate, ca, err := sink.ThrowawayCertificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := &liarSite{server: &tls.Config{Certificates: []tls.Certificate{certificate}}, client: &tls.Config{RootCAs: x509.NewCertPool()}}
	s.client.RootCAs.AppendCertsFromPEM(ca)
	s.small = [][]byte{[]byte("X-Kind: small\r\n\r\n"), []byte(smallEnd)}
	// More than the buffers of a connection take.
	piece := []byte(strings.Repeat(strings.Repeat("x", 998)+"\r\n", 1000))
	s.large = slices.Repeat([][]byte{piece}, 10)
	// It reads its rules at the first refusal, which takes long enough for another connection to take all that is left.
	s.replies = reply.NewClassifier(nil)
	s.replies.Explain(reply.Rcpt, 550, "5.1.1", "no such user")
	return s
}

// A drain is a queue, the engine on it, and the liar it sends to.
type drain struct {
	liar     *liar
	store    store.Queue
	journal  *journal
	config   smtp.Config
	timeouts *smtp.Timeouts
	options  sender.Options
	server   sender.Route
	list     []string
}

// A journal writes down in a word what is recorded of each recipient.
type journal struct {
	store.Lease
	handed func() // is called when all that was claimed is there for the workers

	mu    sync.Mutex
	words map[string][]string
}

// Pending is asked for by a feeder that has handed out all that there is.
func (j *journal) Pending(ctx context.Context) (store.Counts, time.Time, error) {
	j.handed()
	return j.Lease.Pending(ctx)
}

func (j *journal) Record(ctx context.Context, begin []store.Job, finish []store.Outcome) ([]store.Job, error) {
	kept, err := j.Lease.Record(ctx, begin, finish)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range finish {
		word := string(o.State)
		switch {
		case o.State == store.Queued && o.Kind != store.Plain:
			word = "later"
		case o.State == store.Queued:
			word = "back"
		}
		if said := j.words[o.Job.Address]; o.Kind.Amends() { // it takes the place of the one before
			j.words[o.Job.Address] = said[:len(said)-1]
		}
		j.words[o.Job.Address] = append(j.words[o.Job.Address], word)
	}
	return kept, nil
}

func (j *journal) of(address string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.words[address], " ")
}

// newDrain loads a list, and starts the liar.
func (s *liarSite) newDrain(t *testing.T, l *liar, list []string) *drain {
	t.Helper()
	const long = 20 * time.Second
	d := &drain{liar: l, list: list}
	d.config = smtp.Config{
		Host: "127.0.0.1", Security: smtp.None, Helo: "client.example",
		Replies:  s.replies,
		Timeouts: smtp.Timeouts{Connect: long, Greeting: long, Mail: long, Rcpt: long, DataInit: long, DataBlock: long, DataDone: long, Quit: long},
	}
	d.timeouts = &d.config.Timeouts
	if l.implicit {
		l.config, d.config.Security, d.config.TLS = s.server, smtp.TLS, s.client
	}
	switch l.stage {
	case "STARTTLS", "TLS", "EHLO2":
		l.config, d.config.Security, d.config.TLS = s.server, smtp.StartTLS, s.client
	case "AUTH":
		d.config.Username, d.config.Password = "user", "secret"
	}
	handed, ready := context.WithCancel(t.Context())
	d.options = sender.Options{BackoffMin: time.Millisecond, Wait: time.Minute, Compose: func() sender.Compose {
		return func(j store.Job) (mail.Message, error) {
			m := mail.Message{From: "from-" + j.Address, To: j.Address, Content: s.small}
			if l.stage == "body" && j.Address == target {
				m.Content = s.large
			}
			if l.chunking { // so that which messages go together is not chance
				<-handed.Done()
			}
			return m, nil
		}
	}, Stats: &sender.Stats{}}
	d.config.Port = l.start(t)

	// In memory where there is such a folder: what a disk does is tested elsewhere, and would take most of the time
	// here.
	dir, err := os.MkdirTemp("/dev/shm", "mailblast-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if d.store, err = sqlite.Open(t.Context(), filepath.Join(dir, "queue.db"), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	lease, err := d.store.Acquire(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lease.Release() })
	d.journal = &journal{Lease: lease, handed: ready, words: map[string][]string{}}
	rest := list
	snapshot := store.Snapshot{Source: []byte("name: test"), Columns: []string{"email"}, MessageDomain: "example.com", Durability: "strict"}
	if _, err := lease.Load(t.Context(), snapshot, false, func() (store.Recipient, error) {
		if len(rest) == 0 {
			return store.Recipient{}, io.EOF
		}
		a := rest[0]
		rest = rest[1:]
		return store.Recipient{Identity: a, Address: a, Values: []string{a}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

// run drains the queue.
func (d *drain) run(t *testing.T) error {
	t.Helper()
	transport := sender.TransportOf(smtp.NewTransport(d.config))
	if d.liar.name == "closed" {
		transport = &closedOnce{Transport: transport, config: d.config}
	}
	d.server.Name, d.server.Transport = "liar", transport
	err := sender.Run(t.Context(), t.Context(), d.journal, []sender.Route{d.server}, d.options)
	if n := d.options.Stats.Connections.Load(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	return err
}

// closedOnce is a server that does not listen when the second session is opened.
type closedOnce struct {
	sender.Transport
	config smtp.Config
	dials  int
}

func (c *closedOnce) Dial(ctx context.Context) (sender.Session, error) {
	if c.dials++; c.dials != 2 {
		return c.Transport.Dial(ctx)
	}
	config := c.config
	config.Port = 1 // tcpmux, which nobody has
	return sender.TransportOf(smtp.NewTransport(config)).Dial(ctx)
}

// finish waits for the liar, and holds the queue against its record: sent means that the server took the message, once,
// and that it took it means sent or in doubt.
func (d *drain) finish(t *testing.T) {
	t.Helper()
	d.liar.stop()
	for _, wrong := range d.liar.wrong {
		t.Error(wrong)
	}
	seen := map[string]bool{}
	if err := d.store.Rows(context.Background(), "test", nil, false, func(r store.Row) error {
		taken := d.liar.taken[r.Email]
		switch {
		case r.State == store.Sent && taken == 1 && r.Code/100 == 2:
		case r.State == store.Failed && taken == 0 && r.Code/100 == 5:
		case r.State == store.InDoubt && taken <= 1 && r.Code == 0:
		default:
			t.Errorf("%s is %s by %d, and the server took %d", r.Email, r.State, r.Code, taken)
		}
		seen[r.Email] = true
		return nil
	}); err != nil {
		t.Error(err)
	}
	if len(seen) != len(d.list) {
		t.Errorf("%d rows, want %d", len(seen), len(d.list))
	}
}

// watchLeaks returns a check that goroutines and descriptors are what they are now.
func watchLeaks(t *testing.T) (check func()) {
	t.Helper()
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // the first use of the network keeps descriptors of its own
	}
	before := goleak.IgnoreCurrent()
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil && runtime.GOOS == "linux" {
			t.Error(err)
		}
		return len(entries)
	}
	descriptors := count()
	return func() {
		t.Helper()
		goleak.VerifyNone(t, before)
		if now := count(); now > descriptors {
			t.Errorf("%d descriptors, %d before", now, descriptors)
		}
	}
}
