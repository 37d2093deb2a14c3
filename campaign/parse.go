package campaign

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"mailblast/campaign/finding"
	"mailblast/campaign/text"
)

// Parse reads a campaign file: YAML of at most 1 MB, in one document. The findings call the file name; lookup gives the
// variables (os.LookupEnv).
//
// The error is of type finding.Findings and holds everything that is wrong with the file, in order of position. Unknown and
// duplicate keys, wrong types, missing keys, empty values and values out of range are all errors.
//
//   - A text is taken as it is written: name: 0123 is "0123", and name: yes is "yes".
//   - Variables (see expand) are replaced in values, after the YAML was read, so that a variable never adds a key. A finding
//     shows the reference and never what it stands for.
//   - A list or a section may be empty; any other key that is there needs a value.
//   - Aliases (*name) stand for the value they point to. Merge keys (<<) and tags (!!binary) are refused.
func Parse(name string, source []byte, lookup func(string) (string, bool)) (*File, error) {
	root, broken := decodeYAML(source)
	if broken != nil {
		at := broken.at
		return nil, finding.Findings{{File: name, Line: at.line, Column: at.column, Message: broken.problem, Hint: broken.hint}}
	}
	f := defaults()
	f.Path, f.positions = name, map[string]position{}
	p := &parser{file: f, source: source, lookup: lookup, only: newServer()}
	p.keys = p.schema()
	if p.section("", position{1, 1}, root, p.keys) {
		p.checkRelations()
	}
	if len(p.findings) > 0 {
		p.findings.Sort()
		return nil, p.findings
	}
	return f, nil
}

// maxFindings is more than a file that a person wrote ever has. It bounds what a hostile file of 1 MB costs.
const maxFindings = 1000

// A parser fills a File from the nodes of its YAML.
type parser struct {
	file     *File
	source   []byte
	only     Server // what is under smtp:
	lookup   func(string) (string, bool)
	keys     []key
	findings finding.Findings
}

// report adds a finding.
func (p *parser) report(at position, message, hint string) {
	if len(p.findings) < maxFindings {
		f := finding.Finding{File: p.file.Path, Line: at.line, Column: at.column, Message: message, Hint: hint}
		p.findings = append(p.findings, f)
	}
}

// section reads the keys of the file or of one section, and reports the missing ones at the given position. It returns false
// when n is no section.
func (p *parser) section(path string, at position, n *yaml.Node, keys []key) bool {
	seen := map[string]bool{}
	ok := p.eachPair(path, n, func(k, v *yaml.Node) {
		seen[k.Value] = true
		full := join(path, k.Value)
		i := slices.IndexFunc(keys, func(known key) bool { return known.name == k.Value })
		switch {
		case i < 0:
			p.report(positionOf(k), fmt.Sprintf("unknown key %s", text.Quoted(full)), p.suggest(path, k.Value, keys))
		case keys[i].section != nil:
			p.file.positions[full] = positionOf(k)
			p.section(full, positionOf(k), v, keys[i].section)
		default:
			p.file.positions[full] = positionOf(v)
			keys[i].read(full, v)
		}
	})
	for _, k := range keys {
		if ok && !seen[k.name] && !seen[k.instead] {
			p.reportMissing(path, at, k)
		}
	}
	return ok
}

// reportMissing reports a required key that is missing, or the required keys of a section that is missing as a whole.
func (p *parser) reportMissing(path string, at position, k key) {
	full := join(path, k.name)
	if k.example != "" {
		hint := "as in " + k.example
		if path != "" {
			hint = fmt.Sprintf("below %s:, %s", path, hint)
		}
		p.report(at, fmt.Sprintf("missing key %q", full), hint)
	}
	for _, inner := range k.section {
		p.reportMissing(full, at, inner)
	}
}

// suggest returns the hint for an unknown key: the nearest key of its section, or the section to which the key belongs.
func (p *parser) suggest(path, word string, keys []key) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	if hint := finding.DidYouMean(word, names); hint != "" {
		return hint
	}
	for _, k := range p.keys {
		if k.name == word {
			return fmt.Sprintf("%s stands at the top level, without indentation", word)
		}
		for _, inner := range k.section {
			if inner.name == word {
				if strings.Contains(path, "[") {
					return fmt.Sprintf("%s stands under %s: at the top level", word, k.name)
				}
				return fmt.Sprintf("%s stands under %s:", word, k.name)
			}
		}
	}
	return ""
}

// headers reads the header fields, in the order of the file.
func (p *parser) headers(path string, n *yaml.Node) {
	seen := map[string]string{}
	p.eachPair(path, n, func(k, v *yaml.Node) {
		full, lower := join(path, k.Value), strings.ToLower(k.Value)
		if err := checkHeaderName(k.Value); err != nil {
			p.reportValue(positionOf(k), path, k.Value, false, err)
			return
		}
		if first, ok := seen[lower]; ok {
			p.report(positionOf(k), fmt.Sprintf("duplicate header field %q", k.Value),
				fmt.Sprintf("it is %q above; upper and lower case are the same", first))
		}
		p.file.positions[full] = positionOf(v)
		seen[lower] = k.Value
		p.checkComment(full, v)
		if text, ok := scalar(p, full, v, parseText); ok {
			p.file.Headers = append(p.file.Headers, Header{k.Value, text})
		}
	})
}

// password accepts a variable and nothing else, because people mail and commit campaign files, and the queue keeps them.
func (p *parser) password(to *Secret) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		v, ok := p.single(path, n)
		if !ok {
			return
		}
		if !variableOnly.MatchString(v.Value) {
			p.report(positionOf(n), path+" must be a variable and nothing else, not the password itself",
				"password: ${SMTP_PASSWORD}, with SMTP_PASSWORD set in the environment")
			return
		}
		if text, ok := scalar(p, path, n, parseText); ok {
			*to = Secret(text)
		}
	}
}

// rules reads the list of rules.
func (p *parser) rules(path string, n *yaml.Node) {
	const most = 100 // every refusal is matched with all of them
	p.eachSection(path, n, most, "- match: '^450 .*come back tomorrow', and below it, class: transient", func(full string, n *yaml.Node) {
		var rule Rule
		if p.section(full, positionOf(n), n, p.ruleKeys(&rule)) {
			p.file.Rules = append(p.file.Rules, rule)
		}
	})
}

// servers reads the list of servers, which must not be empty.
func (p *parser) servers(path string, n *yaml.Node) {
	const most, hint = 100, "- host: smtp.example.com, and below it what else stands under smtp"
	before := len(p.findings)
	p.eachSection(path, n, most, hint, func(full string, n *yaml.Node) {
		s := newServer()
		s.key = full
		at := len(p.file.Servers)
		p.file.Servers = append(p.file.Servers, s)
		p.section(full, positionOf(n), n, append(p.serverKeys(&s), p.serverListKeys(&s)...))
		p.file.Servers[at] = s
	})
	if len(p.file.Servers) == 0 && len(p.findings) == before {
		p.report(positionOf(n), path+" is empty", hint)
	}
}

func (p *parser) backoff(path string, n *yaml.Node) {
	if b, ok := scalar(p, path, n, parseBackoff); ok {
		p.file.Delivery.BackoffMin, p.file.Delivery.BackoffMax = b.min, b.max
	}
}
