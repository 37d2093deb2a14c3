package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed disk/preload.c
var preloadSource []byte

// buildPreload compiles the library that writes the log, by the compiler that cgo uses.
func buildPreload(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "preload.so")
	cc, err := exec.CommandContext(ctx, "go", "env", "CC").Output()
	if err != nil {
		return "", fmt.Errorf("go env CC: %w", err)
	}
	args := append(strings.Fields(string(cc)), "-shared", "-fPIC", "-O1", "-x", "c", "-o", path, "-", "-ldl", "-lpthread")
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Stdin = bytes.NewReader(preloadSource)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile disk/preload.c: %w\n%s", err, out)
	}
	return path, nil
}

// An operation is one record of the log that disk/preload.c writes.
type operation struct {
	at     int64 // CLOCK_MONOTONIC, nanoseconds; of a sync: when it had returned
	op     byte  // w, t, s, u
	path   string
	offset int64
	data   []byte
}

// readLog reads the whole records of a log, and cuts off a last one that the death of its process has left unfinished:
// its change was not made.
func readLog(path string) ([]operation, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	const head = 32
	var all []operation
	rest := b
	for len(rest) >= head {
		name, data := uint64(binary.NativeEndian.Uint32(rest[20:])), binary.NativeEndian.Uint64(rest[24:])
		if uint64(len(rest)) < head+name+data {
			break
		}
		all = append(all, operation{
			at: int64(binary.NativeEndian.Uint64(rest)), offset: int64(binary.NativeEndian.Uint64(rest[8:])),
			op: byte(binary.NativeEndian.Uint32(rest[16:])), path: string(rest[head : head+name]), data: rest[head+name : head+name+data],
		})
		rest = rest[head+name+data:]
	}
	if len(rest) > 0 {
		err = os.Truncate(path, int64(len(b)-len(rest)))
	}
	return all, err
}

// A disk is what a power cut would find of one folder. The model is what POSIX promises and not more: a change of a
// file survives from the next sync of the file, a name that came or went from the next sync of the folder. (Ext4 and
// XFS also keep the name of a new file that was synced.)
type disk struct {
	dir   string
	names map[string]*file // now
	kept  map[string]*file // as of the folder's last sync
}

// A file is its synced content, and the changes since.
type file struct {
	synced  []byte
	pending []operation
}

// openDisk takes a folder as it is for what has survived. The queue's own file, which no libc call makes, is there from
// the start; its name survives when the folder is synced.
func openDisk(dir string) (*disk, error) {
	d := &disk{dir: dir, names: map[string]*file{filepath.Join(dir, queueName): {}}, kept: map[string]*file{}}
	for _, suffix := range suffixes {
		path := filepath.Join(dir, queueName+suffix)
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f := &file{synced: content}
		d.names[path], d.kept[path] = f, f
	}
	return d, nil
}

const queueName = "queue.db"

var suffixes = []string{"", "-wal", "-journal"}

func (d *disk) play(o operation) {
	switch {
	case strings.HasSuffix(o.path, " (deleted)"): // nobody will find it
		return
	case o.op == 's' && o.path == d.dir:
		d.kept = make(map[string]*file, len(d.names))
		for path, f := range d.names {
			d.kept[path] = f
		}
		return
	case o.op == 'u':
		delete(d.names, o.path)
		return
	}
	f := d.names[o.path]
	if f == nil {
		f = &file{}
		d.names[o.path] = f
	}
	if o.op != 's' {
		f.pending = append(f.pending, o)
		return
	}
	for _, p := range f.pending {
		f.synced = apply(f.synced, p)
	}
	f.pending = nil
}

func apply(b []byte, o operation) []byte {
	if o.op == 't' {
		if o.offset <= int64(len(b)) {
			return b[:o.offset]
		}
		return append(b, make([]byte, o.offset-int64(len(b)))...)
	}
	if end := o.offset + int64(len(o.data)); end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[o.offset:], o.data)
	return b
}

// sector is what a disk writes as a whole.
const sector = 512

// image is what a power cut leaves now, by path. Without torn, all that was not synced is lost. With torn, chance
// decides: for each change of a name, for each truncation, and for each sector of each write.
func (d *disk) image(torn *rand.Rand) map[string][]byte {
	kept := make(map[string]*file, len(d.kept))
	for path, f := range d.kept {
		kept[path] = f
	}
	if torn != nil {
		for _, suffix := range suffixes {
			path := filepath.Join(d.dir, queueName+suffix)
			if now := d.names[path]; now != kept[path] && torn.IntN(2) == 0 {
				if kept[path] = now; now == nil {
					delete(kept, path)
				}
			}
		}
	}
	image := make(map[string][]byte, len(kept))
	for path, f := range kept {
		content := bytes.Clone(f.synced)
		if torn != nil {
			for _, o := range f.pending {
				content = tear(content, o, torn)
			}
		}
		image[path] = content
	}
	return image
}

func tear(b []byte, o operation, torn *rand.Rand) []byte {
	if o.op == 't' {
		if torn.IntN(2) == 0 {
			b = apply(b, o)
		}
		return b
	}
	for len(o.data) > 0 {
		n := min(int64(len(o.data)), sector-o.offset%sector)
		if torn.IntN(2) == 0 {
			b = apply(b, operation{op: 'w', offset: o.offset, data: o.data[:n]})
		}
		o.offset, o.data = o.offset+n, o.data[n:]
	}
	return b
}

// writeImage puts the queue of an image into a folder, in the place of what is there.
func writeImage(dir string, image map[string][]byte) error {
	for _, suffix := range append([]string{"-shm"}, suffixes...) {
		if err := os.Remove(filepath.Join(dir, queueName+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for path, content := range image {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
