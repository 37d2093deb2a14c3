package campaign

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"mailblast/campaign/finding"
	"mailblast/campaign/text"
)

// Parse reads a campaign file: YAML of at most 1 MB, in one document. name is what the file is called in errors; lookup
// gives the variables (os.LookupEnv).
//
// The error is of type finding.Findings and holds everything that is wrong with the file, in order of place. Unknown and
// duplicate keys, wrong types, missing keys, empty values and values out of range are all errors.
//
//   - A text is taken as it is written: name: 0123 is "0123", and name: yes is "yes".
//   - Variables (see expand) are replaced in values, after YAML was read, so that a variable never adds a key. Errors
//     show the reference and never what it stands for.
//   - A list or a section may be empty; any other key that is there needs a value.
//   - Aliases (*name) stand for the value they point to. Merge keys (<<) and tags (!!binary) are refused.
func Parse(name string, source []byte, lookup func(string) (string, bool)) (*File, error) {
	root, broken := decodeYAML(source)
	if broken != nil {
		at := broken.at
		return nil, finding.Findings{{File: name, Line: at.line, Column: at.column, Message: broken.problem, Hint: broken.hint}}
	}
	f := defaults()
	f.Path, f.places = name, map[string]place{}
	r := &reader{file: f, lookup: lookup, only: newServer()}
	r.keys = r.schema()
	if r.section("", place{1, 1}, root, r.keys) {
		r.relations()
	}
	if len(r.findings) > 0 {
		r.findings.Sort()
		return nil, r.findings
	}
	return f, nil
}

// maxFindings is enough for any file that a person wrote, and bounds what a hostile one can make of 1 MB.
const maxFindings = 1000

// A reader fills a File from the nodes of its YAML.
type reader struct {
	file     *File
	only     Server // of smtp
	lookup   func(string) (string, bool)
	keys     []key
	findings finding.Findings
}

// report adds a finding.
func (r *reader) report(at place, message, hint string) {
	if len(r.findings) < maxFindings {
		f := finding.Finding{File: r.file.Path, Line: at.line, Column: at.column, Message: message, Hint: hint}
		r.findings = append(r.findings, f)
	}
}

// section reads the keys of the file, or of one section; false: n is nothing of the kind. at is where missing keys are
// reported.
func (r *reader) section(path string, at place, n *yaml.Node, keys []key) bool {
	seen := map[string]bool{}
	ok := r.pairs(path, n, func(k, v *yaml.Node) {
		seen[k.Value] = true
		full := join(path, k.Value)
		i := slices.IndexFunc(keys, func(known key) bool { return known.name == k.Value })
		switch {
		case i < 0:
			r.report(placeOf(k), fmt.Sprintf("unknown key %s", text.Quoted(full)), r.meant(path, k.Value, keys))
		case keys[i].section != nil:
			r.file.places[full] = placeOf(k)
			r.section(full, placeOf(k), v, keys[i].section)
		default:
			r.file.places[full] = placeOf(v)
			keys[i].read(full, v)
		}
	})
	for _, k := range keys {
		if ok && !seen[k.name] && !seen[k.instead] {
			r.missing(path, at, k)
		}
	}
	return ok
}

// missing reports a key that must be there, or those that must be in a section that is not there at all.
func (r *reader) missing(path string, at place, k key) {
	full := join(path, k.name)
	if k.example != "" {
		hint := "as in " + k.example
		if path != "" {
			hint = fmt.Sprintf("below %s:, %s", path, hint)
		}
		r.report(at, fmt.Sprintf("missing key %q", full), hint)
	}
	for _, inner := range k.section {
		r.missing(full, at, inner)
	}
}

// meant is the hint for an unknown key: the nearest one of its section, or the same word in its right place.
func (r *reader) meant(path, word string, keys []key) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	if hint := finding.DidYouMean(word, names); hint != "" {
		return hint
	}
	for _, k := range r.keys {
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

// pairs calls f for every key of a mapping and its value, duplicates left out; false: n is no mapping.
func (r *reader) pairs(path string, n *yaml.Node, f func(k, v *yaml.Node)) bool {
	m, ok := r.resolve(path, n)
	switch {
	case !ok:
		return false
	case m.Kind == yaml.MappingNode:
	case isNull(m) && path != "":
		return true
	case path == "":
		r.report(placeOf(n), "a campaign file consists of keys with values", "as in name: spring-sale")
		return false
	default:
		r.report(placeOf(n), fmt.Sprintf("%s must have keys of its own, not %s", path, kindOf(m)),
			"write them below it, indented")
		return false
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		switch first := lines[k.Value]; {
		case k.Kind != yaml.ScalarNode || k.Style&yaml.TaggedStyle != 0:
			r.report(placeOf(k), "a key must be a plain word", "")
		case k.Tag == "!!merge":
			r.report(placeOf(k), "merge keys (<<) are not supported", "write the keys out")
		case first > 0:
			r.report(placeOf(k), fmt.Sprintf("duplicate key %s", text.Quoted(join(path, k.Value))),
				fmt.Sprintf("it stands in line %d already", first))
		default:
			lines[k.Value] = k.Line
			f(k, v)
		}
	}
	return true
}

// headers reads the header fields, in the order of the file.
func (r *reader) headers(path string, n *yaml.Node) {
	seen := map[string]string{}
	r.pairs(path, n, func(k, v *yaml.Node) {
		full, lower := join(path, k.Value), strings.ToLower(k.Value)
		if err := checkHeaderName(k.Value); err != nil {
			r.refuse(placeOf(k), path, k.Value, false, err)
			return
		}
		if first, ok := seen[lower]; ok {
			r.report(placeOf(k), fmt.Sprintf("duplicate header field %q", k.Value),
				fmt.Sprintf("it is %q above; upper and lower case are the same", first))
		}
		r.file.places[full] = placeOf(v)
		seen[lower] = k.Value
		if text, ok := scalar(r, full, v, parseText); ok {
			r.file.Headers = append(r.file.Headers, Header{k.Value, text})
		}
	})
}

// password takes nothing but a variable: a campaign file is mailed around, committed and kept in the queue.
func (r *reader) password(to *Secret) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		v, ok := r.single(path, n)
		if !ok {
			return
		}
		if !variableOnly.MatchString(v.Value) {
			r.report(placeOf(n), path+" must be a variable and nothing else, not the password itself",
				"password: ${SMTP_PASSWORD}, with SMTP_PASSWORD set in the environment")
			return
		}
		if text, ok := scalar(r, path, n, parseText); ok {
			*to = Secret(text)
		}
	}
}

// rules reads a list of sections.
func (r *reader) rules(path string, n *yaml.Node) {
	const most = 100 // each is tried at every refusal
	r.sections(path, n, most, "- match: '^450 .*come back tomorrow', and below it, class: transient", func(full string, n *yaml.Node) {
		var rule Rule
		if r.section(full, placeOf(n), n, r.rule(&rule)) {
			r.file.Rules = append(r.file.Rules, rule)
		}
	})
}

// servers reads a list of sections, which is not empty.
func (r *reader) servers(path string, n *yaml.Node) {
	const most, hint = 100, "- host: smtp.example.com, and below it what else stands under smtp"
	before := len(r.findings)
	r.sections(path, n, most, hint, func(full string, n *yaml.Node) {
		s := newServer()
		s.key = full
		at := len(r.file.Servers)
		r.file.Servers = append(r.file.Servers, s)
		r.section(full, placeOf(n), n, append(r.server(&s), r.among(&s)...))
		r.file.Servers[at] = s
	})
	if len(r.file.Servers) == 0 && len(r.findings) == before {
		r.report(placeOf(n), path+" is empty", hint)
	}
}

// sections calls each for the items of a list.
func (r *reader) sections(path string, n *yaml.Node, most int, hint string, each func(full string, n *yaml.Node)) {
	l, ok := r.resolve(path, n)
	switch {
	case !ok || isNull(l):
		return
	case l.Kind != yaml.SequenceNode:
		r.report(placeOf(n), fmt.Sprintf("%s must be a list, not %s", path, kindOf(l)), hint)
		return
	case len(l.Content) > most:
		r.report(placeOf(n), fmt.Sprintf("%s has %d items; at most %d", path, len(l.Content), most), "")
		return
	}
	for i, n := range l.Content {
		full := item(path, i)
		r.file.places[full] = placeOf(n)
		each(full, n)
	}
}

func (r *reader) backoff(path string, n *yaml.Node) {
	if b, ok := scalar(r, path, n, parseBackoff); ok {
		r.file.Delivery.BackoffMin, r.file.Delivery.BackoffMax = b.min, b.max
	}
}

// value reads one value into to.
func value[T any](r *reader, to *T, parse func(string) (T, error)) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		if v, ok := scalar(r, path, n, parse); ok {
			*to = v
		}
	}
}

// oneOrMore reads one value, or a list of them.
func oneOrMore[T any](r *reader, to *[]T, parse func(string) (T, error)) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		l, ok := r.resolve(path, n)
		if !ok {
			return
		}
		if l.Kind == yaml.SequenceNode && len(l.Content) == 0 {
			r.report(placeOf(n), path+" is an empty list", "leave it out, or name at least one")
		} else if l.Kind == yaml.SequenceNode {
			*to = list(r, path, l, parse)
		} else if v, ok := scalar(r, path, n, parse); ok {
			*to = []T{v}
		}
	}
}

// paths reads a list of files. No two may have the same identity.
func paths(r *reader, to *[]string, identity func(string) string) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		l, ok := r.resolve(path, n)
		switch {
		case !ok || isNull(l):
			return
		case l.Kind != yaml.SequenceNode:
			r.report(placeOf(n), fmt.Sprintf("%s must be a list, not %s", path, kindOf(l)), "write it in brackets: [FILE, FILE]")
			return
		}
		seen := map[string]bool{}
		*to = list(r, path, l, func(s string) (string, error) {
			s, err := parsePath(s)
			if err != nil {
				return "", err
			}
			if seen[identity(s)] {
				return "", fault{problem: "has the name of an earlier one in the list"}
			}
			seen[identity(s)] = true
			return s, nil
		})
	}
}

// list reads the items of a list.
func list[T any](r *reader, path string, l *yaml.Node, parse func(string) (T, error)) []T {
	const most = 1000
	if len(l.Content) > most {
		r.report(placeOf(l), fmt.Sprintf("%s has %d items; at most %d", path, len(l.Content), most), "")
		return nil
	}
	var items []T
	for i, n := range l.Content {
		r.file.places[item(path, i)] = placeOf(n)
		if v, ok := scalar(r, path, n, parse); ok {
			items = append(items, v)
		}
	}
	return items
}

// scalar reads one value, its variables expanded.
func scalar[T any](r *reader, path string, n *yaml.Node, parse func(string) (T, error)) (v T, ok bool) {
	s, ok := r.single(path, n)
	if !ok {
		return v, false
	}
	if err := checkText(s.Value); err != nil {
		r.refuse(placeOf(n), path, s.Value, false, err)
		return v, false
	}
	text, expanded, faults := expand(s.Value, r.lookup)
	for _, f := range faults {
		r.refuse(placeOf(n), path, s.Value, false, f)
	}
	if len(faults) > 0 {
		return v, false
	}
	err := checkText(text)
	if err == nil && text == "" {
		err = fault{problem: "is empty", hint: "write a value, or remove the key"}
	}
	if err == nil {
		v, err = parse(text)
	}
	if err != nil {
		r.refuse(placeOf(n), path, s.Value, expanded, err)
	}
	return v, err == nil
}

// single returns the scalar behind n as it is written.
func (r *reader) single(path string, n *yaml.Node) (*yaml.Node, bool) {
	s, ok := r.resolve(path, n)
	switch {
	case !ok:
		return nil, false
	case s.Kind == yaml.MappingNode && s.Style&yaml.FlowStyle != 0:
		r.report(placeOf(n), fmt.Sprintf("%s must be a single value, not keys and values", path),
			"put a text that begins with { into quotes")
		return nil, false
	case s.Kind != yaml.ScalarNode:
		r.report(placeOf(n), fmt.Sprintf("%s must be a single value, not %s", path, kindOf(s)), "")
		return nil, false
	case isNull(s):
		r.report(placeOf(n), fmt.Sprintf("%s has no value", path), "write one, or remove the key")
		return nil, false
	}
	return s, true
}

// resolve follows an alias and refuses tags.
func (r *reader) resolve(path string, n *yaml.Node) (*yaml.Node, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 {
		r.report(placeOf(n), fmt.Sprintf("%s has the YAML tag %s", cmp.Or(path, "the file"), text.Quoted(n.Tag)),
			"remove it, or put a text that begins with ! into quotes")
		return nil, false
	}
	return n, true
}

// refuse reports a value. It is shown as written in the file: what a variable stands for may be a secret.
func (r *reader) refuse(at place, path, written string, expanded bool, err error) {
	var f fault
	if !errors.As(err, &f) {
		f.problem = err.Error()
	}
	subject := text.Quoted(written)
	if expanded {
		subject, f.detail = "the value of "+subject, ""
	}
	r.report(at, fmt.Sprintf("%s: %s %s", path, subject, f.Error()), f.hint)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// item is the path of an item of a list.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
