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
	example string // of a key that must be there: what to write
	read    func(path string, n *yaml.Node)
	section []key
	instead string // the key whose presence makes up for this one
}

// schema is every key there is.
func (r *reader) schema() []key {
	f := r.file
	return []key{
		{name: "name", example: "name: spring-sale", read: value(r, &f.Name, parseName)},
		{name: "from", example: "from: Example News <news@example.com>", read: value(r, &f.From, parseMailbox)},
		{name: "reply_to", read: value(r, &f.ReplyTo, parseMailbox)},
		{name: "return_path", read: value(r, &f.ReturnPath, parseEnvelope)},
		{name: "subject", example: "subject: Spring is here", read: value(r, &f.Subject, parseText)},
		{name: "recipients", example: "recipients: recipients.csv", read: value(r, &f.Recipients, parseText)},
		{name: "order_by", read: value(r, &f.OrderBy, parseOrder)},
		{name: "priority", read: value(r, &f.Priority, wholeNumber(-1_000_000, 1_000_000))},
		{name: "html", read: value(r, &f.HTML, parsePath)},
		{name: "markdown", read: value(r, &f.Markdown, parsePath)},
		{name: "text", read: value(r, &f.Text, parsePath)},
		{name: "partials", read: paths(r, &f.Partials, filepath.Clean)},
		{name: "attachments", read: paths(r, &f.Attachments, filepath.Clean)},
		{name: "inline", read: paths(r, &f.Inline, filepath.Base)}, // cid: refers to the base name
		{name: "headers", read: r.headers},
		{name: "smtp", instead: "servers", section: r.server(&r.only)},
		{name: "servers", read: r.servers},
		{name: "limits", section: []key{
			{name: "rate", read: r.rates(&f.Limits.Rates, parseRate)},
			{name: "per_domain", read: r.perDomain},
			{name: "per_domain_connections", read: value(r, &f.Limits.PerDomainConnections, wholeNumber(1, 1000))},
			{name: "quota", read: r.rates(&f.Limits.Quotas, parseQuota)},
			{name: "warmup", read: r.warmup(&f.Limits.Warmup)},
		}},
		{name: "delivery", section: []key{
			{name: "batch", read: value(r, &f.Delivery.Batch, wholeNumber(1, 10000))},
			{name: "attempts", read: value(r, &f.Delivery.Attempts, wholeNumber(1, 100))},
			{name: "backoff", read: r.backoff},
			{name: "durability", read: value(r, &f.Delivery.Durability, oneOf(Strict, Process))},
			{name: "send_window", read: r.windows},
			{name: "not_before", read: value(r, &f.Delivery.NotBefore, parseMoment)},
			{name: "expires", read: value(r, &f.Delivery.Expires, parseExpiry)},
		}},
		{name: "rules", read: r.rules},
	}
}

// server is the keys of a server, under smtp and in an item of servers.
func (r *reader) server(to *Server) []key {
	return []key{
		{name: "host", example: "host: smtp.example.com", read: value(r, &to.Host, parseHost)},
		{name: "port", read: value(r, &to.Port, wholeNumber(1, 65535))},
		{name: "security", read: value(r, &to.Security, oneOf(StartTLS, TLS, None))},
		{name: "ca_file", read: value(r, &to.CAFile, parsePath)},
		{name: "username", read: value(r, &to.Username, parseText)},
		{name: "password", read: r.password(&to.Password)},
		{name: "helo", read: value(r, &to.Helo, parseHelo)},
		{name: "source_ip", read: value(r, &to.SourceIP, parseSourceIP)},
		{name: "connections", read: value(r, &to.Connections, wholeNumber(1, 1000))},
		{name: "messages_per_connection", read: value(r, &to.MessagesPerConnection, wholeNumber(0, math.MaxInt32))},
		{name: "pipeline", read: value(r, &to.Pipeline, wholeNumber(1, 100))},
	}
}

// among is the keys that a server has besides, as one of several.
func (r *reader) among(to *Server) []key {
	return []key{
		{name: "name", read: value(r, &to.Name, parseName)},
		{name: "weight", read: value(r, &to.Weight, wholeNumber(1, 1000))},
		{name: "limits", section: []key{
			{name: "rate", read: r.rates(&to.Limits.Rates, parseRate)},
			{name: "quota", read: r.rates(&to.Limits.Quotas, parseQuota)},
			{name: "warmup", read: r.warmup(&to.Limits.Warmup)},
		}},
	}
}

// rule is the keys of one item of rules.
func (r *reader) rule(to *Rule) []key {
	return []key{
		{name: "match", example: `match: '^450 .*come back tomorrow'`, read: value(r, &to.Match, parsePattern)},
		{name: "class", example: "class: transient", read: value(r, &to.Class, oneOf("throttle", "transient", "hard_bounce", "rejected", "auth_or_config"))},
	}
}

// relations checks and fills in what depends on more than one key.
func (r *reader) relations() {
	f := r.file
	has := func(key string) bool { _, ok := f.places[key]; return ok }
	switch {
	case has("html") && has("markdown"):
		at := f.places["html"]
		if m := f.places["markdown"]; m.line > at.line {
			at = m
		}
		r.report(at, "html and markdown cannot stand together", "markdown is rendered to HTML; keep one of them")
	case !has("html") && !has("markdown") && !has("text"):
		r.report(place{1, 1}, `missing key "html", "markdown" or "text"`, "as in html: newsletter.html")
	}
	if has("servers") {
		r.severalServers()
	} else {
		r.only.key, r.only.Limits = "smtp", f.Limits
		f.Servers = []Server{r.only}
	}
	for i := range f.Servers {
		r.completeServer(&f.Servers[i])
	}
	for i := range f.Servers {
		r.sameAccount(i)
	}
	if d := &f.Delivery; !d.NotBefore.IsZero() && !d.Expires.At.IsZero() { // else it depends on when the campaign is loaded
		if key, message, hint := d.never(d.NotBefore); key != "" {
			r.report(f.places[key], message, hint)
		}
	}
	if f.ReturnPath == (address.Address{}) {
		f.ReturnPath = f.From.Address
	}
}

// severalServers checks what depends on there being a list of servers.
func (r *reader) severalServers() {
	f := r.file
	if at, ok := f.places["smtp"]; ok {
		if s := f.places["servers"]; s.line > at.line {
			at = s
		}
		r.report(at, "smtp and servers cannot stand together", "each item of servers has the keys of smtp; keep one of them")
	}
	for _, k := range []string{"rate", "quota", "warmup"} {
		if at, ok := f.places["limits."+k]; ok {
			r.report(at, fmt.Sprintf("limits.%s is for one server, and there is a list of them", k), "write it under limits: of each server")
		}
	}
	weighed := slices.ContainsFunc(f.Servers, func(s Server) bool { return s.Weight > 0 })
	for i := range f.Servers {
		if s := &f.Servers[i]; weighed && s.Weight == 0 {
			s.Weight = 1
		}
	}
}

// completeServer fills in what depends on more than one key of a server.
func (r *reader) completeServer(s *Server) {
	f := r.file
	has := func(key string) bool { _, ok := f.places[s.Key(key)]; return ok }
	switch user, password := has("username"), has("password"); {
	case user && !password:
		r.report(f.places[s.Key("username")], s.Key("username")+" needs "+s.Key("password"), "password: ${SMTP_PASSWORD}")
	case password && !user:
		r.report(f.places[s.Key("password")], s.Key("password")+" needs "+s.Key("username"), "username: ${SMTP_USERNAME}")
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
			at, ok := f.places[s.Key("name")]
			if !ok {
				at = f.places[s.key]
			}
			r.report(at, fmt.Sprintf("%s: the name %s is that of %s already", s.key, text.Quoted(s.Name), first.key), "give each a name of its own, as in name: relay-1")
			return
		}
	}
}

// sameAccount checks that a server has the limits of an earlier one with the same account, as what is sent over one counts for both.
func (r *reader) sameAccount(i int) {
	f := r.file
	s := &f.Servers[i]
	for first := range f.Servers[:i] {
		first := &f.Servers[first]
		if s.Host == "" || first.Account() != s.Account() || reflect.DeepEqual(first.Limits, s.Limits) {
			continue
		}
		at, ok := f.places[s.Key("limits")]
		if !ok {
			at = f.places[s.key]
		}
		r.report(at, fmt.Sprintf("%s: host and username are those of %s, and the limits are others", s.key, first.key), "providers count by the account: write the same limits for both")
		return
	}
}
