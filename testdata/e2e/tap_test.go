package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// A tap passes connections on to a server and keeps what the client says.
type tap struct {
	mu   sync.Mutex
	said []*bytes.Buffer // by connection
	port int
}

func newTap(t *testing.T, to int) *tap {
	t.Helper()
	p := &tap{}
	p.port = listen(t, nil, func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", to))
		if err != nil {
			return
		}
		said := &bytes.Buffer{}
		p.mu.Lock()
		p.said = append(p.said, said)
		p.mu.Unlock()
		go func() {
			io.Copy(io.MultiWriter(lockedWriter{&p.mu, said}, server), client)
			server.Close()
		}()
		io.Copy(client, server)
	})
	return p
}

// listen starts a server that gives each connection to a function in a goroutine of its own.
func listen(t *testing.T, config *tls.Config, serve func(net.Conn)) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	if config != nil {
		l = tls.NewListener(l, config)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return port
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// lines are all lines that any client has said, after a look at their ends.
func (p *tap) lines(t *testing.T) []string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, said := range p.said {
		text := said.String()
		if bare := strings.ReplaceAll(text, "\r\n", ""); strings.ContainsAny(bare, "\r\n\x00") {
			t.Errorf("a bare CR or LF, or a NUL, went over the wire: %q", text)
		}
		all = append(all, strings.Split(text, "\r\n")...)
	}
	return all
}
