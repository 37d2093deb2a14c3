package campaign

import (
	"fmt"
	"math"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// A key is one key of the campaign file: either a value and how it is read, or a section.
type key struct {
	name    string
	example string // of a required key: what to write
	read    func(path string, n *yaml.Node)
	section []key
	instead string // a required key may be missing if this one is there
}

// schema returns all keys of the campaign file.
func (p *parser) schema() []key {
	f := p.file
	return []key{
		{name: "name", example: "name: spring-sale", read: uncut(p, value(p, &f.Name, parseName))},
		{name: "from", example: "from: Example News <news@example.com>", read: value(p, &f.From, parseMailbox)},
		{name: "reply_to", read: value(p, &f.ReplyTo, parseMailbox)},
		{name: "return_path", read: value(p, &f.ReturnPath, parseEnvelope)},
		{name: "subject", example: "subject: Spring is here", read: uncut(p, value(p, &f.Subject, parseText))},
		{name: "recipients", example: "recipients: recipients.csv", read: value(p, &f.Recipients, parseText)},
		{name: "order_by", read: value(p, &f.OrderBy, parseOrder)},
		{name: "priority", read: value(p, &f.Priority, wholeNumber(-1_000_000, 1_000_000))},
		{name: "html", read: value(p, &f.HTML, parsePath)},
		{name: "markdown", read: value(p, &f.Markdown, parsePath)},
		{name: "text", read: value(p, &f.Text, parsePath)},
		{name: "partials", read: paths(p, &f.Partials, filepath.Clean)},
		{name: "attachments", read: paths(p, &f.Attachments, filepath.Clean)},
		{name: "inline", read: paths(p, &f.Inline, filepath.Base)}, // cid: refers to the base name
		{name: "headers", read: p.headers},
		{name: "smtp", instead: "servers", section: p.serverKeys(&p.only)},
		{name: "servers", read: p.servers},
		{name: "limits", section: []key{
			{name: "rate", read: p.rates(&f.Limits.Rates, parseRate)},
			{name: "per_domain", read: p.perDomain},
			{name: "per_domain_connections", read: value(p, &f.Limits.PerDomainConnections, wholeNumber(1, 1000))},
			{name: "quota", read: p.rates(&f.Limits.Quotas, parseQuota)},
			{name: "warmup", read: p.warmup(&f.Limits.Warmup)},
		}},
		{name: "delivery", section: []key{
			{name: "batch", read: value(p, &f.Delivery.Batch, wholeNumber(1, 10000))},
			{name: "attempts", read: value(p, &f.Delivery.Attempts, wholeNumber(1, 100))},
			{name: "backoff", read: p.backoff},
			{name: "durability", read: value(p, &f.Delivery.Durability, oneOf(Strict, Process))},
			{name: "send_window", read: p.windows},
			{name: "not_before", read: value(p, &f.Delivery.NotBefore, parseMoment)},
			{name: "expires", read: value(p, &f.Delivery.Expires, parseExpiry)},
		}},
		{name: "rules", read: p.rules},
	}
}

// serverKeys returns the keys of a server, under smtp and in an item of servers.
func (p *parser) serverKeys(to *Server) []key {
	return []key{
		{name: "host", example: "host: smtp.example.com", read: value(p, &to.Host, parseHost)},
		{name: "port", read: value(p, &to.Port, wholeNumber(1, 65535))},
		{name: "security", read: value(p, &to.Security, oneOf(StartTLS, TLS, None))},
		{name: "ca_file", read: value(p, &to.CAFile, parsePath)},
		{name: "username", read: value(p, &to.Username, parseText)},
		{name: "password", read: p.password(&to.Password)},
		{name: "helo", read: value(p, &to.Helo, parseHelo)},
		{name: "source_ip", read: value(p, &to.SourceIP, parseSourceIP)},
		{name: "connections", read: value(p, &to.Connections, wholeNumber(1, 1000))},
		{name: "messages_per_connection", read: value(p, &to.MessagesPerConnection, wholeNumber(0, math.MaxInt32))},
		{name: "pipeline", read: value(p, &to.Pipeline, wholeNumber(1, 100))},
	}
}

// serverListKeys returns the keys that only an item of servers has.
func (p *parser) serverListKeys(to *Server) []key {
	return []key{
		{name: "name", read: value(p, &to.Name, parseName)},
		{name: "weight", read: value(p, &to.Weight, wholeNumber(1, 1000))},
		{name: "limits", section: []key{
			{name: "rate", read: p.rates(&to.Limits.Rates, parseRate)},
			{name: "quota", read: p.rates(&to.Limits.Quotas, parseQuota)},
			{name: "warmup", read: p.warmup(&to.Limits.Warmup)},
		}},
	}
}

// ruleKeys returns the keys of an item of rules.
func (p *parser) ruleKeys(to *Rule) []key {
	return []key{
		{name: "match", example: `match: '^450 .*come back tomorrow'`, read: value(p, &to.Match, parsePattern)},
		{name: "class", example: "class: transient", read: value(p, &to.Class, oneOf("throttle", "transient", "hard_bounce", "rejected", "auth_or_config"))},
	}
}

// checkRelations checks what depends on more than one key, and fills in the defaults that do.
func (p *parser) checkRelations() {
	f := p.file
	has := func(key string) bool { _, ok := f.positions[key]; return ok }
	switch {
	case has("html") && has("markdown"):
		at := f.positions["html"]
		if m := f.positions["markdown"]; m.line > at.line {
			at = m
		}
		p.report(at, "html and markdown cannot stand together", "markdown is rendered to HTML; keep one of them")
	case !has("html") && !has("markdown") && !has("text"):
		p.report(position{1, 1}, `missing key "html", "markdown" or "text"`, "as in html: newsletter.html")
	}
	if has("servers") {
		p.severalServers()
	} else {
		p.only.key, p.only.Limits = "smtp", f.Limits
		f.Servers = []Server{p.only}
	}
	for i := range f.Servers {
		p.completeServer(&f.Servers[i])
	}
	for i := range f.Servers {
		p.sameAccount(i)
	}
	if d := &f.Delivery; !d.NotBefore.IsZero() && !d.Expires.At.IsZero() { // otherwise it depends on when the campaign is loaded
		if key, message, hint := d.undeliverable(d.NotBefore); key != "" {
			p.report(f.positions[key], message, hint)
		}
	}
	if f.ReturnPath == (address.Address{}) {
		f.ReturnPath = f.From.Address
	}
}

// severalServers checks what a list of servers excludes, and gives every server a weight if one has it.
func (p *parser) severalServers() {
	f := p.file
	if at, ok := f.positions["smtp"]; ok {
		if s := f.positions["servers"]; s.line > at.line {
			at = s
		}
		p.report(at, "smtp and servers cannot stand together", "each item of servers has the keys of smtp; keep one of them")
	}
	for _, k := range []string{"rate", "quota", "warmup"} {
		if at, ok := f.positions["limits."+k]; ok {
			p.report(at, fmt.Sprintf("limits.%s is for one server, and there is a list of them", k), "write it under limits: of each server")
		}
	}
	weighed := slices.ContainsFunc(f.Servers, func(s Server) bool { return s.Weight > 0 })
	for i := range f.Servers {
		if s := &f.Servers[i]; weighed && s.Weight == 0 {
			s.Weight = 1
		}
	}
}

// completeServer checks what depends on more than one key of a server, and fills in the defaults that do.
func (p *parser) completeServer(s *Server) {
	f := p.file
	has := func(key string) bool { _, ok := f.positions[s.Key(key)]; return ok }
	switch user, password := has("username"), has("password"); {
	case user && !password:
		p.report(f.positions[s.Key("username")], s.Key("username")+" needs "+s.Key("password"), "password: ${SMTP_PASSWORD}")
	case password && !user:
		p.report(f.positions[s.Key("password")], s.Key("password")+" needs "+s.Key("username"), "username: ${SMTP_USERNAME}")
	}
	if s.Port == 0 {
		s.Port = map[Security]int{StartTLS: 587, TLS: 465, None: 25}[s.Security]
	}
	if s.Name == "" && s.Host != "" {
		s.Name = net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	}
	for i := range f.Servers {
		first := &f.Servers[i]
		if first == s {
			return
		}
		if s.Name != "" && first.Name == s.Name {
			at, ok := f.positions[s.Key("name")]
			if !ok {
				at = f.positions[s.key]
			}
			p.report(at, fmt.Sprintf("%s: the name %s is that of %s already", s.key, text.Quoted(s.Name), first.key), "give each a name of its own, as in name: relay-1")
			return
		}
	}
}

// sameAccount checks that a server has the same limits as an earlier one with the same account, because what is sent over
// one of them counts for both.
func (p *parser) sameAccount(i int) {
	f := p.file
	s := &f.Servers[i]
	for first := range f.Servers[:i] {
		first := &f.Servers[first]
		if s.Host == "" || first.Account() != s.Account() || reflect.DeepEqual(first.Limits, s.Limits) {
			continue
		}
		at, ok := f.positions[s.Key("limits")]
		if !ok {
			at = f.positions[s.key]
		}
		p.report(at, fmt.Sprintf("%s: host and username are those of %s, and the limits are others", s.key, first.key), "providers count by the account: write the same limits for both")
		return
	}
}
