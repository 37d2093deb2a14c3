package message

import (
	"bytes"
	"mime"
	"net/mail"
	"net/url"
	"strings"
	"testing"

	"mailblast/campaign"
	"mailblast/campaign/list/address"
	"mailblast/campaign/text"
)

// headerOf composes a message with one header field for a row with the fields first_name, city and items, and returns the
// field unfolded.
func headerOf(t testing.TB, name, value string, row ...string) (string, error) {
	t.Helper()
	src := testSource(map[string]string{"newsletter.txt": "x"})
	src.File.Headers = []campaign.Header{{Name: name, Value: value}}
	m, err := Compile(src)
	if err != nil {
		return "", err
	}
	message, err := m.Composer().Compose(testRow(row...))
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(joined(message)), "\r\n"+name+":")
	field, _, end := strings.Cut(strings.ReplaceAll(rest, "\r\n ", " "), "\r\n")
	if !ok || !end {
		t.Fatalf("there is no %s in\n%s", name, joined(message))
	}
	return strings.TrimPrefix(field, " "), nil
}

func TestStructuredFields(t *testing.T) {
	for _, c := range []struct{ name, value, row, want string }{
		// mailboxes
		{"Sender", "Café <cafe@example.com>", "", "=?utf-8?b?Q2Fmw6k=?= <cafe@example.com>"},
		{"sender", " cafe@Example.com ", "", "cafe@example.com"},
		{"Sender", "<cafe@example.com>", "", "cafe@example.com"},
		{"Sender", `"Grün, \"Ada\"" <a@grün.example>`, "", "=?utf-8?b?R3LDvG4sICJBZGEi?= <a@xn--grn-ioa.example>"},
		{"Sender", "Dr. Ada  of Example <a@example.com>", "", `"Dr. Ada of Example" <a@example.com>`},
		{"Sender", "=?utf-8?q?Caf=C3=A9?= <a@example.com>", "", "=?utf-8?b?Q2Fmw6k=?= <a@example.com>"},
		{"Errors-To", "a@example.com,b@example.com", "", "a@example.com, b@example.com"},
		{"Errors-To", `"Example, Inc." <a@example.com>, Zoë <b@example.com>, c@example.com,`, "", `"Example, Inc." <a@example.com>, =?utf-8?q?Zo=C3=AB?= <b@example.com>, c@example.com`},
		{"Disposition-Notification-To", `"a\"b"@example.com`, "", `"a\"b"@example.com`},
		{"Errors-To", "jörg@example.com", "", "jörg@example.com"},
		{"Sender", "{{ .first_name }} <a@example.com>", "Zoë", "=?utf-8?q?Zo=C3=AB?= <a@example.com>"},
		{"Sender", "{{ .first_name }} <a@example.com>", "", "a@example.com"},
		{"Sender", "{{ .first_name }} of Example <a@example.com>", "", "of Example <a@example.com>"},
		{"Sender", "{{ .first_name }} <a@example.com>", "Eve <eve@example.com>, \"x", `"Eve <eve@example.com>, \"x" <a@example.com>`},
		{"Sender", `"{{ .first_name }}, Example" <a@example.com>`, `Ada "the \`, `"Ada \"the \\, Example" <a@example.com>`},
		{"Sender", "{{ .first_name }} <a@example.com>", "=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <a@example.com>"},
		{"Sender", "{{ .first_name }} <a@example.com>", "a\r\nBcc: b@example.com\u2028c", `"a Bcc: b@example.com c" <a@example.com>`},
		{"Sender", "Ada <{{ .first_name }}>", " ada@example.com ", "Ada <ada@example.com>"},
		{"Sender", "{{ .first_name }}@example.com", "ada", "ada@example.com"},
		{"Sender", "{{ .first_name }}", "Zoë <zoe@example.com>", "=?utf-8?q?Zo=C3=AB?= <zoe@example.com>"},
		{"Errors-To", "{{ .first_name }}", "a@example.com, B <b@example.com>", "a@example.com, B <b@example.com>"},
		{"Errors-To", "x@example.com, {{ .first_name }}", "a@example.com", "x@example.com, a@example.com"},
		{"Errors-To", "{{ if .first_name }}{{ .first_name }} <a@example.com>{{ else }}b@example.com{{ end }}", "Ö", "=?utf-8?b?w5Y=?= <a@example.com>"},
		{"Errors-To", "{{ if .first_name }}{{ .first_name }} <a@example.com>{{ else }}b@example.com{{ end }}", "", "b@example.com"},

		// URLs
		{"List-Unsubscribe", "<https://example.com/u?n={{ .first_name }}>", "Zoë Müller", "<https://example.com/u?n=Zo%C3%AB%20M%C3%BCller>"},
		{"List-Unsubscribe", "<https://example.com/u?n={{ .first_name }}>", "a+b&c=d>, <https://evil.example", "<https://example.com/u?n=a%2Bb%26c%3Dd%3E%2C%20%3Chttps%3A%2F%2Fevil.example>"},
		{"List-Unsubscribe", "<https://example.com/{{ .first_name }}/x>", "a b/ü%20%", "<https://example.com/a%20b/%C3%BC%20%25/x>"},
		{"List-Unsubscribe", "<{{ .first_name }}>", " https://example.com:8080/u?a=b&c=%20ü ", "<https://example.com:8080/u?a=b&c=%20%C3%BC>"},
		{"List-Unsubscribe", "<{{ .first_name }}&x={{ .first_name }}>", "https://example.com/?a", "<https://example.com/?a&x=https%3A%2F%2Fexample.com%2F%3Fa>"},
		{"List-Unsubscribe", "<https://example.com/u#{{ .first_name }}>", "a/b", "<https://example.com/u#a%2Fb>"},
		{"List-Unsubscribe", "<https://{{ .first_name }}/u>", "grün.example", "<https://xn--grn-ioa.example/u>"},
		{"List-Unsubscribe", "<https://grün.example:8080/ü?a=ö b>", "", "<https://xn--grn-ioa.example:8080/%C3%BC?a=%C3%B6%20b>"},
		{"List-Unsubscribe", "<https://user@[2001:db8::1]:1/(x),y>", "", "<https://user@[2001:db8::1]:1/(x),y>"},
		{"List-Unsubscribe", "<http://192.0.2.1/>,<HTTPS://my_host.example.com.>", "", "<http://192.0.2.1/>, <HTTPS://my_host.example.com.>"},
		{"List-Unsubscribe", "<mailto:u+{{ .first_name }}@example.com?subject={{ .first_name }}>", "a+b", "<mailto:u+a+b@example.com?subject=a%2Bb>"},
		{"List-Unsubscribe", "<mailto:{{ .first_name }}>", "a/b@example.com", "<mailto:a%2Fb@example.com>"},
		{"List-Unsubscribe", "<mailto:jörg@grün.example,b@example.com?subject=x y>", "", "<mailto:j%C3%B6rg@xn--grn-ioa.example,b@example.com?subject=x%20y>"},
		{"List-Unsubscribe", "{{ .first_name }}", "<mailto:a@example.com>, <https://example.com/ü>", "<mailto:a@example.com>, <https://example.com/%C3%BC>"},
		{"List-Post", "no", "", "NO"},
		{"List-Post", "NO (posting is not for {{ .first_name }})", "Zoë) (x", "NO (=?utf-8?q?posting_is_not_for_Zo=C3=AB=29_=28x?=)"},
		{"List-Help", `<https://example.com/> (see (there) and \) {{ .first_name }})`, `a) <b>`, `<https://example.com/> (see \(there\) and \) a\) <b>)`},
		{"Archived-At", "<https://example.com/a>", "", "<https://example.com/a>"},
		{"List-Unsubscribe-Post", "List-Unsubscribe=One-Click", "", "List-Unsubscribe=One-Click"},

		// identifiers
		{"List-Id", "Café <news.example.com>", "", "=?utf-8?b?Q2Fmw6k=?= <news.example.com>"},
		{"List-Id", "<news.example.com>", "", "<news.example.com>"},
		{"List-Id", "News for {{ .first_name }} <{{ .first_name }}.grün.example>", "zoë", "=?utf-8?q?News_for_zo=C3=AB?= <xn--zo-ija.xn--grn-ioa.example>"},
		{"List-Id", "{{ .first_name }}", "News <a_b.example.com>", "News <a_b.example.com>"},
		{"References", "<a@example.com>  <b@example.com><c@d>", "", "<a@example.com> <b@example.com> <c@d>"},
		{"In-Reply-To", "<{{ .first_name }}@example.com>", "a.b", "<a.b@example.com>"},
		{"In-Reply-To", "{{ .first_name }}", "<a@example.com> <b@example.com>", "<a@example.com> <b@example.com>"},

		// words that programs read
		{"Auto-Submitted", "auto-generated", "", "auto-generated"},
		{"Feedback-ID", "spring:{{ .first_name }}:news:example", "x", "spring:x:news:example"},
		{"Precedence", "=?x?q?y?=", "", "=?x?q?y?="},

		// the rest
		{"X-Sender", "Café <cafe@example.com>", "", "=?utf-8?b?Q2Fmw6kgPGNhZmVAZXhhbXBsZS5jb20+?="},
	} {
		got, err := headerOf(t, c.name, c.value, c.row)
		if err != nil || got != c.want {
			t.Errorf("%s: %s with %q:\ngot  %s (%v)\nwant %s", c.name, c.value, c.row, got, err, c.want)
		}
	}
}

// What is wrong for all recipients is found before there is a row.
func TestStructuredFindings(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"Sender", "", "headers.Sender: is empty (this field cannot be: leave it out, or give it a value for every recipient)"},
		{"Sender", "Ada", `headers.Sender: invalid address "Ada": it has no @`},
		{"Sender", "Ada Lovelace", `"Ada Lovelace" is not one address, or one name and address (put a name with commas`},
		{"Sender", "Ada ada@example.com", `is not one address, or one name and address`},
		{"Sender", "Ada <ada>", `invalid address "ada": it has no @`},
		{"Sender", "Ada <ada@example.com", "has a < without its >"},
		{"Sender", "Ada ada@example.com>", "has a > without its <"},
		{"Sender", `"Ada <ada@example.com>`, "has a quotation mark without its second one"},
		{"Sender", "Ada <ada@example.com> x", "has something behind its >"},
		{"Sender", "Example, Inc. <ada@example.com>", `invalid address "Example": it has no @`},
		{"Sender", "Example: Ada <ada@example.com>", `has a ':' in a name (put a name with commas or other marks into double quotes`},
		{"Sender", "a@example.com, b@example.com", "takes one address"},
		{"Sender", "a@example.com <b@example.com>", `has a '@' in a name`},
		{"Sender", "{{ .first_name }} ada@example.com", `"… ada@example.com" is not one address`},
		{"Errors-To", "Ada <ada@example.com> Bob <bob@example.com>", "has something behind its >"},
		{"Errors-To", ",", "has nothing but commas"},
		{"List-Unsubscribe", "https://example.com", `"https://example.com" is not in angle brackets (write <https://example.com>)`},
		{"List-Unsubscribe", "https://example.com/{{ .city }}", `is not in angle brackets (write <https://example.com/…>)`},
		{"List-Unsubscribe", "<example.com/u>", `"example.com/u" is not a URL (as in <https://`},
		{"List-Unsubscribe", "<https:example.com>", `"https:example.com" has no // before its host`},
		{"List-Unsubscribe", "<javascript:alert(1)>", `"javascript:" does not begin an address that this field can have`},
		{"List-Unsubscribe", "<data:{{ .city }}>", `"data:" does not begin an address`},
		{"List-Unsubscribe", "<https:/{{ .city }}>", `has no // before its host`},
		{"List-Unsubscribe", "<https://>", `"" is not the host of a URL`},
		{"List-Unsubscribe", "<https://exa mple.com>", `is not the host of a URL`},
		{"List-Unsubscribe", "<https://example.com:port>", `is not the host of a URL`},
		{"List-Unsubscribe", "<https://[example]/>", `is not the host of a URL`},
		{"List-Unsubscribe", "<>", "has an empty URL"},
		{"List-Unsubscribe", "<mailto:unsubscribe>", `invalid address "unsubscribe": it has no @`},
		{"List-Unsubscribe", "<mailto:a@example.com> <https://example.com>", "has two pairs of < and > side by side (a comma stands between two)"},
		{"List-Unsubscribe", "x <https://example.com>", `"x" stands before a <`},
		{"List-Unsubscribe", "<https://example.com/" + strings.Repeat("x", 1000) + ">", "has a part that is too long: a line has at most 998 octets"},
		{"List-Help", "<https://example.com> (x", "has a ( without its )"},
		{"List-Help", "(x)", "has a comment without anything before it"},
		{"List-Post", "never", "is not in angle brackets"},
		{"List-Unsubscribe-Post", "One-Click", "is not List-Unsubscribe=One-Click"},
		{"Archived-At", "<https://a.example>, <https://b.example>", "takes one URL"},
		{"List-Id", "news.example.com", `"news.example.com" is not in angle brackets (write <news.example.com>)`},
		{"List-Id", "News <news>", `"news" is not the identifier of a list (it looks like a domain`},
		{"List-Id", "News <a b.example>", `is not the identifier of a list`},
		{"List-Id", "News, weekly <news.example.com>", `has a ',' in a name`},
		{"References", "a@example.com", `"a@example.com" is not in angle brackets (write <a@example.com>)`},
		{"References", "<ä@example.com>", `is not the identifier of a message (only visible ASCII`},
		{"References", "<a>", `is not the identifier of a message (as in <id@example.com>)`},
		{"References", "<a@b>, <c@d>", "has something behind its >"},
		{"Feedback-ID", "frühling:example", `"frühling:example" is not ASCII, which programs`},
		{"Precedence", strings.Repeat("x", 1000), "has a part that is too long"},
	} {
		_, err := headerOf(t, c.name, c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "campaign.yaml:1:1: headers."+c.name+": ") {
			t.Errorf("%s: %s:\ngot  %v\nwant %s", c.name, c.value, err, c.want)
		}
	}
}

// What only a row makes wrong fails that row, with the header field, the reason and the field of the row.
func TestStructuredRowErrors(t *testing.T) {
	for _, c := range []struct{ name, value, row, want string }{
		{"Sender", "Ada <{{ .first_name }}>", "ada", `header Sender: invalid address "ada": it has no @ (it comes from .first_name)`},
		{"Sender", "Ada <{{ .first_name }}>", "a@example.com> <b@example.com", `header Sender: invalid address`},
		{"Sender", "{{ .first_name }}", "", `header Sender: is empty (this field cannot be: leave it out, or give it a value for every recipient) (it comes from .first_name)`},
		{"Sender", "{{ .first_name }}", "a@example.com, b@example.com", `header Sender: takes one address`},
		{"Errors-To", "x@example.com, {{ .first_name }}", "a@example.com, b@example.com", `header Errors-To: "a@example.com, b@example.com" is more than one (it comes from .first_name)`},
		{"Errors-To", "{{ .city }}x@example.com, {{ .first_name }}@example.com", "a b", `: there is white space inside it (it comes from .first_name)`},
		{"Errors-To", "{{ if .first_name }}{{ .first_name }}{{ end }}", "", `header Errors-To: is empty`},
		{"List-Unsubscribe", "<{{ .first_name }}>", "", `header List-Unsubscribe: has an empty URL (it comes from .first_name)`},
		{"List-Unsubscribe", "<{{ .first_name }}>", "JavaScript:alert(1)", `header List-Unsubscribe: "javascript:" does not begin an address`},
		{"List-Unsubscribe", "<{{ .first_name }}>", "example.com/u", `"example.com/u" is not a URL`},
		{"List-Unsubscribe", "<{{ .first_name }}>", "<https://example.com>", `"%3Chttps://example.com%3E" is not a URL`},
		{"List-Unsubscribe", "<https://{{ .first_name }}/>", "a b", `is not the host of a URL (it comes from .first_name)`},
		{"List-Unsubscribe", "<mailto:u+{{ .first_name }}@example.com>", "a@b", `: it has more than one @ (it comes from .first_name)`},
		{"List-Unsubscribe", "<mailto:u+{{ .first_name }}@example.com>", "a b", `there is white space inside it`},
		{"List-Unsubscribe", "<https://example.com/{{ .first_name }}>", strings.Repeat("ü", 200), `header List-Unsubscribe: has a part that is too long: a line has at most 998 octets (it comes from .first_name)`},
		{"List-Id", "<{{ .first_name }}.example.com>", "a b", `is not the identifier of a list`},
		{"In-Reply-To", "<{{ .first_name }}>", "ü", `is not the identifier of a message`},
		{"Feedback-ID", "{{ .first_name }}:example", "ü", `header Feedback-ID: "ü:example" is not ASCII, which programs that read this field expect (it comes from .first_name)`},
		{"List-Unsubscribe-Post", "{{ .first_name }}", "x", "is not List-Unsubscribe=One-Click"},
		{"Sender", "{{ range 99 }}{{ $.first_name }}{{ end }} <a@example.com>", strings.Repeat("x", 1000), "header Sender: campaign.yaml:1:1: headers.Sender: it is longer than 16384 octets"},
	} {
		got, err := headerOf(t, c.name, c.value, c.row)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.HasPrefix(err.Error(), "campaign.yaml") {
			t.Errorf("%s: %s with %.40q:\ngot  %s, %v\nwant %s", c.name, c.value, c.row, got, err, c.want)
		}
	}
}

// An address outside ASCII in a header field needs SMTPUTF8 as one in the envelope does (RFC 6531 section 3.1).
func TestHeaderNeedsUTF8(t *testing.T) {
	for _, c := range []struct {
		value, row string
		want       bool
	}{{"a@example.com", "", false}, {"jörg@example.com", "", true}, {"{{ .first_name }}@example.com", "jörg", true}, {"{{ .first_name }} <a@example.com>", "Jörg", false}} {
		src := testSource(map[string]string{"newsletter.txt": "x"})
		src.File.Headers = []campaign.Header{{Name: "Sender", Value: c.value}}
		m, err := Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		composer := m.Composer()
		for range 2 {
			if got, err := composer.Compose(testRow(c.row)); err != nil || got.UTF8 != c.want {
				t.Errorf("%s with %q: UTF8 is %v (%v), want %v", c.value, c.row, got.UTF8, err, c.want)
			}
			if got, err := composer.Compose(testRow("x")); err != nil || strings.Contains(c.value, "{{") && got.UTF8 {
				t.Errorf("the next message needs SMTPUTF8 as well (%v)", err)
			}
		}
	}
}

// Whatever a row holds: a structured field stays one field with as many items as the template has, and each value is found
// again where the template has put it; or the row is refused.
func FuzzStructured(f *testing.F) {
	src := testSource(map[string]string{"newsletter.txt": "x"})
	for _, h := range [][2]string{
		{"Sender", `{{ .first_name }} <{{ .city }}@example.com>`},
		{"Errors-To", `"{{ .first_name }}, Example" <a@example.com>, {{ if .city }}b@example.com{{ end }}`},
		{"List-Unsubscribe", `<https://example.com/{{ .city }}?n={{ .first_name }}>, <mailto:u@example.com?subject={{ .first_name }}>`},
		{"List-Id", `{{ .first_name }} <news.example.com>`},
		{"List-Help", `<https://example.com/> ({{ .first_name }})`},
		{"In-Reply-To", `<{{ .city }}@example.com>`},
	} {
		src.File.Headers = append(src.File.Headers, campaign.Header{Name: h[0], Value: h[1]})
	}
	m, err := Compile(src)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][2]string{
		{"Ada", "rome"}, {"Zoë Müller", "x"}, {"", "x"}, {`a", <b@example.com>, "`, "x"}, {"a\r\nBcc: b", "x"}, {"=?utf-8?q?x?=", "x"},
		{strings.Repeat("long name ", 50), "x"}, {strings.Repeat("ü", 500), "x"}, {"\xff\x00", "x"}, {">,<", "a/b"}, {"(a)\\", "x"}, {"x", "a b"}, {"x", "ü"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, city string) {
		if len(name)+len(city) > 2<<10 {
			return
		}
		content, err := m.Composer().Compose(testRow(name, city))
		name, city = string(appendClean(nil, name)), string(appendClean(nil, city))
		_, local := address.Parse(text.Unbroken(city) + "@example.com")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "header ") || len(name) < 200 && local == nil && !strings.ContainsFunc(city, func(r rune) bool { return r <= ' ' || r > '~' }) && len(city) < 200 {
				t.Fatalf("%q, %q: %v", name, city, err)
			}
			return
		}
		message := joined(content)
		if !content.UTF8 {
			checkLines(t, message)
		}
		if got := countFields(message); got != 14 {
			t.Fatalf("%d header fields:\n%s", got, message)
		}
		header := readMessage(t, message).Header
		for field, want := range map[string][]mail.Address{
			"Sender":    {{Name: name, Address: city + "@example.com"}},
			"Errors-To": {{Name: name + ", Example", Address: "a@example.com"}, {Address: "b@example.com"}},
		} {
			got, err := header.AddressList(field)
			if field == "Errors-To" && city == "" {
				want = want[:1]
			}
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s has %d mailboxes (%v), want %d:\n%s", field, len(got), err, len(want), message)
			}
			for i := range want {
				if !sameWords(got[i].Name, text.OneLine(want[i].Name)) || field == "Errors-To" && got[i].Address != want[i].Address {
					t.Errorf("%s is %v, want %v", field, got[i], want[i])
				}
			}
		}
		query := strings.ReplaceAll(url.QueryEscape(text.Unbroken(name)), "+", "%20")
		unsubscribe := strings.Fields(header.Get("List-Unsubscribe"))
		if len(unsubscribe) != 2 || !strings.HasPrefix(unsubscribe[0], "<https://example.com/") ||
			!strings.HasSuffix(unsubscribe[0], "?n="+query+">,") ||
			unsubscribe[1] != "<mailto:u@example.com?subject="+query+">" {
			t.Errorf("List-Unsubscribe is %q", unsubscribe)
		}
		id, err := (&mime.WordDecoder{}).DecodeHeader(header.Get("List-Id"))
		if err != nil || !strings.HasSuffix(id, "<news.example.com>") {
			t.Errorf("List-Id is %q (%v)", id, err)
		}
		if bytes.Contains(message, []byte("ZgotmplZ")) && !strings.Contains(name+city, "ZgotmplZ") {
			t.Error("a value was replaced")
		}
	})
}
