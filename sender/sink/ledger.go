package sink

import (
	"hash/maphash"
	"strings"
	"sync"
)

// A ledger counts. Of a recipient it keeps a hash of eight octets: among ten million recipients the chance that two are
// taken for one is below one in 300,000.
type ledger struct {
	mu   sync.Mutex
	c    Counts              // guarded by mu
	seen map[uint64]struct{} // guarded by mu
	seed maphash.Seed
}

func newLedger() *ledger {
	return &ledger{seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
}

func (l *ledger) counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c
}

func (l *ledger) connection() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.c.Connections++
}

func (l *ledger) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.c.Refused++
}

// accept enters a message that was taken.
func (l *ledger) accept(to []string, dropped bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.c.Accepted++
	if dropped {
		l.c.Dropped++
	}
	for _, address := range to {
		l.c.Recipients++
		key := maphash.String(l.seed, strings.ToLower(address))
		if _, again := l.seen[key]; again {
			l.c.Duplicates++
			continue
		}
		l.seen[key] = struct{}{}
		l.c.Distinct++
	}
}
