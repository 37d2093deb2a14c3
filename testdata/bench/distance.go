package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// distance prints the table of round trips.
func (b *bench) distance(ctx context.Context, rtt time.Duration) error {
	const span = 5 * time.Second // of a run
	senders := b.usual()
	chunking := len(senders) // mailblast with several messages under way
	senders = append(senders, b.pair(relay{chunking: true}, b.dir, "client-chunking")...)
	n := func(s sender) int {
		return max(20*b.conns, min(b.n, int(float64(b.conns)*span.Seconds()/(s.trips*rtt.Seconds()))))
	}
	costs, err := b.rounds(ctx, senders, n, rtt)
	if err != nil {
		return err
	}
	trips := func(c cost) float64 {
		return c.elapsed.Seconds() * float64(b.conns) / float64(c.messages) / rtt.Seconds()
	}
	t := table{
		title:   fmt.Sprintf("Distance: %v round-trip time, %d connections; starting, loading and connecting included", rtt, b.conns),
		columns: []string{"sender", "messages", "messages/s", "mailblast is", "round trips a message"},
	}
	for i, s := range senders {
		if costs[i] != nil {
			t.row(s.name, whole(float64(n(s))), whole(median(costs[i], cost.rate)), times(ratio(costs[0], costs[i], cost.rate)), fmt.Sprintf("%.2f", median(costs[i], trips)))
		}
	}
	t.print()
	own := median(costs[0], trips)
	b.goal(fmt.Sprintf("round trips a message at %v", rtt), "≤ 1.20", fmt.Sprintf("%.2f", own), own <= 1.2)
	if costs[chunking] != nil {
		own := median(costs[chunking], trips)
		b.goal(fmt.Sprintf("the same with CHUNKING, depth %d", pipelineDepth), "≤ 0.30", fmt.Sprintf("%.2f", own), own <= 0.3)
	}
	return nil
}

// scale prints the table of connections by distance. A cell is one process that sends for a bounded time.
func (b *bench) scale(ctx context.Context) error {
	distances := []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond}
	t := table{title: "Scale: messages/s of mailblast by round-trip time; a cell is one run of at most 2.5 s, connecting included", columns: []string{"connections"}}
	for _, rtt := range distances {
		t.columns = append(t.columns, rtt.String())
	}
	for _, conns := range []int{1, 2, 5, 10, 20, 50, 100} {
		cells := []string{strconv.Itoa(conns)}
		for _, rtt := range distances {
			_, send, err := b.loadThenSend(ctx, sendLimit, conns, rtt, "--max-runtime", "2500ms")
			if err != nil {
				return fmt.Errorf("%d connections at %v: %w", conns, rtt, err)
			}
			cells = append(cells, whole(send.rate()))
		}
		t.row(cells...)
	}
	t.print()
	return nil
}
