package address

import (
	"strings"
	"testing"

	"mailblast/campaign/text"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a", 64)
	domain := strings.Repeat(strings.Repeat("d", 62)+".", 3) // 189 octets
	tests := []struct {
		in, want string
		utf8     bool
	}{
		{in: "ada@example.com", want: "ada@example.com"},
		{in: "Ada.Lovelace+news@Example.COM", want: "Ada.Lovelace+news@example.com"},
		{in: "!#$%&'*+-/=?^_`{|}~@example.com", want: "!#$%&'*+-/=?^_`{|}~@example.com"},
		{in: "user@localhost", want: "user@localhost"},
		{in: "user@1and1.com", want: "user@1and1.com"},
		{in: "user@3.141.example", want: "user@3.141.example"},
		{in: "user@r3---sn.example.com", want: "user@r3---sn.example.com"},

		// White space around it, seen and unseen.
		{in: "  ada@example.com\t\r\n", want: "ada@example.com"},
		{in: "\u00a0ada@example.com\u00a0", want: "ada@example.com"},
		{in: "\ufeffada@example.com\u200b", want: "ada@example.com"},
		{in: "\u202a\u200eada@example.com\u202c\u00ad", want: "ada@example.com"},

		// Quotes go where they are not needed and stay where they are.
		{in: `"ada"@example.com`, want: `ada@example.com`},
		{in: `"\a\d\a"@example.com`, want: `ada@example.com`},
		{in: `"a..b"@example.com`, want: `"a..b"@example.com`},
		{in: `".a"@example.com`, want: `".a"@example.com`},
		{in: `"a@b"@example.com`, want: `"a@b"@example.com`},
		{in: `"a\@b"@example.com`, want: `"a@b"@example.com`},
		{in: `"a\"b\\c"@example.com`, want: `"a\"b\\c"@example.com`},
		{in: `"(a,b):;[]"@example.com`, want: `"(a,b):;[]"@example.com`},

		// Other scripts.
		{in: "info@bücher.example", want: "info@xn--bcher-kva.example"},
		{in: "info@BÜCHER.example", want: "info@xn--bcher-kva.example"},
		{in: "info@bu\u0308cher.example", want: "info@xn--bcher-kva.example"},
		{in: "info@XN--bcher-kva.example", want: "info@xn--bcher-kva.example"},
		{in: "info@faß.example", want: "info@xn--fa-hia.example"},
		{in: "info@例え。テスト", want: "info@xn--r8jz45g.xn--zckzah"},
		{in: "info@ｅｘａｍｐｌｅ.com", want: "info@example.com"},
		{in: "jörg@example.com", want: "jörg@example.com", utf8: true},
		{in: "jo\u0308rg@example.com", want: "jörg@example.com", utf8: true},
		{in: "用户@例子.广告", want: "用户@xn--fsqu00a.xn--4rr70v", utf8: true},
		{in: `"jörg"@example.com`, want: "jörg@example.com", utf8: true},
		{in: `"a\\é"@example.com`, want: `"a\\é"@example.com`, utf8: true},
		{in: `"jörg..x"@example.com`, want: `"jörg..x"@example.com`, utf8: true},
		{in: "a\u212a@example.com", want: "aK@example.com"}, // the kelvin sign is a K

		// Address literals.
		{in: "ada@[192.0.2.1]", want: "ada@[192.0.2.1]"},
		{in: "ada@[IPv6:2001:DB8:0:0:0:0:0:1]", want: "ada@[IPv6:2001:db8::1]"},
		{in: "ada@[ipv6:::1]", want: "ada@[IPv6:::1]"},

		// The longest that fit.
		{in: long + "@example.com", want: long + "@example.com"},
		{in: long + "@" + domain, want: ""},
		{in: long + "@" + domain[:254-65], want: ""}, // ends in a dot
		{in: long[:60] + "@" + domain + "abcd", want: long[:60] + "@" + domain + "abcd"},
	}
	for _, tt := range tests {
		a, err := Parse(tt.in)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q: got %q, want an error", tt.in, a)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if a.String() != tt.want || a.UTF8 != tt.utf8 {
			t.Errorf("%q: got %q (utf8 %v), want %q (utf8 %v)", tt.in, a, a.UTF8, tt.want, tt.utf8)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "it is empty"},
		{" \u00a0", "it is empty"},
		{"ada", "it has no @"},
		{"@example.com", "nothing stands before the @"},
		{"ada@", "nothing stands after the @"},
		{"ada@b@example.com", "more than one @"},
		{"a@example.com,b@example.com", "more than one @"},
		{"a,b@example.com", "only one address"},
		{"ada@example.com;", "only one address"},
		{"ada lovelace@example.com", "white space inside"},
		{"ada@example .com", "white space inside"},
		{"ada@exämple .com", "white space inside"},
		{"Ada <ada@example.com>", "white space inside"},
		{"<ada@example.com>", "without a name or angle brackets"},
		{"ada@example.com>", "without a name or angle brackets"},
		{"mailto:ada@example.com", `':' does not belong there`},
		{"ada(comment)@example.com", `'(' does not belong there`},
		{"ada@example.com(comment)", `'(' does not belong there`},
		{"@relay.example:ada@example.com", "nothing stands before the @"},
		{"ada\r\n @example.com", `'\r' does not belong there`},
		{"ada@exam\r\nple.com", `'\r' does not belong there`},
		{"ada@ex\u00e4m\rple.com", `'\r' does not belong there`},
		{"ada\x00@example.com", `'\x00' does not belong there`},
		{"ada@example.com\x00", `'\x00' does not belong there`},
		{".ada@example.com", "a dot stands at the wrong place before"},
		{"ada.@example.com", "a dot stands at the wrong place before"},
		{"a..da@example.com", "a dot stands at the wrong place before"},
		{"ada@example..com", "a dot stands at the wrong place after"},
		{"ada@.example.com", "a dot stands at the wrong place after"},
		{"ada@example.com.", "a dot stands at the wrong place after"},
		{"ada@-example.com", "begins or ends with a hyphen"},
		{"ada@example-.com", "begins or ends with a hyphen"},
		{"ada@my_host.example.com", `'_' does not belong there`},
		{"ada@192.0.2.1", "an IP address stands in brackets"},
		{"ada@example.12", "an IP address stands in brackets"},
		{"ada@12", "an IP address stands in brackets"},
		{"ada@" + strings.Repeat("a", 64) + ".com", "longer than 63 octets"},
		{strings.Repeat("a", 65) + "@example.com", "longer than 64 octets"},
		{strings.Repeat("ä", 33) + "@example.com", "longer than 64 octets"},
		{"ada@" + strings.Repeat("a23456789.", 25) + "com", "longer than 254 octets"},
		{strings.Repeat("x", 1<<20), "longer than 254 octets"},
		{"ada@xn--a.example", "not a domain name"},
		{"ada@mail.XN--a.example", "not a domain name"},
		{"ada@xn--\u00e4.example", "not a domain name"},
		{"ada@ex\u202eample.com", "not a domain name"},
		{"ada@[192.0.2]", "in brackets there must be an IP address"},
		{"ada@[192.0.2.1", "the bracket after the @ is not closed"},
		{"ada@[2001:db8::1]", "in brackets there must be an IP address"},
		{"ada@[IPv6:192.0.2.1]", "in brackets there must be an IP address"},
		{"ada@[IPv6:fe80::1%eth0]", "in brackets there must be an IP address"},
		{"ada@[x400:abc]", "in brackets there must be an IP address"},
		{`"ada@example.com`, "is not closed"},
		{`"ada\"@example.com`, "is not closed"},
		{`"ada`, "is not closed"},
		{`"ada\`, "is not closed"},
		{`"ada"`, "there must be an @"},
		{`"ada" @example.com`, "there must be an @"},
		{`"ada".x@example.com`, "there must be an @"},
		{`x."ada"@example.com`, `'"' does not belong there`},
		{`""@example.com`, "nothing stands before the @"},
		{`"v@x> ORCPT=a@b"@c`, `'>' in it`},
		{`"v@x ORCPT=a@b"@c`, `' ' in it`},
		{`"a\ b"@c`, `' ' in it`},
		{`"a\<b"@c`, `'<' in it`},
		{"\"a\r\nDATA\"@c", `'\r' in it`},
		{"\"a\x7f\"@c", `'\x7f' in it`},
		{"\"a\x00\"@c", `'\x00' in it`},
		{"\"a\\e\u0301\"@example.com", `a backslash before 'é'`},
		{"a\u200db@example.com", `'\u200d' cannot stand`},
		{"a\u00a0b@example.com", `'\u00a0' cannot stand`},
		{"a\u0085b@example.com", `'\u0085' cannot stand`},
		{"a\u037eb@example.com", "only one address"}, // becomes a semicolon when normalised
		{"\u0338a@example.com", `cannot stand`},
		{"\xffada@example.com", "not valid UTF-8"},
	}
	for _, tt := range tests {
		a, err := Parse(tt.in)
		if err == nil {
			t.Errorf("%.80q: got %q, want an error with %q", tt.in, a, tt.want)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.80q: error %q does not say %q", tt.in, err, tt.want)
		}
		if len(err.Error()) > 300 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
			t.Errorf("%.80q: the error text is long or has control characters: %q", tt.in, err)
		}
	}
}

func TestAddressKey(t *testing.T) {
	same := [][2]string{
		{"Ada@Example.com", "ada@example.COM"},
		{`"ADA"@example.com`, "ada@example.com"},
		{`"a\..b"@example.com`, `"A..B"@example.com`},
		{"JÖRG@example.com", "jo\u0308rg@example.com"},
		{"ΟΔΟΣ@example.com", "οδος@example.com"},
		{"x@bücher.example", "X@xn--bcher-kva.example"},
	}
	for _, s := range same {
		if a, b := mustAddress(t, s[0]).Key(), mustAddress(t, s[1]).Key(); a != b {
			t.Errorf("%q and %q have the keys %q and %q, want the same", s[0], s[1], a, b)
		}
	}
	other := [][2]string{
		{"straße@example.com", "strasse@example.com"},
		{"ışık@example.com", "isik@example.com"},
		{"ada@example.com", "ada@example.org"},
		{"a.da@example.com", "ada@example.com"},
		{"x@faß.example", "x@fass.example"},
	}
	for _, s := range other {
		if a, b := mustAddress(t, s[0]).Key(), mustAddress(t, s[1]).Key(); a == b {
			t.Errorf("%q and %q have the same key %q: one of two people would get no mail", s[0], s[1], a)
		}
	}
	if got, want := mustAddress(t, `"Jörg..X"@example.com`).Key(), "jörg..x@example.com"; got != want {
		t.Errorf("key %q, want %q", got, want)
	}
}

func mustAddress(t *testing.T, s string) Address {
	t.Helper()
	a, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"ada@example.com", `"a\"b\\c"@example.com`, `"v@x> ORCPT=a@b"@c`, "info@bu\u0308cher.example", "jo\u0308rg@[IPv6:::1]",
		"a\u037eb@x", "\u0338a@x", "\"a\\e\u0301\"@x", "x@xn--fa-hia.de", "x@a。b", "\ufeff x@y ", "x@[192.0.2.1]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		wire := a.String()
		for i := range len(wire) {
			if c := wire[i]; c <= ' ' || c == 0x7f || c == '<' || c == '>' {
				t.Fatalf("%q gives %q with a %q in it", s, wire, c)
			}
		}
		if len(wire) > maxAddress || len(a.Local) > maxLocal {
			t.Fatalf("%q gives %q, which is too long", s, wire)
		}
		if !a.UTF8 && !text.IsASCII(wire) || !text.IsASCII(a.Domain) {
			t.Fatalf("%q gives %q, which is not ASCII", s, wire)
		}
		again, err := Parse(wire)
		if err != nil {
			t.Fatalf("%q gives %q, which does not parse: %v", s, wire, err)
		}
		if again != a || again.Key() != a.Key() {
			t.Fatalf("%q gives %+v, which parses to %+v", s, a, again)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		a, err := Parse("ada.lovelace+17@example.com")
		if err != nil || a.Key() == "" {
			b.Fatal(err)
		}
	}
}

// Whatever Mend returns is accepted, and it returns something only for addresses that are refused.
func TestMend(t *testing.T) {
	for in, want := range map[string]string{
		"a..b@docomo.ne.jp": `"a..b"@docomo.ne.jp`, " .a@x.org\u202c": `".a"@x.org`, "a.@x.org": `"a."@x.org`, "ä..b@x.org": `"ä..b"@x.org`,
		"a.b@x.org": "", "a@x.org": "", `"a..b"@x.org`: "", "a..b": "", "a..b@": "", "a..b@x..org": "", "a.. b@x.org": "", "a..b@c@x.org": "", "..@x.org": "", "a..<b@x.org": "",
	} {
		got := Mend(in)
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if _, err := Parse(got); got != "" && err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}
