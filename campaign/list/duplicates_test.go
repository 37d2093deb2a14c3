package list

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func findDuplicates(t *testing.T, in io.Reader) (all []Duplicate, bad int) {
	t.Helper()
	rs, err := ReadRecipients(in, Options{})
	if err == nil {
		bad, err = FindDuplicates(t.Context(), rs, func(d Duplicate) error {
			all = append(all, d)
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return all, bad
}

func TestFindDuplicates(t *testing.T) {
	got, bad := findDuplicates(t, strings.NewReader("email,n\nada@x.org,1\nbob@x.org,2\nnobody,3\n ADA@X.org\u200b,4\n\n\"\"\"a\"\"@x.org\",5\na@x.org,6\nada@x.org,7\nnobody,8\nada@y.org,9\n"))
	want := []Duplicate{{5, 2, "ADA@x.org"}, {8, 7, "a@x.org"}, {9, 2, "ada@x.org"}}
	if bad != 2 || !slices.Equal(got, want) {
		t.Errorf("got %v and %d rows that cannot be mailed, want %v and 2", got, bad, want)
	}
	if got, _ := findDuplicates(t, strings.NewReader("email\n")); len(got) > 0 {
		t.Errorf("an empty list: %v", got)
	}
}

// More rows than are held in memory give what a map of all of them gives.
func TestFindDuplicatesOfMany(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var in strings.Builder
	in.WriteString("email\n")
	first := map[string]int{}
	var want []Duplicate
	for line := 2; line < 100_000; line++ {
		a := fmt.Sprintf("somebody-with-a-long-name-%d@example.com", random.IntN(50_000))
		if line%3 > 0 {
			a = fmt.Sprintf("u%d@example.com", line)
		}
		in.WriteString(a + "\n")
		if known, ok := first[a]; ok {
			want = append(want, Duplicate{line, known, a})
		} else {
			first[a] = line
		}
	}
	if got, _ := findDuplicates(t, strings.NewReader(in.String())); !slices.Equal(got, want) {
		t.Errorf("got %d duplicates, want %d", len(got), len(want))
	}
}

// Memory does not grow with the list: neither with its rows nor with its duplicates.
func TestFindDuplicatesMemory(t *testing.T) {
	for name, line := range map[string]string{"the same": "ada@example.com\n", "others": ""} {
		var rows io.Reader = &repeat{line: []byte(line), n: 8 << 20}
		if line == "" {
			rows = &counter{n: 500_000}
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		rs, err := ReadRecipients(io.MultiReader(strings.NewReader("email\n"), rows), Options{})
		if err == nil {
			_, err = FindDuplicates(t.Context(), rs, func(Duplicate) error { return nil })
		}
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 24<<20 {
			t.Errorf("%s: the heap grew by %d octets", name, grown)
		}
	}
}

// A counter is a list of n addresses.
type counter struct{ i, n int }

func (c *counter) Read(p []byte) (int, error) {
	out := p[:0]
	for ; c.i < c.n && len(out)+64 <= len(p); c.i++ {
		out = fmt.Appendf(out, "u%d@example.com\n", c.i)
	}
	if len(out) == 0 {
		return 0, io.EOF
	}
	return len(out), nil
}

func TestFindDuplicatesEnds(t *testing.T) {
	stopped := errors.New("stopped")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(stopped)
	rs, err := ReadRecipients(strings.NewReader("email\na@x.org\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FindDuplicates(ctx, rs, nil); !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
	if rs, err = ReadRecipients(strings.NewReader("email\na@x.org\na@x.org\na@x.org\n"), Options{}); err != nil {
		t.Fatal(err)
	}
	n := 0
	if _, err := FindDuplicates(t.Context(), rs, func(Duplicate) error { n++; return stopped }); !errors.Is(err, stopped) || n != 1 {
		t.Errorf("got %v after %d", err, n)
	}
	t.Setenv("TMPDIR", "/nonexistent")
	if rs, err = ReadRecipients(io.MultiReader(strings.NewReader("email\n"), &repeat{line: []byte("a@x.org\n"), n: 1 << 20}), Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := FindDuplicates(t.Context(), rs, nil); err == nil || !strings.Contains(err.Error(), "TMPDIR names another folder") {
		t.Errorf("without a place for the rows: %v", err)
	}
}
