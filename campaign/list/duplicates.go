package list

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"os"

	"mailblast/campaign/list/address"
)

// A Duplicate is a row whose address an earlier row has.
type Duplicate struct {
	Line    int // of the row
	First   int // of the first row with the address
	Address string
}

// parts is into how many parts Duplicates divides a list. It holds the addresses of one part in memory.
const parts = 256

// FindDuplicates reads a list to its end and calls found with every row whose address an earlier row has, in the order of the
// lines. It returns how many rows it left out, because they cannot be mailed.
//
// A list may have more rows than the memory can hold. So FindDuplicates first divides the rows by a hash of the identity of
// their addresses: those of one identity come into one part, and a part that grows is kept in a temporary file. Then it looks
// through one part after the other, and merges what it finds there.
func FindDuplicates(ctx context.Context, rs *Recipients, found func(Duplicate) error) (bad int, err error) {
	var rows, duplicates [parts]spill
	defer func() {
		for i := range parts {
			rows[i].close()
			duplicates[i].close()
		}
	}()
	seed := maphash.MakeSeed()
	for n := 0; ; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		row, err := rs.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		if row.Err != nil {
			bad++
			continue
		}
		part := &rows[maphash.String(seed, row.Address.Key())%parts]
		if err := part.write(Duplicate{Line: row.Line, Address: row.Address.String()}); err != nil {
			return 0, err
		}
	}
	for i := range parts {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if err := findIn(&rows[i], &duplicates[i]); err != nil {
			return 0, err
		}
		rows[i].close()
	}
	return bad, mergeInto(found, duplicates[:])
}

// findIn writes the duplicates among the rows of one part.
func findIn(rows, duplicates *spill) error {
	r, err := rows.reader()
	if err != nil {
		return err
	}
	first := map[string]int{}
	for {
		row, err := readDuplicate(r)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return rows.fault(err)
		}
		a, err := address.Parse(row.Address)
		if err != nil {
			return err
		}
		key := a.Key()
		if line, known := first[key]; known {
			row.First = line
			if err := duplicates.write(row); err != nil {
				return err
			}
		} else {
			first[key] = row.Line
		}
	}
}

// mergeInto calls found with the rows of all parts in the order of their lines, which is the order within each part.
func mergeInto(found func(Duplicate) error, from []spill) error {
	var next heads
	advance := func(h head) error {
		d, err := readDuplicate(h.rest)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return h.from.fault(err)
		}
		h.Duplicate = d
		heap.Push(&next, h)
		return nil
	}
	for i := range from {
		r, err := from[i].reader()
		if err == nil {
			err = advance(head{from: &from[i], rest: r})
		}
		if err != nil {
			return err
		}
	}
	for len(next) > 0 {
		h := heap.Pop(&next).(head)
		if err := found(h.Duplicate); err != nil {
			return err
		}
		if err := advance(h); err != nil {
			return err
		}
	}
	return nil
}

// A head is the next row of a part, and where the others are read.
type head struct {
	Duplicate
	from *spill
	rest *bufio.Reader
}

// heads are a heap by the line.
type heads []head

func (h heads) Len() int           { return len(h) }
func (h heads) Less(i, j int) bool { return h[i].Line < h[j].Line }
func (h heads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heads) Push(x any)        { *h = append(*h, x.(head)) }
func (h *heads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// A spill is a sequence of rows, of which at most maxHeld octets are in memory and the others in a file without a name.
type spill struct {
	held []byte
	file *os.File
}

const maxHeld = 16 << 10

func (s *spill) write(d Duplicate) error {
	s.held = binary.AppendUvarint(s.held, uint64(d.Line))
	s.held = binary.AppendUvarint(s.held, uint64(d.First))
	s.held = binary.AppendUvarint(s.held, uint64(len(d.Address)))
	if s.held = append(s.held, d.Address...); len(s.held) < maxHeld {
		return nil
	}
	return s.flush()
}

func (s *spill) flush() (err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp("", "mailblast-duplicates-*"); err != nil { // 0600
			return s.fault(err)
		}
		if err := os.Remove(s.file.Name()); err != nil {
			return s.fault(err)
		}
	}
	if _, err := s.file.Write(s.held); err != nil {
		return s.fault(err)
	}
	s.held = s.held[:0]
	return nil
}

// reader returns the rows from the first. Nothing may be written any more.
func (s *spill) reader() (*bufio.Reader, error) {
	if s.file == nil {
		return bufio.NewReader(bytes.NewReader(s.held)), nil
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, s.fault(err)
	}
	return bufio.NewReader(s.file), nil
}

func (s *spill) close() {
	if s.file != nil {
		s.file.Close()
	}
	s.held, s.file = nil, nil
}

func (s *spill) fault(err error) error {
	return fmt.Errorf("keep the rows in %s while they are compared (TMPDIR names another folder): %w", os.TempDir(), err)
}

// readDuplicate reads what spill.write has written, or returns io.EOF.
func readDuplicate(r *bufio.Reader) (d Duplicate, err error) {
	var numbers [3]uint64
	for i := range numbers {
		if numbers[i], err = binary.ReadUvarint(r); err != nil {
			if i > 0 {
				err = io.ErrUnexpectedEOF
			}
			return d, err
		}
	}
	text := make([]byte, numbers[2])
	if _, err := io.ReadFull(r, text); err != nil {
		return d, io.ErrUnexpectedEOF
	}
	return Duplicate{Line: int(numbers[0]), First: int(numbers[1]), Address: string(text)}, nil
}
