package message

import (
	"fmt"
	htmltemplate "html/template"
	"regexp"
	"text/template/parse"
)

// html/template removes all comments of HTML, but in mail the conditional ones are no remarks: half of what Outlook needs to
// show a newsletter properly stands in <!--[if mso]> … <![endif]-->. So the compiler hides them from html/template behind
// calls of a function, which it takes for text, and puts them back as texts after it has escaped the trees. What stands
// between them is escaped like everything else, and an escaped value cannot end a comment.

// conditionalFunc cannot be called by a template that a person wrote: the checker does not know it.
const conditionalFunc = "_mailblast_conditional"

// conditional matches the beginnings and the ends of conditional comments, also those of the form that other readers show
// (<!--[if !mso]><!--> and <!--<![endif]-->).
var conditional = regexp.MustCompile(`<!--\s*\[if[^\]{]*\]>(?:\s*(?:<!)?-->)?|(?:<!--\s*)?<!\[endif\]\s*-->`)

func hideConditionals(page string) string {
	return conditional.ReplaceAllStringFunc(page, func(comment string) string {
		return fmt.Sprintf("{{ %s %q }}", conditionalFunc, comment)
	})
}

func conditionalComment(comment string) htmltemplate.HTML { return htmltemplate.HTML(comment) }

// showConditionals turns the calls back into texts, after html/template has escaped the trees.
func (s *templateSet) showConditionals() {
	for _, tree := range s.trees {
		eachNode(tree.Root, func(n parse.Node) {
			list, ok := n.(*parse.ListNode)
			if !ok {
				return
			}
			for i, child := range list.Nodes {
				action, ok := child.(*parse.ActionNode)
				if !ok || len(action.Pipe.Cmds[0].Args) != 2 {
					continue
				}
				name, _ := action.Pipe.Cmds[0].Args[0].(*parse.IdentifierNode)
				comment, _ := action.Pipe.Cmds[0].Args[1].(*parse.StringNode)
				if name != nil && comment != nil && name.Ident == conditionalFunc {
					list.Nodes[i] = &parse.TextNode{NodeType: parse.NodeText, Pos: action.Pos, Text: []byte(comment.Text)}
				}
			}
		})
	}
}
