package sink

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// A maildir stores each message in a file, which is written in tmp and renamed into new, so that a reader sees whole
// messages only (https://cr.yp.to/proto/maildir.html). Nothing is synced to the disk: a test server may lose its mail
// in a power cut.
type maildir struct {
	dir  string
	host string
	last atomic.Int64
}

func openMaildir(dir string) (*maildir, error) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return &maildir{dir: dir, host: strings.NewReplacer("/", `\057`, ":", `\072`).Replace(host)}, nil
}

func (m *maildir) deliver(data []byte) error {
	now := time.Now()
	name := fmt.Sprintf("%d.M%06dP%dQ%d.%s", now.Unix(), now.Nanosecond()/1000, os.Getpid(), m.last.Add(1), m.host)
	tmp := filepath.Join(m.dir, "tmp", name)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, filepath.Join(m.dir, "new", name))
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}
