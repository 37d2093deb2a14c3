package reply

import (
	"bufio"
	"strings"
	"testing"
)

func BenchmarkRead(b *testing.B) {
	const wire = "250 2.0.0 Ok: queued as 4ABC\r\n"
	src := strings.NewReader(wire)
	r := bufio.NewReader(src)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(wire)
		r.Reset(src)
		if _, err := Read(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExplain(b *testing.B) {
	classifier := NewClassifier(nil)
	classifier.Explain(Rcpt, 550, "", "")
	for _, c := range []struct {
		name string
		code int
		text string
	}{
		{"sent", 250, "Ok: queued as 4ABC"},
		{"unknown", 550, "<bob@example.org>: Recipient address rejected: there is no such user in the table of mailboxes"},
		{"throttled", 421, "mx1.example.net Error: too many connections from unknown[192.0.2.7]"},
		{"nothing", 554, "Transaction failed"},
		{"long", 550, "[192.0.2.7] The server has seen that this message is likely to be unwanted. To keep the amount of such mail low, it was not let in. Please visit https://postmaster.example.net/help?p=UnwantedMessage for more about it. 5614622812f47-48 - mx"},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				classifier.Explain(Rcpt, c.code, "", c.text)
			}
		})
	}
}
