package sink

import (
	"crypto/tls"
	"net"
	"sync"
)

// enterTLS gives a socket, whose client was told to start TLS, to the server that speaks inside TLS.
func (s *Server) enterTLS(raw net.Conn) {
	c := newConn(s, raw, s.opts.TLS)
	c.inside = true
	s.track(c)
	s.inner.give(c)
}

// A connListener wraps each connection that it accepts in a conn.
type connListener struct {
	net.Listener
	srv *Server
}

func (l connListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.srv.ledger.connection()
	var config *tls.Config
	if l.srv.opts.Security == TLS {
		config = l.srv.opts.TLS
	}
	c := newConn(l.srv, raw, config)
	c.log("connection accepted")
	c.startTLS = l.srv.opts.Security == StartTLS
	host, _, _ := net.SplitHostPort(raw.RemoteAddr().String())
	if c.greeting = l.srv.faults.at(Connect, host, host); c.greeting != nil {
		l.srv.ledger.refuse()
	}
	l.srv.track(c)
	return c, nil
}

// A handover is a listener whose connections are given to it by give.
type handover struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		c.Close()
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.addr }
