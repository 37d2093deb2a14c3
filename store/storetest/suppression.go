package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mailblast/store"
)

// The list is kept in the order of its addresses, and the first reason stays. What comes is kept on one line, and not
// longer than a screen.
func testSuppress(t *testing.T, place func(testing.TB) Place) {
	p := started(t, place)
	then := time.Unix(1_700_000_000, 0).UTC()
	var many []store.Suppression
	for i := range 2025 {
		many = append(many, store.Suppression{Address: fmt.Sprintf("user%05d@example.com", i), Reason: "asked", Source: "shop", Created: then})
	}
	if added, known, err := p.queue.Suppress(t.Context(), Each(append(many, many[0]))); added != int64(len(many)) || known != 1 || err != nil {
		t.Fatalf("%d added, %d known, %v", added, known, err)
	}
	if got := p.suppressed(); !slices.Equal(got, many) {
		t.Errorf("%d entries, want %d; the first is %+v", len(got), len(many), got[0])
	}
	again := store.Suppression{Address: many[0].Address, Reason: "another"}
	wild := store.Suppression{Address: "wild@example.com", Reason: "a\r\nb\x1b[31m\t\xff" + strings.Repeat("ö", 1000), Source: "x\u202e"}
	if added, known, err := p.queue.Suppress(t.Context(), Each([]store.Suppression{again, wild})); added != 1 || known != 1 || err != nil {
		t.Fatalf("%d added, %d known, %v", added, known, err)
	}
	all := p.suppressed()
	if all[0] != many[0] {
		t.Errorf("%+v", all[0])
	}
	got := all[len(all)-1]
	if !strings.HasPrefix(got.Reason, "a b\ufffd[31m \ufffdö") || len(got.Reason) > store.ReasonMost || !strings.HasSuffix(got.Reason, "ö…") || !utf8.ValidString(got.Reason) ||
		got.Source != "x\ufffd" || time.Since(got.Created) > time.Minute {
		t.Errorf("%+v", got)
	}
	if removed, err := p.queue.Unsuppress(t.Context(), []string{many[1].Address, "nobody@example.com", "wild@example.com"}); !slices.Equal(removed, []string{many[1].Address, "wild@example.com"}) || err != nil {
		t.Errorf("%q, %v", removed, err)
	}
	if got := p.suppressed(); len(got) != len(many)-1 {
		t.Errorf("%d entries", len(got))
	}
	stop := errors.New("stop")
	if err := p.queue.Suppressions(t.Context(), func(store.Suppression) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// All entries of a list are added, or none.
func testSuppressBroken(t *testing.T, place func(testing.TB) Place) {
	p := started(t, place)
	p.suppress("ada@example.com")
	broken := errors.New("broken")
	n := 0
	if _, _, err := p.queue.Suppress(t.Context(), func() (store.Suppression, error) {
		if n++; n > 100 {
			return store.Suppression{}, broken
		}
		return store.Suppression{Address: fmt.Sprintf("new%d@example.com", n)}, nil
	}); !errors.Is(err, broken) || len(p.suppressed()) != 1 {
		t.Errorf("%v, %d entries", err, len(p.suppressed()))
	}
}

// Which entries hold for which addresses, the nearest one being named; at the check, at load and at claim.
func testSuppressed(t *testing.T, place func(testing.TB) Place) {
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
			p := started(t, place)
			before := p.holds("loaded before")
			before.load(Snapshot, Each(recipients))
			p.suppress(list...)
			done := p.load(Snapshot, Each(recipients))
			var free []string
			for address, by := range by {
				e, ok, err := p.queue.Suppressed(t.Context(), address)
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
			for name, held := range map[string]*process{"test": p, "loaded before": before} {
				var claimed []string
				for _, j := range held.claim(100) {
					claimed = append(claimed, j.Address)
				}
				slices.Sort(claimed)
				if !slices.Equal(claimed, free) {
					t.Errorf("%s: claimed %q, want %q", name, claimed, free)
				}
			}
			p.counts()
		})
	}
}

// A load marks those on the list, says how many they are, and leaves the others, invalid rows and rows that are there
// already as they are.
func testLoadSuppressed(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 1)
	p.suppress("user0@example.com", "user7@example.com", "user59@example.com", "@example.net")
	n, next := 0, List(120)
	done := p.load(Snapshot, func() (store.Recipient, error) {
		switch n++; n {
		case 1:
			return store.Recipient{Identity: "ada@example.net", Address: "ada@example.net"}, nil
		case 2:
			return store.Recipient{Identity: "invalid @example.net", Address: "@example.net", Invalid: "nothing before the @"}, nil
		}
		return next()
	})
	if done != (store.Loaded{Added: 121, Invalid: 1, Suppressed: 3, Known: 1}) {
		t.Errorf("%+v", done)
	}
	p.wantCounts(store.Counts{Queued: 118, Suppressed: 3, Invalid: 1})
	var why []string
	for _, r := range p.rows(store.Suppressed) {
		why = append(why, r.Email+": "+r.Reply)
	}
	if want := []string{"ada@example.net: on the suppression list as @example.net: asked (shop)", "user7@example.com: on the suppression list: asked (shop)", "user59@example.com: on the suppression list: asked (shop)"}; !slices.Equal(why, want) {
		t.Errorf("%q", why)
	}
	p.claim(1000)
	p.wantCounts(store.Counts{Claimed: 117, Suppressed: 4, Invalid: 1})
}

// A reply that says that the address is dead puts it on the list in the words of the server; not those of other outcomes.
func testBounceSuppresses(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 3)
	jobs := p.claim(3)
	p.finish(store.Outcome{Job: jobs[0], State: store.Failed, Kind: store.Bounced, Code: 550, Status: "5.1.1", Text: "no such user\nask postmaster", Server: "mx:25"},
		store.Outcome{Job: jobs[1], State: store.Failed, Code: 550, Status: "5.7.1", Text: "policy"})
	all := p.suppressed()
	if len(all) != 1 || all[0].Address != "user0@example.com" || all[0].Reason != "550 5.1.1 no such user ask postmaster" || all[0].Source != "test" || time.Since(all[0].Created) > time.Minute {
		t.Errorf("%+v", all)
	}
	// Its campaign keeps the reply; the next one does not send.
	p.wantCounts(store.Counts{Failed: 2, Claimed: 1})
	if done := p.holds("next").load(Snapshot, List(3)); done.Suppressed != 1 {
		t.Errorf("%+v", done)
	}
}

// Another process suppresses people while a campaign is sent: those that are not begun yet are not sent to, however
// many they are, and whether they are claimed or not.
func testSuppressMeanwhile(t *testing.T, place func(testing.TB) Place) {
	p := loaded(t, place, 300)
	other := &process{t: t, place: p.place, queue: p.place.Open(t)}
	held := p.claim(100)
	p.begin(held[:10]...)
	other.suppress("@example.com")
	if jobs := p.claim(100); len(jobs) != 0 {
		t.Errorf("%d claimed", len(jobs))
	}
	p.wantCounts(store.Counts{Suppressed: 100, Claimed: 90, Sending: 10, Queued: 100})
	before := slices.Clone(held)
	p.wantKept(0, "they were claimed before the list had them", held[10:])
	if !reflect.DeepEqual(held, before) {
		t.Error("what is begun was changed")
	}
	p.finish(store.Outcome{Job: held[10], State: store.Queued}) // by a worker that has found it not begun
	p.claim(100)
	p.wantCounts(store.Counts{Suppressed: 290, Sending: 10})
}
