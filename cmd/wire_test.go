package cmd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/campaign"
	"mailblast/sender/reply"
	"mailblast/sender/sink"
)

// Whatever strings encoding/json wrote into the queue come back as they were.
func FuzzDecodeFields(f *testing.F) {
	f.Add("a", "b", "")
	f.Add("Zoë", ",", `","`)
	f.Add(`\`, `"`, "\n<&\u2028")
	f.Add("", "", "]")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, fields := range [][]string{{}, {a}, {a, b}, {a, b, c}} {
			list, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if err := json.Unmarshal(list, &want); err != nil {
				t.Fatal(err)
			}
			if got, err := decodeFields(nil, list); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q, %v; want %q", list, got, err, want)
			}
		}
	})
}

// Ten connections that begin at the same moment make two handshakes in full, and so do ten more after them and those that come
// again: all others resume. Counted by the server.
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
			f := &campaign.File{SMTP: campaign.SMTP{
				Host: "localhost", Port: server.Addr().(*net.TCPAddr).Port, Security: campaign.Security(c.security), CAFile: "ca.pem", Helo: "client.example",
			}}
			transport, err := transportFor(f, func(string) ([]byte, error) { return authority, nil })
			if err != nil {
				t.Fatal(err)
			}
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

// TestGate: ten connections begin at the same moment, and each takes a second to show what is the matter.
func TestGate(t *testing.T) {
	t.Parallel()
	const forever = time.Hour
	final := &reply.Error{Stage: reply.Auth, Final: true, Err: errors.New("wrong password")}
	for _, c := range []struct {
		name  string
		takes time.Duration // the first two
		err   error
		begun []int // dials, by the half second
	}{
		{"well", time.Second, nil, []int{2, 2, 10}},
		{"busy", time.Second, &reply.Error{Stage: reply.Connect, Err: errors.New("421 busy")}, []int{2, 2, 10}},
		{"wrong password", time.Second, final, []int{2, 2, 4, 4, 6, 6, 8, 8, 10}},
		{"stuck", forever, nil, []int{2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(dialsAtFirst)
				begun := 0
				var mu sync.Mutex
				for range 10 {
					go g.pass(t.Context(), func() error {
						mu.Lock()
						begun++
						takes := time.Second
						if begun <= dialsAtFirst {
							takes = c.takes
						}
						mu.Unlock()
						time.Sleep(takes)
						return c.err
					})
				}
				for i, want := range c.begun {
					synctest.Wait()
					mu.Lock()
					if begun != want {
						t.Errorf("after %d half seconds %d dials have begun, want %d", i, begun, want)
					}
					mu.Unlock()
					time.Sleep(time.Second / 2)
				}
				time.Sleep(2 * forever)
			})
		})
	}
}

// Who waits for a place goes when the run ends.
func TestGateEnds(t *testing.T) {
	t.Parallel()
	g := newGate(0)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the password is wrong")
	cancel(why)
	if err := g.pass(ctx, func() error { t.Error("it was let through"); return nil }); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
}
