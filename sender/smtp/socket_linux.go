package smtp

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// A socket is a TCP connection that is read and written without telling Go's scheduler. The scheduler need not know, as
// the descriptor does not block. If it is told, it takes the processor away from a thread that is in the kernel for
// more than 20 µs, as it is for every message, and then looks every 20 µs whether it has to do so again: that took a
// tenth of the processor time of a run, and doubled the context switches. Waiting, deadlines and closing are those of
// net.
type socket struct {
	*net.TCPConn
	raw syscall.RawConn
}

// newSocket makes a socket of conn, or returns conn if it is no TCP connection.
func newSocket(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	return &socket{tcp, raw}
}

func (s *socket) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	errno := syscall.EAGAIN
	err = s.raw.Read(func(fd uintptr) bool {
		n, errno = rawRead(fd, b)
		return errno != syscall.EAGAIN
	})
	if err = s.explain("read", err, errno); err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

func (s *socket) Write(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	errno := syscall.EAGAIN
	err = s.raw.Write(func(fd uintptr) bool {
		for errno = 0; n < len(b) && errno == 0; {
			var written int
			written, errno = rawWrite(fd, b[n:])
			n += written
		}
		return errno != syscall.EAGAIN
	})
	return n, s.explain("write", err, errno)
}

// explain returns the error of a call in the form that net gives it: err is from waiting, errno from the kernel.
func (s *socket) explain(op string, err error, errno syscall.Errno) error {
	if e, ok := err.(*net.OpError); ok {
		err = e.Err
	} else if err == nil && errno != 0 {
		err = os.NewSyscallError(op, errno)
	}
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: s.LocalAddr().Network(), Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

// SyscallConn returns the same value each time, so that it costs no allocation.
func (s *socket) SyscallConn() (syscall.RawConn, error) { return s.raw, nil }

func rawRead(fd uintptr, b []byte) (int, syscall.Errno) {
	return restart(func() (uintptr, uintptr, syscall.Errno) {
		return syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	})
}

func rawWrite(fd uintptr, b []byte) (int, syscall.Errno) {
	return restart(func() (uintptr, uintptr, syscall.Errno) {
		return syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	})
}

// restart makes a call until no signal interrupts it.
func restart(call func() (uintptr, uintptr, syscall.Errno)) (int, syscall.Errno) {
	for {
		switch n, _, errno := call(); errno {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
