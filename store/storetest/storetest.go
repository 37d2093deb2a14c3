// Package storetest is the suite that every store passes: what package store promises, tried on a real queue.
//
// A store's own tests call Run, and Limits, with how to make a queue. What only that store has (its files, its faults,
// what it syncs) it tests itself.
package storetest

import (
	"testing"

	"mailblast/store"
)

// A Place is where one queue is kept.
type Place interface {
	// Open opens the queue as a process of its own does. The first call makes it. The Place closes it when the test ends.
	Open(t testing.TB) store.Queue

	// Die has the process that holds a lease die, without a word: what it holds is left to the next one's Recover.
	Die(t testing.TB, l store.Lease)
}

// A test tries one promise, in as many queues as it likes.
type test struct {
	name string
	run  func(t *testing.T, place func(testing.TB) Place)
}

// Run tries everything but the limits. Each call of place makes a queue that is empty.
func Run(t *testing.T, place func(testing.TB) Place) {
	run(t, place, []test{
		{"Lease", testLease},
		{"LeaseTooLate", testLeaseTooLate},

		{"Load", testLoad},
		{"LoadBrokenOff", testLoadBrokenOff},
		{"LoadTwice", testLoadTwice},
		{"Snapshot", testSnapshot},
		{"Priority", testPriority},

		{"Transitions", testTransitions},
		{"TransitionsOfTheList", testTransitionsOfTheList},
		{"TransitionsByPerson", testTransitionsByPerson},
		{"LostClaimInGroup", testLostClaimInGroup},
		{"RecordCancelled", testRecordCancelled},
		{"RecordTogether", testRecordTogether},
		{"Expire", testExpire},
		{"Finish", testFinish},

		{"Order", testOrder},
		{"OrderChanges", testOrderChanges},
		{"Pin", testPin},

		{"Suppress", testSuppress},
		{"SuppressBroken", testSuppressBroken},
		{"Suppressed", testSuppressed},
		{"LoadSuppressed", testLoadSuppressed},
		{"BounceSuppresses", testBounceSuppresses},
		{"SuppressMeanwhile", testSuppressMeanwhile},

		{"Rows", testRows},
		{"RowsSlowReader", testRowsSlowReader},
		{"History", testHistory},
		{"Campaigns", testCampaigns},

		{"Purge", testPurge},
		{"PurgeUnbegun", testPurgeUnbegun},

		{"Servers", testServers},
	})
}

// Limits tries the limits of servers, at times that the test says. It is for stores that take the time from their caller.
func Limits(t *testing.T, place func(testing.TB) Place) {
	run(t, place, []test{
		{"Rates", testRates},
		{"Quota", testQuota},
		{"Quotas", testQuotas},
		{"Warmup", testWarmup},
		{"AllOrNothing", testAllOrNothing},
		{"Domain", testDomain},
		{"ClockSetBack", testClockSetBack},
	})
}

func run(t *testing.T, place func(testing.TB) Place, tests []test) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, place)
		})
	}
}
