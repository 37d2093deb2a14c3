package reply

// spelled returns the word of a rule that s is meant to be, when one inner letter of it is missing or one too many, or when two stand in
// each other's place; otherwise s. Servers are written by people: "exeeded", "recipent", "qouta".
func spelled(s string) string {
	if len(s) < 5 {
		return s
	}
	for _, word := range oftenMisspelt[s[0]] {
		if misspells(s, word) {
			return word
		}
	}
	if right, ok := misspellings[s]; ok {
		return right
	}
	return s
}

// oftenMisspelt are words that decide, by their first letter. None may be as near to another English word.
var oftenMisspelt = map[byte][]string{
	'a': {"address", "account", "available", "allocation", "authentication"},
	'b': {"blacklisted"},
	'd': {"disabled", "deactivated", "destination"},
	'e': {"exceeded", "exceeds", "existent"},
	'i': {"invalid", "inactive", "insufficient"},
	'm': {"mailbox", "maximum", "mailboxes"},
	'p': {"permitted", "prohibited"},
	'q': {"quota"},
	'r': {"recipient", "recipients"},
	's': {"suspended", "storage", "space"},
	't': {"temporarily", "temporary"},
	'u': {"unknown", "unavailable"},
}

// misspellings are further from what is meant.
var misspellings = map[string]string{
	"execeed": "exceed", "exeed": "exceed", "exeeds": "exceeds", "exceded": "exceeded", "exeded": "exceeded", "execeeded": "exceeded",
	"excedeed": "exceeded", "excedded": "exceeded", "recepient": "recipient", "reciepient": "recipient", "recipeint": "recipient",
	"unvailable": "unavailable", "unavalable": "unavailable", "unavaliable": "unavailable", "avaliable": "available", "adresse": "address",
	"existant": "existent", "exsist": "exist", "exsists": "exists", "exsit": "exist", "dosent": "does not",
}

// misspells reports whether s is word with one inner letter dropped or added, or with two neighbours exchanged.
func misspells(s, word string) bool {
	if s == word {
		return false
	}
	switch len(s) - len(word) {
	case -1:
		return dropped(word, s)
	case 1:
		return dropped(s, word)
	case 0:
		i := 0
		for s[i] == word[i] {
			i++
		}
		return i > 0 && i+1 < len(s) && s[i] == word[i+1] && s[i+1] == word[i] && s[i+2:] == word[i+2:]
	}
	return false
}

// dropped reports whether short is long without one letter, neither the first nor the last.
func dropped(long, short string) bool {
	i := 0
	for i < len(short) && long[i] == short[i] {
		i++
	}
	return i > 0 && i < len(short) && long[i+1:] == short[i:]
}
