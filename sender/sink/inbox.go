package sink

import (
	"slices"
	"strings"
	"sync"
)

// An inbox keeps the newest messages for the page, up to a number of messages and of octets.
type inbox struct {
	maxMessages int
	maxBytes    int64

	mu       sync.Mutex
	messages []kept // oldest first; guarded by mu
	bytes    int64  // guarded by mu
}

// A kept message has its subject beside it, for the list.
type kept struct {
	Message
	Subject string
}

// overhead is roughly what a message costs besides its octets. Empty messages must not fill the memory either.
const overhead = 512

func newInbox(maxMessages int, maxBytes int64) *inbox {
	return &inbox{maxMessages: maxMessages, maxBytes: maxBytes}
}

func (k *kept) cost() int64 {
	cost := int64(overhead + cap(k.Data) + len(k.Subject))
	for _, to := range k.To {
		cost += int64(len(to))
	}
	return cost
}

// add adds a message, and removes the oldest ones until the bounds hold. A message larger than the whole inbox is not
// kept.
func (b *inbox) add(m Message) {
	k := kept{Message: m, Subject: decodeText(headerValue(m.Data, "Subject"))}
	if cap(m.Data)-len(m.Data) > len(m.Data)/8 {
		k.Data = slices.Clone(m.Data)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, k)
	b.bytes += k.cost()
	out := 0
	for len(b.messages)-out > b.maxMessages || b.bytes > b.maxBytes {
		b.bytes -= b.messages[out].cost()
		b.messages[out] = kept{} // append may go on in the same array for long
		out++
	}
	b.messages = b.messages[out:]
}

// list returns the kept messages, newest first, whose sender or a recipient contains the search text, letter case
// aside.
func (b *inbox) list(search string) []kept {
	b.mu.Lock()
	all := slices.Clone(b.messages)
	b.mu.Unlock()
	slices.Reverse(all)
	search = strings.ToLower(strings.TrimSpace(search))
	if search == "" {
		return all
	}
	has := func(address string) bool { return strings.Contains(strings.ToLower(address), search) }
	return slices.DeleteFunc(all, func(k kept) bool { return !has(k.From) && !slices.ContainsFunc(k.To, has) })
}

// get returns a message by its number.
func (b *inbox) get(id int64) (kept, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range b.messages {
		if k.ID == id {
			return k, true
		}
	}
	return kept{}, false
}

func (b *inbox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages, b.bytes = nil, 0
}
