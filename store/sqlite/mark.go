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
	"strings"
)

// A mark is the number of messages that a campaign has begun, in a file beside its lock. It is written when the queue itself,
// which has the same number in its tally, is on the disk. So the queue is never behind its marks, whatever dies and whenever,
// unless something that was safely written down was lost since: by a log that was cut, flipped in its last transaction or
// removed, which checkLog cannot tell from one that was torn, or by an old copy that was put back.
//
// The mark is not synced: that would cost as much as the begins. After a power cut it may be some seconds old, or gone, and then
// it proves that much less; but it is never ahead. Begins that were not synced themselves are not marked.

// marksSuffix makes the name of a campaign's lock that of its mark.
const marksSuffix = ".begun"

// mark writes down that the queue has l.begun on the disk. The caller holds store.mu.
func (l *Lease) mark() {
	if l.marks == nil {
		f, err := os.OpenFile(l.lock.Path()+marksSuffix, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return // an older mark, or none, is true as well
		}
		l.marks = f
	}
	_, _ = l.marks.WriteAt(encodeMark(l.begun), 0)
}

// encodeMark is always of the same length, so that one overwrites the other.
func encodeMark(n int64) []byte {
	b := fmt.Appendf(nil, "%020d", n)
	return fmt.Appendf(b, " %08x\n", crc32.ChecksumIEEE(b))
}

// decodeMark is 0, which proves nothing, for what is not a mark.
func decodeMark(b []byte) (n int64) {
	if _, err := fmt.Sscanf(string(b), "%d", &n); err != nil || !bytes.Equal(b, encodeMark(n)) {
		return 0
	}
	return n
}

// errBehind is a queue that has lost what was on the disk.
type errBehind struct {
	campaign string
	n        int64 // messages
	mark     string
}

func (e errBehind) Error() string {
	return fmt.Sprintf("it is older than it was: of %s, the beginning of %d messages that was written down is not in it. Its write-ahead log was damaged or removed, or an old copy was "+
		"put back; mailblast would send again to those recipients, and has changed nothing. Put the queue back as it was, with its -wal, or restore it from a newer backup. "+
		"To go on nevertheless, and send to them again, remove %s", e.campaign, e.n, e.mark)
}

// readMarks reads all marks, by their paths. To be called before the queue is looked at: whoever is sending meanwhile writes
// them after it.
func (s *Store) readMarks() (marks map[string]int64, err error) {
	dir := s.path + locksSuffix
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) { // who may only look will send nothing
		return nil, err
	}
	marks = map[string]int64{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), marksSuffix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		content, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		marks[path] = decodeMark(content)
	}
	return marks, nil
}

// checkMarks refuses a queue that is behind one of its marks. It may even have lost its tables.
func (s *Store) checkMarks(ctx context.Context, marks map[string]int64, tables bool) error {
	if len(marks) == 0 {
		return nil
	}
	if tables {
		rows, err := s.writer.QueryContext(ctx, "SELECT name, coalesce(n, 0) FROM campaign LEFT JOIN tally ON campaign = id AND state = ?1", begun)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var n int64
			if err := rows.Scan(&name, &n); err != nil {
				return err
			}
			path := s.lockOf(name).Path() + marksSuffix
			if marks[path] > n {
				return errBehind{fmt.Sprintf("campaign %q", name), marks[path] - n, path}
			}
			delete(marks, path)
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	for path, n := range marks {
		if n > 0 {
			return errBehind{"a campaign that is not in it either", n, path}
		}
	}
	return nil
}
