package main

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// startProxy stands for distance: what is sent to its address reaches the target half a round-trip time later, and what
// comes back likewise; there is no bound on what is under way. When both ends of the connections are gone, hangUp
// ends it.
func startProxy(target string, rtt time.Duration) (addr string, hangUp func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer client.Close()
				pause(3 * rtt / 2) // the three ways of a handshake, which loopback does at once
				server, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				defer server.Close()
				var ways sync.WaitGroup
				ways.Go(func() { carry(server.(*net.TCPConn), client, rtt/2) })
				ways.Go(func() { carry(client.(*net.TCPConn), server, rtt/2) })
				ways.Wait()
			})
		}
	})
	return l.Addr().String(), func() { l.Close(); running.Wait() }, nil
}

// A chunk is bytes that arrive at a time.
type chunk struct {
	due   time.Time
	bytes []byte
}

// carry brings bytes one way until their end, each with the same delay.
func carry(to *net.TCPConn, from net.Conn, late time.Duration) {
	way := make(chan chunk, 1024)
	go func() {
		defer close(way)
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if n > 0 {
				way <- chunk{time.Now().Add(late), append([]byte(nil), buffer[:n]...)}
			}
			if err != nil {
				return
			}
		}
	}()
	var err error
	for c := range way { // to its end: the reader must not wait
		if err == nil {
			pause(time.Until(c.due))
			_, err = to.Write(c.bytes)
		}
	}
	to.CloseWrite()
}

// pause sleeps more exactly than time.Sleep, which may be a millisecond late when nothing else runs.
func pause(d time.Duration) {
	const tick = time.Millisecond
	if d > tick {
		start := time.Now()
		time.Sleep(d - tick)
		d -= time.Since(start)
	}
	if d > 0 {
		t := syscall.NsecToTimespec(int64(d))
		syscall.Nanosleep(&t, nil)
	}
}
