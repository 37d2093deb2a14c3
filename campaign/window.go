package campaign

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // for machines without a time zone database

	"go.yaml.in/yaml/v3"
)

// A Window is a part of every day in which messages may be sent, by the local time of its zone. A time that comes twice, when
// summer time ends, is twice in the window; a time that is left out is not in it. A window that ends before it begins goes
// over midnight.
type Window struct {
	From, To int // minutes since midnight, To excluded
	Zone     *time.Location
}

// Windows are open while one of them is. All are in one zone, and no two overlap. Without any window they are always open.
type Windows []Window

// String writes the window as the campaign file does.
func (w Window) String() string {
	return fmt.Sprintf("%02d:%02d-%02d:%02d %s", w.From/60, w.From%60, w.To/60, w.To%60, w.Zone)
}

// has reports whether a minute of the day is in the window.
func (w Window) has(minute int) bool {
	if w.From < w.To {
		return w.From <= minute && minute < w.To
	}
	return minute >= w.From || minute < w.To
}

// Open reports whether t is in a window, and when that changes next: the zero time if it never does.
func (ws Windows) Open(t time.Time) (open bool, next time.Time) {
	if len(ws) == 0 {
		return true, time.Time{}
	}
	at := t.In(ws[0].Zone)
	open = ws.openAt(at)
	// Every window begins and ends within two days, and no zone changes its clock more often.
	for end := at.AddDate(0, 0, 3); at.Before(end); {
		at = ws.boundary(at)
		if ws.openAt(at) != open {
			return open, at
		}
	}
	return open, time.Time{}
}

func (ws Windows) openAt(at time.Time) bool {
	minute := at.Hour()*60 + at.Minute()
	return slices.ContainsFunc(ws, func(w Window) bool { return w.has(minute) })
}

// boundary returns the next moment after at when a window begins or ends, or the zone's clock is changed.
func (ws Windows) boundary(at time.Time) time.Time {
	const day = 24 * time.Hour
	sinceMidnight := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second + time.Duration(at.Nanosecond())
	wait := day
	for _, w := range ws {
		for _, edge := range []int{w.From, w.To} {
			d := (time.Duration(edge)*time.Minute - sinceMidnight + 2*day) % day
			if d == 0 {
				d = day
			}
			wait = min(wait, d)
		}
	}
	// The wait is right as long as the clock is not changed meanwhile.
	next := at.Add(wait)
	if _, changed := at.ZoneBounds(); !changed.IsZero() && changed.Before(next) {
		return changed.In(at.Location())
	}
	return next
}

// Open reports whether not_before and the windows allow sending at t, and when that changes next: the zero time if it never
// does.
func (d *Delivery) Open(t time.Time) (open bool, next time.Time) {
	if t.Before(d.NotBefore) {
		open, next := d.Windows.Open(d.NotBefore)
		if open {
			return false, d.NotBefore
		}
		return false, next
	}
	return d.Windows.Open(t)
}

// An Expiry says when a message is of no use any more: at a moment, or some time after the campaign was first loaded. The
// zero Expiry never comes.
type Expiry struct {
	At    time.Time
	After time.Duration
}

// For returns the moment for a campaign that was first loaded at the given time. It is zero if the campaign does not expire.
func (e Expiry) For(loaded time.Time) time.Time {
	if e.After > 0 {
		return loaded.Add(e.After)
	}
	return e.At
}

// Deliverable returns a finding.Finding if nothing of the campaign, first loaded at the given time, could ever be sent. A
// campaign that has expired by now is no fault; it is recorded as expired.
func (f *File) Deliverable(loaded, now time.Time) error {
	if f.Delivery.Expires.For(loaded).After(now) {
		if key, message, hint := f.Delivery.undeliverable(loaded); key != "" {
			found := f.At(key, message)
			found.Hint = hint
			return found
		}
	}
	return nil
}

// undeliverable says why a campaign expires before it may be sent, and at which key of the file. The key is empty if the
// campaign can be sent.
func (d *Delivery) undeliverable(loaded time.Time) (key, message, hint string) {
	const in = "2006-01-02 15:04 -07:00"
	from, end := d.NotBefore, d.Expires.For(loaded)
	if from.Before(loaded) {
		from = loaded
	}
	switch open, next := d.Windows.Open(from); {
	case end.IsZero():
	case !end.After(d.NotBefore) && d.Expires.After > 0:
		return "delivery.expires", fmt.Sprintf("delivery.expires: that is %s, and not after delivery.not_before, so that nothing could be sent", end.Format(in)),
			"it is counted from when the campaign was first loaded: write a longer time, or a moment"
	case !end.After(d.NotBefore):
		return "delivery.expires", "delivery.expires is not after delivery.not_before, so that nothing could be sent", "the later time belongs to expires"
	case !open && (next.IsZero() || !next.Before(end)):
		zone := d.Windows[0].Zone
		return "delivery.send_window", fmt.Sprintf("delivery.send_window does not open between %s and %s (delivery.expires), so that nothing could be sent", from.In(zone).Format(in), end.In(zone).Format(in)),
			"a later expires, or another window"
	}
	return "", "", ""
}

// windows reads one window or a list of windows.
func (p *parser) windows(path string, n *yaml.Node) {
	var all []Window
	before := len(p.findings)
	oneOrMore(p, &all, parseWindow)(path, n)
	if len(p.findings) > before {
		return
	}
	for i, w := range all {
		at, ok := p.file.positions[item(path, i)]
		if !ok {
			at = p.file.positions[path]
		}
		for _, earlier := range all[:i] {
			switch {
			case w.Zone.String() != earlier.Zone.String():
				p.report(at, fmt.Sprintf("%s: %q is in another time zone than %q", path, w, earlier), "write all windows in one zone")
			case w.has(earlier.From) || earlier.has(w.From):
				p.report(at, fmt.Sprintf("%s: %q overlaps %q", path, w, earlier), "write one window for both")
			default:
				continue
			}
			break
		}
	}
	p.file.Delivery.Windows = all
}

// parseWindow reads HH:MM-HH:MM ZONE. The zone is required, because the recipients are often not in the machine's own.
func parseWindow(s string) (Window, error) {
	const example = "as in '08:00-20:00 Europe/Berlin'"
	span, zone, _ := strings.Cut(s, " ")
	from, to, _ := strings.Cut(span, "-")
	var w Window
	var ok1, ok2 bool
	w.From, ok1 = parseClock(from)
	w.To, ok2 = parseClock(to)
	switch {
	case !ok1 || !ok2 || w.From == 24*60:
		return w, fault{problem: "is not a window of the day", hint: example}
	case zone == "":
		return w, fault{problem: "has no time zone", hint: example}
	case w.From == w.To:
		return w, fault{problem: "is empty", hint: "the whole day is 00:00-24:00"}
	}
	var err error
	if w.Zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
		return w, fault{problem: "is in a time zone that is not known", hint: "a name of the time zone database, as in Europe/Berlin or UTC"}
	}
	return w, nil
}

// parseClock reads HH:MM as minutes, up to 24:00.
func parseClock(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil && len(s) == 5
}

func parseMoment(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fault{problem: "is not a time", hint: "with date and zone, as in 2026-12-01T08:00:00+01:00"}
	}
	return t, nil
}

// parseExpiry reads a time or a duration.
func parseExpiry(s string) (Expiry, error) {
	if t, err := parseMoment(s); err == nil {
		return Expiry{At: t}, nil
	}
	if d, ok := parseLongDuration(s); ok && d > 0 {
		return Expiry{After: d}, nil
	}
	return Expiry{}, fault{problem: "is neither a time nor a duration", hint: "as in 2026-12-01T08:00:00+01:00; or 48h or 7d, after the campaign was first loaded"}
}
