package smtp

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/sender/reply"
)

// Ten connections begin at the same moment, and each takes a second to show what is the matter.
func TestDialGate(t *testing.T) {
	t.Parallel()
	const forever = time.Hour
	final := reply.Unusable(reply.Auth, errors.New("wrong password"), "")
	for _, c := range []struct {
		name  string
		takes time.Duration // the first two
		err   error
		begun []int // dials, by the half second
	}{
		{"well", time.Second, nil, []int{2, 2, 10}},
		{"busy", time.Second, reply.Broken(reply.Connect, errors.New("421 busy")), []int{2, 2, 10}},
		{"wrong password", time.Second, final, []int{2, 2, 4, 4, 6, 6, 8, 8, 10}},
		{"stuck", forever, nil, []int{2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newDialGate(dialsAtFirst)
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

// A dial that waits for a place ends when the run ends.
func TestDialGateEnds(t *testing.T) {
	t.Parallel()
	g := newDialGate(0)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the password is wrong")
	cancel(why)
	if err := g.pass(ctx, func() error { t.Error("it was let through"); return nil }); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
}
