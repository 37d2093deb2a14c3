package plan

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"mailblast/campaign"
	"mailblast/sender/sink"
)

// A Sandbox is a server inside this process and a folder for a throwaway queue.
type Sandbox struct {
	server *sink.Server
	dir    string
}

// EnterSandbox puts a server inside this process in the place of the campaign's.
func (p *Plan) EnterSandbox(ctx context.Context) (*Sandbox, error) {
	dir, err := os.MkdirTemp("", "mailblast-sandbox-")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	server, err := sink.Start(context.WithoutCancel(ctx), sink.Options{Listen: "127.0.0.1:0"})
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	p.File.Servers = p.File.Servers[:1] // one takes the place of all
	to := &p.File.Servers[0]
	to.Name, to.Host, to.Port = server.Addr().String(), "127.0.0.1", server.Addr().(*net.TCPAddr).Port
	to.Security, to.CAFile, to.Username, to.Password, to.SourceIP = campaign.None, "", "", "", netip.Addr{}
	return &Sandbox{server, dir}, nil
}

// Queue is the file for the queue.
func (s *Sandbox) Queue() string { return filepath.Join(s.dir, "queue.db") }

// Close ends the server, removes the folder, and says for how many recipients the server took a message.
func (s *Sandbox) Close(ctx context.Context) (recipients int64) {
	s.server.Close(context.WithoutCancel(ctx))
	os.RemoveAll(s.dir)
	return s.server.Counts().Distinct
}
