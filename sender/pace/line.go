package pace

import "slices"

// A line holds those who wait for the server's next moment, in the order in which they came. Only the first has one. So it goes by the rate that
// holds at that moment, and connections take turns: for a server that counts by the connection, the first in line is the one that can carry
// most, and the last, which was throttled just now, the one that can carry least.
//
// The caller holds a lock.
type line []chan struct{}

// join adds one to the end of the line. The channel is signalled when it has become the first, unless it is at once.
func (l *line) join() (woken chan struct{}) {
	woken = make(chan struct{}, 1)
	*l = append(*l, woken)
	return woken
}

// ahead counts those before one in the line; -1: it has left.
func (l line) ahead(woken chan struct{}) int { return slices.Index(l, woken) }

// leave takes one out of the line, if it is in it, and signals the next if that has become the first.
func (l *line) leave(woken chan struct{}) {
	i := l.ahead(woken)
	if i < 0 {
		return
	}
	*l = slices.Delete(*l, i, i+1)
	if i == 0 && len(*l) > 0 {
		(*l)[0] <- struct{}{}
	}
}
