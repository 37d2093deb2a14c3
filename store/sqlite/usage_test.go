package sqlite

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mailblast/store"
)

// In the long run at least 95 % of a rate are sent while there always is mail, and in no time of the rate's length more
// than it says, whenever that begins: over two processes that end, or are killed with a grant in hand, at any moment.
// What those had is lost, of a rate by the hour or longer a hundredth at most.
func TestReserveInTheLongRun(t *testing.T) {
	stores := pair(t)
	for _, test := range []struct {
		store.Rate
		domain string
		long   int // times the rate's
	}{
		{store.Rate{N: 1, Per: time.Second}, "", 100},
		{store.Rate{N: 14, Per: time.Second}, "", 20},
		{store.Rate{N: 5, Per: time.Minute}, "", 50},
		{store.Rate{N: 30, Per: time.Minute}, "", 20},
		{store.Rate{N: 100, Per: 59 * time.Minute}, "", 5},
		{store.Rate{N: 4, Per: time.Hour}, "", 60},
		{store.Rate{N: 100, Per: time.Hour}, "", 10},
		{store.Rate{N: 100, Per: time.Hour}, "gmail.com", 5},
		{store.Rate{N: 3, Per: day}, "", 60},
		{store.Rate{N: 100, Per: day}, "", 5},
		{store.Rate{N: 60, Per: 7 * day}, "", 5},
		{store.Rate{N: 200, Per: 90 * day}, "example.org", 3},
	} {
		for _, end := range []string{"none ends", "they end", "they are killed"} {
			t.Run(fmt.Sprintf("%d in %v %s, %s", test.N, test.Per, test.domain, end), func(t *testing.T) {
				server := t.Name()
				l := store.Allowance{Rates: []store.Rate{test.Rate}}
				chance := rand.New(rand.NewPCG(uint64(test.N), 7))
				var sent []time.Time
				lost, stop := 0, morning.Add(time.Duration(test.long)*test.Per)
				ready := [2]time.Time{morning, morning}
				for {
					i := 0
					if ready[1].Before(ready[0]) {
						i = 1
					}
					now := ready[i]
					if now.After(stop) {
						break
					}
					g, err := stores[i].Reserve(t.Context(), server, test.domain, l, 1+chance.IntN(300), now)
					if err != nil {
						t.Fatal(err)
					}
					if ready[i] = now; g.N == 0 {
						ready[i] = g.From
						continue
					}
					use := g.N
					if chance.IntN(20) == 0 && end != "none ends" {
						use = chance.IntN(g.N + 1)
					}
					for k := range use {
						at := g.From.Add(time.Duration(k)*g.Every + time.Duration(chance.Int64N(2))*g.Slack)
						sent = append(sent, at)
						ready[i] = g.From.Add(time.Duration(k+1) * g.Every)
					}
					switch {
					case use == g.N:
					case end == "they end":
						if err := stores[i].Return(t.Context(), server, test.domain, l, store.Unsent{N: g.N - use, Counted: g.Counted()}); err != nil {
							t.Fatal(err)
						}
						if !counted(test.Rate) {
							lost += g.N - use
						}
					default:
						lost += g.N - use
						if g.N > max(1, test.N/grantPart) && test.Per >= time.Hour {
							t.Fatalf("%d were lost at a time", g.N-use)
						}
					}
				}
				slices.SortFunc(sent, time.Time.Compare)
				for i := test.N; i < len(sent); i++ {
					if sent[i].Sub(sent[i-test.N]) < test.Per {
						t.Fatalf("%d messages within %v of %v", test.N+1, sent[i].Sub(sent[i-test.N]), sent[i-test.N].Sub(morning))
					}
				}
				share := float64(len(sent)+lost) / float64(test.N*test.long)
				if share < 0.95 || len(sent) < 9*lost {
					t.Errorf("%.1f %% of it, %d sent, %d lost", 100*share, len(sent), lost)
				}
			})
		}
	}
}
