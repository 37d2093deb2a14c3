package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
)

const (
	tlsFolder     = "tls"    // holds the campaign that is sent with STARTTLS
	authorityFile = "ca.pem" // in it; each server writes a new one
)

// startTLS encrypts a connection on which EHLO was said, and says it again; authority is the file of the certificate to
// trust.
func startTLS(conn net.Conn, in *bufio.Reader, authority string) (net.Conn, error) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", authority)
	}
	if _, err := io.WriteString(conn, "STARTTLS\r\n"); err != nil {
		return nil, err
	}
	if err := expect(in, 1); err != nil {
		return nil, err
	}
	secure := tls.Client(conn, &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13})
	if _, err := io.WriteString(secure, ehlo); err != nil {
		return nil, err
	}
	in.Reset(secure)
	return secure, expect(in, 1)
}
