package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// play brings the disk up to what the log says.
func (r *run) play() error {
	if r.power == "" {
		return nil
	}
	all, err := readLog(r.log)
	if err != nil {
		return err
	}
	for _, o := range all[r.played:] {
		r.disk.play(o)
	}
	r.played = len(all)
	return nil
}

// cut puts in place what a power cut would have left of the queue. The server has not noticed: it may even take what
// the kernel has still sent for the process that died.
func (r *run) cut(ctx context.Context) error {
	var torn *rand.Rand
	if r.power == "torn" {
		torn = r.rand
	}
	image := r.disk.image(torn)
	if err := writeImage(r.queue, image); err != nil {
		return err
	}
	var left []string
	for path, content := range image {
		left = append(left, fmt.Sprint(filepath.Base(path), " ", len(content)))
	}
	r.note("power cut, left: %s", strings.Join(left, ", "))
	if err := forgetWritten(filepath.Join(r.queue, queueName)); err != nil {
		return err
	}
	if r.reboot {
		if err := changeBoot(ctx, filepath.Join(r.queue, queueName)); err != nil {
			return err
		}
	}
	if err := os.Remove(r.log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	r.played = 0
	var err error
	r.disk, err = openDisk(r.queue)
	return err
}

// forgetWritten takes from a queue's mark what holds for the start of the machine alone in which it was written: all
// but the first line.
func forgetWritten(queue string) error {
	path := queue + ".locks/written"
	mark, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // it did not come so far
	}
	if err != nil {
		return err
	}
	return os.Truncate(path, int64(bytes.IndexByte(mark, '\n')+1))
}

// changeBoot makes the owners of a queue those of an earlier start of the machine.
func changeBoot(ctx context.Context, queue string) error {
	if info, err := os.Stat(queue); err != nil || info.Size() == 0 {
		return nil // it did not come so far
	}
	db, err := sql.Open("sqlite3", "file:"+queue+"?mode=rw")
	if err != nil {
		return err
	}
	defer db.Close()
	var n int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'job'").Scan(&n); err != nil || n == 0 {
		return err
	}
	_, err = db.ExecContext(ctx, "UPDATE owner SET boot = 'an-earlier-start'")
	return err
}

// sweep cuts the power at every instant of the run: whatever the server had taken by then must be on the disk as
// sending or later. So it checks the order of the writes, not what a resume makes of it.
func (r *run) sweep(ctx context.Context, v *verdict) (cuts int, err error) {
	all, err := readLog(r.log)
	if err != nil {
		return 0, err
	}
	dir := filepath.Join(r.dir, "sweep")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	d, err := openDisk(filepath.Join(r.dir, "queue that never was"))
	if err != nil {
		return 0, err
	}
	d.dir = r.queue
	d.names = map[string]*file{filepath.Join(r.queue, queueName): {}}
	arrivals := r.witness.arrivals()
	taken := map[string]bool{}
	for i := 0; i < len(arrivals); {
		for len(all) > 0 && all[0].at <= arrivals[i].at {
			d.play(all[0])
			all = all[1:]
		}
		// All that were taken before the next sync find the same disk.
		next := int64(1<<63 - 1)
		for _, o := range all {
			if o.op == 's' {
				next = o.at
				break
			}
		}
		for ; i < len(arrivals) && arrivals[i].at < next; i++ {
			taken[arrivals[i].to] = true
		}
		var torn *rand.Rand
		if cuts%2 == 1 {
			torn = r.rand
		}
		if err := writeImage(dir, d.image(torn)); err != nil {
			return cuts, err
		}
		if err := begun(ctx, filepath.Join(dir, queueName), taken, v); err != nil {
			return cuts, fmt.Errorf("instant %d: %w", cuts, err)
		}
		cuts++
	}
	return cuts, nil
}

// begun finds recipients that were taken although the queue does not say that their message may have left.
func begun(ctx context.Context, queue string, taken map[string]bool, v *verdict) error {
	db, err := sql.Open("sqlite3", "file:"+queue+"?mode=rw")
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "SELECT address FROM job WHERE state IN ('sending', 'sent', 'in_doubt')")
	if err != nil {
		return err
	}
	defer rows.Close()
	on := map[string]bool{}
	for rows.Next() {
		var address string
		if err := rows.Scan(&address); err != nil {
			return err
		}
		on[address] = true
	}
	for to := range taken {
		if !on[to] {
			v.find("duplicate", "%s was taken before its begin was on the disk: a power cut would have had it sent again", to)
		}
	}
	return rows.Err()
}
