package storetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"mailblast/store"
)

const (
	relay = "smtp.example.com postbote"
	day   = 24 * time.Hour
)

var morning = time.Date(2026, 6, 1, 6, 30, 0, 0, time.UTC)

// pair is a queue that two processes have open.
func pair(t testing.TB, place func(testing.TB) Place) [2]store.Queue {
	t.Helper()
	at := place(t)
	return [2]store.Queue{at.Open(t), at.Open(t)}
}

func reserve(t testing.TB, q store.Queue, a store.Allowance, want int, now time.Time) store.Grant {
	t.Helper()
	g, err := q.Reserve(t.Context(), relay, "", a, want, now)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// reserveAll reserves as much as there is, up to want: N is all of it.
func reserveAll(t testing.TB, q store.Queue, a store.Allowance, want int, now time.Time) store.Grant {
	t.Helper()
	n := 0
	for {
		g := reserve(t, q, a, want-n, now)
		n += g.N
		if g.N == 0 || n == want {
			g.N = n
			return g
		}
	}
}

// wantAgain says that there is leave again when a quota's time has passed since a moment, and not much later.
func wantAgain(t testing.TB, g store.Grant, since time.Time, quota store.Rate) {
	t.Helper()
	if passed := g.From.Sub(since); g.N != 0 || g.Used != quota || passed < quota.Per || passed > quota.Per+quota.Per/25 {
		t.Errorf("%+v: again after %v, want it for %+v", g, passed, quota)
	}
}

// Two processes share all rates: no time of a rate's length has more messages than it says, and what it says is made use of.
func testRates(t *testing.T, place func(testing.TB) Place) {
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
			sent := sendAt(t, pair(t, place), store.Allowance{Rates: test.rates}, test.messages)
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

// sendAt is when so many messages leave, over two processes that ask as soon as they have leave.
func sendAt(t *testing.T, queues [2]store.Queue, a store.Allowance, messages int) (sent []time.Time) {
	chance := rand.New(rand.NewPCG(3, 4))
	ready := [2]time.Time{morning, morning}
	for len(sent) < messages {
		// The one that is ready first asks, for as much as it likes.
		i := 0
		if ready[1].Before(ready[0]) {
			i = 1
		}
		g := reserve(t, queues[i], a, 1+chance.IntN(messages), ready[i])
		for k := range g.N {
			// It leaves as late as it may, or in time.
			sent = append(sent, g.From.Add(time.Duration(k)*g.Every+time.Duration(chance.Int64N(2))*g.Slack))
			ready[i] = g.From.Add(time.Duration(k+1) * g.Every)
		}
		if g.N == 0 {
			ready[i] = g.From
		}
	}
	slices.SortFunc(sent, time.Time.Compare)
	return sent
}

// Two processes at the same time get a quota between them, and not one message more.
func testQuota(t *testing.T, place func(testing.TB) Place) {
	queues := pair(t, place)
	a := store.Allowance{Quotas: []store.Rate{{N: 1000, Per: day}, {N: 5000, Per: 30 * day}}}
	var got [2]int
	var working sync.WaitGroup
	for i, q := range queues {
		working.Go(func() {
			for {
				g, err := q.Reserve(t.Context(), relay, "", a, 7, morning)
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
	none := reserve(t, queues[0], a, 10, morning.Add(23*time.Hour))
	wantAgain(t, none, morning, a.Quotas[0])
	if left, again, err := queues[1].Left(t.Context(), relay, a.Quotas[0], morning.Add(time.Hour)); left != 0 || !again.Equal(none.From) || err != nil {
		t.Errorf("%d are left, again at %v, %v; want none until %v", left, again, err, none.From)
	}
	if err := queues[1].Return(t.Context(), relay, "", a, store.Unsent{N: 4, Counted: morning}); err != nil {
		t.Fatal(err)
	}
	if g := reserve(t, queues[0], a, 10, morning.Add(23*time.Hour)); g.N != 4 {
		t.Errorf("%+v, want the four that were given back", g)
	}
	// On the second day those four still count.
	if g := reserveAll(t, queues[0], a, 2000, none.From); g.N != 996 {
		t.Errorf("%+v, want 996 on the second day", g)
	}
	other, err := queues[0].Reserve(t.Context(), "other.example.com", "", a, 2000, morning)
	if err != nil || other.N == 0 {
		t.Errorf("another server: %+v, %v", other, err)
	}
}

// The longest wait of several quotas counts.
func testQuotas(t *testing.T, place func(testing.TB) Place) {
	q := place(t).Open(t)
	a := store.Allowance{Quotas: []store.Rate{{N: 10, Per: time.Hour}, {N: 15, Per: day}}}
	want := func(n int, at time.Time) store.Grant {
		t.Helper()
		g := reserveAll(t, q, a, 100, at)
		if g.N != n {
			t.Errorf("after %v: %+v, want %d", at.Sub(morning), g, n)
		}
		return g
	}
	want(10, morning)
	hour := want(0, morning.Add(time.Minute))
	wantAgain(t, hour, morning, a.Quotas[0])
	want(5, hour.From)
	tomorrow := want(0, morning.Add(2*time.Hour))
	wantAgain(t, tomorrow, morning, a.Quotas[1])
	want(10, tomorrow.From)
}

// The days of a warm-up are counted from the first message that the server took.
func testWarmup(t *testing.T, place func(testing.TB) Place) {
	q := place(t).Open(t)
	a := store.Allowance{Warmup: func(n int) (store.Rate, bool) { return store.Rate{N: 50 << n, Per: day}, n < 3 }}
	save := func(first time.Time) {
		t.Helper()
		if err := q.SaveServer(t.Context(), store.ServerState{Name: relay, First: first}); err != nil {
			t.Fatal(err)
		}
	}
	for _, days := range []int{-9, -5} { // it was down
		if g := reserveAll(t, q, a, 500, morning.AddDate(0, 0, days)); g.N != 50 {
			t.Errorf("%d days before: %+v, want 50", -days, g)
		}
		if err := q.Return(t.Context(), relay, "", a, store.Unsent{N: 50, Counted: morning.AddDate(0, 0, days)}); err != nil {
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
		{10 * time.Hour, 0, day},
		{day, 50, 0}, // and the fifty of yesterday
		{day + 90*time.Second, 50, 0},
		{2 * day, 100, 0},
		{2*day + time.Hour, 100, 0},
		{2*day + 2*time.Hour, 0, 3 * day},
		{3 * day, 500, 0}, // it is over
	} {
		g := reserveAll(t, q, a, 500, morning.Add(test.at))
		if g.N != test.n || g.N == 0 && !g.From.Equal(morning.Add(test.again)) {
			t.Errorf("after %v: %+v, want %d, or again after %v", test.at, g, test.n, test.again)
		}
		save(morning.Add(test.at)) // the first one counts
	}
}

// Who is refused by a quota has used up nothing of a rate, and the other way round.
func testAllOrNothing(t *testing.T, place func(testing.TB) Place) {
	q := place(t).Open(t)
	a := store.Allowance{Rates: []store.Rate{{N: 1, Per: time.Minute}}, Quotas: []store.Rate{{N: 2, Per: time.Hour}}}
	want := func(a store.Allowance, at time.Duration, n int) store.Grant {
		t.Helper()
		g := reserve(t, q, a, 5, morning.Add(at))
		if g.N != n {
			t.Fatalf("after %v: %+v, want %d", at, g, n)
		}
		return g
	}
	want(a, 0, 1)
	for range 5 {
		if g := want(a, time.Second, 0); g.Used.N != 0 || g.From.Sub(morning) > 61*time.Second {
			t.Fatalf("%+v", g)
		}
	}
	want(a, 2*time.Minute, 1)
	for range 5 {
		if g := want(a, 4*time.Minute, 0); g.Used.N != 2 {
			t.Fatalf("%+v", g)
		}
	}
	want(store.Allowance{Rates: a.Rates}, 4*time.Minute, 1)
}

// A domain has a rate of its own, and counts for the server only with the server's.
func testDomain(t *testing.T, place func(testing.TB) Place) {
	q := place(t).Open(t)
	a := store.Allowance{Rates: []store.Rate{{N: 1, Per: time.Minute}}}
	for _, domain := range []string{"", "gmail.com", "example.com"} {
		g, err := q.Reserve(t.Context(), relay, domain, a, 5, morning)
		if err != nil || g.N != 1 {
			t.Errorf("%q: %+v, %v", domain, g, err)
		}
	}
	if g, err := q.Reserve(t.Context(), relay, "gmail.com", a, 5, morning.Add(time.Second)); err != nil || g.N != 0 {
		t.Errorf("%+v, %v", g, err)
	}
	if left, _, err := q.Left(t.Context(), relay, store.Rate{N: 10, Per: time.Hour}, morning); err != nil || left != 9 {
		t.Errorf("%d left, %v", left, err)
	}
}

// A clock that was ahead, and was set back, does not stop anything for longer than the limit itself would.
func testClockSetBack(t *testing.T, place func(testing.TB) Place) {
	q := place(t).Open(t)
	a := store.Allowance{Rates: []store.Rate{{N: 10, Per: time.Second}}, Quotas: []store.Rate{{N: 10, Per: day}}}
	if g := reserve(t, q, a, 8, morning.AddDate(1, 0, 0)); g.N == 0 {
		t.Fatalf("%+v", g)
	}
	granted := 0
	for i := range 20 {
		granted += reserve(t, q, a, 8, morning.Add(time.Duration(i)*time.Second)).N
	}
	if granted == 0 || granted > 10 {
		t.Errorf("%d were granted", granted)
	}
	if g := reserve(t, q, a, 8, morning.Add(25*time.Hour)); g.N == 0 {
		t.Errorf("a day later: %+v", g)
	}
}

// What was found out about a server is there for the next process, and when it took its first message is known once and
// for all.
func testServers(t *testing.T, place func(testing.TB) Place) {
	queues := pair(t, place)
	want := store.ServerState{Name: relay, First: morning, Rate: 13.5, Connections: 3, WaitsFor: "the quota of 10/h is used up", WaitsUntil: morning}
	for _, saved := range []store.ServerState{{Name: relay}, want, {Name: relay, First: morning.Add(day), Rate: want.Rate, Connections: 3, WaitsFor: want.WaitsFor, WaitsUntil: morning}} {
		if err := queues[0].SaveServer(t.Context(), saved); err != nil {
			t.Fatal(err)
		}
	}
	got, err := queues[1].Server(t.Context(), relay)
	if err != nil || time.Since(got.Found).Abs() > time.Minute {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Found = (time.Time{}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if none, err := queues[1].Server(t.Context(), "other"); err != nil || none != (store.ServerState{Name: "other"}) {
		t.Errorf("%+v, %v", none, err)
	}
	if all, err := queues[1].Servers(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}
