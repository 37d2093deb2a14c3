package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailblast/sender/sink"
)

// Addresses that would put something into the envelope that does not belong there are no addresses.
func TestHostileAddresses(t *testing.T) {
	t.Parallel()
	port, w := startSink(t, sink.Options{})
	wire := newTap(t, port)
	s := newSite(t, wire.port)
	refused := []string{
		`"v@x> ORCPT=a@b"@c.example`, `"a\" b"@c.example`, `a@b>RCPT`, `a@b.example> NOTIFY=NEVER`, `<a@b.example>`, `a@b.example SIZE=1`, "a@b.example\r\nDATA", "a@b.example\nDATA",
		"\"a\rb\"@c.example", "\"a\\\r\nb\"@c.example", `"<a"@b.example`, `"a>"@b.example`, `"a`, `"a"b@c.example`, `@relay.example:a@b.example`, `a@b.example,c@d.example`, `a@b@c.example`, `a@[127.0.0.1`,
		"a\u2028b@c.example", "a@b\u2028.example", "a\u0085b@c.example", "a\u202eb@c.example", "a\u200bb@c.example", "\u0301a@c.example", "a@b.example\u037e c@d.example", "a＠b.example", "a\u00a0b@c.example",
		`a@b.example"`, `a@b_c.example`, `a@.example`, strings.Repeat("a", 65) + "@b.example", `|sh@b.example x`, "a\tb@c.example", `a(x)@b.example`,
	}
	// These are odd, and addresses: quotes that are not needed go, full-width dots are dots, other alphabets stay
	// apart.
	taken := map[string]string{`"a"@b.example`: "a@b.example", `"a..b"@c.example`: `"a..b"@c.example`, `"x@y"@c.example`: `"x@y"@c.example`, "w@b．example": "w@b.example", "z@ex\u00e4mple.example": "z@xn--exmple-cua.example"}
	list := bytes.NewBufferString("email,first name,city\n")
	for i, a := range append(slices.Clone(refused), "\"v@x> ORCPT=a@b\"@c") {
		fmt.Fprintf(list, "\"%s\",%d,x\n", strings.ReplaceAll(a, `"`, `""`), i)
	}
	for a := range taken {
		fmt.Fprintf(list, "\"%s\",a,x\n", strings.ReplaceAll(a, `"`, `""`))
	}
	s.write(map[string]string{"odd.csv": list.String()})
	if code, out := s.output("send", "campaign.yaml", "--recipients", "odd.csv"); code != 2 || !bytes.Contains(out, fmt.Appendf(nil, "rows that cannot be mailed: %d", len(refused)+1)) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if said := wire.lines(t); len(said) > 0 {
		t.Errorf("a server was spoken to: %q", said)
	}
	s.run("send", "campaign.yaml", "--recipients", "odd.csv", "--skip-invalid")
	want := map[string]int{}
	for _, a := range taken {
		want[a] = 1
	}
	var rcpts []string
	for _, line := range wire.lines(t) {
		if rest, ok := strings.CutPrefix(line, "RCPT TO:"); ok {
			rcpts = append(rcpts, rest)
			if inner := strings.TrimSuffix(strings.TrimPrefix(rest, "<"), ">"); "<"+inner+">" != rest || want[inner] != 1 {
				t.Errorf("the envelope has %q", line)
			}
		}
	}
	if len(rcpts) != len(want) || w.count() != len(want) {
		t.Errorf("the envelopes have %q, taken %v, want %v", rcpts, w.record(), want)
	}
}
