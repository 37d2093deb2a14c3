package sink

import "time"

// A delayLine sends what is pushed after a fixed time, like a network of that round-trip time: the delays of two
// replies that are under way at the same moment do not add up. Its goroutine ends with close.
type delayLine struct {
	latency time.Duration
	packets chan packet
	done    chan struct{}
}

type packet struct {
	due      time.Time
	data     []byte
	answered []Message
}

// newDelayLine starts a line. Once killed is closed nothing is delayed any longer. After the first error of send the
// rest is discarded.
func newDelayLine(latency time.Duration, send func([]byte, []Message) error, killed <-chan struct{}) *delayLine {
	d := &delayLine{latency: latency, packets: make(chan packet, 64), done: make(chan struct{})}
	go func() {
		defer close(d.done)
		var err error
		for p := range d.packets {
			if err != nil {
				continue
			}
			select {
			case <-time.After(time.Until(p.due)):
			case <-killed:
			}
			err = send(p.data, p.answered)
		}
	}()
	return d
}

func (d *delayLine) push(data []byte, answered []Message) {
	d.packets <- packet{due: time.Now().Add(d.latency), data: data, answered: answered}
}

// close returns when everything pushed was sent.
func (d *delayLine) close() {
	close(d.packets)
	<-d.done
}
