package message

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"mailblast/campaign/finding"
	"mailblast/campaign/list"
)

// guess returns the field that a person means who does not write its name as a template needs it: with spaces, hyphens or
// capitals, or in another spelling of the same words. It returns "" if no field is meant for sure.
func (c *compiler) guess(words string) string {
	words = norm.NFC.String(strings.TrimSpace(words))
	for _, name := range []string{words, list.SnakeCase(words)} {
		if slices.Contains(c.fields, name) {
			return name
		}
	}
	return c.squashedFields()[squash(words)]
}

// squashedFields returns the fields by their letters and digits alone.
func (c *compiler) squashedFields() map[string]string {
	if c.squashed == nil {
		c.squashed = map[string]string{}
		for _, name := range slices.Backward(c.fields) {
			if word := squash(name); word != "" {
				c.squashed[word] = name
			}
		}
	}
	return c.squashed
}

// guessForeign is guess for the merge tags of other programs, which have names of their own for what every list has.
func (c *compiler) guessForeign(tag string) string {
	if name := c.guess(tag); name != "" {
		return name
	}
	if _, last, qualified := strings.Cut(tag, "."); qualified {
		return c.guessForeign(last)
	}
	word := squash(tag)
	for _, same := range sameFields {
		if !slices.Contains(same, word) {
			continue
		}
		for _, other := range same {
			if name := c.squashedFields()[other]; name != "" {
				return name
			}
		}
	}
	return ""
}

// sameFields are names for the same thing.
var sameFields = [][]string{
	{"fname", "firstname", "givenname", "forename", "vorname", "prénom", "prenom", "nombre", "nome"},
	{"lname", "lastname", "surname", "familyname", "nachname", "nom", "apellido", "apellidos", "cognome"},
	{"name", "fullname", "contactname", "subscribername", "recipientname"},
	{"email", "mail", "emailaddress", "emailaddr", "emailadresse", "subscriberemail", "recipientemail"},
	{"company", "companyname", "organization", "organisation", "firma"},
	{"phone", "phonenumber", "telephone", "telefon", "mobile"},
}

// squash returns the letters and digits of a name in lower case.
func squash(name string) string { return strings.ReplaceAll(list.SnakeCase(name), "_", "") }

// suggest is the hint for a name that no field has.
func (c *compiler) suggest(name string) string {
	near := c.guessForeign(name)
	if near == "" {
		near = finding.Nearest(name, c.fields)
	}
	if near == "" {
		return "columns: " + c.written
	}
	return "did you mean " + c.nameField(near) + "? columns: " + c.written
}

// nameField names a field as it can be written after a dot or, if it cannot, by the action that writes it.
func (c *compiler) nameField(name string) string {
	if ref, ok := strings.CutPrefix(c.reference("", name), "."); ok {
		return `"` + ref + `"`
	}
	return c.write("", name)
}
