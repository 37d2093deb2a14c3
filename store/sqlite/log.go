package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// checkLog refuses a queue whose write-ahead log has lost a part of what was written down. Where a log breaks off, SQLite takes
// the rest for a transaction that was never committed and goes on without a word. That is right for what a power cut left; it is
// wrong for a log that was cut, overwritten or removed later: rows that read `sent` would read `queued` again.
//
// After the death of a process the two can be told apart by the log's index (-shm): it lives in the page cache and says how many
// frames of which log were committed. After a reboot it may be older than the log, or gone, and proves nothing; then the log
// has to speak for itself. The formats: https://sqlite.org/walformat.html and fileformat2.html, section 4.
func checkLog(path string) error {
	info, err := os.Stat(path + "-shm")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if booted, ok := bootTime(); err == nil && ok && !info.ModTime().Before(booted) {
		if known, err := checkByIndex(path); known || err != nil {
			return err
		}
	}
	return checkByItself(path)
}

// checkByIndex holds a log against its index. It reports false for an index that says nothing.
func checkByIndex(path string) (known bool, err error) {
	index, ok, err := readIndex(path + "-shm")
	for range 3 {
		if err != nil || !ok {
			return false, err
		}
		intact, err := intactFrames(path+"-wal", index)
		if err != nil || intact == index.frames || intact == 0 && index.folded == index.frames {
			return true, err // of a log that is in the queue as a whole, nothing is missed but a part
		}
		// A process that is at work may have begun a new log meanwhile; a second look tells.
		before := index
		if index, ok, err = readIndex(path + "-shm"); err == nil && ok && index == before {
			return true, fmt.Errorf("its write-ahead log %s is damaged or was removed: it holds %d of the %d pages that were written to it. "+
				"Without the others mailblast would send again to recipients that it has sent to; nothing was changed. Put the file back as it was, or restore "+
				"the queue from a backup. To go on nevertheless, and risk that, remove %s", path+"-wal", intact, index.frames, path+"-shm")
		}
	}
	return true, nil // always something new: it is in good use
}

// checkByItself looks whether what lies behind the first broken frame of a log was lost later, or never got to the disk.
//
// A power cut takes nothing that was synced. A transaction is synced before the next one is written, but for those that carry
// the mark (unsyncedMark). So a whole transaction without the mark, and the first frame of another one behind it, prove
// that everything before was on the disk, and that the broken frame was whole once. Each frame holds the checksum of all
// before it; going on from the one that stands in the broken frame, whole frames are recognised behind it as well. What a
// transaction left that failed, or was rolled back, is no proof: it ends with the one commit that it has, at most.
//
// This never refuses what a power cut leaves on a disk that syncs when it says so. It does not find a break in the last two
// transactions, in the last frame of the one before them, or in what was not synced, nor a log that was cut off or removed:
// see checkMarks.
func checkByItself(path string) error {
	var before *logReader
	for range 3 {
		l, err := openLog(path)
		if err != nil || l == nil {
			return err
		}
		lost, kept, err := l.provesLoss()
		l.Close()
		if err != nil || !lost {
			return err
		}
		// A process that is at work may have written over what was just being read; a second look tells.
		if before != nil && before.head == l.head && before.broken == l.broken {
			return fmt.Errorf("its write-ahead log %s is damaged: at octet %d it is not what was written there, and behind it is what had safely been written down. "+
				"Without that mailblast would send again to recipients that it has sent to; nothing was changed. Put the file back as it was, or restore the queue "+
				"from a backup. To go on from before the damage nevertheless, and risk that, cut the file off there: truncate -s %d %s",
				path+"-wal", l.broken, kept, path+"-wal")
		}
		before = l
	}
	return nil // always something new: it is in good use
}

// A logIndex is what the index of a write-ahead log says about the log.
type logIndex struct {
	salt     [8]byte // of the log that it is about
	pageSize int
	frames   uint32 // committed
	folded   uint32 // of these, how many the queue's file has too
}

// readIndex reads the header of an index. It reports false for one that is not in use, not finished, or of a later format.
func readIndex(path string) (x logIndex, ok bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return x, false, err
	}
	defer f.Close()
	var b [100]byte // the header twice, and how much was folded
	if _, err := io.ReadFull(f, b[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return x, false, nil
	} else if err != nil {
		return x, false, err
	}
	const size = 48
	sum := logSum{order: binary.NativeEndian}
	sum.add(b[:size-8])
	native := binary.NativeEndian
	if string(b[:size]) != string(b[size:2*size]) || native.Uint32(b[0:]) != 3007000 || b[12] == 0 ||
		sum.a != native.Uint32(b[40:]) || sum.b != native.Uint32(b[44:]) {
		return x, false, nil
	}
	copy(x.salt[:], b[32:40])
	x.pageSize = pageSize(native.Uint16(b[14:]))
	x.frames, x.folded = native.Uint32(b[16:]), native.Uint32(b[96:])
	return x, x.pageSize >= 512 && x.folded <= x.frames, nil
}

// intactFrames counts the frames from the start of a log, up to the number in x, that are of x's log and have the right
// checksum.
func intactFrames(path string, x logIndex) (n uint32, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	l := &logReader{File: f, pageSize: x.pageSize}
	if ok, err := l.readHead(); err != nil || !ok || !l.intact || l.salt != x.salt {
		return 0, err
	}
	for n < x.frames {
		whole, err := l.next()
		if err != nil || !whole {
			return n, err
		}
		n++
	}
	return n, nil
}

// A logReader reads the frames of a write-ahead log, the broken ones too.
type logReader struct {
	*os.File
	pageSize int
	head     [32]byte
	intact   bool    // head is as it was written
	salt     [8]byte // of the frames that belong to this log
	sum      logSum  // as it stands in the frame before, or in head

	r      *bufio.Reader
	frame  []byte // the one that was read last
	at     int64  // where it ends
	ended  bool   // there is no more
	broken int64  // where the first broken frame begins
}

// openLog opens the log of a queue; nil when there is none with a frame in it.
func openLog(path string) (*logReader, error) {
	// The size of its pages, if its own header should not say it.
	var head [18]byte
	q, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	_, err = io.ReadFull(q, head[:])
	q.Close()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := &logReader{File: f, pageSize: pageSize(binary.BigEndian.Uint16(head[16:]))}
	ok, err := l.readHead()
	if size := binary.BigEndian.Uint32(l.head[8:]); l.intact && size <= 1<<16 {
		l.pageSize = int(size)
	}
	if err != nil || !ok || l.pageSize < 512 || l.pageSize&(l.pageSize-1) != 0 {
		f.Close()
		return nil, err
	}
	return l, nil
}

// pageSize is the size that two octets of a header mean.
func pageSize(n uint16) int {
	if n == 1 {
		return 1 << 16
	}
	return int(n)
}

// readHead reads a log's header, and whose frames are looked for: where it is damaged, those that the first one belongs to.
// It reports false for a log that is too short to have a frame.
func (l *logReader) readHead() (ok bool, err error) {
	l.r = bufio.NewReaderSize(l.File, 1<<20)
	first, err := l.r.Peek(len(l.head) + 24)
	if len(first) < len(l.head)+24 {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return false, err
	}
	copy(l.head[:], first)
	if _, err := l.r.Discard(len(l.head)); err != nil {
		return false, err
	}
	l.at = int64(len(l.head))
	big := binary.BigEndian
	l.sum.order = binary.LittleEndian
	if l.head[3]&1 == 1 {
		l.sum.order = big
	}
	l.sum.add(l.head[:24])
	l.intact = l.sum.a == big.Uint32(l.head[24:]) && l.sum.b == big.Uint32(l.head[28:]) && big.Uint32(l.head[:])&^1 == 0x377f0682
	if copy(l.salt[:], l.head[16:24]); !l.intact {
		copy(l.salt[:], first[len(l.head)+8:])
	}
	l.sum.a, l.sum.b = big.Uint32(l.head[24:]), big.Uint32(l.head[28:])
	return true, nil
}

// next reads a frame, and tells whether it is whole and follows the one before. It reports false too when there is none.
func (l *logReader) next() (whole bool, err error) {
	if l.frame == nil {
		l.frame = make([]byte, 24+l.pageSize)
	}
	if _, err := io.ReadFull(l.r, l.frame); err != nil {
		l.ended = true
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return false, err
	}
	l.at += int64(len(l.frame))
	a, b := binary.BigEndian.Uint32(l.frame[16:]), binary.BigEndian.Uint32(l.frame[20:])
	l.sum.add(l.frame[:8])
	l.sum.add(l.frame[24:])
	whole = l.sum.a == a && l.sum.b == b && [8]byte(l.frame[8:16]) == l.salt
	l.sum.a, l.sum.b = a, b
	return whole, nil
}

// commits tells whether the frame is the last one of a transaction.
func (l *logReader) commits() bool { return binary.BigEndian.Uint32(l.frame[4:]) != 0 }

// marked tells whether the frame is the page that only transactions change which are not synced.
func (l *logReader) marked() bool {
	page := l.frame[24:]
	return page[0] == leafTable && binary.BigEndian.Uint16(page[3:]) == 1 && bytes.Contains(page, unsyncedMark)
}

// leafTable is the first octet of a page with rows of a table.
const leafTable = 0x0d

// unsyncedMark is what schema/003_unsynced.sql puts into the one row of unsynced.
var unsyncedMark = []byte("\x9b\xe1\xd3\x3c\x5a\x0f\x47\xe8\xb6\x20\x7f\x51\xc4\x9a\x8e\x16")

// provesLoss reads the whole log; see checkByItself. kept is how much of it is left before the first broken frame.
func (l *logReader) provesLoss() (lost bool, kept int64, err error) {
	if l.intact {
		for kept = l.at; ; {
			l.broken = l.at
			if whole, err := l.next(); err != nil || l.ended {
				return false, kept, err
			} else if !whole {
				break
			}
			if l.commits() {
				kept = l.at
			}
		}
	}
	// From here on: does a transaction begin behind a commit that is whole, and is there the mark in it?
	begun, marked, synced := false, false, false
	for {
		switch whole, err := l.next(); {
		case err != nil || l.ended:
			return false, kept, err
		case !whole:
			begun, synced = false, false
			continue
		case synced:
			return true, kept, nil
		}
		marked = marked || l.marked()
		if l.commits() {
			synced = begun && !marked
			begun, marked = true, false
		}
	}
}

// logSum is the checksum of write-ahead logs: over pairs of 32-bit words, in an order that the log's header names.
type logSum struct {
	order interface{ Uint32([]byte) uint32 }
	a, b  uint32
}

func (s *logSum) add(p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		s.a += s.order.Uint32(p) + s.b
		s.b += s.order.Uint32(p[4:]) + s.a
	}
}
