package campaign

import (
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// Berlin puts its clock forward on 29 March 2026 at 2:00, to 3:00, and back on 25 October 2026 at 3:00, to 2:00.
func TestWindows(t *testing.T) {
	const never = ""
	for _, test := range []struct {
		windows string // one, or two with a comma
		at      string
		open    bool
		next    string
	}{
		{"08:00-20:00 Europe/Berlin", "2026-06-01T07:59:59.5+02:00", false, "2026-06-01T08:00:00+02:00"},
		{"08:00-20:00 Europe/Berlin", "2026-06-01T08:00:00+02:00", true, "2026-06-01T20:00:00+02:00"},
		{"08:00-20:00 Europe/Berlin", "2026-06-01T19:59:59+02:00", true, "2026-06-01T20:00:00+02:00"},
		{"08:00-20:00 Europe/Berlin", "2026-06-01T20:00:00+02:00", false, "2026-06-02T08:00:00+02:00"},
		{"08:00-20:00 Europe/Berlin", "2026-06-01T18:00:00Z", false, "2026-06-02T08:00:00+02:00"},
		{"22:00-06:00 UTC", "2026-06-01T23:00:00Z", true, "2026-06-02T06:00:00Z"},
		{"22:00-06:00 UTC", "2026-06-01T05:59:00Z", true, "2026-06-01T06:00:00Z"},
		{"22:00-06:00 UTC", "2026-06-01T12:00:00Z", false, "2026-06-01T22:00:00Z"},
		{"22:00-24:00 UTC", "2026-06-01T23:59:59Z", true, "2026-06-02T00:00:00Z"},
		{"00:00-24:00 UTC", "2026-06-01T12:00:00Z", true, never},
		{"08:00-12:00 UTC,12:00-14:00 UTC", "2026-06-01T09:00:00Z", true, "2026-06-01T14:00:00Z"},
		{"08:00-12:00 UTC,13:00-14:00 UTC", "2026-06-01T12:30:00Z", false, "2026-06-01T13:00:00Z"},
		{"00:00-12:00 UTC,12:00-24:00 UTC", "2026-06-01T09:00:00Z", true, never},
		// the hour that is not there
		{"08:00-20:00 Europe/Berlin", "2026-03-28T21:00:00+01:00", false, "2026-03-29T08:00:00+02:00"},
		{"01:00-04:00 Europe/Berlin", "2026-03-29T01:30:00+01:00", true, "2026-03-29T04:00:00+02:00"},
		{"02:30-04:00 Europe/Berlin", "2026-03-29T01:30:00+01:00", false, "2026-03-29T03:00:00+02:00"},
		{"02:00-03:00 Europe/Berlin", "2026-03-29T01:30:00+01:00", false, "2026-03-30T02:00:00+02:00"},
		{"01:00-02:30 Europe/Berlin", "2026-03-29T01:30:00+01:00", true, "2026-03-29T03:00:00+02:00"},
		{"22:00-06:00 Europe/Berlin", "2026-03-28T23:00:00+01:00", true, "2026-03-29T06:00:00+02:00"},
		// the hour that comes twice
		{"02:15-02:45 Europe/Berlin", "2026-10-25T02:20:00+02:00", true, "2026-10-25T02:45:00+02:00"},
		{"02:15-02:45 Europe/Berlin", "2026-10-25T02:50:00+02:00", false, "2026-10-25T02:15:00+01:00"},
		{"02:15-02:45 Europe/Berlin", "2026-10-25T02:50:00+01:00", false, "2026-10-26T02:15:00+01:00"},
		{"02:30-08:00 Europe/Berlin", "2026-10-25T02:40:00+02:00", true, "2026-10-25T02:00:00+01:00"},
		{"22:00-06:00 Europe/Berlin", "2026-10-24T23:00:00+02:00", true, "2026-10-25T06:00:00+01:00"},
		// half an hour (Lord Howe, 4 October 2026), and a zone that skipped a day (Apia, 30 December 2011)
		{"02:10-02:20 Australia/Lord_Howe", "2026-10-04T01:59:00+10:30", false, "2026-10-05T02:10:00+11:00"},
		{"08:00-20:00 Pacific/Apia", "2011-12-29T21:00:00-10:00", false, "2011-12-31T08:00:00+14:00"},
	} {
		var d Delivery
		rest := test.windows
		for rest != "" {
			one := rest
			rest = ""
			for i := range one {
				if one[i] == ',' {
					one, rest = one[:i], one[i+1:]
					break
				}
			}
			w, err := parseWindow(one)
			if err != nil {
				t.Fatal(err)
			}
			d.Windows = append(d.Windows, w)
		}
		at, _ := time.Parse(time.RFC3339, test.at)
		next, _ := time.Parse(time.RFC3339, test.next)
		if open, got := d.Open(at); open != test.open || !got.Equal(next) {
			t.Errorf("%s at %s: %v until %v, want %v until %v", test.windows, test.at, open, got, test.open, next)
		}
	}
}

func TestNotBefore(t *testing.T) {
	window := Windows{{8 * 60, 20 * 60, time.UTC}}
	at := func(hour int) time.Time { return time.Date(2026, 6, 1, hour, 0, 0, 0, time.UTC) }
	for _, test := range []struct {
		windows   Windows
		notBefore time.Time
		at        time.Time
		open      bool
		next      time.Time
	}{
		{nil, time.Time{}, at(1), true, time.Time{}},
		{nil, at(6), at(1), false, at(6)},
		{nil, at(6), at(6), true, time.Time{}},
		{window, at(6), at(1), false, at(8)},
		{window, at(9), at(1), false, at(9)},
		{window, at(9), at(10), true, at(20)},
		{window, at(22), at(10), false, at(32)},
	} {
		d := Delivery{Windows: test.windows, NotBefore: test.notBefore}
		if open, next := d.Open(test.at); open != test.open || !next.Equal(test.next) {
			t.Errorf("%v, not before %v, at %v: %v until %v, want %v until %v", test.windows, test.notBefore, test.at, open, next, test.open, test.next)
		}
	}
}

func TestExpiry(t *testing.T) {
	loaded := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		expiry Expiry
		want   time.Time
	}{
		{Expiry{}, time.Time{}},
		{Expiry{After: time.Hour}, loaded.Add(time.Hour)},
		{Expiry{At: loaded}, loaded},
	} {
		if got := test.expiry.For(loaded); !got.Equal(test.want) {
			t.Errorf("%+v: %v", test.expiry, got)
		}
	}
}

func TestWarmup(t *testing.T) {
	sendgrid, err := publishedWarmup("sendgrid")
	if err != nil {
		t.Fatal(err)
	}
	own := &Warmup{Start: 50, Factor: 1.5}
	capped := &Warmup{Start: 50, Factor: 1.5, Cap: 100}
	for _, test := range []struct {
		warmup *Warmup
		day    int
		want   Rate // zero: no bound any more
	}{
		{own, -1, Rate{50, 24 * time.Hour}},
		{own, 0, Rate{50, 24 * time.Hour}},
		{own, 1, Rate{75, 24 * time.Hour}},
		{own, 2, Rate{112, 24 * time.Hour}},
		{own, 1000000, Rate{}},
		{capped, 2, Rate{100, 24 * time.Hour}},
		{capped, 1000000, Rate{100, 24 * time.Hour}},
		{sendgrid, 0, Rate{20, time.Hour}},
		{sendgrid, 41, Rate{19601056, time.Hour}},
		{sendgrid, 42, Rate{}},
	} {
		if got, ok := test.warmup.Quota(test.day); got != test.want || ok != (test.want != Rate{}) {
			t.Errorf("%+v, day %d: %v, %v", test.warmup, test.day, got, ok)
		}
	}
	for day := 1; day < len(sendgrid.table); day++ {
		if sendgrid.table[day] <= sendgrid.table[day-1] {
			t.Errorf("day %d shrinks", day)
		}
	}
}

func TestRateFor(t *testing.T) {
	l := Limits{PerDomain: []DomainRate{{"", Rate{20, time.Second}}, {"gmail.com", Rate{5, time.Second}}}}
	for domain, want := range map[string]int{"gmail.com": 5, "GMail.com": 5, "example.com": 20} {
		if r, ok := l.RateFor(domain); !ok || r.N != want {
			t.Errorf("%s: %v", domain, r)
		}
	}
	if _, ok := (&Limits{}).RateFor("example.com"); ok {
		t.Error("a rate from nowhere")
	}
}

// FuzzSchedule: every rate, quota, window, moment and expiry that is accepted can be obeyed, and is written as it was read.
func FuzzSchedule(f *testing.F) {
	for _, s := range []string{"14/s", "3/1500ms", "50000/d", "100000/30d", "08:00-20:00 Europe/Berlin", "22:00-06:00 UTC", "01:45-02:15 Australia/Lord_Howe", "2026-12-01T08:00:00+01:00", "48h", "7d", "1.5", "1m..4h"} {
		f.Add(s, int64(1_793_000_000))
	}
	f.Fuzz(func(t *testing.T, s string, at int64) {
		if r, err := parseRate(s); err == nil {
			if again, err := parseRate(r.String()); err != nil || again != r || r.N < 1 || r.Per < time.Millisecond {
				t.Errorf("%q is %+v, and that is %+v, %v", s, r, again, err)
			}
		}
		if q, err := parseQuota(s); err == nil && (q.N < 1 || q.Per < time.Hour) {
			t.Errorf("%q is %+v", s, q)
		}
		if e, err := parseExpiry(s); err == nil && e == (Expiry{}) {
			t.Errorf("%q is never", s)
		}
		if x, err := parseFactor(s); err == nil && !(x > 1 && x <= 100) {
			t.Errorf("%q is %v", s, x)
		}
		if b, err := parseBackoff(s); err == nil && (b.min < time.Second || b.max < b.min) {
			t.Errorf("%q is %+v", s, b)
		}
		w, err := parseWindow(s)
		if err != nil {
			return
		}
		if again, err := parseWindow(w.String()); err != nil || again.String() != w.String() {
			t.Errorf("%q is %s, and that is %s, %v", s, w, again, err)
		}
		now := time.Unix(at%(1<<33), 0) // up to the year 2242
		open, next := Windows{w}.Open(now)
		if next.IsZero() {
			return
		}
		if then, _ := (Windows{w}).Open(next); !next.After(now) || then == open {
			t.Errorf("%s is open at %v: %v; until %v, and then %v", w, now, open, next, then)
		}
	})
}

// A campaign that expires before it may be sent is refused before it is loaded. One that has expired already is not refused
// but recorded as expired.
func TestDeliverable(t *testing.T) {
	loaded := time.Date(2026, 12, 1, 19, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		delivery string
		later    time.Duration // it is looked at
		want     string
	}{
		{"expires: 2h", 0, ""},
		{"expires: 2h, send_window: 08:00-20:00 UTC", 0, ""},
		{"expires: 2h, send_window: 08:00-20:00 UTC", 90 * time.Minute, ""},
		{"expires: 13h, send_window: 08:00-18:00 UTC", 0, "c.yaml:8:39: delivery.send_window does not open between 2026-12-01 19:00 +00:00 and 2026-12-02 08:00 +00:00 (delivery.expires), so that nothing could be sent (a later expires, or another window)"},
		{"expires: 13h1m, send_window: 08:00-18:00 UTC", 0, ""},
		{"expires: 2h, send_window: [08:00-12:00 UTC, 13:00-18:00 UTC]", 2 * time.Hour, ""},
		{"expires: 2026-12-01T20:00:00Z, send_window: 08:00-18:00 UTC", 0, "c.yaml:8:56: delivery.send_window does not open between 2026-12-01 19:00 +00:00 and 2026-12-01 20:00 +00:00 (delivery.expires), so that nothing could be sent (a later expires, or another window)"},
		{"expires: 2026-12-01T20:00:00Z, send_window: 08:00-18:00 UTC", 2 * time.Hour, ""},
		{"expires: 2d, not_before: 2026-12-03T19:00:00Z", 0, "c.yaml:8:21: delivery.expires: that is 2026-12-03 19:00 +00:00, and not after delivery.not_before, so that nothing could be sent (it is counted from when the campaign was first loaded: write a longer time, or a moment)"},
		{"expires: 2d, not_before: 2026-12-03T18:00:00Z", 0, ""},
		{"expires: 2d, not_before: 2026-12-03T18:00:00Z, send_window: 08:00-18:00 UTC", 0, "c.yaml:8:72: delivery.send_window does not open between 2026-12-03 18:00 +00:00 and 2026-12-03 19:00 +00:00 (delivery.expires), so that nothing could be sent (a later expires, or another window)"},
		{"not_before: 2026-12-03T18:00:00Z, send_window: 08:00-18:00 UTC", 0, ""},
	} {
		f, err := Parse("c.yaml", []byte(minimal+"\ndelivery: {"+test.delivery+"}"), lookup)
		if err != nil {
			t.Error(test.delivery, err)
			continue
		}
		got := ""
		if err := f.Deliverable(loaded, loaded.Add(test.later)); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s, %v later\ngot  %s\nwant %s", test.delivery, test.later, got, test.want)
		}
	}
}
