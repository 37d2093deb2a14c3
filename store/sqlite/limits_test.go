package sqlite

import (
	"database/sql/driver"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"mailblast/store"
)

const relay = "smtp.example.com:587 postbote"

var morning = time.Date(2026, 6, 1, 6, 30, 0, 0, time.UTC)

// pair is a queue that two processes have open.
func pair(t testing.TB) [2]*Store {
	t.Helper()
	first := open(t)
	second, err := Open(t.Context(), first.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	for _, s := range []*Store{first, second} {
		if err := s.exec(t.Context(), "PRAGMA synchronous=OFF"); err != nil { // nobody cuts the power here
			t.Fatal(err)
		}
	}
	return [2]*Store{first, second}
}

func reserve(t testing.TB, s *Store, l store.Allowance, want int, now time.Time) store.Grant {
	t.Helper()
	g, err := s.Reserve(t.Context(), relay, "", l, want, now)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// drain reserves as much as there is, up to want: N is all of it.
func drain(t testing.TB, s *Store, l store.Allowance, want int, now time.Time) store.Grant {
	t.Helper()
	n := 0
	for {
		g := reserve(t, s, l, want-n, now)
		n += g.N
		if g.N == 0 || n == want {
			g.N = n
			return g
		}
	}
}

// Two processes share all rates: no time of a rate's length has more messages than it says, and what it says is made use of.
func TestReserveRates(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		rates    []store.Rate
		messages int
		least    time.Duration // that they take
		most     time.Duration
	}{
		{[]store.Rate{{N: 14, Per: time.Second}}, 142, 10 * time.Second, 10300 * time.Millisecond},
		{[]store.Rate{{N: 1, Per: time.Second}}, 11, 10 * time.Second, 10200 * time.Millisecond},
		{[]store.Rate{{N: 2000, Per: time.Second}}, 6000, 2900 * time.Millisecond, 3200 * time.Millisecond},
		{[]store.Rate{{N: 500, Per: time.Minute}}, 51, 0, time.Second},
		{[]store.Rate{{N: 30, Per: time.Minute}}, 303, 10 * time.Minute, 11 * time.Minute},
		{[]store.Rate{{N: math.MaxInt32, Per: time.Second}}, 6000, 0, time.Second},
		{[]store.Rate{{N: 500, Per: time.Minute}}, 1001, 120 * time.Second, 123 * time.Second},
		{[]store.Rate{{N: 1, Per: day}}, 2, day, day + time.Hour},
		{[]store.Rate{{N: 20, Per: time.Second}, {N: 60, Per: 10 * time.Second}}, 121, 19 * time.Second, 21 * time.Second},
		{[]store.Rate{{N: 100, Per: time.Second}, {N: 500, Per: time.Minute}}, 300, 30 * time.Second, 32 * time.Second},
	} {
		t.Run(fmt.Sprint(test.rates), func(t *testing.T) {
			stores := pair(t)
			chance := rand.New(rand.NewPCG(3, 4))
			now := morning
			var sent []time.Time
			ready := [2]time.Time{now, now}
			for len(sent) < test.messages {
				// The one that is ready first asks, for as much as it likes.
				i := 0
				if ready[1].Before(ready[0]) {
					i = 1
				}
				now = ready[i]
				g := reserve(t, stores[i], store.Allowance{Rates: test.rates}, 1+chance.IntN(test.messages), now)
				for k := range g.N {
					// It leaves as late as it may, or in time.
					at := g.From.Add(time.Duration(k)*g.Every + time.Duration(chance.Int64N(2))*g.Slack)
					sent = append(sent, at)
					ready[i] = g.From.Add(time.Duration(k+1) * g.Every)
				}
				if g.N == 0 {
					ready[i] = g.From
				}
			}
			slices.SortFunc(sent, time.Time.Compare)
			for _, r := range test.rates {
				for i := r.N; i < len(sent); i++ {
					if sent[i].Sub(sent[i-r.N]) < r.Per {
						t.Fatalf("%d messages within %v of %v", r.N+1, sent[i].Sub(sent[i-r.N]), sent[i-r.N].Sub(morning))
					}
				}
			}
			if took := sent[test.messages-1].Sub(morning); took < test.least || took > test.most {
				t.Errorf("they took %v, want %v to %v", took, test.least, test.most)
			}
		})
	}
}

// Two processes at the same time get a quota between them, and not one message more.
func TestReserveQuota(t *testing.T) {
	stores := pair(t)
	l := store.Allowance{Quotas: []store.Rate{{N: 1000, Per: 24 * time.Hour}, {N: 5000, Per: 30 * 24 * time.Hour}}}
	var got [2]int
	var working sync.WaitGroup
	for i, s := range stores {
		working.Go(func() {
			for {
				g, err := s.Reserve(t.Context(), relay, "", l, 7, morning)
				if err != nil {
					t.Error(err)
				}
				if got[i] += g.N; g.N == 0 || err != nil {
					return
				}
			}
		})
	}
	working.Wait()
	if got[0]+got[1] != 1000 {
		t.Errorf("got %v of 1000", got)
	}
	again := morning.Add(windowOf(l.Quotas[0]))
	if g := reserve(t, stores[0], l, 10, morning.Add(23*time.Hour)); g.N != 0 || g.Used != l.Quotas[0] || !g.From.Equal(again) {
		t.Errorf("%+v, want nothing until %v", g, again)
	}
	if err := stores[1].Return(t.Context(), relay, "", l, store.Unsent{N: 4, Counted: morning}); err != nil {
		t.Fatal(err)
	}
	if g := reserve(t, stores[0], l, 10, morning.Add(23*time.Hour)); g.N != 4 {
		t.Errorf("%+v, want the four that were given back", g)
	}
	// On the second day those four still count.
	if g := drain(t, stores[0], l, 2000, again); g.N != 996 {
		t.Errorf("%+v, want 996 on the second day", g)
	}
	other, err := stores[0].Reserve(t.Context(), "other.example.com:25", "", l, 2000, morning)
	if err != nil || other.N != 10 {
		t.Errorf("another server: %+v, %v", other, err)
	}
}

// The longest wait of several quotas counts.
func TestReserveQuotas(t *testing.T) {
	s := open(t)
	l := store.Allowance{Quotas: []store.Rate{{N: 10, Per: time.Hour}, {N: 15, Per: 24 * time.Hour}}}
	hour, day := windowOf(l.Quotas[0]), windowOf(l.Quotas[1])
	for _, test := range []struct {
		at    time.Duration
		n     int
		again time.Duration
	}{
		{0, 10, 0},
		{time.Minute, 0, hour},
		{hour, 5, 0},
		{2 * time.Hour, 0, day},
		{day, 10, 0},
	} {
		g := drain(t, s, l, 100, morning.Add(test.at))
		if g.N != test.n || g.N == 0 && !g.From.Equal(morning.Add(test.again)) {
			t.Errorf("after %v: %+v, want %d, or again after %v", test.at, g, test.n, test.again)
		}
	}
}

// The days of a warm-up are counted from the first message that the server took.
func TestReserveWarmup(t *testing.T) {
	s := open(t)
	l := store.Allowance{Warmup: func(day int) (store.Rate, bool) { return store.Rate{N: 50 << day, Per: 24 * time.Hour}, day < 3 }}
	save := func(first time.Time) {
		t.Helper()
		if err := s.SaveServer(t.Context(), store.ServerState{Name: relay, First: first}); err != nil {
			t.Fatal(err)
		}
	}
	for _, days := range []int{-9, -5} { // it was down
		if g := drain(t, s, l, 500, morning.AddDate(0, 0, days)); g.N != 50 {
			t.Errorf("%d days before: %+v, want 50", -days, g)
		}
		if err := s.Return(t.Context(), relay, "", l, store.Unsent{N: 50, Counted: morning.AddDate(0, 0, days)}); err != nil {
			t.Fatal(err)
		}
		save(time.Time{})
	}
	for _, test := range []struct {
		at    time.Duration
		n     int
		again time.Duration
	}{
		{0, 50, 0},
		{10 * time.Hour, 0, 24 * time.Hour},
		{24 * time.Hour, 50, 0}, // and the fifty of yesterday
		{24*time.Hour + 90*time.Second, 50, 0},
		{48 * time.Hour, 100, 0},
		{49 * time.Hour, 100, 0},
		{50 * time.Hour, 0, 72 * time.Hour},
		{72 * time.Hour, 500, 0}, // it is over
	} {
		g := drain(t, s, l, 500, morning.Add(test.at))
		if g.N != test.n || g.N == 0 && !g.From.Equal(morning.Add(test.again)) {
			t.Errorf("after %v: %+v, want %d, or again after %v", test.at, g, test.n, test.again)
		}
		save(morning.Add(test.at)) // the first one counts
	}
}

// Who is refused by a quota has used up nothing of a rate, and the other way round.
func TestReserveAllOrNothing(t *testing.T) {
	s := open(t)
	l := store.Allowance{Rates: []store.Rate{{N: 1, Per: time.Minute}}, Quotas: []store.Rate{{N: 2, Per: time.Hour}}}
	if g := reserve(t, s, l, 5, morning); g.N != 1 {
		t.Fatalf("%+v", g)
	}
	for range 5 {
		if g := reserve(t, s, l, 5, morning.Add(time.Second)); g.N != 0 || g.Used.N != 0 || g.From.Sub(morning) > 61*time.Second {
			t.Fatalf("%+v", g)
		}
	}
	if g := reserve(t, s, l, 5, morning.Add(2*time.Minute)); g.N != 1 {
		t.Fatalf("%+v", g)
	}
	for range 5 {
		if g := reserve(t, s, l, 5, morning.Add(4*time.Minute)); g.N != 0 || g.Used.N != 2 {
			t.Fatalf("%+v", g)
		}
	}
	if g := reserve(t, s, store.Allowance{Rates: l.Rates}, 5, morning.Add(4*time.Minute)); g.N != 1 {
		t.Fatalf("%+v", g)
	}
}

// A domain has a pace of its own, and counts for the server only with the server's.
func TestReserveDomain(t *testing.T) {
	s := open(t)
	l := store.Allowance{Rates: []store.Rate{{N: 1, Per: time.Minute}}}
	for _, domain := range []string{"", "gmail.com", "example.com"} {
		g, err := s.Reserve(t.Context(), relay, domain, l, 5, morning)
		if err != nil || g.N != 1 {
			t.Errorf("%q: %+v, %v", domain, g, err)
		}
	}
	if g, err := s.Reserve(t.Context(), relay, "gmail.com", l, 5, morning.Add(time.Second)); err != nil || g.N != 0 {
		t.Errorf("%+v, %v", g, err)
	}
	if left, _, err := s.Left(t.Context(), relay, store.Rate{N: 10, Per: time.Hour}, morning); err != nil || left != 9 {
		t.Errorf("%d left, %v", left, err)
	}
}

// A clock that was ahead, and was set back, does not stop anything for longer than the limit itself would.
func TestReserveClock(t *testing.T) {
	s := open(t)
	l := store.Allowance{Rates: []store.Rate{{N: 10, Per: time.Second}}, Quotas: []store.Rate{{N: 10, Per: 24 * time.Hour}}}
	if g := reserve(t, s, l, 8, morning.AddDate(1, 0, 0)); g.N == 0 {
		t.Fatalf("%+v", g)
	}
	sent := 0
	for i := range 20 {
		sent += reserve(t, s, l, 8, morning.Add(time.Duration(i)*time.Second)).N
	}
	if sent == 0 || sent > 10 {
		t.Errorf("%d were granted", sent)
	}
	if g := reserve(t, s, l, 8, morning.Add(25*time.Hour)); g.N == 0 {
		t.Errorf("a day later: %+v", g)
	}
}

// What was found out is there for the next process.
func TestServer(t *testing.T) {
	stores := pair(t)
	want := store.ServerState{Name: relay, First: morning, Rate: 13.5, Connections: 3, WaitsFor: "the quota of 10/h is used up", WaitsUntil: morning}
	if err := stores[0].SaveServer(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := stores[1].Server(t.Context(), relay)
	if err != nil || got.Found.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Found = (time.Time{}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if none, err := stores[1].Server(t.Context(), "other"); err != nil || none != (store.ServerState{Name: "other"}) {
		t.Errorf("%+v, %v", none, err)
	}
	if all, err := stores[1].Servers(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

// The rates of very many domains do not stay for ever, and what is used up of those that are there does.
func TestForgetPaces(t *testing.T) {
	s := open(t)
	l := store.Allowance{Rates: []store.Rate{{N: 20, Per: time.Second}}}
	slow := store.Allowance{Rates: []store.Rate{{N: 1, Per: time.Hour}}}
	if g, err := s.Reserve(t.Context(), relay, "slow.example", slow, 1, morning); g.N != 1 || err != nil {
		t.Fatal(g, err)
	}
	now := morning
	for n := range 2 * bucketsKept {
		now = now.Add(10 * time.Millisecond)
		if g, err := s.Reserve(t.Context(), relay, fmt.Sprintf("domain%d.example", n), l, 1, now); g.N != 1 || err != nil {
			t.Fatal(g, err)
		}
	}
	var n int64
	if err := s.each(t.Context(), 1, func(row []driver.Value) error { n, _ = row[0].(int64); return nil }, "SELECT count(*) FROM pace"); err != nil || n > bucketsKept/2 {
		t.Errorf("%d are kept, %v", n, err)
	}
	if g, err := s.Reserve(t.Context(), relay, "slow.example", slow, 1, now); g.N != 0 || err != nil {
		t.Errorf("got %+v, %v", g, err)
	}
}

// What the rate of a domain costs, each time: a write, without a sync.
func BenchmarkReserveDomains(b *testing.B) {
	s := open(b)
	l := store.Allowance{Rates: []store.Rate{{N: 20, Per: time.Second}}}
	for n := 0; b.Loop(); n++ {
		if _, err := s.Reserve(b.Context(), relay, fmt.Sprintf("domain%d.example.com", n), l, 1, morning); err != nil {
			b.Fatal(err)
		}
	}
}
