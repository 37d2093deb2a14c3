package reply

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxText is how much of a reply's text is read for its meaning. Replies that matter say it sooner.
const maxText = 2 << 10

// words brings the text of a reply into the form that the rules are written for: lower-case words separated by one
// space, "." where a sentence ends, and neither accents nor apostrophes nor hyphens. Whatever belongs to the
// occasion and not to the meaning is put away, so that no rule can be fooled by a name:
//
//	addresses                        @
//	hosts, IP addresses, URLs, ids   #  (and numbers of more than three digits)
//	enhanced status codes            nothing; the first is returned, as some servers write it inside the text
//
// Words of other languages become English (languages.go), misspelt ones what they are meant to be (spelling.go).
//
// "<Bob@Example.com>: mailbox isn't found at mx1.example.com (#5.1.1)" becomes "@ mailbox is not found at #" and "5.1.1".
func words(text string) (words, status string) {
	if len(text) > maxText {
		text = text[:maxText]
	}
	glossary := inEnglish()
	spread := unspaced(text)
	text = unaccent(text)
	if spread {
		text = glossary.phrases.Replace(text)
	}
	w := wordWriter{out: make([]byte, 0, len(text)+len(text)/4), glossary: glossary}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '<':
			// An address in brackets may hold anything, quoted: it ends where the bracket does.
			if end := strings.IndexByte(text[i:], '>'); end > 0 && strings.IndexByte(text[i:i+end], '@') > 0 {
				w.word("@")
				i += end
			}
			i++
		case isWordByte(c):
			end := i + 1
			for end < len(text) && isWordByte(text[end]) {
				end++
			}
			if strings.HasPrefix(text[end:], "://") {
				w.word("#")
				for end < len(text) && text[end] > ' ' && text[end] != '>' && text[end] != ')' && text[end] != ']' {
					end++
				}
			} else {
				w.atom(text[i:end])
			}
			i = end
		case c == '.', c == ';', c == '!', c == '?':
			w.stop()
			i++
		default:
			i++
		}
	}
	return string(w.out), w.status
}

// unaccent lowers the case and takes accents off: "Boîte" is "boite".
func unaccent(s string) string {
	s = strings.ToLower(s)
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			s = letters.Replace(strings.ToValidUTF8(s, " "))
			return strings.Map(func(r rune) rune {
				if unicode.Is(unicode.Mn, r) {
					return -1
				}
				if r >= utf8.RuneSelf && !unicode.IsLetter(r) {
					return ' '
				}
				return r
			}, norm.NFD.String(s))
		}
	}
	return s
}

// letters are those that no accent can be taken off, and the punctuation that says something.
var letters = strings.NewReplacer("’", "'", "ß", "ss", "ł", "l", "ø", "o", "đ", "d", "ı", "i", "æ", "ae", "œ", "oe", "。", ".", "!", ".", ";", ".")

// isWordByte reports whether c can be inside a word, an address, a host name or an id.
func isWordByte(c byte) bool {
	switch c {
	case '.', '-', '_', '+', '=', '@', '%', '~', '\'', '&':
		return true
	}
	return 'a' <= c && c <= 'z' || digit(c) || c >= utf8.RuneSelf
}

// A wordWriter collects the words.
type wordWriter struct {
	out      []byte
	status   string
	glossary *glossary
	leads    []lead // the words just before, as they were said, when others may follow that are looked up with them
	phrase   []byte // for looking up
}

// A lead is a word, and where in out it was written.
type lead struct {
	said string
	at   int
}

func (w *wordWriter) word(s string) {
	if s == "" {
		return
	}
	at, english := w.english(s)
	w.out = w.out[:at]
	if at > 0 && w.out[at-1] != ' ' {
		w.out = append(w.out, ' ')
	}
	w.out = append(w.out, english...)
	if !w.glossary.leads[s] {
		w.leads = w.leads[:0]
		return
	}
	w.leads = append(w.leads, lead{s, at})
}

// english returns what to write for a word, and where: from the first of the words that it belongs to.
func (w *wordWriter) english(s string) (at int, english string) {
	for i := range w.leads {
		w.phrase = w.phrase[:0]
		for _, l := range w.leads[i:] {
			w.phrase = append(append(w.phrase, l.said...), ' ')
		}
		last := len(w.phrase)
		w.phrase = append(w.phrase, s...)
		if english, ok := w.glossary.find(string(w.phrase), last); ok {
			return w.leads[i].at, english
		}
	}
	if english, ok := contractions[s]; ok {
		return len(w.out), english
	}
	if english, ok := w.glossary.find(s, 0); ok {
		return len(w.out), english
	}
	return len(w.out), spelled(s)
}

func (w *wordWriter) stop() {
	w.leads = w.leads[:0]
	if n := len(w.out); n > 0 && w.out[n-1] != '.' {
		w.out = append(w.out, " ."...)
	}
}

var contractions = map[string]string{
	"dont": "do not", "doesnt": "does not", "dosnt": "does not", "didnt": "did not", "isnt": "is not", "arent": "are not", "wasnt": "was not",
	"cant": "can not", "cannot": "can not", "couldnt": "could not", "wont": "will not", "wouldnt": "would not",
	"hasnt": "has not", "havent": "have not", "isn": "is not", "doesn": "does not",
}

// atom writes what a run of word bytes stands for.
func (w *wordWriter) atom(s string) {
	body := strings.TrimRight(s, ".'-_=&~")
	ended := strings.HasPrefix(s[len(body):], ".")
	body = strings.TrimLeft(body, ".'-_=&~+")
	switch {
	case body == "":
	case strings.HasPrefix(s, "relay="): // Sendmail names the host that it asked, as in its log: no word about relaying
		w.word("#")
	case strings.IndexByte(body, '@') >= 0:
		w.word("@")
	case statusLen(body) == len(body):
		if w.status == "" {
			w.status = body
		}
	case strings.ContainsAny(body, digits):
		unit := strings.TrimLeft(body, digits)
		if number := body[:len(body)-len(unit)]; len(number) > 3 || !isUnit(unit) {
			w.word("#")
		} else {
			w.word(number)
			w.pieces(unit)
		}
	case isDiagnostic(body):
		w.pieces(strings.ReplaceAll(body, ".", " "))
	case strings.IndexByte(body, '.') >= 0 && isHost(body):
		w.word("#")
	default:
		w.pieces(body)
	}
	if ended {
		w.stop()
	}
}

const digits = "0123456789"

// isUnit reports whether s after a number leaves it one that says something: "5", "24-hour", "60s".
func isUnit(s string) bool {
	switch strings.TrimPrefix(s, "-") {
	case "", "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour", "hours", "day", "days":
		return true
	}
	return false
}

// pieces writes the words of s, which may be joined: "over-quota", "user_unknown", "found.please", "e-mail".
func (w *wordWriter) pieces(s string) {
	for len(s) > 0 {
		end := strings.IndexAny(s, ".-_+=%~&")
		if end < 0 {
			end = len(s)
		}
		piece := s[:end]
		if piece == "e" && strings.HasPrefix(s[end:], "-mail") {
			s = "email" + s[end+len("-mail"):]
			continue
		}
		if article, noun, ok := strings.Cut(piece, "'"); ok && len(noun) > 3 { // d'authentification, dell'utente, qu'une
			w.word(article)
			piece = noun
		}
		if strings.IndexByte(piece, '\'') >= 0 {
			piece = strings.ReplaceAll(piece, "'", "")
		}
		w.word(piece)
		if end < len(s) && s[end] == '.' {
			w.stop()
		}
		s = s[min(end+1, len(s)):]
	}
}

// isDiagnostic recognises the words that Exchange puts together like a host name: RESOLVER.ADR.RecipNotFound.
func isDiagnostic(s string) bool {
	first, _, dotted := strings.Cut(s, ".")
	switch first {
	case "resolver", "storedrv", "transport", "routing", "smtpsend", "queue", "agent":
		return dotted
	}
	return false
}

// isHost tells host names from words between which only a full stop stands.
func isHost(s string) bool {
	_, rest, _ := strings.Cut(s, ".")
	last := rest[strings.LastIndexByte(rest, '.')+1:]
	switch last {
	case "a", "an", "for", "if", "in", "it", "our", "the", "to", "try", "use", "see", "we", "you": // "rejected.See our policy"
		return false
	case "cloud", "email", "example", "global", "host", "info", "internal", "invalid", "lan", "local", "localhost",
		"mail", "mobi", "name", "online", "shop", "site", "store", "test":
		return true
	}
	return len(last) <= 3 || strings.IndexByte(rest, '.') >= 0
}
