package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// attachedSize is the size of the attachment, in octets; in the message it takes a third more.
const attachedSize = 1_000_000

// attachment prints the table of messages that are the same for everybody but for a few lines.
func (b *bench) attachment(ctx context.Context, n int) error {
	dir := filepath.Join(b.dir, "attachment")
	if err := writeCampaign(dir, variant{attached: noise(attachedSize)}); err != nil {
		return err
	}
	senders := b.pair(relay{}, dir, "client-bare")
	costs, err := b.rounds(ctx, senders, func(sender) int { return n }, 0)
	if err != nil {
		return err
	}
	t := table{
		title:   fmt.Sprintf("Attachment: 1 MB, to %s recipients over %d connections", whole(float64(n)), b.conns),
		columns: []string{"sender", "messages/s", "CPU µs a message", "peak MB"},
	}
	for i, s := range senders {
		if costs[i] != nil {
			t.row(s.name, whole(median(costs[i], cost.rate)), whole(median(costs[i], cost.perMessage)), peak(costs[i]))
		}
	}
	t.print()
	if costs[1] != nil {
		longer := ratio(costs[1], costs[0], cost.rate)
		b.goal("1 MB attachment: time, by that of the same octets sent bare", "≤ "+times(1.2), times(longer), longer <= 1.2)
	}
	return nil
}
