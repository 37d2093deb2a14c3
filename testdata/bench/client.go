package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	mail "github.com/xhit/go-simple-mail/v2"
)

// clients run in a process of their own, which is this program with one of these names as its first argument; then come
// ADDRESS MESSAGES CONNECTIONS FOLDER, where the folder holds the campaign.
var clients = map[string]func(args []string) error{
	"client-bare": bareClient, "client-bare-tls": bareTLSClient, "client-chunking": chunkingClient, "client-simple-mail": simpleMailClient,
}

// each runs work for each connection, at the same time; take gives out the numbers of the messages until there are no
// more.
func each(args []string, work func(take func() (i int, more bool)) error) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	conns, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	var taken atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, conns)
	for c := range conns {
		wg.Go(func() {
			errs[c] = work(func() (int, bool) { i := int(taken.Add(1)) - 1; return i, i < n })
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// bareClient is the bound of what a client can do over these connections: it sends one message, made beforehand, again and
// again; the end of each and the envelope of the next are one write (RFC 2920 section 3.1).
func bareClient(args []string) error {
	return bare(args, func(conn net.Conn, _ *bufio.Reader) (net.Conn, error) { return conn, nil })
}

// bareTLSClient is the same bound with STARTTLS, on a server that wrote its certificate to the folder.
func bareTLSClient(args []string) error {
	return bare(args, func(conn net.Conn, in *bufio.Reader) (net.Conn, error) {
		return startTLS(conn, in, filepath.Join(args[3], authorityFile))
	})
}

// bare is the loop of the bare clients. secure gets a connection on which EHLO was said, and returns what to send over.
func bare(args []string, secure func(net.Conn, *bufio.Reader) (net.Conn, error)) error {
	message, err := os.ReadFile(filepath.Join(args[3], "message.eml"))
	if err != nil {
		return err
	}
	const envelope = "MAIL FROM:<news@example.com>\r\nRCPT TO:<reader1@example.com>\r\nDATA\r\n"
	next := []byte(string(message) + ".\r\n" + envelope)
	last := []byte(string(message) + ".\r\nQUIT\r\n")
	return each(args, func(take func() (int, bool)) error {
		conn, in, err := hello(args[0])
		if err != nil {
			return err
		}
		defer conn.Close()
		over, err := secure(conn, in)
		if err != nil {
			return err
		}
		exchange := func(flight []byte, replies int) error {
			if _, err := over.Write(flight); err != nil {
				return err
			}
			return expect(in, replies)
		}
		if _, more := take(); !more {
			return nil
		}
		for err = exchange([]byte(envelope), 3); err == nil; err = exchange(next, 4) {
			if _, more := take(); !more {
				return exchange(last, 2)
			}
		}
		return err
	})
}

const ehlo = "EHLO client.example.com\r\n"

// hello connects and says EHLO.
func hello(addr string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	in := bufio.NewReader(conn)
	_, err = conn.Write([]byte(ehlo))
	if err == nil {
		err = expect(in, 2) // the greeting comes first
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, in, nil
}

// chunkingClient is the same bound with CHUNKING: pipelineDepth messages are under way on each connection.
func chunkingClient(args []string) error {
	message, err := os.ReadFile(filepath.Join(args[3], "message.eml"))
	if err != nil {
		return err
	}
	flight := fmt.Appendf(nil, "RSET\r\nMAIL FROM:<news@example.com>\r\nRCPT TO:<reader1@example.com>\r\nBDAT %d LAST\r\n%s", len(message), message)
	return each(args, func(take func() (int, bool)) error {
		conn, in, err := hello(args[0])
		if err != nil {
			return err
		}
		defer conn.Close()
		const replies = 4 // to a message
		owed := 0
		for _, more := take(); more; _, more = take() {
			if owed == replies*pipelineDepth {
				if err := expect(in, replies); err != nil {
					return err
				}
				owed -= replies
			}
			if _, err := conn.Write(flight); err != nil {
				return err
			}
			owed += replies
		}
		return expect(in, owed)
	})
}

// expect reads positive replies.
func expect(in *bufio.Reader, replies int) error {
	for replies > 0 {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) < 4 || line[0] != '2' && line[0] != '3' {
			return fmt.Errorf("the server said %q", line)
		}
		if line[3] != '-' {
			replies--
		}
	}
	return nil
}

// simpleMailClient uses go-simple-mail as its documentation does, with one client a worker that is kept alive.
func simpleMailClient(args []string) error {
	host, port, err := net.SplitHostPort(args[0])
	if err != nil {
		return err
	}
	html, err := os.ReadFile(filepath.Join(args[3], "newsletter.html"))
	if err != nil {
		return err
	}
	return each(args, func(take func() (int, bool)) error {
		server := mail.NewSMTPClient()
		server.Host = host
		server.Port, _ = strconv.Atoi(port)
		server.KeepAlive = true
		server.ConnectTimeout, server.SendTimeout = 10*time.Second, 10*time.Second
		client, err := server.Connect()
		if err != nil {
			return err
		}
		defer client.Close()
		for i, more := take(); more; i, more = take() {
			r := readerAt(i)
			m := mail.NewMSG()
			m.SetFrom("Bench <news@example.com>").AddTo(r.email).SetSubject(r.fill("News for {{ .first_name }}"))
			m.SetBody(mail.TextHTML, r.fill(string(html))).AddAlternative(mail.TextPlain, r.fill(plainText))
			if err := m.Send(client); err != nil {
				return err
			}
		}
		return nil
	})
}
