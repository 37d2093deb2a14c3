package campaign

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// Limits are the limits that the campaign file sets. All of them hold together; a zero one bounds nothing. The limits of one
// of several servers have none for domains.
type Limits struct {
	Rates                []Rate
	PerDomain            []DomainRate // in the order of the file
	PerDomainConnections int          // how many connections may be sending to one domain at a time; 0: no limit
	Quotas               []Rate       // a run ends when a quota is used up, where it waits for a rate
	Warmup               *Warmup      // nil: none
}

// Account returns the name under which the queue keeps a server's limits and what was found out about it. Providers count by
// account, over whichever of their ports it is used. On this machine another port is another server: a tunnel, or a server
// to test with. An address of our own that is named in source_ip has limits and a reputation of its own.
func (s *Server) Account() string {
	name := s.Host
	ip, err := netip.ParseAddr(s.Host)
	if s.Host == "localhost" || strings.HasSuffix(s.Host, ".localhost") || err == nil && ip.IsLoopback() {
		name = net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	}
	if s.Username != "" {
		name += " " + s.Username
	}
	if s.SourceIP.IsValid() {
		name += " from " + s.SourceIP.String()
	}
	return name
}

// A Rate is N messages in Per.
type Rate struct {
	N   int
	Per time.Duration
}

// String writes the rate as the campaign file does.
func (r Rate) String() string {
	for _, u := range []struct {
		name string
		per  time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		switch {
		case r.Per == u.per:
			return fmt.Sprintf("%d/%s", r.N, u.name)
		case r.Per%u.per == 0:
			return fmt.Sprintf("%d/%d%s", r.N, r.Per/u.per, u.name)
		}
	}
	return fmt.Sprintf("%d/%v", r.N, r.Per)
}

// A DomainRate is the rate for one recipient domain.
type DomainRate struct {
	Domain string // in A-labels; "": each domain that has no rate of its own
	Rate   Rate
}

// A Warmup is a quota that grows day by day, counted from the first message to the server. After the last day of a published
// schedule it bounds nothing.
type Warmup struct {
	Name   string // of a published schedule; "": the file's own
	Start  int    // messages on the first day
	Factor float64
	Cap    int // 0: it grows for ever

	table []int // of a published schedule, by day
	per   time.Duration
}

// Quota returns the bound on a day, counted from 0. It returns false when there is none any more.
func (w *Warmup) Quota(day int) (Rate, bool) {
	day = max(day, 0)
	if w.table != nil {
		if day >= len(w.table) {
			return Rate{}, false
		}
		return Rate{w.table[day], w.per}, true
	}
	// The power grows beyond all numbers; a cap of zero is none.
	n := float64(w.Start) * math.Pow(w.Factor, float64(day))
	if w.Cap > 0 {
		n = min(n, float64(w.Cap))
	}
	if n >= math.MaxInt32 {
		return Rate{}, false
	}
	return Rate{int(n), 24 * time.Hour}, true
}

// publishedWarmup returns the schedule of that name.
func publishedWarmup(name string) (*Warmup, error) {
	switch name {
	case "sendgrid":
		// Messages an hour, by day, from the "Automated IP warmup hourly send schedule" of Twilio SendGrid,
		// https://docs.sendgrid.com/ui/sending-email/warming-up-an-ip-address
		return &Warmup{Name: name, per: time.Hour, table: []int{
			20, 28, 39, 55, 77, 108, 151, 211, 295, 413, 579, 810, 1000, 1587, 2222, 3111, 4356, 6098, 8583, 11953, 16734,
			23427, 32798, 45917, 64284, 89998, 125997, 176395, 246953, 345735, 484029, 677640, 948696, 1328175, 1859444, 2603222,
			3644511, 5102316, 7143242, 10000539, 14000754, 19601056,
		}}, nil
	}
	names := []string{"sendgrid"}
	hint := finding.DidYouMean(name, names)
	if hint == "" {
		hint = "there are: " + strings.Join(names, ", ") + "; or write {start: 50, factor: 1.5, cap: 50000}"
	}
	return nil, fault{problem: "is not the name of a warm-up schedule", hint: hint}
}

// rates reads rates or quotas, each over a time of its own.
func (p *parser) rates(to *[]Rate, parse func(string) (Rate, error)) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		before := len(p.findings)
		oneOrMore(p, to, parse)(path, n)
		if len(p.findings) > before {
			return
		}
		for i, rate := range *to {
			if at := slices.IndexFunc((*to)[:i], func(earlier Rate) bool { return earlier.Per == rate.Per }); at >= 0 {
				p.report(p.file.positions[item(path, i)], fmt.Sprintf("%s: %q is over the same time as %q", path, rate, (*to)[at]), "keep the lower of them, as all of them hold")
			}
		}
	}
}

// warmup reads the name of a published schedule, or three figures.
func (p *parser) warmup(to **Warmup) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		m, ok := p.resolve(path, n)
		if !ok {
			return
		}
		if m.Kind != yaml.MappingNode {
			if w, ok := scalar(p, path, n, publishedWarmup); ok {
				*to = w
			}
			return
		}
		w := &Warmup{Factor: 1}
		before := len(p.findings)
		p.section(path, p.file.positions[path], n, []key{
			{name: "start", example: "start: 50", read: value(p, &w.Start, wholeNumber(1, math.MaxInt32))},
			{name: "factor", example: "factor: 1.5", read: value(p, &w.Factor, parseFactor)},
			{name: "cap", read: value(p, &w.Cap, wholeNumber(1, math.MaxInt32))},
		})
		if len(p.findings) > before {
			return
		}
		if w.Cap > 0 && w.Cap < w.Start {
			p.report(p.file.positions[join(path, "cap")], path+" shrinks: its cap is below its start", "cap is what the days grow to")
			return
		}
		*to = w
	}
}

// parseFactor reads how much larger each day's quota is than that of the day before.
func parseFactor(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(f) || f <= 0 || f > 100 || strings.ContainsAny(s, "xXpP_"):
		return 0, fault{problem: "is not a factor", hint: "as in 1.5: each day half as much again as the day before"}
	case f < 1:
		return 0, fault{problem: "makes the warm-up shrink", hint: "above 1, as in 1.5: each day half as much again as the day before"}
	case f == 1:
		return 0, fault{problem: "makes no day larger than the one before", hint: "above 1, as in 1.5; for the same every day write quota: 50/d"}
	}
	return f, nil
}

// perDomain reads domains and their rates.
func (p *parser) perDomain(path string, n *yaml.Node) {
	seen := map[string]string{}
	p.eachPair(path, n, func(k, v *yaml.Node) {
		full, domain := join(path, k.Value), ""
		p.file.positions[full] = positionOf(v)
		if !strings.EqualFold(k.Value, "default") {
			var err error
			if domain, err = address.ParseDomain(k.Value); err != nil {
				p.reportValue(positionOf(k), path, k.Value, false, fault{problem: "is not a domain", detail: err.Error(), hint: "as in gmail.com: 5/s, or default: 20/s for each of the others"})
				return
			}
		}
		if first, ok := seen[domain]; ok {
			p.report(positionOf(k), fmt.Sprintf("duplicate key %s", text.Quoted(full)), fmt.Sprintf("it is %s above", text.Quoted(first)))
			return
		}
		seen[domain] = k.Value
		if rate, ok := scalar(p, full, v, parseRate); ok {
			p.file.Limits.PerDomain = append(p.file.Limits.PerDomain, DomainRate{domain, rate})
		}
	})
}

// RateFor returns the rate for a domain, if there is one.
func (l *Limits) RateFor(domain string) (rate Rate, ok bool) {
	for _, want := range []string{strings.ToLower(domain), ""} {
		if i := slices.IndexFunc(l.PerDomain, func(d DomainRate) bool { return d.Domain == want }); i >= 0 {
			return l.PerDomain[i].Rate, true
		}
	}
	return Rate{}, false
}

// parseRate reads N/UNIT with s, m, h or d, or N/DURATION as in 3/1s and 100/90s.
func parseRate(s string) (Rate, error) {
	const longest = 366 * 24 * time.Hour
	no := fault{
		problem: "is not a rate",
		hint:    "as in 14/s, 500/m, 3/10s or 10000/d: a whole number of messages, and s, m, h, d or a duration",
	}
	count, unit, _ := strings.Cut(s, "/")
	n, err := wholeNumber(1, math.MaxInt32)(count)
	if err != nil {
		return Rate{}, no
	}
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	per, ok := units[unit]
	if !ok {
		per, ok = parseLongDuration(unit)
	}
	if !ok || per <= 0 || per > longest {
		return Rate{}, no
	}
	if per < time.Second {
		return Rate{}, fault{problem: "is a rate over less than a second", hint: "no server counts by that, and no timer is so exact: write it by the second"}
	}
	return Rate{N: n, Per: per}, nil
}

// parseQuota reads a rate over hours or days.
func parseQuota(s string) (Rate, error) {
	const longest = 31 * 24 * time.Hour
	q, err := parseRate(s)
	if err != nil || q.Per < time.Hour || q.Per > longest {
		return Rate{}, fault{problem: "is not a quota", hint: "as in 50000/d, 500/h or 100000/30d: messages in 1 hour to 31 days; what is shorter is a rate"}
	}
	return q, nil
}

// parseLongDuration reads a duration, or whole days as in 30d.
func parseLongDuration(s string) (time.Duration, bool) {
	days, ok := strings.CutSuffix(s, "d")
	if !ok {
		return parseDuration(s)
	}
	n, err := wholeNumber(1, 10000)(days)
	return time.Duration(n) * 24 * time.Hour, err == nil
}
