package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// sendLimit bounds what is sent of a long list.
const sendLimit = 20_000

// lists is the table of loading and of memory.
func (b *bench) lists(ctx context.Context, rows []int) error {
	loads, sends := make([][]cost, len(rows)), make([][]cost, len(rows))
	for range b.runs {
		for i, n := range rows {
			limit := min(sendLimit, n-1)
			load, send, err := b.loadThenSend(ctx, n, b.conns, 0, "--limit", strconv.Itoa(limit))
			if err != nil {
				return err
			}
			if send.messages != limit {
				return fmt.Errorf("list of %d: the server took %d messages of %d", n, send.messages, limit)
			}
			loads[i], sends[i] = append(loads[i], load), append(sends[i], send)
		}
	}
	t := table{
		title:   "Lists: loading rows of 6 columns (and sending one message), then sending more in a second process",
		columns: []string{"rows", "load s", "rows/s", "load peak MB", "messages", "messages/s", "send peak MB"},
	}
	for i, n := range rows {
		seconds := median(loads[i], func(c cost) float64 { return c.elapsed.Seconds() })
		t.row(whole(float64(n)), fmt.Sprintf("%.2f", seconds), whole(float64(n)/seconds), peak(loads[i]),
			whole(float64(sends[i][0].messages)), whole(median(sends[i], cost.rate)), peak(sends[i]))
		if n == 1_000_000 {
			mb := median(loads[i], cost.megabytes)
			b.goal("load of 1,000,000 rows: time", "< 10 s", fmt.Sprintf("%.2f s", seconds), seconds < 10)
			b.goal("load of 1,000,000 rows: peak memory", "< 100 MB", whole(mb)+" MB", mb < 100)
		}
	}
	t.print()
	last := len(rows) - 1
	low, high := median(sends[0], cost.megabytes), median(sends[last], cost.megabytes)
	b.goal(fmt.Sprintf("peak memory, sending from %s and from %s rows", whole(float64(rows[0])), whole(float64(rows[last]))),
		"flat: ≤ "+times(1.2), fmt.Sprintf("%.0f and %.0f MB: %s", low, high, times(high/low)), high <= 1.2*low)
	return nil
}

// loadThenSend loads a list of so many rows, sending one message of it, and then sends more in a second process, so that what each
// takes shows; more are the second's arguments.
func (b *bench) loadThenSend(ctx context.Context, rows, conns int, rtt time.Duration, more ...string) (load, send cost, err error) {
	const unfinished = 4 // mailblast's exit code while recipients are queued
	err = b.inJob(ctx, rows, conns, func(ctx context.Context, j job) error {
		var err error
		for step, args := range [][]string{{"send", filepath.Join(b.dir, "campaign.yaml"), "--recipients", j.list, "--limit", "1"}, append([]string{"resume"}, more...)} {
			c, distance := &load, time.Duration(0)
			if step == 1 {
				c, distance = &send, rtt
			}
			*c, err = b.serve(ctx, j, distance, unfinished, func(ctx context.Context, j job) *exec.Cmd {
				return b.mailblastCommand(ctx, j, append(args, "--wait", "0s")...)
			})
			if err != nil {
				return fmt.Errorf("mailblast %s, list of %d: %w", args[0], rows, err)
			}
		}
		if load.messages != 1 || send.messages == 0 {
			return fmt.Errorf("list of %d: the server took %d messages while loading, which should be 1, and %d after it", rows, load.messages, send.messages)
		}
		return nil
	})
	return load, send, err
}
