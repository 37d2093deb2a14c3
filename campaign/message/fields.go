package message

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"

	"mailblast/campaign/finding"
)

// A kind is what is known about a value in a template before there is data.
type kind int

const (
	kindUnknown kind = iota
	kindRow          // all fields of the recipient: the dot at the top of a template
	kindText         // one field, or the result of a function
	kindNothing      // the dot of a template that was called without data
)

// A checker walks the parse trees of a set of templates as an execution would. It finds the fields, functions and templates
// that do not exist, and the templates that call themselves, which would not end.
type checker struct {
	compiler *compiler
	trees    map[string]*parse.Tree

	done   map[call]bool
	active []string // the templates that are being walked, outermost first
	vars   []binding
	tree   *parse.Tree
}

type call struct {
	name string
	dot  kind
}

type binding struct {
	name string
	kind kind
}

// check walks the entry template, and then the templates that nothing calls.
func (c *compiler) check(set *templateSet, entry string) {
	check := &checker{compiler: c, trees: set.written, done: map[call]bool{}}
	check.all(entry)
}

func (c *checker) all(entry string) {
	if c.trees[entry] != nil {
		c.template(entry, kindRow)
	}
	for _, name := range slices.Sorted(maps.Keys(c.trees)) {
		if !c.called(name) {
			c.template(name, kindRow)
		}
	}
}

func (c *checker) called(name string) bool {
	for k := range c.done {
		if k.name == name {
			return true
		}
	}
	return false
}

func (c *checker) template(name string, dot kind) {
	if c.done[call{name, dot}] {
		return
	}
	c.done[call{name, dot}] = true
	tree, vars := c.tree, c.vars
	c.tree, c.vars = c.trees[name], []binding{{"$", dot}}
	c.active = append(c.active, name)
	c.list(c.tree.Root, dot)
	c.active = c.active[:len(c.active)-1]
	c.tree, c.vars = tree, vars
}

func (c *checker) at(n parse.Node, message, hint string) {
	at := int(n.Position())
	if field, ok := n.(*parse.FieldNode); ok && len(field.Ident) > 1 { // its position is that of the second name
		at -= len(".") + len(field.Ident[0])
	}
	c.compiler.reportAt(c.tree.ParseName, at, message, hint)
}

func (c *checker) list(list *parse.ListNode, dot kind) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			c.pipe(n.Pipe, dot)
		case *parse.IfNode:
			c.branch(&n.BranchNode, dot, func(kind) kind { return dot })
		case *parse.WithNode:
			c.branch(&n.BranchNode, dot, func(value kind) kind { return value })
		case *parse.RangeNode:
			// Everything that can be ranged over (all fields, a split text, a number) has elements without fields.
			c.branch(&n.BranchNode, dot, func(kind) kind { return kindText })
		case *parse.TemplateNode:
			c.call(n, dot)
		}
	}
}

func (c *checker) branch(n *parse.BranchNode, dot kind, inside func(kind) kind) {
	outside := len(c.vars)
	value := c.commands(n.Pipe, dot)
	if n.NodeType == parse.NodeRange {
		c.bind(n.Pipe, kindText)
	} else {
		c.bind(n.Pipe, value)
	}
	value = inside(value)
	declared := len(c.vars)
	c.list(n.List, value)
	c.vars = c.vars[:declared]
	c.list(n.ElseList, dot)
	c.vars = c.vars[:outside]
}

func (c *checker) call(n *parse.TemplateNode, dot kind) {
	value := kindNothing
	if n.Pipe != nil {
		value = c.pipe(n.Pipe, dot)
	}
	switch {
	case c.trees[n.Name] == nil:
		hint := finding.DidYouMean(n.Name, slices.Sorted(maps.Keys(c.trees)))
		if hint == "" {
			hint = "list its file under partials:"
		}
		c.at(n, fmt.Sprintf("there is no template %q", n.Name), hint)
	case slices.Contains(c.active, n.Name):
		c.at(n, fmt.Sprintf("template %q calls itself, which would not end", n.Name), "")
	default:
		c.template(n.Name, value)
	}
}

// pipe checks a pipeline and returns the kind of its value.
func (c *checker) pipe(p *parse.PipeNode, dot kind) kind {
	value := c.commands(p, dot)
	c.bind(p, value)
	return value
}

func (c *checker) commands(p *parse.PipeNode, dot kind) kind {
	value := kindUnknown
	for i, cmd := range p.Cmds {
		if c.misplaced(cmd, dot, i > 0) {
			value = kindUnknown
			continue
		}
		value = c.command(cmd, dot)
		if i > 0 {
			value = kindUnknown // the result of a function, which was given the value before
		}
	}
	return value
}

// bind declares the variables of a pipeline, or assigns to them.
func (c *checker) bind(p *parse.PipeNode, value kind) {
	for _, v := range p.Decl {
		if !p.IsAssign {
			c.vars = append(c.vars, binding{v.Ident[0], value})
			continue
		}
		for i := len(c.vars) - 1; i >= 0; i-- {
			if c.vars[i].name == v.Ident[0] {
				if c.vars[i].kind != value {
					c.vars[i].kind = kindUnknown
				}
				break
			}
		}
	}
}

func (c *checker) command(cmd *parse.CommandNode, dot kind) kind {
	first := c.value(cmd.Args[0], dot)
	for _, arg := range cmd.Args[1:] {
		c.value(arg, dot)
	}
	name, isCall := cmd.Args[0].(*parse.IdentifierNode)
	if !isCall || len(cmd.Args) < 2 {
		return first
	}
	switch literal, _ := cmd.Args[len(cmd.Args)-1].(*parse.StringNode); {
	case name.Ident == "index" && len(cmd.Args) == 3 && literal != nil:
		if c.value(cmd.Args[1], dot) == kindRow {
			c.field(literal, literal.Text)
			return kindText
		}
	case name.Ident == "date":
		if layout, ok := cmd.Args[1].(*parse.StringNode); ok {
			if err := checkDateLayout(layout.Text); err != nil {
				c.at(layout, err.Error(), "")
			}
		}
	}
	return kindUnknown
}

// value checks an operand and returns its kind.
func (c *checker) value(n parse.Node, dot kind) kind {
	switch n := n.(type) {
	case *parse.DotNode:
		return dot
	case *parse.FieldNode:
		return c.path(n, dot, n.Ident)
	case *parse.VariableNode:
		for i := len(c.vars) - 1; i >= 0; i-- {
			if c.vars[i].name == n.Ident[0] {
				return c.path(n, c.vars[i].kind, n.Ident[1:])
			}
		}
	case *parse.ChainNode:
		if base, ok := n.Node.(*parse.IdentifierNode); ok && !isFunction(base.Ident) {
			c.notAField(n, n.String(), c.compiler.guessForeign(n.String()), dot)
			return kindUnknown
		}
		return c.path(n, c.value(n.Node, dot), n.Field)
	case *parse.PipeNode:
		return c.pipe(n, dot)
	case *parse.StringNode:
		return kindText
	case *parse.IdentifierNode:
		c.function(n, dot)
	}
	return kindUnknown
}

// path checks the fields that are taken from a value, as in $.first_name.
func (c *checker) path(n parse.Node, of kind, names []string) kind {
	if of == kindRow && len(names) > 1 && !slices.Contains(c.compiler.fields, names[0]) {
		if name := c.compiler.guessForeign(strings.Join(names, ".")); name != "" { // {{ .Subscriber.FirstName }}
			c.notAField(n, n.String(), name, of)
			return kindUnknown
		}
	}
	for _, name := range names {
		switch of {
		case kindRow:
			c.field(n, name)
		case kindText:
			c.at(n, fmt.Sprintf("a text has no field %q", name), c.outside(name))
			return kindUnknown
		case kindNothing:
			c.at(n, fmt.Sprintf("field %q in a template that is called without the fields", name), c.callWithFields())
			return kindUnknown
		case kindUnknown:
			return kindUnknown
		}
		of = kindText
	}
	return of
}

// outside is the hint for a field that is taken from a text.
func (c *checker) outside(name string) string {
	name = c.compiler.guess(name)
	switch {
	case name == "":
		return ""
	case c.vars[0].kind != kindRow:
		return c.callWithFields()
	}
	return "inside {{ with }} and {{ range }} the dot is the value at hand: write " + c.compiler.reference("$", name)
}

// callWithFields is the hint for a template that is called with something else than the fields.
func (c *checker) callWithFields() string {
	return fmt.Sprintf("call it as {{ template %q . }}", c.active[len(c.active)-1])
}

func (c *checker) field(n parse.Node, name string) {
	if !slices.Contains(c.compiler.fields, name) {
		c.at(n, fmt.Sprintf("unknown field %q", name), c.compiler.suggest(name))
	}
}
