package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mailblast/store"
)

// entries yields entries for the addresses.
func entries(addresses ...string) func() (store.Suppression, error) {
	return func() (e store.Suppression, err error) {
		if len(addresses) == 0 {
			return e, io.EOF
		}
		e = store.Suppression{Address: addresses[0], Reason: "asked", Source: "shop"}
		addresses = addresses[1:]
		return e, nil
	}
}

func suppress(t testing.TB, s *Store, addresses ...string) {
	t.Helper()
	if _, _, err := s.Suppress(t.Context(), entries(addresses...)); err != nil {
		t.Fatal(err)
	}
}

func listed(t testing.TB, s *Store) (all []store.Suppression) {
	t.Helper()
	if err := s.Suppressions(t.Context(), func(e store.Suppression) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSuppress(t *testing.T) {
	s := open(t)
	then := time.Unix(1_700_000_000, 0).UTC()
	var many []store.Suppression
	for i := range 2*rowBatch + loadGroup/2 {
		many = append(many, store.Suppression{Address: fmt.Sprintf("user%05d@example.com", i), Reason: "asked", Source: "shop", Created: then})
	}
	next := func(list []store.Suppression) func() (store.Suppression, error) {
		return func() (e store.Suppression, err error) {
			if len(list) == 0 {
				return e, io.EOF
			}
			e, list = list[0], list[1:]
			return e, nil
		}
	}
	if added, known, err := s.Suppress(t.Context(), next(append(many, many[0]))); added != int64(len(many)) || known != 1 || err != nil {
		t.Fatalf("%d added, %d known, %v", added, known, err)
	}
	if got := listed(t, s); !slices.Equal(got, many) {
		t.Errorf("%d entries, want %d; the first is %+v", len(got), len(many), got[0])
	}
	// The first reason stays. What comes is kept on one line, and not longer than a screen.
	again := store.Suppression{Address: many[0].Address, Reason: "another"}
	wild := store.Suppression{Address: "wild@example.com", Reason: "a\r\nb\x1b[31m\t\xff" + strings.Repeat("ö", 1000), Source: "x\u202e"}
	if added, known, err := s.Suppress(t.Context(), next([]store.Suppression{again, wild})); added != 1 || known != 1 || err != nil {
		t.Fatalf("%d added, %d known, %v", added, known, err)
	}
	all := listed(t, s)
	if all[0] != many[0] {
		t.Errorf("%+v", all[0])
	}
	got := all[len(all)-1]
	if !strings.HasPrefix(got.Reason, "a b\ufffd[31m \ufffdö") || len(got.Reason) > reasonMost || !strings.HasSuffix(got.Reason, "ö…") || !utf8.ValidString(got.Reason) || got.Source != "x\ufffd" || time.Since(got.Created) > time.Minute {
		t.Errorf("%+v", got)
	}
	// All or nothing.
	broken := errors.New("broken")
	n := 0
	if _, _, err := s.Suppress(t.Context(), func() (store.Suppression, error) {
		if n++; n > 2*loadGroup {
			return store.Suppression{}, broken
		}
		return store.Suppression{Address: fmt.Sprintf("new%d@example.com", n)}, nil
	}); !errors.Is(err, broken) || len(listed(t, s)) != len(all) {
		t.Errorf("%v, %d entries", err, len(listed(t, s)))
	}
}

// Which entries hold for which addresses, the nearest one being named; at the check, at load and at claim.
func TestSuppressed(t *testing.T) {
	lists := [][]string{
		{},
		{"ada@example.com"},
		{"@example.com"},
		{"@.example.com"},
		{"@.com", "@example.com", "ada@example.com", "@[192.0.2.1]"},
		{"@x@example.com"}, // a local part that was quoted
	}
	by := map[string][]string{ // by list
		"ada@example.com":      {"", "ada@example.com", "@example.com", "@.example.com", "ada@example.com", ""},
		"bob@example.com":      {"", "", "@example.com", "@.example.com", "@example.com", ""},
		"ada@news.example.com": {"", "", "", "@.example.com", "@.com", ""},
		"ada@anexample.com":    {"", "", "", "", "@.com", ""},
		"ada@com":              {"", "", "", "", "@.com", ""},
		"ada@example.org":      {"", "", "", "", "", ""},
		"ada@[192.0.2.1]":      {"", "", "", "", "@[192.0.2.1]", ""},
		"@x@example.com":       {"", "", "@example.com", "@.example.com", "@example.com", "@x@example.com"},
		"@example.com":         {"", "", "@example.com", "@.example.com", "@example.com", ""},
		"@.example.com":        {"", "", "", "@.example.com", "@.com", ""},
	}
	var recipients []store.Recipient
	for address := range by {
		recipients = append(recipients, store.Recipient{Identity: address, Address: address, Values: []string{address}})
	}
	for i, list := range lists {
		t.Run(fmt.Sprintf("%q", list), func(t *testing.T) {
			s := open(t)
			later, l := acquire(t, s, "loaded before"), acquire(t, s, "test")
			if _, err := later.Load(t.Context(), snapshot, false, slicesNext(recipients)); err != nil {
				t.Fatal(err)
			}
			suppress(t, s, list...)
			done, err := l.Load(t.Context(), snapshot, false, slicesNext(recipients))
			if err != nil {
				t.Fatal(err)
			}
			var free []string
			for address, by := range by {
				e, ok, err := s.Suppressed(t.Context(), address)
				if e.Address != by[i] || ok != (by[i] != "") || err != nil {
					t.Errorf("%s: by %q, %v, %v; want %q", address, e.Address, ok, err, by[i])
				}
				if by[i] == "" {
					free = append(free, address)
				}
			}
			slices.Sort(free)
			if int(done.Suppressed) != len(recipients)-len(free) {
				t.Errorf("%+v", done)
			}
			for _, lease := range []*Lease{l, later} {
				var claimed []string
				for _, j := range claim(t, lease, 100) {
					claimed = append(claimed, j.Address)
				}
				slices.Sort(claimed)
				if !slices.Equal(claimed, free) {
					t.Errorf("%s: claimed %q, want %q", lease.name, claimed, free)
				}
			}
			countsOf(t, s)
		})
	}
}

// A load marks those on the list, says how many they are, and leaves the others, invalid rows and rows that are there already as they are.
func TestLoadSuppressed(t *testing.T) {
	s := open(t)
	l := acquire(t, s, "test")
	if _, err := l.Load(t.Context(), snapshot, false, list(1)); err != nil {
		t.Fatal(err)
	}
	suppress(t, s, "user0@example.com", "user7@example.com", "user59@example.com", "@example.net")
	n := 0
	next := list(120)
	done, err := l.Load(t.Context(), snapshot, false, func() (store.Recipient, error) {
		switch n++; n {
		case 1:
			return store.Recipient{Identity: "ada@example.net", Address: "ada@example.net"}, nil
		case 2:
			return store.Recipient{Identity: "invalid @example.net", Address: "@example.net", Invalid: "nothing before the @"}, nil
		}
		return next()
	})
	if err != nil || done != (store.Loaded{Added: 121, Invalid: 1, Suppressed: 3, Known: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	if c := countsOf(t, s); c.Suppressed != 3 || c.Invalid != 1 || c.Queued != 118 {
		t.Errorf("%+v", c)
	}
	var why []string
	s.Rows(t.Context(), "test", []store.State{store.Suppressed}, false, func(r store.Row) error { why = append(why, r.Email+": "+r.Reply); return nil })
	if want := []string{"ada@example.net: on the suppression list as @example.net: asked (shop)", "user7@example.com: on the suppression list: asked (shop)", "user59@example.com: on the suppression list: asked (shop)"}; !slices.Equal(why, want) {
		t.Errorf("%q", why)
	}
	claim(t, l, 1000)
	if c := countsOf(t, s); c.Suppressed != 4 || c.Claimed != 117 {
		t.Errorf("%+v", c)
	}
}

// A reply that says that the address is dead puts it on the list in the words of the server; not those of other outcomes.
func TestBounceSuppresses(t *testing.T) {
	s, l := loaded(t, 3)
	jobs := claim(t, l, 3)
	record(t, l, nil,
		store.Outcome{Job: jobs[0], State: store.Failed, Kind: store.Bounced, Code: 550, Status: "5.1.1", Text: "no such user\nask postmaster", Server: "mx:25"},
		store.Outcome{Job: jobs[1], State: store.Failed, Code: 550, Status: "5.7.1", Text: "policy"})
	all := listed(t, s)
	if len(all) != 1 || all[0].Address != "user0@example.com" || all[0].Reason != "550 5.1.1 no such user ask postmaster" || all[0].Source != "test" || time.Since(all[0].Created) > time.Minute {
		t.Errorf("%+v", all)
	}
	// Its campaign keeps the reply; the next one does not send.
	if c := countsOf(t, s); c.Failed != 2 || c.Claimed != 1 {
		t.Errorf("%+v", c)
	}
	next := acquire(t, s, "next")
	if done, err := next.Load(t.Context(), snapshot, false, list(3)); err != nil || done.Suppressed != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}

// Another process suppresses people while a campaign is sent: those that are not begun yet are not sent to, however many they
// are, and whether they are claimed or not; each batch ends in one transaction.
func TestSuppressMeanwhile(t *testing.T) {
	s, l := loaded(t, 300)
	other, err := Open(t.Context(), s.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	held := claim(t, l, 100)
	record(t, l, held[:10])
	locked, done := make(chan bool), make(chan error, 1)
	go func() {
		done <- s.write(context.Background(), func(context.Context) error {
			close(locked)
			time.Sleep(20 * time.Millisecond) // the other one has to wait for the lock meanwhile
			return nil
		})
	}()
	<-locked
	suppress(t, other, "@example.com")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if jobs := claim(t, l, 100); len(jobs) != 0 {
		t.Errorf("%d claimed", len(jobs))
	}
	if c := countsOf(t, s); c.Suppressed != 100 || c.Claimed != 90 || c.Sending != 10 || c.Queued != 100 {
		t.Errorf("%+v", c)
	}
	before := slices.Clone(held)
	if kept := record(t, l, held[10:]); len(kept) != 0 {
		t.Errorf("%d begun of those that were claimed before", len(kept))
	}
	if !reflect.DeepEqual(held, before) {
		t.Error("what is begun was changed")
	}
	record(t, l, nil, store.Outcome{Job: held[10], State: store.Queued}) // by a worker that has found it not begun
	claim(t, l, 100)
	if c := countsOf(t, s); c.Suppressed != 290 || c.Sending != 10 || c.Pending() != 10 {
		t.Errorf("%+v", c)
	}
}

func BenchmarkSuppress(b *testing.B) {
	s := open(b)
	n := 0
	b.ReportAllocs()
	if _, _, err := s.Suppress(b.Context(), func() (store.Suppression, error) {
		if n == b.N {
			return store.Suppression{}, io.EOF
		}
		n++
		// In no order, as lists are.
		return store.Suppression{Address: fmt.Sprintf("user%d@example%d.com", uint32(n)*2654435761, n%1000), Reason: "unsubscribed", Source: "list.csv"}, nil
	}); err != nil {
		b.Fatal(err)
	}
}

// A load against a list of a million.
func BenchmarkLoadSuppressed(b *testing.B) {
	s := open(b)
	n := 0
	if _, _, err := s.Suppress(b.Context(), func() (store.Suppression, error) {
		if n == 1_000_000 {
			return store.Suppression{}, io.EOF
		}
		n++
		return store.Suppression{Address: fmt.Sprintf("someone%d@example.com", n)}, nil
	}); err != nil {
		b.Fatal(err)
	}
	suppress(b, s, "@example.net", "@.example.org")
	l := acquire(b, s, "test")
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := l.Load(b.Context(), snapshot, false, list(b.N)); err != nil {
		b.Fatal(err)
	}
}
