package store

import (
	"bufio"
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
// itself, which was synced, is all there is. The formats: https://sqlite.org/walformat.html and fileformat2.html, section 4.
func checkLog(path string) error {
	info, err := os.Stat(path + "-shm")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // closed in order, or new
	}
	if err != nil {
		return err
	}
	if booted, ok := bootTime(); !ok || info.ModTime().Before(booted) {
		return nil
	}
	index, ok, err := readIndex(path + "-shm")
	for range 3 {
		if err != nil || !ok || index.folded == index.frames {
			return err
		}
		intact, err := intactFrames(path+"-wal", index)
		if err != nil || intact == index.frames {
			return err
		}
		// A process that is at work may have begun a new log meanwhile; a second look tells.
		before := index
		if index, ok, err = readIndex(path + "-shm"); err == nil && ok && index == before {
			return fmt.Errorf("its write-ahead log %s is damaged or was removed: it holds %d of the %d pages that were written to it. "+
				"Without the others mailblast would send again to recipients that it has sent to; nothing was changed. Put the file back as it was, or restore "+
				"the queue from a backup. To go on nevertheless, and risk that, remove %s", path+"-wal", intact, index.frames, path+"-shm")
		}
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
	x.pageSize = int(native.Uint16(b[14:]))
	if x.pageSize == 1 {
		x.pageSize = 1 << 16
	}
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
	r := bufio.NewReaderSize(f, 1<<20)
	frame := make([]byte, 24+x.pageSize)
	read := func(b []byte) bool {
		_, err = io.ReadFull(r, b)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
			return false
		}
		return err == nil
	}
	head := frame[:32]
	if !read(head) || string(head[16:24]) != string(x.salt[:]) {
		return 0, err
	}
	big := binary.BigEndian
	sum := logSum{order: binary.LittleEndian}
	if big.Uint32(head)&1 == 1 {
		sum.order = big
	}
	if sum.add(head[:24]); sum.a != big.Uint32(head[24:]) || sum.b != big.Uint32(head[28:]) {
		return 0, nil
	}
	for ; n < x.frames && read(frame) && string(frame[8:16]) == string(x.salt[:]); n++ {
		sum.add(frame[:8])
		if sum.add(frame[24:]); sum.a != big.Uint32(frame[16:]) || sum.b != big.Uint32(frame[20:]) {
			break
		}
	}
	return n, err
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
