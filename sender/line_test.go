package sender

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailblast/sender/reply"
)

// A server that counts by the connection is no slower than others, though it throttles one connection while the others could go on: the
// goal of TestAdaptive, with workers that really wait for each other.
func TestLine(t *testing.T) {
	const connections = 10
	for _, rate := range []float64{1, 10, 100} {
		length := max(3*time.Minute, seconds(600/rate))
		for _, burst := range []float64{1, 5} {
			t.Run(fmt.Sprint(rate, " a second, ", burst, " at once"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPace(Server{}, Options{Wait: time.Hour})
					server := perConnection(func() limiter { return tokenBucket(rate/connections, burst) })
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), length)
					defer cancel()
					asleep := func(d time.Duration, woken <-chan struct{}) error {
						return sleep(ctx, d+rand.N(time.Millisecond), woken)
					}
					var s simulation
					var mu sync.Mutex
					var working sync.WaitGroup
					for c := range connections {
						working.Go(func() {
							for {
								if _, err := p.wait(ctx, asleep, 1); err != nil {
									return
								}
								offered := time.Now()
								mu.Lock()
								taken := server(offered, c)
								mu.Unlock()
								time.Sleep(10*time.Millisecond + rand.N(5*time.Millisecond))
								now := time.Now()
								if taken {
									p.passed(offered, now, reply.Dot)
								} else {
									p.throttled(offered, now, reply.Mail, "too fast")
								}
								mu.Lock()
								s.count(taken, now.Sub(start))
								mu.Unlock()
							}
						})
					}
					working.Wait()
					s.allows(t, rate*length.Seconds())
				})
			})
		}
	}
}
