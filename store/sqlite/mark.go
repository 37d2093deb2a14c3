package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// Where a write-ahead log breaks off, SQLite takes the rest for a transaction that was never committed and goes on
// without a word. That is right for what a power cut left. It is wrong for a log that was cut, overwritten or removed
// later, and for an old copy of the queue that was put back: recipients that were sent to would read `queued` again.
//
// So the queue counts its transactions, and the mark, a file beside its locks, says what the count had come to. A
// transaction is marked when it is committed, so that the queue is never behind its mark, whatever dies and whenever,
// unless something that was written down was lost since. The mark has two lines: how many transactions were on the
// disk, which holds for ever, and how many were written, which holds until the machine is started again, as a power cut
// takes what was not synced.
//
// The mark is not synced itself: that would cost as much as the begins. After a power cut it may be as old as the
// system lets a page wait to be written back, or gone, and then it proves that much less; but it is never ahead.
// Several processes write it: one that comes late sets it back by what the other has done meanwhile, and the next
// transaction sets it right.

// markName is the name of the mark in the folder of the locks; no lock has such a name.
const markName = "written"

func (s *Store) markPath() string { return filepath.Join(s.path+locksSuffix, markName) }

// countTransaction counts a transaction, inside of it. The caller holds s.mu.
func (s *Store) countTransaction(ctx context.Context) (n int64, err error) {
	if n, err = s.written(ctx); err != nil {
		return 0, err
	}
	n++
	return n, s.exec(ctx, "UPDATE tally SET n = ?1 WHERE campaign = 0 AND state = 'written'", n)
}

// written is the count of transactions. The caller holds s.mu.
func (s *Store) written(ctx context.Context) (int64, error) {
	return s.number(ctx, "SELECT n FROM tally WHERE campaign = 0 AND state = 'written'")
}

// mark writes down that transaction n is committed and, perhaps, on the disk. The caller holds s.mu.
func (s *Store) mark(n int64, synced bool) {
	if s.marks == nil {
		if os.MkdirAll(filepath.Dir(s.markPath()), 0o700) != nil {
			return // an older mark, or none, is true as well
		}
		f, err := os.OpenFile(s.markPath(), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return
		}
		s.marks = f
	}
	s.line = appendMark(s.line[:0], mark{n: n, queue: s.id})
	at := int64(len(s.line))
	if synced {
		at = 0
	} else {
		s.line = s.line[:0]
	}
	s.line = appendMark(s.line, mark{n: n, queue: s.id, boot: s.boot})
	_, _ = s.marks.WriteAt(s.line, at)
}

// A mark is one line of the file: the queue of that id had counted n transactions. The line without a boot is about what was
// synced, and always of the same length; the other one is about what was written since that start of the machine.
type mark struct {
	n     int64
	queue string
	boot  string
}

func appendMark(b []byte, m mark) []byte {
	from := len(b)
	b = fmt.Appendf(b, "%020d %s %s", m.n, m.queue, m.boot)
	return fmt.Appendf(b, " %08x\n", crc32.ChecksumIEEE(b[from:]))
}

// parseMarks reads the lines that are whole. What is torn, damaged, or no mark proves nothing.
func parseMarks(file []byte) (marks []mark) {
	for line := range bytes.Lines(file) {
		var m mark
		line = bytes.TrimLeft(line, "\x00") // where the line of what was synced will be
		fields := bytes.Split(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		if len(fields) != 4 {
			continue
		}
		m.queue, m.boot = string(fields[1]), string(fields[2])
		if _, err := fmt.Sscanf(string(fields[0]), "%d", &m.n); err == nil && bytes.Equal(line, appendMark(nil, m)) {
			marks = append(marks, m)
		}
	}
	return marks
}

// errBehind is a queue that has lost what was written down.
type errBehind struct {
	what string
	mark string // the file
}

func (e errBehind) Error() string {
	return fmt.Sprintf("it is older than it was: %s. Its write-ahead log was damaged or removed, or another copy of it was put back; mailblast would send again to recipients "+
		"that it has sent to, and has changed nothing. Put the queue back as it was, with its -wal, or restore it from a newer backup. "+
		"To go on nevertheless, and risk that, remove %s", e.what, e.mark)
}

// readMarks reads the mark. It is read before the queue is looked at: whoever writes meanwhile writes it after the queue.
func (s *Store) readMarks() ([]mark, error) {
	content, err := os.ReadFile(s.markPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) { // who may only look will send nothing
		return nil, err
	}
	return parseMarks(content), nil
}

// checkMarks refuses a queue that is behind its mark. It may even have lost its tables.
func (s *Store) checkMarks(ctx context.Context, marks []mark, tables bool) error {
	if len(marks) == 0 {
		return nil
	}
	var n int64
	if tables {
		var err error
		if n, err = s.written(ctx); err != nil {
			return err
		}
	}
	for _, m := range marks {
		switch {
		case m.boot != "" && !sameBoot(m.boot, s.boot):
		case !tables:
			return errBehind{"there is nothing in it", s.markPath()}
		case m.queue != s.id:
			return errBehind{"it is not the queue that was here", s.markPath()}
		case m.n > n:
			return errBehind{fmt.Sprintf("%d changes that were written down are not in it", m.n-n), s.markPath()}
		}
	}
	return nil
}
