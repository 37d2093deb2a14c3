package header

import (
	"bytes"
	"strings"
	"testing"

	"mailblast/campaign/text"
)

// field writes a structured field without holes.
func field(name, value string) ([]byte, error) {
	form, err := Read(name, text.OneLine(value))
	if err != nil {
		return nil, err
	}
	return form.Append(nil, nil, nil)
}

// Whatever a campaign file says: a static value gives one field that reads again as the same, or a finding.
func FuzzForm(f *testing.F) {
	for _, seed := range [][2]string{
		{"Sender", "Café <cafe@example.com>"}, {"Errors-To", `"a, b" <c@d>, e@f`}, {"List-Id", "<a.b>"}, {"References", "<a@b> <c@d>"},
		{"List-Post", "NO (x (y) \\) ü)"}, {"List-Help", "<https://ü/ö>,<mailto:a@b?c=d>"}, {"Feedback-ID", "a:b"}, {"Sender", "=?utf-8?q?=FF?= <a@b>"}, {"Sender", "\"\\\xff\" <a@b>"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if !Structured(name) || len(value) > 8<<10 {
			return
		}
		got, err := field(name, value)
		if err != nil {
			return
		}
		if bytes.Count(got, []byte("\r\n")) != bytes.Count(got, []byte("\r\n "))+1 || !bytes.HasSuffix(got, []byte(crlf)) {
			t.Fatalf("%q is not one field", got)
		}
		for line := range bytes.SplitSeq(got, []byte(crlf)) {
			if len(line) > maxLine || bytes.ContainsAny(line, "\x00\r\n\t\x7f") {
				t.Fatalf("a line of %q is too long or has control characters", got)
			}
		}
		_, unfolded, _ := strings.Cut(strings.ReplaceAll(string(got), "\r\n", ""), ":")
		again, err := field(name, unfolded)
		if err != nil || strings.Join(strings.Fields(string(again)), " ") != strings.Join(strings.Fields(string(got)), " ") {
			t.Errorf("%q is %q, which is %q (%v)", value, got, again, err)
		}
	})
}
