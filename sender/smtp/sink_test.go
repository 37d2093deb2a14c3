package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mailblast/campaign/mail"
	"mailblast/sender/sink"
)

// Ten connections that begin at the same moment make two handshakes in full, and so do ten more after them and those
// that come again: all others resume. Counted by the server.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		security sink.Security
		version  uint16
	}{{"STARTTLS, TLS 1.3", sink.StartTLS, tls.VersionTLS13}, {"TLS 1.3", sink.TLS, tls.VersionTLS13}, {"TLS 1.2", sink.TLS, tls.VersionTLS12}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			certificate, authority, err := sink.ThrowawayCertificate("localhost")
			if err != nil {
				t.Fatal(err)
			}
			var full, resumed atomic.Int32
			server, err := sink.Start(t.Context(), sink.Options{Listen: "127.0.0.1:0", Security: c.security, TLS: &tls.Config{
				Certificates: []tls.Certificate{certificate}, MaxVersion: c.version,
				VerifyConnection: func(state tls.ConnectionState) error {
					if state.DidResume {
						resumed.Add(1)
					} else {
						full.Add(1)
					}
					return nil
				},
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close(context.Background())
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(authority)
			transport := NewTransport(Config{
				Host: "localhost", Port: server.Addr().(*net.TCPAddr).Port, Security: Security(c.security), Helo: "client.example",
				TLS: &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(0)},
			})
			for range 2 {
				var dials sync.WaitGroup
				for range 10 {
					dials.Go(func() {
						s, err := transport.Dial(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						s.Quit()
					})
				}
				dials.Wait()
			}
			if full.Load() > dialsAtFirst || full.Load()+resumed.Load() != 20 {
				t.Errorf("%d handshakes in full, %d resumed", full.Load(), resumed.Load())
			}
		})
	}
}

// Eight messages are in flight on a session to a server that refuses some recipients and some messages, short ones and
// such as are written in several parts: each has its own answer, and the server has those that it took, once and octet
// for octet.
func TestSeveralInFlight(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 300_000} {
		t.Run(fmt.Sprint(size, " octets"), func(t *testing.T) {
			t.Parallel()
			rules := make([]sink.Rule, 3)
			for i, rule := range []string{"RCPT~^r3=550 5.1.1 no such user", "DATA~^r5=452 4.3.1 not now", "DOT~^Subject: r7=554 5.7.1 spam"} {
				var err error
				if rules[i], err = sink.ParseRule(rule); err != nil {
					t.Fatal(err)
				}
			}
			var mu sync.Mutex
			taken := map[string][]string{}
			server, err := sink.Start(t.Context(), sink.Options{Listen: "127.0.0.1:0", Fail: rules, OnAccept: func(m sink.Message) {
				mu.Lock()
				defer mu.Unlock()
				taken[m.To[0]] = append(taken[m.To[0]], string(m.Data))
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close(context.Background())
			const depth = 8
			s := dial(t, Config{Host: "127.0.0.1", Port: server.Addr().(*net.TCPAddr).Port, Security: None, Helo: "client.example", Depth: depth})
			if s.Depth() != depth {
				t.Fatal("the sink does not offer CHUNKING")
			}
			var sent []mail.Message
			var got []string
			answer := func() {
				a, err := s.Answer()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(a.Stage, " ", a.Code))
			}
			for i := range 20 {
				to := fmt.Sprintf("r%d-%d@example.com", i%10, i)
				content := "Subject: " + to + "\r\n\r\n.\r\n" + strings.Repeat("some line of some message\r\n", size/27)
				sent = append(sent, mail.Message{From: "news@example.com", To: to, Content: [][]byte{[]byte(content)}, Size: len(content)})
				if i-len(got) == depth {
					answer()
				}
				if err := sendWhole(s, sent[i], sent[i].Content); err != nil {
					t.Fatal(err)
				}
			}
			for len(got) < len(sent) {
				answer()
			}
			s.Quit()
			server.Close(t.Context())
			for i, m := range sent {
				want, refused := map[int]string{3: "RCPT 550", 5: "end of the message 452", 7: "end of the message 554"}[i%10]
				var contents []string
				if !refused {
					want, contents = "end of the message 250", []string{string(m.Content[0])}
				}
				if got[i] != want || !slices.Equal(taken[m.To], contents) {
					t.Errorf("%s: got %q, want %q; and the server has %d messages, or not what was sent", m.To, got[i], want, len(taken[m.To]))
				}
			}
		})
	}
}
