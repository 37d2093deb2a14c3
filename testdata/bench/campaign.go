package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// htmlSize is the least size of the HTML part, in octets.
const htmlSize = 10 << 10

const campaignFile = `name: bench
from: Bench <news@example.com>
subject: 'News for {{ .first_name }}'
recipients: list.csv
html: newsletter.html
text: newsletter.txt
smtp:
  host: 127.0.0.1
  port: ${BENCH_PORT}
  security: none
  helo: client.example.com
  connections: ${BENCH_CONNECTIONS}
  pipeline: ${BENCH_PIPELINE}
delivery:
  durability: strict
`

const plainText = `Hello {{ .first_name }},

there is news from {{ .city }}. Read it at https://shop.example.com/?c={{ .code }}
and tell us what you think: just answer this message.
`

// Some of these need an encoding and some do not, as in life.
var (
	firstNames = []string{"Ada", "Grace", "Zoë", "José", "Björn", "Linus", "Margaret"}
	cities     = []string{"London", "Wien", "Göteborg", "Paris"}
)

// A reader is one row of a list, as a sender that is not mailblast sees it.
type reader struct{ email, firstName, city, code string }

// readerAt is the reader in line i of every list, from 0.
func readerAt(i int) reader {
	return reader{fmt.Sprintf("reader%d@example.com", i+1), firstNames[i%len(firstNames)], cities[i%len(cities)], fmt.Sprintf("C%d", i+1)}
}

// fill puts the reader's fields into a template.
func (r reader) fill(template string) string {
	return strings.NewReplacer("{{ .first_name }}", r.firstName, "{{ .city }}", r.city, "{{ .code }}", r.code).Replace(template)
}

// newsletter is the HTML template.
func newsletter() string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html><head><title>News</title></head><body>\n<h1>Hello {{ .first_name }}</h1>\n<p>News from {{ .city }}.</p>\n<table>\n")
	for i := 0; b.Len() < htmlSize-120; i++ {
		fmt.Fprintf(&b, "<tr><td style=\"padding:8px;color:#333\">Article %d</td>\n<td>The quick brown fox jumps over the lazy dog, again and again.</td></tr>\n", i)
	}
	b.WriteString("</table>\n<p><a href=\"https://shop.example.com/?c={{ .code }}\">Read more</a></p>\n</body></html>\n")
	return b.String()
}

// noise returns so many octets that compress badly.
func noise(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// A variant is what a campaign has that is not the usual one.
type variant struct {
	attached []byte // an attachment; empty: none
	starttls bool   // it asks for STARTTLS, and trusts what the server writes to authorityFile
}

// writeCampaign writes what the senders read: the campaign, and the same as a message that is ready to go.
func writeCampaign(dir string, v variant) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	html := newsletter()
	campaign, parts := campaignFile, ""
	if v.starttls {
		campaign = strings.Replace(campaign, "security: none\n", "security: starttls\n  ca_file: "+authorityFile+"\n", 1)
	}
	if len(v.attached) > 0 {
		campaign += "attachments: [catalogue.bin]\n"
		var lines strings.Builder
		for text := base64.StdEncoding.EncodeToString(v.attached); text != ""; text = text[min(76, len(text)):] {
			lines.WriteString(text[:min(76, len(text))] + "\n")
		}
		parts = "--next\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n" + lines.String()
	}
	message := strings.ReplaceAll(readerAt(0).fill("From: Bench <news@example.com>\nTo: reader1@example.com\nSubject: News for {{ .first_name }}\n"+
		"Date: Thu, 01 Jan 2026 00:00:00 +0000\nMessage-ID: <1@example.com>\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=next\n\n"+
		"--next\nContent-Type: text/plain; charset=utf-8\n\n"+plainText+"--next\nContent-Type: text/html; charset=utf-8\n\n"+html+parts+"--next--\n"), "\n", "\r\n")
	for name, content := range map[string]string{
		"campaign.yaml": campaign, "newsletter.html": html, "newsletter.txt": plainText, "message.eml": message, "catalogue.bin": string(v.attached),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// list returns the path of a CSV with so many rows of six columns, and writes it when it is not there yet.
func (b *bench) list(rows int) (string, error) {
	path := filepath.Join(b.dir, fmt.Sprintf("list-%d.csv", rows))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "email,first_name,last_name,city,code,plan")
	for i := range rows {
		r := readerAt(i)
		fmt.Fprintf(w, "%s,%s,Lovelace-%d,%s,%s,basic\n", r.email, r.firstName, i%997, r.city, r.code)
	}
	return path, w.Flush()
}
