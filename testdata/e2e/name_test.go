//go:build linux

package e2e

import (
	"strings"
	"testing"

	"mailblast/sender/sink"
)

// A server whose name is not known: a few tries, then 4 with what to look at, and nothing is lost.
func TestUnknownHost(t *testing.T) {
	t.Parallel()
	library := faultLibrary(t)
	for _, how := range []string{"none", "again"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			port, w := startSink(t, sink.Options{})
			s := newSite(t, port)
			recipients := s.small(20, 10, strings.Replace(plainSMTP, "127.0.0.1", "${SMTP_HOST}", 1))
			p := s.process("send", "small.yaml")
			p.Env = append(p.Env, "SMTP_HOST=smtp.invalid", "GODEBUG=netdns=cgo", "LD_PRELOAD="+library, "FAULT_NAME=smtp.invalid:"+how)
			p.start()
			code, said := p.end()
			if code != 4 || !strings.Contains(said, "lookup smtp.invalid") || !strings.Contains(said, "check smtp.host") {
				t.Errorf("exit code %d", code)
			}
			p = s.process("resume")
			p.Env = append(p.Env, "SMTP_HOST=127.0.0.1")
			p.start()
			if code, _ := p.end(); code != 0 {
				t.Errorf("resume: exit code %d", code)
			}
			s.judgeSettled(w, recipients)
		})
	}
}
