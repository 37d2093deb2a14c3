package plan

import (
	"testing"
	"time"

	"mailblast/campaign"
	"mailblast/sender"
	"mailblast/store"
)

// That it is not the time of the campaign says nothing of the server.
func TestLearned(t *testing.T) {
	shut := &campaign.Delivery{NotBefore: time.Now().Add(time.Hour)}
	ownTime := &sender.StopError{Reason: "it is outside of its send_window", Until: shut.NotBefore}
	full := &sender.StopError{Reason: "the quota is used up", Until: time.Now().Add(2 * time.Hour)}
	was := store.ServerState{Name: "s", WaitsFor: "the password is wrong"}
	for _, c := range []struct {
		name  string
		of    *campaign.Delivery
		found sender.RouteStats
		waits string
		first bool
	}{
		{"nothing happened", &campaign.Delivery{}, sender.RouteStats{}, "", false},
		{"it took messages", &campaign.Delivery{}, sender.RouteStats{Sent: 1}, "", true},
		{"its quota is used up", shut, sender.RouteStats{Sent: 1, Out: full}, full.Error(), true},
		{"not the time of the campaign", shut, sender.RouteStats{Out: ownTime}, was.WaitsFor, false},
		{"not the time of the campaign any more", shut, sender.RouteStats{Sent: 1, Out: ownTime}, "", true},
	} {
		got := learned(was, c.found, c.of)
		if got.WaitsFor != c.waits || !got.First.IsZero() != c.first {
			t.Errorf("%s: waits for %q, first message at %v", c.name, got.WaitsFor, got.First)
		}
	}
}
