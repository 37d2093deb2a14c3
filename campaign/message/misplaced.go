package message

import (
	"fmt"
	"slices"
	"strings"
	"text/template/parse"

	"mailblast/campaign/finding"
	"mailblast/campaign/text"
)

// A slip that text/template can parse is found by the checker: a field without its dot, or with words behind it. What it cannot
// parse is found before (slips.go).

func isFunction(name string) bool { return slices.Contains(functionNames(), name) }

// misplaced reports a command that is a field, but is not written as one. piped says whether a value goes into it.
func (c *checker) misplaced(cmd *parse.CommandNode, dot kind, piped bool) bool {
	switch first := cmd.Args[0].(type) {
	case *parse.FieldNode:
		if len(cmd.Args) == 1 && !piped {
			return false
		}
		if name := c.compiler.guess(strings.TrimPrefix(cmd.String(), ".")); name != "" && len(cmd.Args) > 1 {
			c.notAField(first, cmd.String(), name, dot)
			return true
		}
		c.takesNothing(first, cmd, piped)
		return true
	case *parse.NumberNode: // {{ .2 Name }}
		name := c.compiler.guess(strings.TrimPrefix(cmd.String(), "."))
		if len(cmd.Args) == 1 || name == "" {
			return false
		}
		c.notAField(first, cmd.String(), name, dot)
		return true
	case *parse.IdentifierNode:
		if piped {
			return false
		}
		name := c.compiler.guess(cmd.String())
		if isFunction(first.Ident) && (len(cmd.Args) > 1 || name != first.Ident) || name == "" {
			return false
		}
		c.notAField(first, cmd.String(), name, dot)
		return true
	}
	return false
}

// takesNothing reports a field that is used like a function.
func (c *checker) takesNothing(field *parse.FieldNode, cmd *parse.CommandNode, piped bool) {
	if name := strings.TrimPrefix(field.String(), "."); piped && isFunction(name) {
		c.at(field, fmt.Sprintf("%s is a function, and begins without a dot", name), "write | "+name)
		return
	}
	hint := "a function comes first, and what it works on after it"
	if len(cmd.Args) > 1 {
		if f, ok := cmd.Args[1].(*parse.IdentifierNode); ok && isFunction(f.Ident) {
			hint += fmt.Sprintf(": %s %s …", f.Ident, field)
		}
	}
	c.at(field, fmt.Sprintf("%s is no function, and takes nothing", field), hint)
}

// function checks the name of a function.
func (c *checker) function(n *parse.IdentifierNode, dot kind) {
	names := functionNames()
	if slices.Contains(names, n.Ident) {
		return
	}
	if name := c.compiler.guessForeign(n.Ident); name != "" {
		c.notAField(n, n.Ident, name, dot)
		return
	}
	hint := finding.DidYouMean(n.Ident, names)
	if hint == "" {
		hint = "functions: " + strings.Join(names, ", ")
	}
	c.at(n, fmt.Sprintf("unknown function %q", n.Ident), hint)
}

// notAField reports what is meant as a field, and says how that is written. Without a name nobody knows what is meant.
func (c *checker) notAField(n parse.Node, written, name string, dot kind) {
	message := fmt.Sprintf("%s is no field", text.Quoted(written))
	row, reachable := c.rowFrom(dot)
	switch {
	case name == "":
		c.at(n, message, "fields begin with a dot; columns: "+c.compiler.written)
	case !reachable:
		c.at(n, message, c.callWithFields())
	default:
		c.at(n, message, mendField(written, c.compiler.write(row, name)))
	}
}

// mendField is the hint of how a field is written in place of something else.
func mendField(written, action string) string {
	if !strings.HasPrefix(written, ".") && strings.HasPrefix(action, "{{ .") {
		return "fields begin with a dot: " + action
	}
	return "write " + action
}

// rowFrom returns how the fields of the row are reached from the dot, and false if they are not.
func (c *checker) rowFrom(dot kind) (row string, ok bool) {
	switch {
	case dot == kindRow:
		return "", true
	case c.vars[0].kind == kindRow:
		return "$", true
	}
	return "", false
}
