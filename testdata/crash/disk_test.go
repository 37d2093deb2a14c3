package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a power cut leaves, operation by operation: w is the log, q the queue, d the folder.
func TestDisk(t *testing.T) {
	const none = "-"
	for _, test := range []struct {
		name, log, queue, wal string
	}{
		{"nothing was done", "", none, none},
		{"a file whose folder was never synced is gone", "q0=ab sq", none, none},
		{"the folder alone keeps an empty file", "q0=ab sd", "", none},
		{"synced", "q0=ab sq sd", "ab", none},
		{"written after the sync", "q0=ab sq sd q1=xy", "ab", none},
		{"a sync is of one file", "w0=ab q0=cd sq sd", "cd", ""},
		{"a write behind the end", "w2=ab sw sd", "", "\x00\x00ab"},
		{"cut short", "w0=abcd w@1 sw sd", "", "a"},
		{"cut short without a sync", "w0=abcd sw sd w@1", "", "abcd"},
		{"removed, the folder not synced", "w0=ab sw sd uw", "", "ab"},
		{"removed", "w0=ab sw sd uw sd", "", none},
		{"made anew: the old one, until the folder is synced", "w0=ab sw sd uw w0=cd sw", "", "ab"},
		{"made anew", "w0=ab sw sd uw w0=cd sw sd", "", "cd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			d, err := openDisk(dir)
			if err != nil {
				t.Fatal(err)
			}
			paths := map[byte]string{'q': filepath.Join(dir, "queue.db"), 'w': filepath.Join(dir, "queue.db-wal"), 'd': dir}
			for _, word := range strings.Fields(test.log) {
				o := operation{op: 'w', path: paths[word[0]]}
				switch {
				case word[0] == 's' || word[0] == 'u':
					o.op, o.path = word[0], paths[word[1]]
				case word[1] == '@':
					o.op, o.offset = 't', int64(word[2]-'0')
				default:
					o.offset, o.data = int64(word[1]-'0'), []byte(word[3:])
				}
				d.play(o)
			}
			if err := writeImage(dir, d.image(nil)); err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]string{paths['q']: test.queue, paths['w']: test.wal} {
				got, err := os.ReadFile(path)
				if err != nil {
					got = []byte(none)
				}
				if string(got) != want {
					t.Errorf("%s holds %q, want %q", filepath.Base(path), got, want)
				}
			}
		})
	}
}

// Torn, a sector is the old one or the new one, and what was synced stays.
func TestTorn(t *testing.T) {
	const sectors = 400
	path := filepath.Join(t.TempDir(), queueName)
	d, err := openDisk(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	d.play(operation{op: 'w', path: path, data: bytes.Repeat([]byte("a"), sectors*sector)})
	d.play(operation{op: 's', path: path})
	d.play(operation{op: 's', path: filepath.Dir(path)})
	d.play(operation{op: 'w', path: path, offset: 100, data: bytes.Repeat([]byte("b"), (sectors-1)*sector)})
	got := d.image(rand.New(rand.NewPCG(1, 2)))[path]
	if len(got) != sectors*sector || !bytes.Equal(got[:100], bytes.Repeat([]byte("a"), 100)) {
		t.Fatalf("%d octets, begin %q", len(got), got[:100])
	}
	written := 0
	for s := 1; s < sectors-1; s++ {
		content := got[s*sector : (s+1)*sector]
		if content[0] == 'b' {
			written++
		}
		if !bytes.Equal(content, bytes.Repeat(content[:1], sector)) {
			t.Errorf("sector %d is neither the old one nor the new one", s)
		}
	}
	if written < sectors/4 || written > sectors*3/4 {
		t.Errorf("%d of %d sectors were written", written, sectors)
	}
}
