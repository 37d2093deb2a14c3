package campaign

import (
	"math"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// A key is one key of the campaign file: either a value and how it is read, or a section.
type key struct {
	name    string
	example string // of a key that must be there: what to write
	read    func(path string, n *yaml.Node)
	section []key
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
		{name: "smtp", section: []key{
			{name: "host", example: "host: smtp.example.com", read: value(r, &f.SMTP.Host, parseHost)},
			{name: "port", read: value(r, &f.SMTP.Port, wholeNumber(1, 65535))},
			{name: "security", read: value(r, &f.SMTP.Security, oneOf(StartTLS, TLS, None))},
			{name: "ca_file", read: value(r, &f.SMTP.CAFile, parsePath)},
			{name: "username", read: value(r, &f.SMTP.Username, parseText)},
			{name: "password", read: r.password},
			{name: "helo", read: value(r, &f.SMTP.Helo, parseHelo)},
			{name: "connections", read: value(r, &f.SMTP.Connections, wholeNumber(1, 1000))},
			{name: "messages_per_connection", read: value(r, &f.SMTP.MessagesPerConnection, wholeNumber(0, math.MaxInt32))},
			{name: "pipeline", read: value(r, &f.SMTP.Pipeline, wholeNumber(1, 100))},
		}},
		{name: "limits", section: []key{
			{name: "rate", read: oneOrMore(r, &f.Limits.Rates, parseRate)},
			{name: "per_domain", read: r.perDomain},
			{name: "per_domain_connections", read: value(r, &f.Limits.PerDomainConnections, wholeNumber(1, 1000))},
			{name: "quota", read: oneOrMore(r, &f.Limits.Quotas, parseQuota)},
			{name: "warmup", read: r.warmup},
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
	switch user, password := has("smtp.username"), has("smtp.password"); {
	case user && !password:
		r.report(f.places["smtp.username"], "smtp.username needs smtp.password", "password: ${SMTP_PASSWORD}")
	case password && !user:
		r.report(f.places["smtp.password"], "smtp.password needs smtp.username", "username: ${SMTP_USERNAME}")
	}
	if end := f.Delivery.Expires.At; !end.IsZero() && !end.After(f.Delivery.NotBefore) {
		r.report(f.places["delivery.expires"], "delivery.expires is not after delivery.not_before, so that nothing could be sent", "the later time belongs to expires")
	}
	if f.ReturnPath == (Address{}) {
		f.ReturnPath = f.From.Address
	}
	if f.SMTP.Port == 0 {
		f.SMTP.Port = map[Security]int{StartTLS: 587, TLS: 465, None: 25}[f.SMTP.Security]
	}
}
