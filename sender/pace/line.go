package pace

import "slices"

// A line is those that wait for the server's next moment, in the order in which they came. Only the first of them has one, so that it is
// by the rate that holds then and not by one of long ago, and so that connections take turns: for a server that counts by the connection
// the first one is the one that can carry most, and the last one, which was throttled just now, the one that can carry least.
//
// The caller holds a lock.
type line []chan struct{}

// join is the end of the line. What it returns is signalled when its turn has come, unless that is at once.
func (l *line) join() (woken chan struct{}) {
	woken = make(chan struct{}, 1)
	*l = append(*l, woken)
	return woken
}

// ahead is how many are before one of the line.
func (l line) ahead(woken chan struct{}) int { return slices.Index(l, woken) }

// leave takes one out of the line, if it is in it.
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
