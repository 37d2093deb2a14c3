package sink

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// Whatever is sent, stuffed, comes out again, and not an octet behind the final dot is touched.
func FuzzContent(f *testing.F) {
	for _, seed := range []string{"", "a\r\n", ".\r\n", "..\r\n\r\n.", "a\n.\nb\r.\r", "\r\n.\r\n", strings.Repeat("x", 40) + "\r\n."} {
		f.Add(seed, 16)
	}
	f.Fuzz(func(t *testing.T, content string, buffer int) {
		if !strings.HasSuffix(content, "\r\n") && content != "" {
			content += "\r\n"
		}
		const rest = "MAIL FROM:<a@x>\r\n"
		c := &conn{in: bufio.NewReaderSize(strings.NewReader(stuff(content)+".\r\n"+rest), 16+max(buffer, 0)%64)}
		got, err := c.readContent([]byte{})
		if err != nil || string(got) != content {
			t.Fatalf("got %q, %v, want %q", got, err, content)
		}
		if left, _ := io.ReadAll(c.in); string(left) != rest {
			t.Fatalf("left %q, want %q", left, rest)
		}
	})
}

func TestContentWithoutEnd(t *testing.T) {
	for _, content := range []string{"", "a", "a\r\n", "a\r\n.", "a\r\n.\r", "a\n.\n", "a\r.\r\n", "a\n.\r\n"} {
		c := &conn{in: bufio.NewReader(strings.NewReader(content))}
		if got, err := c.readContent([]byte{}); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: got %q, %v, want %v", content, got, err, io.ErrUnexpectedEOF)
		}
	}
}

func TestContentTooLarge(t *testing.T) {
	line := strings.Repeat("x", 1<<20-2) + "\r\n"
	c := &conn{in: bufio.NewReader(io.MultiReader(strings.NewReader(strings.Repeat(line, 65)), strings.NewReader(".\r\nQUIT\r\n")))}
	if _, err := c.readContent(nil); err != smtp.ErrDataTooLarge {
		t.Errorf("got %v, want %v", err, smtp.ErrDataTooLarge)
	}
	if left, _ := io.ReadAll(c.in); string(left) != "QUIT\r\n" {
		t.Errorf("left %q", left)
	}
}

func TestChunkSize(t *testing.T) {
	for line, want := range map[string]int64{
		"BDAT 5\r\n": 5, "bdat 5 last\r\n": 5, "BDAT  7  LAST \r\n": 7, "BDAT 0 LAST\r\n": 0, "BDAT 4294967295\r\n": 1<<32 - 1,
		"BDAT\r\n": 0, "BDAT \r\n": 0, "BDAT x\r\n": 0, "BDAT -1\r\n": 0, "BDAT 5 x\r\n": 0, "BDAT 5 LAST x\r\n": 0, "BDAT 4294967296\r\n": 0, "BDAT5\r\n": 0,
		"MAIL 5\r\n": 0, "\r\n": 0, "": 0,
	} {
		if got := chunkSize([]byte(line)); got != want {
			t.Errorf("%q: got %d, want %d", line, got, want)
		}
	}
}

func TestParseIsBounded(t *testing.T) {
	var deep strings.Builder
	for i := range 2 * maxDepth {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	wide := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: image/png\r\n\r\nx\r\n", 2*maxParts) + "--b--\r\n"
	for name, data := range map[string]string{"deep": deep.String(), "wide": wide} {
		if v := parse([]byte(data)); v.Problem != errBounds.Error() || len(v.Parts) > maxParts {
			t.Errorf("%s: problem %q, %d parts", name, v.Problem, len(v.Parts))
		}
	}
	if v := parse([]byte("\r\n" + strings.Repeat("x", 2*maxBody))); len(v.Text) != maxBody {
		t.Errorf("text of %d octets, want %d", len(v.Text), maxBody)
	}
}

func TestInlineHTMLIsBounded(t *testing.T) {
	v := view{
		HTML:  strings.Repeat(`<img src="cid:x">`, 100),
		Parts: []part{{Type: "image/png", ContentID: "x", Size: 1 << 20, data: make([]byte, 1<<20)}},
	}
	if got := len(v.inlineHTML()); got > 5*maxInline {
		t.Errorf("page of %d octets", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{newsletter, "", "no header", "Content-Type: multipart/mixed\r\n\r\nx", "Content-Type: text/html; charset=x\r\n\r\n<b>", ": \r\n :\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := parse(data)
		v.inlineHTML()
		for field := range headerFields(data) {
			if strings.Contains(field, "\n") {
				t.Fatalf("field %q is not unfolded", field)
			}
		}
	})
}
