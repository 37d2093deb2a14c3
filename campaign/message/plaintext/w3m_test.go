package plaintext

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// w3m, which shows pages as text, is the judge of which words a page has, and in which order. None of the pages has what w3m
// shows and a person would not write (hidden text, the names of pictures' files, columns line by line, H[2]O): TestTokens
// has that.
func TestAgainstW3m(t *testing.T) {
	if _, err := exec.LookPath("w3m"); err != nil {
		if os.Getenv("MAILBLAST_TEST_READERS") == "required" {
			t.Fatal(err)
		}
		t.Skip("w3m is not installed")
	}
	pages, err := filepath.Glob("testdata/*.html")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	var recall, precision float64
	for _, name := range pages {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := Tokens(string(page))
		if err != nil {
			t.Fatal(err)
		}
		shown, err := exec.Command("w3m", "-dump", "-T", "text/html", "-I", "UTF-8", "-O", "UTF-8", "-cols", "1000", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := words(withoutAddresses(tokens)), words(string(shown))
		same := float64(commonWords(ours, theirs))
		r, p := same/float64(len(theirs)), same/float64(len(ours))
		t.Logf("%s: recall %.3f, precision %.3f, %d words", filepath.Base(name), r, p, len(theirs))
		recall, precision = recall+r, precision+p
	}
	recall, precision = recall/float64(len(pages)), precision/float64(len(pages))
	if recall < 0.95 || precision < 0.99 {
		t.Errorf("recall %.3f, precision %.3f, want at least 0.95 and 0.99", recall, precision)
	}
}

// withoutAddresses is the text without the addresses of links, which w3m leaves out.
func withoutAddresses(tokens []Token) string {
	var shown strings.Builder
	for _, t := range tokens {
		if t.Kind == Text || t.Kind == Pre {
			shown.WriteString(t.Text)
		}
	}
	return shown.String()
}

// words are the words of a text, without signs.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
}

// commonWords is the length of the longest common subsequence.
func commonWords(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, word := range a {
		diagonal := 0
		for j := range b {
			above := row[j+1]
			if word == b[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
