package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mailblast/sender/sink"
)

// What was changed or removed after send does not matter to resume: everyone gets what the first one got.
func TestChangedBeforeResume(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(path string) error
	}{
		{"removed", os.Remove},
		{"changed", func(path string) error {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, bytes.ReplaceAll(content, []byte("s it was"), []byte("s it is now")), 0o600)
		}},
		{"made nonsense of", func(path string) error { return os.WriteFile(path, []byte("{{ nonsense: ["), 0o600) }},
		{"replaced by folders", func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var texts []string
			port, w := startSink(t, sink.Options{OnAccept: func(m sink.Message) {
				mu.Lock()
				defer mu.Unlock()
				texts = append(texts, string(m.Data))
			}})
			s := newSite(t, port)
			recipients := s.small(20, 10, plainSMTP)
			if code := s.run("send", "small.yaml", "--limit", "5"); code != 4 {
				t.Fatalf("exit code %d", code)
			}
			for _, name := range []string{"small.yaml", "body.txt", "list.csv"} {
				if err := test.change(filepath.Join(s.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			if code := s.run("resume"); code != 0 {
				t.Errorf("exit code %d", code)
			}
			s.judgeSettled(w, recipients)
			mu.Lock()
			defer mu.Unlock()
			for _, text := range texts {
				head, body, _ := strings.Cut(text, "\r\n\r\n")
				if !strings.Contains(head, "Subject: As it was") || !strings.Contains(body, "this is the text as it was") {
					t.Errorf("got\n%s", text)
				}
			}
		})
	}
}
