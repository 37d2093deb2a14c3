package campaign

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailblast/campaign/finding"
	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// environment has the variables of the tests.
var environment = map[string]string{
	"SMTP_USERNAME": "postbote",
	"SMTP_PASSWORD": "hunter2-secret",
	"PORT":          "2525",
	"EMPTY":         "",
	"INJECT":        "x\nbcc: evil@example.com",
	"COLON":         "a: b # c",
	"NESTED":        "${PORT}",
	"LATIN1":        "caf\xe9",
	"BIG":           strings.Repeat("x", 9000),
}

func lookup(name string) (string, bool) {
	v, ok := environment[name]
	return v, ok
}

func example(t testing.TB) []byte {
	t.Helper()
	source, err := os.ReadFile("testdata/file-example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestParseReadsEveryKey(t *testing.T) {
	got, err := Parse("campaign.yaml", example(t), lookup)
	if err != nil {
		t.Fatal(err)
	}
	want := &File{
		Name:        "spring-sale",
		From:        Mailbox{"Example News", address.Address{Local: "news", Domain: "example.com"}},
		ReplyTo:     Mailbox{"", address.Address{Local: "help", Domain: "example.com"}},
		ReturnPath:  address.Address{Local: "bounces", Domain: "example.com"},
		Subject:     `Spring is here, {{ .first_name | default "friend" }}`,
		Recipients:  "recipients.csv",
		OrderBy:     Order{Field: "Last Score", Ascending: true},
		Priority:    5,
		HTML:        "newsletter.html",
		Text:        "newsletter.txt",
		Partials:    []string{"footer.html"},
		Attachments: []string{"catalogue.pdf", "prices.pdf"},
		Inline:      []string{"logo.png"},
		Headers:     []Header{{"X-Campaign", "spring"}, {"List-Id", "{{ .list }}"}},
		Servers: []Server{{key: "smtp", Name: "smtp.example.com:465", SMTP: SMTP{
			Host: "smtp.example.com", Port: 465, Security: TLS, CAFile: "ca.pem", Username: "postbote", Password: "hunter2-secret",
			Helo: "mail.example.com", Connections: 20, MessagesPerConnection: 0, Pipeline: 8,
		}, Limits: got.Limits}},
		Limits: Limits{
			Rates: []Rate{{14, time.Second}, {10000, 24 * time.Hour}}, PerDomain: []DomainRate{{"gmail.com", Rate{5, time.Second}}, {"", Rate{20, time.Second}}},
			PerDomainConnections: 3, Quotas: []Rate{{50000, 24 * time.Hour}}, Warmup: &Warmup{Start: 50, Factor: 1.5, Cap: 50000},
		},
		Delivery: Delivery{
			Batch: 200, Attempts: 7, BackoffMin: 2 * time.Minute, BackoffMax: 8 * time.Hour, Durability: Process,
			Windows:   Windows{{480, 720, zone(t, "Europe/Berlin")}, {780, 1200, zone(t, "Europe/Berlin")}},
			NotBefore: got.Delivery.NotBefore, Expires: Expiry{At: got.Delivery.Expires.At},
		},
		Rules: []Rule{{regexp.MustCompile(`^550 5\.7\.1 .*come back tomorrow$`), "throttle"}},
	}
	if got := got.Delivery.NotBefore.UTC().String() + got.Delivery.Expires.At.UTC().String(); got != "2026-12-01 07:00:00 +0000 UTC2026-12-24 17:00:00 +0000 UTC" {
		t.Error(got)
	}
	got.Path, got.positions = "", nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// minimal is the shortest campaign file. A case of the tables below adds lines to it, from line 7 on, or replaces one of its
// lines.
const minimal = `name: spring
from: news@example.com
subject: Hello
recipients: recipients.csv
html: newsletter.html
smtp: {host: smtp.example.com}
`

// with adds lines to the minimal file. A top-level key that they have replaces the one there, in its place.
func with(lines string) string {
	key, _, _ := strings.Cut(lines, ":")
	all := strings.SplitAfter(minimal, "\n")
	for i, l := range all {
		if strings.HasPrefix(l, key+":") {
			all[i] = lines + "\n"
			return strings.Join(all, "")
		}
	}
	return minimal + lines + "\n"
}

func TestParseDefaults(t *testing.T) {
	f, err := Parse("c.yaml", []byte(minimal), lookup)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Name, want.Subject, want.Recipients, want.HTML = "spring", "Hello", "recipients.csv", "newsletter.html"
	want.From.Address = address.Address{Local: "news", Domain: "example.com"}
	want.ReturnPath = want.From.Address
	only := newServer()
	only.key, only.Name, only.Host, only.Port = "smtp", "smtp.example.com:587", "smtp.example.com", 587
	want.Servers = []Server{only}
	f.Path, f.positions = "", nil
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got  %+v\nwant %+v", f, want)
	}
}

func TestParseValues(t *testing.T) {
	tests := []struct {
		lines string
		get   func(*File) any
		want  any
	}{
		{`name: 0123`, func(f *File) any { return f.Name }, "0123"},
		{`name: yes`, func(f *File) any { return f.Name }, "yes"},
		{`name: 2026-02-01`, func(f *File) any { return f.Name }, "2026-02-01"},
		{`name: 1_000`, func(f *File) any { return f.Name }, "1_000"},
		{`name: "null"`, func(f *File) any { return f.Name }, "null"},
		{`name: Frühling 2026`, func(f *File) any { return f.Name }, "Frühling 2026"},
		{`from: '"Example, Inc." <news@example.com>'`, func(f *File) any { return f.From.Name }, "Example, Inc."},
		{`from: Jürgen Müller <j@bücher.example>`, func(f *File) any { return f.From }, Mailbox{"Jürgen Müller", address.Address{Local: "j", Domain: "xn--bcher-kva.example"}}},
		{`from: =?utf-8?q?J=C3=BCrgen?= <j@example.com>`, func(f *File) any { return f.From.Name }, "Jürgen"},
		{`from: <news@example.com>`, func(f *File) any { return f.From.Address.String() }, "news@example.com"},
		{`from: Example Inc. <news@[IPv6:2001:DB8::1]>`, func(f *File) any { return f.From.Address.String() }, "news@[IPv6:2001:db8::1]"},
		{`return_path: b@example.com`, func(f *File) any { return f.ReturnPath.String() }, "b@example.com"},
		{`recipients: "-"`, func(f *File) any { return f.Recipients }, "-"},
		{"subject: >-\n  two\n  lines", func(f *File) any { return f.Subject }, "two lines"},
		{`subject: ${PORT}-${NONE:-a:b}`, func(f *File) any { return f.Subject }, "2525-a:b"},
		{`subject: ${EMPTY:-default}`, func(f *File) any { return f.Subject }, "default"},
		{`subject: x${EMPTY}`, func(f *File) any { return f.Subject }, "x"},
		{`subject: x${NONE:-}`, func(f *File) any { return f.Subject }, "x"},
		{`subject: ${COLON}`, func(f *File) any { return f.Subject }, "a: b # c"},
		{`subject: ${NESTED}`, func(f *File) any { return f.Subject }, "${PORT}"},
		{`subject: $5, $, $$ $PORT`, func(f *File) any { return f.Subject }, "$5, $, $$ $PORT"},
		{`subject: $${PORT}`, func(f *File) any { return f.Subject }, "${PORT}"},
		{`subject: $$${PORT} and $$$${PORT}`, func(f *File) any { return f.Subject }, "$2525 and $${PORT}"},
		{`subject: Save ${{ .price }} or $${{ .price }}`, func(f *File) any { return f.Subject }, "Save ${{ .price }} or $${{ .price }}"},
		{`subject: '{{ .name }} ${PORT}'`, func(f *File) any { return f.Subject }, "{{ .name }} 2525"},
		{`headers: {X-A: "${PORT}", x.b!: 017}`, func(f *File) any { return f.Headers }, []Header{{"X-A", "2525"}, {"x.b!", "017"}}},
		{`headers: {Sender: a@example.com}`, func(f *File) any { return f.Headers }, []Header{{"Sender", "a@example.com"}}},
		{`order_by: score`, func(f *File) any { return f.OrderBy }, Order{Field: "score"}},
		{`order_by: last score desc`, func(f *File) any { return f.OrderBy }, Order{Field: "last score"}},
		{`priority: -3`, func(f *File) any { return f.Priority }, -3},
		{`attachments: [a.pdf, "-a.pdf", "${PORT}.pdf"]`, func(f *File) any { return f.Attachments }, []string{"a.pdf", "-a.pdf", "2525.pdf"}},
		{"attachments:\n#  - a.pdf", func(f *File) any { return f.Attachments }, []string(nil)},
		{"partials: &all [a.html]\ninline: *all", func(f *File) any { return f.Inline }, []string{"a.html"}},
		{"limits:\n#  rate: 1/s", func(f *File) any { return f.Limits.Rates }, []Rate(nil)},
		{`limits: {rate: 14/s}`, func(f *File) any { return f.Limits.Rates }, []Rate{{14, time.Second}}},
		{`limits: {rate: [3/1s, 500/m, 5/h, 10000/d, 1/1h30m]}`, func(f *File) any { return f.Limits.Rates },
			[]Rate{{3, time.Second}, {500, time.Minute}, {5, time.Hour}, {10000, 24 * time.Hour}, {1, 90 * time.Minute}}},
		{`delivery: {backoff: 1s..720h, batch: 10000, attempts: 1}`, func(f *File) any { return f.Delivery }, Delivery{Batch: 10000, Attempts: 1, BackoffMin: time.Second, BackoffMax: 720 * time.Hour, Durability: Strict}},
		{`limits: {rate: 1000/30d}`, func(f *File) any { return f.Limits.Rates[0].String() }, "1000/30d"},
		{`limits: {quota: [500/h, 100000/31d]}`, func(f *File) any { return f.Limits.Quotas }, []Rate{{500, time.Hour}, {100000, 744 * time.Hour}}},
		{`limits: {warmup: {start: 50, factor: 2}}`, func(f *File) any { return *f.Limits.Warmup }, Warmup{Start: 50, Factor: 2}},
		{`limits: {warmup: sendgrid}`, func(f *File) any { return f.Limits.Warmup.Name }, "sendgrid"},
		{`limits: {per_domain: {Bücher.example: 1/s}}`, func(f *File) any { return f.Limits.PerDomain }, []DomainRate{{"xn--bcher-kva.example", Rate{1, time.Second}}}},
		{`delivery: {expires: 36h}`, func(f *File) any { return f.Delivery.Expires }, Expiry{After: 36 * time.Hour}},
		{`delivery: {expires: 7d}`, func(f *File) any { return f.Delivery.Expires }, Expiry{After: 168 * time.Hour}},
		{`delivery: {send_window: 22:00-24:00 UTC}`, func(f *File) any { return f.Delivery.Windows[0].String() }, "22:00-24:00 UTC"},
		{`delivery: {backoff: 1.5m..90s}`, func(f *File) any { return f.Delivery.BackoffMin }, 90 * time.Second},
		{`smtp: {host: h, port: "${PORT}"}`, func(f *File) any { return f.Servers[0].SMTP.Port }, 2525},
		{`smtp: {host: h, security: none}`, func(f *File) any { return f.Servers[0].SMTP.Port }, 25},
		{`smtp: {host: h, security: tls}`, func(f *File) any { return f.Servers[0].SMTP.Port }, 465},
		{`smtp: {host: h, messages_per_connection: 0}`, func(f *File) any { return f.Servers[0].SMTP.MessagesPerConnection }, 0},
		{`smtp: {host: SMTP.Bücher.Example}`, func(f *File) any { return f.Servers[0].SMTP.Host }, "smtp.xn--bcher-kva.example"},
		{`smtp: {host: Mail_server}`, func(f *File) any { return f.Servers[0].SMTP.Host }, "mail_server"},
		{`smtp: {host: 192.0.2.1}`, func(f *File) any { return f.Servers[0].SMTP.Host }, "192.0.2.1"},
		{`smtp: {host: "[2001:DB8::1]"}`, func(f *File) any { return f.Servers[0].SMTP.Host }, "2001:db8::1"},
		{`smtp: {host: h, helo: "[192.0.2.1]"}`, func(f *File) any { return f.Servers[0].SMTP.Helo }, "[192.0.2.1]"},
		{`smtp: {host: h, username: u, password: "${SMTP_PASSWORD}"}`, func(f *File) any { return string(f.Servers[0].SMTP.Password) }, "hunter2-secret"},
	}
	for _, tt := range tests {
		f, err := Parse("c.yaml", []byte(with(tt.lines)), lookup)
		if err != nil {
			t.Errorf("%s: %v", tt.lines, err)
		} else if got := tt.get(f); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %#v, want %#v", tt.lines, got, tt.want)
		}
	}
}

// servers replaces the smtp of the minimal file.
func servers(list string) string {
	return strings.Replace(minimal, "smtp: {host: smtp.example.com}", "servers:"+list, 1)
}

func TestParseServers(t *testing.T) {
	got, err := Parse("c.yaml", []byte(servers(`
  - {host: a.example, weight: 3, connections: 5, limits: {rate: 14/s, quota: 50000/d, warmup: sendgrid}}
  - {host: b.example, name: second, username: u, password: "${SMTP_PASSWORD}", source_ip: "2001:db8::1"}
  - {host: a.example, security: tls, source_ip: "::ffff:192.0.2.1"}
limits: {per_domain: {gmail.com: 5/s}, per_domain_connections: 2}`)), lookup)
	if err != nil {
		t.Fatal(err)
	}
	warmup, _ := publishedWarmup("sendgrid")
	want := []Server{
		{key: "servers[0]", Name: "a.example:587", Weight: 3, SMTP: SMTP{Host: "a.example", Port: 587, Security: StartTLS, Connections: 5, MessagesPerConnection: 1000, Pipeline: 1},
			Limits: Limits{Rates: []Rate{{14, time.Second}}, Quotas: []Rate{{50000, 24 * time.Hour}}, Warmup: warmup}},
		{key: "servers[1]", Name: "second", Weight: 1, SMTP: SMTP{Host: "b.example", Port: 587, Security: StartTLS, Username: "u", Password: "hunter2-secret", SourceIP: netip.MustParseAddr("2001:db8::1"),
			Connections: 10, MessagesPerConnection: 1000, Pipeline: 1}},
		{key: "servers[2]", Name: "a.example:465", Weight: 1, SMTP: SMTP{Host: "a.example", Port: 465, Security: TLS, SourceIP: netip.MustParseAddr("192.0.2.1"),
			Connections: 10, MessagesPerConnection: 1000, Pipeline: 1}},
	}
	if !reflect.DeepEqual(got.Servers, want) {
		t.Errorf("got  %+v\nwant %+v", got.Servers, want)
	}
	if got, err = Parse("c.yaml", []byte(servers(" [{host: a}, {host: b}]")), lookup); err != nil || got.Servers[0].Weight != 0 || got.Servers[1].Weight != 0 {
		t.Errorf("without weights: %+v, %v", got, err)
	}
}

func TestParseRefusesServers(t *testing.T) {
	tests := []struct{ list, want string }{
		{` []`, `c.yaml:6:10: servers is empty (- host: smtp.example.com, and below it what else stands under smtp)`},
		{``, `c.yaml:6:9: servers is empty (- host: smtp.example.com, and below it what else stands under smtp)`},
		{` {host: a}`, `c.yaml:6:10: servers must be a list, not keys and values (- host: smtp.example.com, and below it what else stands under smtp)`},
		{` [a]`, `c.yaml:6:11: servers[0] must have keys of its own, not a single value (write them below it, indented)`},
		{` [{port: 25}]`, `c.yaml:6:11: missing key "servers[0].host" (below servers[0]:, as in host: smtp.example.com)`},
		{` [{hots: a, host: b}]`, `c.yaml:6:12: unknown key "servers[0].hots" (did you mean "host"?)`},
		{` [{host: a}]` + "\nsmtp: {host: b}", `c.yaml:7:1: smtp and servers cannot stand together (each item of servers has the keys of smtp; keep one of them)`},
		{` [{host: a}, {host: a}]`, `c.yaml:6:22: servers[1]: the name "a:587" is that of servers[0] already (give each a name of its own, as in name: relay-1)`},
		{` [{host: a, name: x}, {host: b, name: x}]`, `c.yaml:6:47: servers[1]: the name "x" is that of servers[0] already (give each a name of its own, as in name: relay-1)`},
		{` [{host: a, weight: 0}, {host: b, weight: -1}, {host: c, password: hunter2}]`, "c.yaml:6:29: servers[0].weight: \"0\" is not a whole number from 1 to 1000\n" +
			"c.yaml:6:51: servers[1].weight: \"-1\" is not a whole number from 1 to 1000\n" +
			"c.yaml:6:76: servers[2].password must be a variable and nothing else, not the password itself (password: ${SMTP_PASSWORD}, with SMTP_PASSWORD set in the environment)\n" +
			"c.yaml:6:76: servers[2].password needs servers[2].username (username: ${SMTP_USERNAME})"},
		{` [{host: a, username: u}]`, `c.yaml:6:31: servers[0].username needs servers[0].password (password: ${SMTP_PASSWORD})`},
		{` [{host: a, limits: {rate: 1, per_domain: {}}}]`, "c.yaml:6:36: servers[0].limits.rate: \"1\" is not a rate (as in 14/s, 500/m, 3/10s or 10000/d: a whole number of messages, and s, m, h, d or a duration)\n" +
			"c.yaml:6:39: unknown key \"servers[0].limits.per_domain\" (per_domain stands under limits: at the top level)"},
		{` [{host: a, limits: {rate: 1/s}}, {host: a, port: 2525, limits: {rate: 2/s}}]`, `c.yaml:6:65: servers[1]: host and username are those of servers[0], and the limits are others (providers count by the account: write the same limits for both)`},
		{` [{host: b}, {host: a, limits: {warmup: {start: 5, factor: 2}}}, {host: A, port: 2525}]`, `c.yaml:6:74: servers[2]: host and username are those of servers[1], and the limits are others (providers count by the account: write the same limits for both)`},
		{` [{host: a}]` + "\nlimits: {rate: 1/s}", `c.yaml:7:16: limits.rate is for one server, and there is a list of them (write it under limits: of each server)`},
	}
	for _, tt := range tests {
		_, err := Parse("c.yaml", []byte(servers(tt.list)), lookup)
		if err == nil || err.Error() != tt.want {
			t.Errorf("servers:%s\ngot  %v\nwant %s", tt.list, err, tt.want)
		}
	}
}

// Which servers are one account to the provider, and which are not.
func TestAccount(t *testing.T) {
	for _, test := range []struct{ list, want string }{
		{"[{host: a}, {host: b}]", "a, b"},
		{"[{host: a, limits: {rate: [1/s, 9/m], warmup: {start: 5, factor: 2}}}, {host: A, port: 2525, limits: {rate: [1/s, 9/m], warmup: {factor: 2, start: 5}}}]", "a, a"},
		{`[{host: a, limits: {rate: 1/s}}, {host: a, port: 465, username: u, password: "${SMTP_PASSWORD}"}]`, "a, a u"},
		{"[{host: a, limits: {rate: 1/s}}, {host: a, name: b, source_ip: 192.0.2.1}, {host: a, name: c, source_ip: 192.0.2.2, limits: {rate: 2/s}}]", "a, a from 192.0.2.1, a from 192.0.2.2"},
		{"[{host: 127.0.0.1}, {host: 127.0.0.1, port: 25, limits: {rate: 1/s}}]", "127.0.0.1:587, 127.0.0.1:25"},
		{"[{host: localhost}, {host: LOCALHOST, port: 25, limits: {rate: 1/s}}]", "localhost:587, localhost:25"},
		{"[{host: '::1'}, {host: '::1', port: 25, limits: {rate: 1/s}}]", "[::1]:587, [::1]:25"},
		{"[{host: '2001:db8::1'}, {host: '[2001:db8::1]', port: 25}]", "2001:db8::1, 2001:db8::1"},
	} {
		f, err := Parse("c.yaml", []byte(servers(" "+test.list)), lookup)
		if err != nil {
			t.Error(test.list, err)
			continue
		}
		var got []string
		for i := range f.Servers {
			got = append(got, f.Servers[i].Account())
		}
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%s: got %q, want %s", test.list, got, test.want)
		}
	}
}

// Windows editors write a byte order mark and CRLF.
func TestParseTakesWindowsFiles(t *testing.T) {
	f, err := Parse("c.yaml", []byte("\ufeff"+strings.ReplaceAll(minimal, "\n", "\r\n")), lookup)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.At("from", f.From.Address.String()).Error(), "c.yaml:2:7: news@example.com"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Every case has exactly the findings that stand beside it.
func TestParseRefuses(t *testing.T) {
	tests := []struct{ lines, want string }{
		// keys
		{`form: x`, `c.yaml:7:1: unknown key "form" (did you mean "from"?)`},
		{`reply-to: a@example.com`, `c.yaml:7:1: unknown key "reply-to" (did you mean "reply_to"?)`},
		{`"a\x1bb": x`, `c.yaml:7:1: unknown key "a\x1bb"`},
		{`rate: 1/s`, `c.yaml:7:1: unknown key "rate" (rate stands under limits:)`},
		{`limits: {attachments: x}`, `c.yaml:7:10: unknown key "limits.attachments" (attachments stands at the top level, without indentation)`},
		{`limits: {per_domain: 1/s}`, `c.yaml:7:22: limits.per_domain must have keys of its own, not a single value (write them below it, indented)`},
		{`limits: {starts: 1}`, `c.yaml:7:10: unknown key "limits.starts"`},
		{"text: a\ntext: b", `c.yaml:8:1: duplicate key "text" (it stands in line 7 already)`},
		{"zz: a\nzz: b", "c.yaml:7:1: unknown key \"zz\"\nc.yaml:8:1: duplicate key \"zz\" (it stands in line 7 already)"},
		{`<<: {text: a}`, `c.yaml:7:1: merge keys (<<) are not supported (write the keys out)`},
		{`? [a]` + "\n: b", `c.yaml:7:3: a key must be a plain word`},
		{`!!str text: b`, `c.yaml:7:1: a key must be a plain word`},
		{`smtp: {hots: a}`, "c.yaml:6:1: missing key \"smtp.host\" (below smtp:, as in host: smtp.example.com)\nc.yaml:6:8: unknown key \"smtp.hots\" (did you mean \"host\"?)"},
		{`smtp:`, `c.yaml:6:1: missing key "smtp.host" (below smtp:, as in host: smtp.example.com)`},
		{`smtp: mail`, `c.yaml:6:7: smtp must have keys of its own, not a single value (write them below it, indented)`},
		{`limits: [a]`, `c.yaml:7:9: limits must have keys of its own, not a list (write them below it, indented)`},

		// types
		{`name: [a]`, `c.yaml:1:7: name must be a single value, not a list`},
		{"name:\n  a: b", `c.yaml:2:3: name must be a single value, not keys and values`},
		{`subject: {{ .name }}`, `c.yaml:3:10: subject must be a single value, not keys and values (put a text that begins with { into quotes)`},
		{`text:`, `c.yaml:7:6: text has no value (write one, or remove the key)`},
		{`text: ~`, `c.yaml:7:7: text has no value (write one, or remove the key)`},
		{`text: ""`, `c.yaml:7:7: text: "" is empty (write a value, or remove the key)`},
		{`text: ${EMPTY}`, `c.yaml:7:7: text: the value of "${EMPTY}" is empty (write a value, or remove the key)`},
		{`text: !!binary YQ==`, `c.yaml:7:7: text has the YAML tag "!!binary" (remove it, or put a text that begins with ! into quotes)`},
		{`limits: {rate: !x 1/s}`, `c.yaml:7:16: limits.rate has the YAML tag "!x" (remove it, or put a text that begins with ! into quotes)`},
		{`priority: high`, `c.yaml:7:11: priority: "high" is not a whole number from -1000000 to 1000000`},
		{`priority: 1.5`, `c.yaml:7:11: priority: "1.5" is not a whole number from -1000000 to 1000000`},
		{`order_by: [score]`, `c.yaml:7:11: order_by must be a single value, not a list`},
		{`attachments: a.pdf`, `c.yaml:7:14: attachments must be a list, not a single value (write it in brackets: [FILE, FILE])`},
		{`attachments: [[a.pdf]]`, `c.yaml:7:15: attachments must be a single value, not a list`},
		{`attachments: [a.pdf, ""]`, `c.yaml:7:22: attachments: "" is empty (write a value, or remove the key)`},
		{`attachments: &a [*a]`, `c.yaml:7:18: attachments must be a single value, not a list`},

		// texts
		{`name: "-x"`, `c.yaml:1:7: name: "-x" begins with a hyphen, so that commands would take it for an option`},
		{`name: "a  b"`, `c.yaml:1:7: name: "a  b" has white space or invisible characters where nobody would see them`},
		{`name: "a` + "\u200b" + `b"`, `c.yaml:1:7: name: "a\u200bb" has white space or invisible characters where nobody would see them`},
		{`name: ` + strings.Repeat("ä", 201), `c.yaml:1:7: name: "` + strings.Repeat("ä", 40) + `"… is longer than 200 characters`},
		{`subject: "a\r\nBcc: b"`, `c.yaml:3:10: subject: "a\r\nBcc: b" holds a line break or another control character (write a long text in one line, or as a block that begins with >- and has no empty line)`},
		{"subject: >\n  a\n  b", `c.yaml:3:10: subject: "a b\n" holds a line break or another control character (write a long text in one line, or as a block that begins with >- and has no empty line)`},
		{`subject: ${INJECT}`, `c.yaml:3:10: subject: the value of "${INJECT}" holds a line break or another control character (write a long text in one line, or as a block that begins with >- and has no empty line)`},
		{`subject: ${LATIN1}`, `c.yaml:3:10: subject: the value of "${LATIN1}" is not valid UTF-8`},
		{`subject: ${BIG}${BIG}${BIG}`, `c.yaml:3:10: subject: the value of "${BIG}${BIG}${BIG}" is longer than 16384 octets`},
		{`subject: ` + strings.Repeat("x", 16385), `c.yaml:3:10: subject: "` + strings.Repeat("x", 80) + `"… is longer than 16384 octets`},
		{`html: "-"`, `c.yaml:5:7: html: "-" is standard input, which only recipients can come from`},
		{`attachments: [a.pdf, ./a.pdf]`, `c.yaml:7:22: attachments: "./a.pdf" has the name of an earlier one in the list`},
		{`inline: [a/logo.png, b/logo.png]`, `c.yaml:7:22: inline: "b/logo.png" has the name of an earlier one in the list`},
		{`markdown: a.md`, `c.yaml:7:11: html and markdown cannot stand together (markdown is rendered to HTML; keep one of them)`},

		// variables
		{`text: ${NONE}`, `c.yaml:7:7: text: "${NONE}" needs the variable NONE, which is not set (set NONE in the environment)`},
		{`text: ${NONE}${NADA}`, "c.yaml:7:7: text: \"${NONE}${NADA}\" needs the variable NONE, which is not set (set NONE in the environment)\nc.yaml:7:7: text: \"${NONE}${NADA}\" needs the variable NADA, which is not set (set NADA in the environment)"},
		{`text: ${PORT`, `c.yaml:7:7: text: "${PORT" has a ${ without its } (write ${NAME}, or $${ for the text ${)`},
		{`text: ${PORT-x}`, `c.yaml:7:7: text: "${PORT-x}" refers to "${PORT-x}", which cannot be the name of a variable (write ${NAME} or ${NAME:-default}, or $${ for the text ${)`},
		{`text: a${}`, `c.yaml:7:7: text: "a${}" refers to "${}", which cannot be the name of a variable (write ${NAME} or ${NAME:-default}, or $${ for the text ${)`},
		{`"${PORT}": x`, `c.yaml:7:1: unknown key "${PORT}"`},
		{`smtp: {host: h, port: "${COLON}"}`, `c.yaml:6:23: smtp.port: the value of "${COLON}" is not a whole number from 1 to 65535`},

		// addresses
		{`from: news`, `c.yaml:2:7: from: "news" is not an e-mail address: it has no @`},
		{`from: a..b@docomo.ne.jp`, `c.yaml:2:7: from: "a..b@docomo.ne.jp" is not an e-mail address: a dot stands at the wrong place before the @ (if the dots belong to it, write it as '"a..b"@docomo.ne.jp')`},
		{`from: ${PORT}`, `c.yaml:2:7: from: the value of "${PORT}" is not an e-mail address`},
		{`from: a@example.com, b@example.com`, `c.yaml:2:7: from: "a@example.com, b@example.com" is not one address, or one name and address (put a name with commas or other marks into double quotes: '"Example, Inc." <news@example.com>')`},
		{`from: <a@example.com>, B <b@example.com>`, `c.yaml:2:7: from: "<a@example.com>, B <b@example.com>" is not one address, or one name and address (put a name with commas or other marks into double quotes: '"Example, Inc." <news@example.com>')`},
		{`from: Example, Inc. <a@example.com>`, `c.yaml:2:7: from: "Example, Inc. <a@example.com>" is not one address, or one name and address (put a name with commas or other marks into double quotes: '"Example, Inc." <news@example.com>')`},
		{`from: '{{ .a }} <a@example.com>'`, `c.yaml:2:7: from: "{{ .a }} <a@example.com>" holds a template action, but is the same for every recipient`},
		{`from: A a@example.com>`, `c.yaml:2:7: from: "A a@example.com>" has a > without its <`},
		{`from: =?utf-8?q?a=0d=0ab?= <a@example.com>`, `c.yaml:2:7: from: "=?utf-8?q?a=0d=0ab?= <a@example.com>" holds a line break or another control character (write a long text in one line, or as a block that begins with >- and has no empty line)`},
		{`reply_to: A <a@-b>`, `c.yaml:7:11: reply_to: "A <a@-b>" is not an e-mail address: a part of the domain begins or ends with a hyphen`},
		{`return_path: <>`, `c.yaml:7:14: return_path: "<>" is the empty address, and bounces have to go somewhere`},
		{`return_path: A <a@example.com>`, `c.yaml:7:14: return_path: "A <a@example.com>" is not an e-mail address: there is white space inside it`},

		// headers
		{`headers: {Bad Name: x}`, `c.yaml:7:11: headers: "Bad Name" is not the name of a header field (letters, digits and hyphens)`},
		{`headers: {"a\nb": x}`, `c.yaml:7:11: headers: "a\nb" is not the name of a header field (letters, digits and hyphens)`},
		{`headers: {"${PORT}": x}`, `c.yaml:7:11: headers: "${PORT}" is not the name of a header field (variables and template actions stand in values only)`},
		{`headers: {"": x}`, `c.yaml:7:11: headers: "" is not the name of a header field (1 to 76 characters)`},
		{`headers: {REPLY-TO: x}`, `c.yaml:7:11: headers: "REPLY-TO" is written by mailblast (use the key reply_to at the top level)`},
		{`headers: {Bcc: x}`, `c.yaml:7:11: headers: "Bcc" cannot be set (every recipient of the CSV gets a message of its own)`},
		{`headers: {Content-Type: x}`, `c.yaml:7:11: headers: "Content-Type" is written by mailblast (remove it)`},
		{`headers: {Message-Id: x}`, `c.yaml:7:11: headers: "Message-Id" is written by mailblast (remove it)`},
		{`headers: {Received: x}`, `c.yaml:7:11: headers: "Received" is written by servers on the way (remove it)`},
		{`headers: {X-A: a, x-a: b}`, `c.yaml:7:19: duplicate header field "x-a" (it is "X-A" above; upper and lower case are the same)`},
		{`headers: {X-A: "a\tb"}`, `c.yaml:7:16: headers.X-A: "a\tb" holds a line break or another control character (write a long text in one line, or as a block that begins with >- and has no empty line)`},
		{`headers: [X-A]`, `c.yaml:7:10: headers must have keys of its own, not a list (write them below it, indented)`},

		// server
		{`smtp: {host: "a b"}`, `c.yaml:6:14: smtp.host: "a b" is not a host name or an IP address`},
		{`smtp: {host: "h:587"}`, `c.yaml:6:14: smtp.host: "h:587" is not a host name or an IP address (the port has a key of its own: smtp.port)`},
		{`smtp: {host: "smtp://h"}`, `c.yaml:6:14: smtp.host: "smtp://h" is not a host name or an IP address (only the name, without smtp:// in front)`},
		{`smtp: {host: 300.1.1.1}`, `c.yaml:6:14: smtp.host: "300.1.1.1" is not a host name or an IP address`},
		{`smtp: {host: "[x]"}`, `c.yaml:6:14: smtp.host: "[x]" is not a host name or an IP address`},
		{`smtp: {host: h, port: 0}`, `c.yaml:6:23: smtp.port: "0" is not a whole number from 1 to 65535`},
		{`smtp: {host: h, port: 0x19}`, `c.yaml:6:23: smtp.port: "0x19" is not a whole number from 1 to 65535`},
		{`smtp: {host: h, port: 025}`, `c.yaml:6:23: smtp.port: "025" is not a whole number from 1 to 65535`},
		{`smtp: {host: h, port: 25.0}`, `c.yaml:6:23: smtp.port: "25.0" is not a whole number from 1 to 65535`},
		{`smtp: {host: h, port: 99999999999999999999}`, `c.yaml:6:23: smtp.port: "99999999999999999999" is not a whole number from 1 to 65535`},
		{`smtp: {host: h, security: startls}`, `c.yaml:6:27: smtp.security: "startls" is not starttls, tls or none (did you mean "starttls"?)`},
		{`smtp: {host: h, connections: 1001}`, `c.yaml:6:30: smtp.connections: "1001" is not a whole number from 1 to 1000`},
		{`smtp: {host: h, messages_per_connection: -1}`, `c.yaml:6:42: smtp.messages_per_connection: "-1" is not a whole number of 0 or more`},
		{`smtp: {host: h, pipeline: 0}`, `c.yaml:6:27: smtp.pipeline: "0" is not a whole number from 1 to 100`},
		{`smtp: {host: h, pipeline: 101}`, `c.yaml:6:27: smtp.pipeline: "101" is not a whole number from 1 to 100`},
		{`smtp: {host: h, pipeline: deep}`, `c.yaml:6:27: smtp.pipeline: "deep" is not a whole number from 1 to 100`},
		{`smtp: {host: h, helo: 192.0.2.1}`, `c.yaml:6:23: smtp.helo: "192.0.2.1" is not a domain name (an IP address stands in brackets: [192.0.2.1] or [IPv6:2001:db8::1])`},
		{`smtp: {host: h, helo: "a\nb"}`, `c.yaml:6:23: smtp.helo: "a\nb" holds a line break or another control character (write a long text in one line, or as a block that begins with >- and has no empty line)`},
		{`smtp: {host: h, source_ip: mail.example.com}`, `c.yaml:6:28: smtp.source_ip: "mail.example.com" is not an IP address (as in 192.0.2.1 or 2001:db8::1, without a port)`},
		{`smtp: {host: h, source_ip: "192.0.2.1:25"}`, `c.yaml:6:28: smtp.source_ip: "192.0.2.1:25" is not an IP address (as in 192.0.2.1 or 2001:db8::1, without a port)`},
		{`smtp: {host: h, source_ip: "::"}`, `c.yaml:6:28: smtp.source_ip: "::" is not an address that a connection could come from (one of this machine's, or no source_ip for the one that the system chooses)`},
		{`smtp: {host: h, name: relay}`, `c.yaml:6:17: unknown key "smtp.name" (name stands at the top level, without indentation)`},
		{`smtp: {host: h, username: u}`, `c.yaml:6:27: smtp.username needs smtp.password (password: ${SMTP_PASSWORD})`},
		{`smtp: {host: h, password: "${SMTP_PASSWORD}"}`, `c.yaml:6:27: smtp.password needs smtp.username (username: ${SMTP_USERNAME})`},
		{`smtp: {host: h, username: u, password: "${NONE}"}`, `c.yaml:6:40: smtp.password: "${NONE}" needs the variable NONE, which is not set (set NONE in the environment)`},
		{`smtp: {host: h, username: u, password: "${EMPTY}"}`, `c.yaml:6:40: smtp.password: the value of "${EMPTY}" is empty (write a value, or remove the key)`},

		// limits and delivery
		{`limits: {rate: 14}`, `c.yaml:7:16: limits.rate: "14" is not a rate (as in 14/s, 500/m, 3/10s or 10000/d: a whole number of messages, and s, m, h, d or a duration)`},
		{`limits: {rate: [1/s, 0/s]}`, `c.yaml:7:22: limits.rate: "0/s" is not a rate (as in 14/s, 500/m, 3/10s or 10000/d: a whole number of messages, and s, m, h, d or a duration)`},
		{`limits: {rate: [20/s, 10/1s]}`, `c.yaml:7:23: limits.rate: "10/s" is over the same time as "20/s" (keep the lower of them, as all of them hold)`},
		{`limits: {quota: [5/h, 50/d, 60/24h]}`, `c.yaml:7:29: limits.quota: "60/d" is over the same time as "50/d" (keep the lower of them, as all of them hold)`},
		{`limits: {per_domain: {default: 1/s, Default: 2/s}}`, `c.yaml:7:37: duplicate key "limits.per_domain.Default" (it is "default" above)`},
		{`limits: {rate: 1/-1s}`, `c.yaml:7:16: limits.rate: "1/-1s" is not a rate (as in 14/s, 500/m, 3/10s or 10000/d: a whole number of messages, and s, m, h, d or a duration)`},
		{`limits: {rate: 1/0s}`, `c.yaml:7:16: limits.rate: "1/0s" is not a rate (as in 14/s, 500/m, 3/10s or 10000/d: a whole number of messages, and s, m, h, d or a duration)`},
		{`limits: {rate: []}`, `c.yaml:7:16: limits.rate is an empty list (leave it out, or name at least one)`},
		{`limits: {rate: 1000000000/1ms}`, `c.yaml:7:16: limits.rate: "1000000000/1ms" is a rate over less than a second (no server counts by that, and no timer is so exact: write it by the second)`},
		{`limits: {rate: }`, `c.yaml:7:16: limits.rate has no value (write one, or remove the key)`},
		{`delivery: {batch: 10001}`, `c.yaml:7:19: delivery.batch: "10001" is not a whole number from 1 to 10000`},
		{`delivery: {attempts: 0}`, `c.yaml:7:22: delivery.attempts: "0" is not a whole number from 1 to 100`},
		{`delivery: {backoff: 5m}`, `c.yaml:7:21: delivery.backoff: "5m" is not a range of durations (as in 1m..4h: the first wait and the longest one)`},
		{`delivery: {backoff: 4h..1m}`, `c.yaml:7:21: delivery.backoff: "4h..1m" has its longest wait first (the shorter one comes first)`},
		{`delivery: {backoff: 10ms..1m}`, `c.yaml:7:21: delivery.backoff: "10ms..1m" is not between 1s and 720h`},
		{`rules: throttle`, `c.yaml:7:8: rules must be a list, not a single value (- match: '^450 .*come back tomorrow', and below it, class: transient)`},
		{"rules:\n  - match: a\n    class: slow", `c.yaml:9:12: rules[0].class: "slow" is not throttle, transient, hard_bounce, rejected or auth_or_config`},
		{"rules:\n  - match: a\n    class: hard_bounces", `c.yaml:9:12: rules[0].class: "hard_bounces" is not throttle, transient, hard_bounce, rejected or auth_or_config (did you mean "hard_bounce"?)`},
		{"rules:\n  - match: a(\n    class: throttle", "c.yaml:8:12: rules[0].match: \"a(\" is not a regular expression: missing closing ): `a(` (the syntax is that of Go (RE2), without look-ahead and back-references)"},
		{"rules:\n  - match: a*\n    class: throttle", `c.yaml:8:12: rules[0].match: "a*" finds something in every reply (say what stands in those that are meant)`},
		{"rules:\n  - {match: a, class: throttle}\n  - {match: b}", `c.yaml:9:5: missing key "rules[1].class" (below rules[1]:, as in class: transient)`},
		{"rules:\n  - {match: a, class: throttle, scope: server}", `c.yaml:8:33: unknown key "rules[0].scope"`},
		{"rules:\n  - throttle", `c.yaml:8:5: rules[0] must have keys of its own, not a single value (write them below it, indented)`},
		{"rules:\n" + strings.Repeat("  - {match: a, class: throttle}\n", 101), `c.yaml:8:3: rules has 101 items; at most 100`},
		{`limits: {rate: 1/0d}`, `c.yaml:7:16: limits.rate: "1/0d" is not a rate (as in 14/s, 500/m, 3/10s or 10000/d: a whole number of messages, and s, m, h, d or a duration)`},
		{`limits: {per_domain: {gmail.com: fast}}`, `c.yaml:7:34: limits.per_domain.gmail.com: "fast" is not a rate (as in 14/s, 500/m, 3/10s or 10000/d: a whole number of messages, and s, m, h, d or a duration)`},
		{`limits: {per_domain: {"a b": 1/s}}`, `c.yaml:7:23: limits.per_domain: "a b" is not a domain: there is white space inside it (as in gmail.com: 5/s, or default: 20/s for each of the others)`},
		{`limits: {per_domain: {a.example: 1/s, A.example: 2/s}}`, `c.yaml:7:39: duplicate key "limits.per_domain.A.example" (it is "a.example" above)`},
		{`limits: {per_domain_connections: 0}`, `c.yaml:7:34: limits.per_domain_connections: "0" is not a whole number from 1 to 1000`},
		{`limits: {quota: 10/s}`, `c.yaml:7:17: limits.quota: "10/s" is not a quota (as in 50000/d, 500/h or 100000/30d: messages in 1 hour to 31 days; what is shorter is a rate)`},
		{`limits: {quota: 10/60d}`, `c.yaml:7:17: limits.quota: "10/60d" is not a quota (as in 50000/d, 500/h or 100000/30d: messages in 1 hour to 31 days; what is shorter is a rate)`},
		{`limits: {warmup: sendgird}`, `c.yaml:7:18: limits.warmup: "sendgird" is not the name of a warm-up schedule (did you mean "sendgrid"?)`},
		{`limits: {warmup: slow}`, `c.yaml:7:18: limits.warmup: "slow" is not the name of a warm-up schedule (there are: sendgrid; or write {start: 50, factor: 1.5, cap: 50000})`},
		{`limits: {warmup: {start: 50}}`, `c.yaml:7:18: missing key "limits.warmup.factor" (below limits.warmup:, as in factor: 1.5)`},
		{`limits: {warmup: {start: 50, factor: 0.5}}`, `c.yaml:7:38: limits.warmup.factor: "0.5" makes the warm-up shrink (above 1, as in 1.5: each day half as much again as the day before)`},
		{`limits: {warmup: {start: 50, factor: 1}}`, `c.yaml:7:38: limits.warmup.factor: "1" makes no day larger than the one before (above 1, as in 1.5; for the same every day write quota: 50/d)`},
		{`limits: {warmup: {start: 50, factor: NaN}}`, `c.yaml:7:38: limits.warmup.factor: "NaN" is not a factor (as in 1.5: each day half as much again as the day before)`},
		{`limits: {warmup: {start: 50, factor: 2, cap: 40}}`, `c.yaml:7:46: limits.warmup shrinks: its cap is below its start (cap is what the days grow to)`},
		{`limits: {warmup: {start: 50, factor: 2, kap: 40}}`, `c.yaml:7:41: unknown key "limits.warmup.kap" (did you mean "cap"?)`},
		{`delivery: {send_window: 8-20}`, `c.yaml:7:25: delivery.send_window: "8-20" is not a window of the day (as in '08:00-20:00 Europe/Berlin')`},
		{`delivery: {send_window: "08:00-20:00"}`, `c.yaml:7:25: delivery.send_window: "08:00-20:00" has no time zone (as in '08:00-20:00 Europe/Berlin')`},
		{`delivery: {send_window: 08:00-08:00 UTC}`, `c.yaml:7:25: delivery.send_window: "08:00-08:00 UTC" is empty (the whole day is 00:00-24:00)`},
		{`delivery: {send_window: 08:00-25:00 UTC}`, `c.yaml:7:25: delivery.send_window: "08:00-25:00 UTC" is not a window of the day (as in '08:00-20:00 Europe/Berlin')`},
		{`delivery: {send_window: 08:00-20:00 Europe/Berlinn}`, `c.yaml:7:25: delivery.send_window: "08:00-20:00 Europe/Berlinn" is in a time zone that is not known (a name of the time zone database, as in Europe/Berlin or UTC)`},
		{`delivery: {send_window: 08:00-20:00 Local}`, `c.yaml:7:25: delivery.send_window: "08:00-20:00 Local" is in a time zone that is not known (a name of the time zone database, as in Europe/Berlin or UTC)`},
		{`delivery: {send_window: 08:00-20:00 ../etc}`, `c.yaml:7:25: delivery.send_window: "08:00-20:00 ../etc" is in a time zone that is not known (a name of the time zone database, as in Europe/Berlin or UTC)`},
		{`delivery: {send_window: [08:00-12:00 UTC, 22:00-09:00 UTC]}`, `c.yaml:7:43: delivery.send_window: "22:00-09:00 UTC" overlaps "08:00-12:00 UTC" (write one window for both)`},
		{`delivery: {send_window: [08:00-12:00 UTC, 13:00-14:00 Europe/Rome]}`, `c.yaml:7:43: delivery.send_window: "13:00-14:00 Europe/Rome" is in another time zone than "08:00-12:00 UTC" (write all windows in one zone)`},
		{`delivery: {not_before: tomorrow}`, `c.yaml:7:24: delivery.not_before: "tomorrow" is not a time (with date and zone, as in 2026-12-01T08:00:00+01:00)`},
		{`delivery: {expires: -1h}`, `c.yaml:7:21: delivery.expires: "-1h" is neither a time nor a duration (as in 2026-12-01T08:00:00+01:00; or 48h or 7d, after the campaign was first loaded)`},
		{`delivery: {not_before: 2026-12-01T08:00:00Z, expires: 2026-12-01T09:00:00+01:00}`, `c.yaml:7:55: delivery.expires is not after delivery.not_before, so that nothing could be sent (the later time belongs to expires)`},
		{`delivery: {not_before: 2026-12-01T20:00:00Z, expires: 2026-12-02T08:00:00Z, send_window: 09:00-21:00 Europe/Berlin}`, `c.yaml:7:90: delivery.send_window does not open between 2026-12-01 21:00 +01:00 and 2026-12-02 09:00 +01:00 (delivery.expires), so that nothing could be sent (a later expires, or another window)`},
		{`delivery: {durability: lax}`, `c.yaml:7:24: delivery.durability: "lax" is not strict or process`},
	}
	for _, tt := range tests {
		f, err := Parse("c.yaml", []byte(with(tt.lines)), lookup)
		switch {
		case err == nil:
			t.Errorf("%s\naccepted", tt.lines)
		case f != nil:
			t.Errorf("%s\na File together with an error", tt.lines)
		case err.Error() != tt.want:
			t.Errorf("%s\ngot  %s\nwant %s", tt.lines, err, tt.want)
		}
	}
}

// A file that is no campaign file at all has one finding.
func TestParseRefusesWholeFile(t *testing.T) {
	tests := []struct{ source, want string }{
		{"", "c.yaml:1:1: the campaign file is empty (mailblast init writes one to start from)"},
		{"# nothing\n", "c.yaml:1:1: the campaign file is empty (mailblast init writes one to start from)"},
		{"- a\n", "c.yaml:1:1: a campaign file consists of keys with values (as in name: spring-sale)"},
		{"---\n", "c.yaml:2:1: a campaign file consists of keys with values (as in name: spring-sale)"},
		{minimal + "---\n" + minimal, "c.yaml:7:1: a second YAML document begins here (write one campaign a file)"},
		{"a: 1\nb: c: d\n", "c.yaml:2:1: mapping values are not allowed in this context (put a value with a colon in it into quotes, and check the indentation)"},
		{"a: 1\nb: [1,2\nc: 3\nd: 4\n", "c.yaml:2:1: did not find expected ',' or ']' (a bracket is not closed)"},
		{"a: 1\n\tb: 2\n", "c.yaml:2:1: found a tab character that violates indentation (indent with spaces)"},
		{"a: 1\nb: 'x\nc: 3\nd: 4\n", "c.yaml:2:1: found unexpected end of stream (a quotation mark is not closed)"},
		{"a: 1\nb:\n  c: 1\n d: 2\n", "c.yaml:4:1: did not find expected key (check the indentation, and put a value that begins with a quotation mark, [ or { into quotes as a whole)"},
		{"a: 1\nb: \"x\" y\nc: 1", "c.yaml:2:1: did not find expected key (check the indentation, and put a value that begins with a quotation mark, [ or { into quotes as a whole)"},
		{"a: 1\nb\nc: 3\n", "c.yaml:2:1: could not find expected ':' (write key: value, with a space after the colon)"},
		{"a: 1\nb: @x\n", "c.yaml:2:1: found character that cannot start any token (put a value that begins with this character into quotes)"},
		{"a: 1\nb: *x\n", "c.yaml:2:1: unknown anchor 'x' referenced (put a value that begins with * into quotes)"},
		{"a: 1\nb: -\n", `c.yaml:2:1: block sequence entries are not allowed in this context (standard input is written "-", in quotes)`},
		{"a: 1\nb: \x01\n", "c.yaml:2:1: control characters are not allowed (remove the invisible character)"},
		{"a: 1\nb: ä\xe9\n", "c.yaml:2:5: the file is not valid UTF-8 (save it in this encoding)"},
		{"\xff\xfea\x00:\x00", "c.yaml:1:1: the file is not valid UTF-8 (save it in this encoding)"},
		{strings.Repeat("[", 5000), "c.yaml:1:1: did not find expected node content"},
		{strings.Repeat("[", 1<<20), "c.yaml:1:1: exceeded max depth of 10000"},
		{strings.Repeat("#", 1<<20+1), "c.yaml:1:1: the file is larger than 1048576 octets (is it a campaign file?)"},
	}
	for _, tt := range tests {
		if _, err := Parse("c.yaml", []byte(tt.source), lookup); err == nil || err.Error() != tt.want {
			t.Errorf("%.60q\ngot  %v\nwant %s", tt.source, err, tt.want)
		}
	}
}

func TestParseReportsEverythingInOrderOfPlace(t *testing.T) {
	source, err := os.ReadFile("testdata/file-faulty.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/file-faulty.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse("campaign.yaml", source, lookup)
	var findings finding.Findings
	if !errors.As(err, &findings) {
		t.Fatalf("got %v, want finding.Findings", err)
	}
	if got := err.Error() + "\n"; got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestParseNamesEveryMissingKey(t *testing.T) {
	_, err := Parse("c.yaml", []byte("text: a.txt\n"), lookup)
	for _, key := range []string{"name", "from", "subject", "recipients", "smtp.host"} {
		if !strings.Contains(fmt.Sprint(err), fmt.Sprintf("c.yaml:1:1: missing key %q", key)) {
			t.Errorf("%s is not named in\n%v", key, err)
		}
	}
}

// Many findings, long lists and aliases cost memory in proportion to the file at most.
func TestParseBoundsWhatAFileCanGrowInto(t *testing.T) {
	_, err := Parse("c.yaml", []byte(strings.Repeat("x:\n", 20000)), lookup)
	if findings := (finding.Findings{}); !errors.As(err, &findings) || len(findings) != maxFindings {
		t.Errorf("%d findings, want %d", len(findings), maxFindings)
	}
	_, err = Parse("c.yaml", []byte(with("attachments: [&a '${BIG}'"+strings.Repeat(", *a", 2000)+"]")), lookup)
	if want := "c.yaml:7:14: attachments has 2001 items; at most 1000"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	laughs := "attachments: &a [x]\npartials: &b [*a,*a,*a,*a]\ninline: &c [*b,*b,*b,*b]"
	if _, err = Parse("c.yaml", []byte(with(laughs)), lookup); err == nil || strings.Count(err.Error(), "\n") != 7 {
		t.Errorf("got %v, want 8 findings", err)
	}
}

func TestPasswordMustBeAVariable(t *testing.T) {
	for _, password := range []string{
		"hunter2", "'hunter2'", "'${SMTP_PASSWORD:-hunter2}'", "'x${SMTP_PASSWORD}'", "'${SMTP_PASSWORD}${SMTP_PASSWORD}'", "'$${hunter2}'", "'${hunter2'", "'${hunter2!}'",
	} {
		_, err := Parse("c.yaml", []byte(with("smtp: {host: h, username: u, password: "+password+"}")), lookup)
		want := "c.yaml:6:40: smtp.password must be a variable and nothing else, not the password itself (password: ${SMTP_PASSWORD}, with SMTP_PASSWORD set in the environment)"
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v", password, err)
		}
	}
}

// A variable's value shows up in no finding, whatever key it is put into.
func TestFindingsShowNoValueOfAVariable(t *testing.T) {
	secret := func(string) (string, bool) { return "<s3cr3t>\n{{", true }
	visible := func(string) (string, bool) { return "s3cr3t://,<", true }
	lines := "subject: ${X}\nname: ${X}\nfrom: '${X}'\nreply_to: A <${X}>\nreturn_path: ${X}\nattachments: ['${X}', '${X}']\nheaders: {X-A: '${X}'}\n" +
		"limits: {rate: '${X}'}\ndelivery: {batch: '${X}', attempts: '${X}', backoff: '${X}', durability: '${X}'}\n" +
		"smtp: {host: '${X}', port: '${X}', security: '${X}', helo: '${X}', connections: '${X}', messages_per_connection: '${X}', pipeline: '${X}', username: u, password: '${X}'}"
	for _, lookup := range []func(string) (string, bool){secret, visible} {
		_, err := Parse("c.yaml", []byte(lines), lookup)
		if err == nil || strings.Count(err.Error(), "the value of") < 10 {
			t.Errorf("too few findings to prove anything:\n%v", err)
		}
		if strings.Contains(fmt.Sprint(err), "s3cr3t") {
			t.Errorf("a finding shows the value:\n%v", err)
		}
	}
}

func TestFileShowsNoPassword(t *testing.T) {
	f, err := Parse("campaign.yaml", example(t), lookup)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "file", f, "smtp", f.Servers[0].SMTP, "password", f.Servers[0].SMTP.Password)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "file", f, "smtp", f.Servers[0].SMTP, "password", f.Servers[0].SMTP.Password)
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(data)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T%v"} {
		shown += fmt.Sprintf(verb, f) + fmt.Sprintf(verb, *f) + fmt.Sprintf(verb, f.Servers[0].SMTP) + fmt.Sprintf(verb, f.Servers[0].SMTP.Password)
	}
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2")} {
		if strings.Contains(shown, leak) {
			t.Errorf("%q shows up", leak)
		}
	}
	if !strings.Contains(shown, "[redacted]") {
		t.Error("nothing says that there is a password")
	}
	if string(f.Servers[0].SMTP.Password) != "hunter2-secret" {
		t.Error("the password is lost")
	}
}

func TestFiles(t *testing.T) {
	f, err := Parse("campaign.yaml", example(t), lookup)
	if err != nil {
		t.Fatal(err)
	}
	f.Inline = append(f.Inline, "catalogue.pdf") // inline and attached: one file
	var got []string
	for _, r := range f.Files() {
		got = append(got, f.At(r.Key, r.Path).Error())
	}
	want := []string{
		"campaign.yaml:7:7: newsletter.html", "campaign.yaml:8:7: newsletter.txt", "campaign.yaml:9:12: footer.html",
		"campaign.yaml:10:15: catalogue.pdf", "campaign.yaml:10:30: prices.pdf", "campaign.yaml:11:10: logo.png", "campaign.yaml:19:12: ca.pem",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAt(t *testing.T) {
	f, err := Parse("c.yaml", []byte(with("attachments: [a, b]\nheaders:\n  X.Y: z")), lookup)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ key, want string }{
		{"html", "c.yaml:5:7: m"},
		{"smtp.host", "c.yaml:6:14: m"},
		{"smtp.port", "c.yaml:6:1: m"},
		{"attachments", "c.yaml:7:14: m"},
		{"attachments[1]", "c.yaml:7:18: m"},
		{"headers.X.Y", "c.yaml:9:8: m"},
		{"delivery.batch", "c.yaml:1:1: m"},
	} {
		if got := f.At(tt.key, "m").Error(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.key, got, tt.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	if err := CheckName("weekly-2026-02-01"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{
		"":    `campaign name "" is empty`,
		"-x":  `campaign name "-x" begins with a hyphen, so that commands would take it for an option`,
		"a\n": `campaign name "a\n" holds a line break or another control character`,
	} {
		if err := CheckName(name); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", name, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example(f))
	f.Add([]byte(minimal))
	faulty, err := os.ReadFile("testdata/file-faulty.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(faulty)
	f.Add([]byte(with("headers: {X-A: '$${PORT} ${PORT} ${NONE:-x} ${{ .x }}'}")))
	f.Add([]byte(servers(" [{host: a, weight: 2, limits: {rate: 1/s}}, &b {host: b, source_ip: '::1'}, *b]")))
	f.Add([]byte(with("attachments: &a [a, *a]\n? b\n: !!binary x\n<<: *a")))
	f.Fuzz(func(t *testing.T, source []byte) {
		file, err := Parse("c.yaml", source, lookup)
		if err != nil {
			var findings finding.Findings
			if file != nil || !errors.As(err, &findings) || len(findings) == 0 {
				t.Fatalf("%v is no finding.Findings", err)
			}
			for _, g := range findings {
				if g.Line < 1 || g.Column < 1 || g.Message == "" || text.QuoteControl(g.Error()) != g.Error() {
					t.Errorf("bad finding %#v", g)
				}
			}
			return
		}
		if file.Name == "" || file.From.Address == (address.Address{}) || file.Servers[0].Host == "" || file.Servers[0].Port == 0 || file.ReturnPath == (address.Address{}) {
			t.Errorf("something is missing in %+v", file)
		}
		if file.HTML == "" && file.Markdown == "" && file.Text == "" || file.HTML != "" && file.Markdown != "" {
			t.Errorf("not one body in %+v", file)
		}
		for _, h := range file.Headers {
			if checkHeaderName(h.Name) != nil || checkText(h.Value) != nil {
				t.Errorf("bad header %q", h)
			}
		}
		for _, r := range file.Files() {
			if _, ok := file.positions[r.Key]; !ok {
				t.Errorf("%s has no place", r.Key)
			}
		}
		again, err := Parse("c.yaml", source, lookup)
		if err != nil || !reflect.DeepEqual(file, again) {
			t.Errorf("the second time: %v\n%+v\n%+v", err, file, again)
		}
	})
}

// A # after a space cuts an unquoted text off, and that is told.
func TestComments(t *testing.T) {
	parse := func(subject string) (*File, error) {
		source := "name: n\nfrom: a@example.com\nsubject: " + subject + "\nrecipients: r\ntext: t\nsmtp: {host: h}\n"
		return Parse("c.yaml", []byte(source), func(string) (string, bool) { return "", false })
	}
	mend := regexp.MustCompile(`belongs to it, write ('.*'); `)
	for _, c := range []struct{ subject, fault, warning, whole string }{
		{subject: `Sale #1 today`, fault: `c.yaml:3:10: subject: "Sale" ends before the #, with which YAML begins a comment (if "#1 today" belongs to it, write 'Sale #1 today'; a comment has a space behind its #)`, whole: "Sale #1 today"},
		{subject: `It's #BlackFriday`, fault: `write 'It''s #BlackFriday'`, whole: "It's #BlackFriday"},
		{subject: `{ a: b } #1`, fault: `must be a single value`},
		{subject: `Sale # 1`, warning: `c.yaml:3:10: subject: "Sale" ends before the #, with which YAML begins a comment (if "# 1" belongs to it, write 'Sale # 1'; if it is`, whole: "Sale # 1"},
		{subject: `Sale   #required`, warning: `"Sale" ends before the #`, whole: "Sale #required"},
		{subject: `Sale # the subject`, warning: `"Sale" ends before the #`, whole: "Sale # the subject"},
		{subject: `Sale  # the subject`}, {subject: "Sale\t# the subject"}, {subject: "Sale\n  goes on #1", fault: `"Sale goes on" ends before the #`, whole: "Sale goes on #1"},
		{subject: `'Sale' #1`}, {subject: `"Sale" # 1`}, {subject: `'Sale #1'`}, {subject: `Sale#1`}, {subject: "Sale\n# next"},
	} {
		f, err := parse(c.subject)
		switch {
		case c.fault != "":
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: got %v, want %s", c.subject, err, c.fault)
				continue
			}
		case err != nil:
			t.Errorf("%s: %v", c.subject, err)
			continue
		case c.warning == "" && len(f.Warnings) == 0:
			continue
		case len(f.Warnings) != 1 || !strings.Contains(f.Warnings.Error(), c.warning) || c.warning == "":
			t.Errorf("%s: warnings %v, want %q", c.subject, f.Warnings, c.warning)
			continue
		}
		words := fmt.Sprint(err)
		if err == nil {
			words = f.Warnings.Error()
		}
		if m := mend.FindStringSubmatch(words); c.whole != "" {
			if mended, err := parse(m[1]); err != nil || mended.Subject != c.whole || len(mended.Warnings) > 0 {
				t.Errorf("%s: written as %s it is %+v, %v", c.subject, m[1], mended, err)
			}
		}
	}
	_, err := Parse("c.yaml", []byte("name: weekly #12\nfrom: a@example.com\nsubject: s\nrecipients: r\ntext: t\nheaders:\n  X-A: b #c\nsmtp: {host: h}\n"), func(string) (string, bool) { return "", false })
	for _, want := range []string{`c.yaml:1:7: name: "weekly" ends before the #`, `c.yaml:7:8: headers.X-A: "b" ends before the #`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
