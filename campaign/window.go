package campaign

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are the same on a machine that has none of its own

	"go.yaml.in/yaml/v3"
)

// A Window is a part of every day in which messages may be sent, by the clock on the wall of its zone: a time that the clock
// shows twice, when summer time ends, is twice in it, and one that the clock leaves out is not there. A window whose end is before
// its beginning goes over midnight.
type Window struct {
	From, To int // minutes since midnight; To is not in it any more
	Zone     *time.Location
}

// Windows are open while one of them is. They are all in one zone and have no minute in common. None at all are always open.
type Windows []Window

// String is the window as the campaign file writes it.
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

// Open reports whether t is in a window, and when that changes: zero when it never does.
func (ws Windows) Open(t time.Time) (open bool, next time.Time) {
	if len(ws) == 0 {
		return true, time.Time{}
	}
	at := t.In(ws[0].Zone)
	open = ws.openAt(at)
	// Within two days every boundary of every window has come, and no zone changes its clock more often.
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

// boundary is the next moment after at when a window begins or ends, or the clock is changed.
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
	// Until the clock is changed it goes as every clock.
	next := at.Add(wait)
	if _, changed := at.ZoneBounds(); !changed.IsZero() && changed.Before(next) {
		return changed.In(at.Location())
	}
	return next
}

// Open reports whether messages may be sent at t, as far as not_before and the windows say, and when that changes: zero when it
// never does.
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

// An Expiry is when a message is of no use any more: a moment, or so long after the campaign was first loaded. Zero: never.
type Expiry struct {
	At    time.Time
	After time.Duration
}

// For is the moment for a campaign that was first loaded then; zero: never.
func (e Expiry) For(loaded time.Time) time.Time {
	if e.After > 0 {
		return loaded.Add(e.After)
	}
	return e.At
}

// Deliverable says, as a finding.Finding, why nothing could be sent of a campaign that was first loaded then. What has expired by now is no
// fault: it is recorded as that.
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

// undeliverable says why a campaign that was first loaded then expires before it may be sent, and at which key; "": it does not.
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

// windows reads one window, or a list of them.
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

// parseWindow reads HH:MM-HH:MM ZONE. The zone has to be there: the machine's own is often not the recipients'.
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

// parseClock reads HH:MM, 24:00 included, as minutes.
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

// parseExpiry reads a time, or a duration.
func parseExpiry(s string) (Expiry, error) {
	if t, err := parseMoment(s); err == nil {
		return Expiry{At: t}, nil
	}
	if d, ok := parseLongDuration(s); ok && d > 0 {
		return Expiry{After: d}, nil
	}
	return Expiry{}, fault{problem: "is neither a time nor a duration", hint: "as in 2026-12-01T08:00:00+01:00; or 48h or 7d, after the campaign was first loaded"}
}
