package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

//go:embed child/slowfsync.c
var slowFsync []byte

// slowDisk prints the table of fsyncs.
func (b *bench) slowDisk(ctx context.Context, slow time.Duration) error {
	source, library, counter := filepath.Join(b.dir, "slowfsync.c"), filepath.Join(b.dir, "slowfsync.so"), filepath.Join(b.dir, "fsyncs")
	if err := os.WriteFile(source, slowFsync, 0o644); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		b.note("the slow disk was not measured: gcc: %v: %.300s", err, out)
		return nil
	}
	n := max(100, b.n/4)
	delays := []time.Duration{0, slow}
	costs, fsyncs := make([][]cost, len(delays)), make([][]float64, len(delays))
	for range b.runs {
		for i, d := range delays {
			if err := os.WriteFile(counter, make([]byte, 8), 0o644); err != nil {
				return err
			}
			c, err := b.send(ctx, b.usual()[0], n, 0, "LD_PRELOAD="+library, "BENCH_FSYNC_COUNT="+counter, fmt.Sprint("BENCH_FSYNC_DELAY=", d.Microseconds()))
			if err != nil {
				return err
			}
			count, err := os.ReadFile(counter)
			if err != nil {
				return err
			}
			called := binary.NativeEndian.Uint64(count)
			if called == 0 {
				b.note("the slow disk was not measured: the preloaded library saw no fsync; a static binary cannot be slowed so")
				return nil
			}
			costs[i] = append(costs[i], c)
			fsyncs[i] = append(fsyncs[i], float64(called)*1000/float64(n))
		}
	}
	t := table{
		title:   fmt.Sprintf("Slow disk: mailblast, durability strict, %d connections, %s messages", b.conns, whole(float64(n))),
		columns: []string{"fsync takes longer by", "messages/s", "fsyncs for 1,000 messages"},
	}
	for i, d := range delays {
		t.row(d.String(), whole(median(costs[i], cost.rate)), whole(middle(fsyncs[i])))
	}
	t.print()
	if rate := median(costs[1], cost.rate); slow == 5*time.Millisecond {
		b.goal("messages/s on a disk whose fsync takes 5 ms longer", "≥ 1,500", whole(rate), rate >= 1500)
	}
	return nil
}
