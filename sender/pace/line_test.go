package pace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
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
					p := NewLimiter(Options{Stay: time.Hour})
					server := perConnection(func() limiter { return tokenBucket(rate/connections, burst) })
					start := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), length)
					defer cancel()
					asleep := func(d time.Duration, woken <-chan struct{}) error {
						return Sleep(ctx, d+rand.N(time.Millisecond), woken)
					}
					var s simulation
					var mu sync.Mutex
					var working sync.WaitGroup
					for c := range connections {
						working.Go(func() {
							for {
								if _, err := p.Wait(ctx, asleep, 1); err != nil {
									return
								}
								offered := time.Now()
								mu.Lock()
								taken := server(offered, c)
								mu.Unlock()
								time.Sleep(10*time.Millisecond + rand.N(5*time.Millisecond))
								now := time.Now()
								if taken {
									p.Passed(offered, now, 2)
								} else {
									p.Throttled(offered, now, 1, "too fast")
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
