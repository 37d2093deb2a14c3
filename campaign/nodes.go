package campaign

import (
	"cmp"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"mailblast/campaign/text"
)

// From a node of the YAML to a value.

// eachPair calls f for every key of a mapping and its value, except for duplicates. It returns false when n is no mapping.
func (p *parser) eachPair(path string, n *yaml.Node, f func(k, v *yaml.Node)) bool {
	m, ok := p.resolve(path, n)
	switch {
	case !ok:
		return false
	case m.Kind == yaml.MappingNode:
	case isNull(m) && path != "":
		return true
	case path == "":
		p.report(positionOf(n), "a campaign file consists of keys with values", "as in name: spring-sale")
		return false
	default:
		p.report(positionOf(n), fmt.Sprintf("%s must have keys of its own, not %s", path, kindOf(m)),
			"write them below it, indented")
		return false
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		switch first := lines[k.Value]; {
		case k.Kind != yaml.ScalarNode || k.Style&yaml.TaggedStyle != 0:
			p.report(positionOf(k), "a key must be a plain word", "")
		case k.Tag == "!!merge":
			p.report(positionOf(k), "merge keys (<<) are not supported", "write the keys out")
		case first > 0:
			p.report(positionOf(k), fmt.Sprintf("duplicate key %s", text.Quoted(join(path, k.Value))),
				fmt.Sprintf("it stands in line %d already", first))
		default:
			lines[k.Value] = k.Line
			f(k, v)
		}
	}
	return true
}

// eachSection calls each with the items of a list.
func (p *parser) eachSection(path string, n *yaml.Node, most int, hint string, each func(full string, n *yaml.Node)) {
	l, ok := p.resolve(path, n)
	switch {
	case !ok || isNull(l):
		return
	case l.Kind != yaml.SequenceNode:
		p.report(positionOf(n), fmt.Sprintf("%s must be a list, not %s", path, kindOf(l)), hint)
		return
	case len(l.Content) > most:
		p.report(positionOf(n), fmt.Sprintf("%s has %d items; at most %d", path, len(l.Content), most), "")
		return
	}
	for i, n := range l.Content {
		full := item(path, i)
		p.file.positions[full] = positionOf(n)
		each(full, n)
	}
}

// value reads one value.
func value[T any](p *parser, to *T, parse func(string) (T, error)) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		if v, ok := scalar(p, path, n, parse); ok {
			*to = v
		}
	}
}

// oneOrMore reads one value or a list of values.
func oneOrMore[T any](p *parser, to *[]T, parse func(string) (T, error)) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		l, ok := p.resolve(path, n)
		if !ok {
			return
		}
		if l.Kind == yaml.SequenceNode && len(l.Content) == 0 {
			p.report(positionOf(n), path+" is an empty list", "leave it out, or name at least one")
		} else if l.Kind == yaml.SequenceNode {
			*to = list(p, path, l, parse)
		} else if v, ok := scalar(p, path, n, parse); ok {
			*to = []T{v}
		}
	}
}

// paths reads a list of files, no two of which may have the same identity.
func paths(p *parser, to *[]string, identity func(string) string) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		l, ok := p.resolve(path, n)
		switch {
		case !ok || isNull(l):
			return
		case l.Kind != yaml.SequenceNode:
			p.report(positionOf(n), fmt.Sprintf("%s must be a list, not %s", path, kindOf(l)), "write it in brackets: [FILE, FILE]")
			return
		}
		seen := map[string]bool{}
		*to = list(p, path, l, func(s string) (string, error) {
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
func list[T any](p *parser, path string, l *yaml.Node, parse func(string) (T, error)) []T {
	const most = 1000
	if len(l.Content) > most {
		p.report(positionOf(l), fmt.Sprintf("%s has %d items; at most %d", path, len(l.Content), most), "")
		return nil
	}
	var items []T
	for i, n := range l.Content {
		p.file.positions[item(path, i)] = positionOf(n)
		if v, ok := scalar(p, path, n, parse); ok {
			items = append(items, v)
		}
	}
	return items
}

// scalar reads one value and expands its variables.
func scalar[T any](p *parser, path string, n *yaml.Node, parse func(string) (T, error)) (v T, ok bool) {
	s, ok := p.single(path, n)
	if !ok {
		return v, false
	}
	if err := checkText(s.Value); err != nil {
		p.reportValue(positionOf(n), path, s.Value, false, err)
		return v, false
	}
	text, expanded, faults := expand(s.Value, p.lookup)
	for _, f := range faults {
		p.reportValue(positionOf(n), path, s.Value, false, f)
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
		p.reportValue(positionOf(n), path, s.Value, expanded, err)
	}
	return v, err == nil
}

// single returns the scalar behind n as it is written.
func (p *parser) single(path string, n *yaml.Node) (*yaml.Node, bool) {
	s, ok := p.resolve(path, n)
	switch {
	case !ok:
		return nil, false
	case s.Kind == yaml.MappingNode && s.Style&yaml.FlowStyle != 0:
		p.report(positionOf(n), fmt.Sprintf("%s must be a single value, not keys and values", path),
			"put a text that begins with { into quotes")
		return nil, false
	case s.Kind != yaml.ScalarNode:
		p.report(positionOf(n), fmt.Sprintf("%s must be a single value, not %s", path, kindOf(s)), "")
		return nil, false
	case isNull(s):
		p.report(positionOf(n), fmt.Sprintf("%s has no value", path), "write one, or remove the key")
		return nil, false
	}
	return s, true
}

// resolve follows an alias and refuses a tag.
func (p *parser) resolve(path string, n *yaml.Node) (*yaml.Node, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 {
		p.report(positionOf(n), fmt.Sprintf("%s has the YAML tag %s", cmp.Or(path, "the file"), text.Quoted(n.Tag)),
			"remove it, or put a text that begins with ! into quotes")
		return nil, false
	}
	return n, true
}

// reportValue reports a value as it is written in the file, because what a variable stands for may be a secret.
func (p *parser) reportValue(at position, path, written string, expanded bool, err error) {
	var f fault
	if !errors.As(err, &f) {
		f.problem = err.Error()
	}
	subject := text.Quoted(written)
	if expanded {
		subject, f.detail = "the value of "+subject, ""
	}
	p.report(at, fmt.Sprintf("%s: %s %s", path, subject, f.Error()), f.hint)
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

// item returns the path of an item of a list.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
