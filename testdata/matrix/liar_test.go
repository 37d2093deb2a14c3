package matrix

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// A liar is a server that speaks proper SMTP, except once.
type liar struct {
	stage, name string
	lie
	pipelining bool
	chunking   bool // it takes BDAT
	implicit   bool // it speaks TLS from the first octet
	patience   int  // messages that a lie waits for
	config     *tls.Config
	listener   net.Listener
	over       chan struct{} // closed by stop
	talks      sync.WaitGroup

	mu     sync.Mutex
	told   bool // the lie
	taken  map[string]int
	enough chan struct{} // closed when patience is over
	wrong  []string      // what no client may do
}

// start makes it listen.
func (l *liar) start(t *testing.T) (port int) {
	t.Helper()
	var err error
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var known bool
	if l.lie, known = lies[l.name]; !known {
		t.Fatalf("there is no lie %q", l.name)
	}
	l.over, l.taken, l.enough = make(chan struct{}), map[string]int{}, make(chan struct{})
	l.talks.Go(func() {
		for {
			conn, err := l.listener.Accept()
			if err != nil {
				return
			}
			l.talks.Go(func() {
				conn.SetDeadline(time.Now().Add(30 * time.Second))
				(&talk{liar: l, tcp: conn.(*net.TCPConn), conn: conn, r: bufio.NewReaderSize(conn, 16<<10)}).run()
				conn.Close()
			})
		}
	})
	return l.listener.Addr().(*net.TCPAddr).Port
}

// stop ends it, when its clients have left. The record is complete then.
func (l *liar) stop() {
	l.listener.Close()
	close(l.over)
	l.talks.Wait()
}

func (l *liar) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// due reports whether something at a stage is about the target. Before MAIL, that is the first session after the first
// message; RSET follows the first message, which is refused then.
func (l *liar) due(who string) bool { return who == target || who == "" && l.taken[first] > 0 }

// lies reports whether this is where the lie is told.
func (l *liar) lies(stage, who string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told || l.name == "right" || l.name == "early" || stage != l.stage || !l.due(who) && stage != "RSET" {
		return false
	}
	l.told = true
	return true
}

func (l *liar) take(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken[who]++
	if l.patience--; l.patience == 0 {
		close(l.enough)
	}
}
