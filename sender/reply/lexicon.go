package reply

import "strings"

// lexicon names what many rules speak of, as regular expressions over the output of words: lower case, without accents,
// apostrophes and hyphens. Line breaks and tabs do not count.
var lexicon = strings.NewReplacer(
	// A few words in between, inside one sentence.
	"{near}", ` (?:[^ ]+ ){0,7}`,
	// Whoever gets mail, and what is theirs.
	"{recipient}", `
		\b(?:users?|user ?names?|recipients?|recip|rcpt ?to|rcpt|mail ?box(?:es)?|mail ?drops?|inbox|accounts?|addresse?s?|
		addressees?|alias(?:es)?|customers?|subscribers?|persons?|employees?|destinations?|email(?: id)?|local part|
		mail ?address)`,
	// Whoever sends it, and what is theirs.
	"{sender}", `
		\b(?:senders?|sender address|sending|from|mailfrom|return path|reverse path|originat\w*|envelope from|helo|ehlo|
		clients?|your)`,
	// Not there (any more).
	"{gone}", `
		(?:unknow[ne]?\w*|not? (?:be )?(?:found|exist\w*|known|recogni[sz]ed|valid|active|activated|registered|available|
		deliverable|routable|present|listed|a valid|an active|local|live|defined|our customer)|does(?: not|
		nt) (?:\w+ )?(?:exist|have|appear)|do not (?:\w+ )?(?:exist|have)|no longer|no more|non ?exist[ea]nt|inexist[ea]nt\w*|
		unallocated|unassigned|inactive|invalid\w*|disabled|deactivated|de activated|discontinued|suspended|terminated|closed|expired|archive[de]e?|
		deleted|removed|abandoned|retired|undeliverable|unroute?able|unava\w*able|(?:has|have) left|has moved)`,
	"{nosuch}", `
		\b(?:no such(?: a)?|there is no|unknown|unknow|invalid|non ?exist[ea]nt|inactive|disabled|deactivated|suspended|
		nonexisting|not existing|not a (?:valid|known|local|recogni[sz]ed|registered|deliverable)|not an? (?:existing|active)|bad|archived|undeliverable|unroute?able|
		not our|no valid|no active|no existing|no known)`,
	// Kept from doing something.
	"{stopped}", `
		(?:block(?:ed|s)?|suspend(?:ed|s)?|disabled?|denied|not (?:\w+ )?(?:allowed|permitted|authori[sz]ed|enabled|possible|active)|disallowed|prohibited|forbidden|
		restricted|revoked|withdrawn|paused|stopped|locked|frozen|banned|deactivated|halted|(?:turned|switched) off)\b`,
	// Going over what is allowed.
	"{excess}", `
		(?:exceed\w*|exceded|reached|hit\b|surpass\w*|above|overrun|used up|exhausted|depleted|insufficient|not enough|out of|
		over\b|too many|too much)`,
	"{limit}", `(?:limit\w*|quota\w*|maximum|max|allowance|allotment|threshold|cap|allowed|credits?)\b`,
	// What flows, and can flow too fast.
	"{flow}", `
		(?:connections?|conns?|connects?|connexions?|sessions?|messages|mails|emails?|requests?|commands|logins|transactions?|
		deliver\w+|submissions?|sendings?|traffic|volume|bandwidth|rates?|throughput|speed|load|concurren\w+|simultaneous|
		parallel|threads?)`,
	"{daily}", `
		(?:daily|dayly|per day|each day|every day|a day|in one day|today|for the day|of the day|24 ?h\b|24 ?hours?|24 ?hrs?|
		1 day|monthly|per month|this month|for the month)`,
	"{brief}", `
		(?:hourly|per (?:second|sec|minute|min|hour|session|connection|time|unit|interval|ip)\b|(?:a|an|each|every|this|last|
		past|one|1|same|single) (?:second|minute|hour|session|connection)|\d (?:s|m|h|seconds?|minutes?|hours?)\b|
		short (?:time|period)|time period|time window|mails per)`,
	// Why mail is refused that has nothing to do with whom it is for.
	"{abuse}", `
		\b(?:anti ?spam|spam\w*|unsolicited|ube\b|uce\b|junk|bulk|virus\w*|malware|malicious|phish\w*|
		infected|trojan|viagra|scam|fraud\w*|spoof\w*|forge[dr]\w*|abus\w+|hijack\w*|black ?list\w*|block ?list\w*|
		deny ?list\w*|dnsbl|rbl|rbls|spamhaus|spamcop|barracuda(?:central)?|sorbs|uribl|surbl|invaluement|cloudmark|
		bad reputation|reputation)`,
	"{proof}", `
		\b(?:spf|dkim|dmarc|arc seal|bimi|sender id\b|domainkeys|ptr|rdns|resource records?|invalid dns|reverse dns|
		reverse lookup|reverse hostname|authentication (?:level|results?|checks?|policy)|(?:email|mail|message|sender|
		domain) authentication (?:fail\w*|polic\w*|requirements?|standards?|status)|(?:requires?|pass) (?:email|mail|message|sender|domain) authentication)`,
	"{rate}", `
		rate ?limit\w*|limit\w* (?:the )?rate|throttl\w*|(?:sending|message|mail|email|connection|request|send|delivery|
		submission) rate|rate (?:of )?(?:\w+ ){0,3}too high|unusual (?:\w+ )?(?:rate|volume|traffic|amount|number)|slow(?:ing|er)? ?down|slow(?:er)?\b|back ?off|
		too (?:\w+ )?(?:fast|quick\w*|often|frequent\w*|rapid\w*)|frequen(?:cy|t|tly){near}(?:limit\w*|exceed\w*|control\w*|
		high|restrict\w*)|(?:limit\w*|exceed\w*|high|reduce|restrict\w*|control){near}frequency|(?:too many|too much|
		excessive)(?: number of)?(?: (?:new|smtp|tls|auth|of|your|incoming|
		inbound|outgoing|sent|mail|email|concurrent|delivery)){0,4} (?:messages?|mails?|emails?|e ?mails|requests?|commands?|
		logins?|auth\w*|transactions?|deliver\w+|load|traffic|submissions?|envelopes?)|
		too many recipients?(?: [a-z]+){0,3} (?:{brief}|hour|minute|received)|too many recipients(?: \w+){0,2} from (?:your|this|#)|
		too many (?:recipients?|delivery|mail|message|sending|connection) attempts|{excess}{near}{flow}{near}{brief}|
		{flow}{near}{brief}{near}(?:{excess}|{limit})|(?:{limit}|{excess}){near}{brief}|{brief}{near}(?:{limit}|{excess})|
		(?:messages|mails|emails|message|mail|email|volume|traffic|rate|sending|send)(?: [a-z]+){0,2} (?:limit|quota|maximum|
		threshold|rate)\w* (?:\w+ )?(?:exceed\w*|reached|hit)|{excess}{near}(?:number of (?:messages|mails|emails)|(?:sending|
		message|mail|email|volume|rate) (?:limit|quota|threshold))|(?:volume|traffic|throughput|message rate)\b{near}{excess}|
		{excess} (?:the |your )?limit (?:of |for |on )?(?:the )?(?:sending|sent|outgoing|messages|mails|emails)\b|(?:again|wait|retry)(?: in)? \d\d? sec\w*|no more than \d+ (?:messages|mails|emails)|(?:unexpected|high|excessive|
		large|unusual|increased) volume|(?:reduce|lower|decrease){near}(?:rate|volume|speed|traffic|amount)|
		volume{near}complaints?|(?:limit|maximum|quota)\w*{near}(?:requests|messages|mail|emails|connections) from (?:your|this|#)`,
	// A word against taking a reply for the recipient's death; and one that weighs less where idleness is the reason.
	"{doubt}", `{unsure}|\bblock\w*\b`,
	"{unsure}", `
		\b(?:polic(?:y|ies)|spam\w*|access denied|temporar\w*|later|quota|full|too many|exceed\w*|limit\w*|
		no valid recipients?|(?:may|might) not|check failed|has (?:disabled|blocked)|accepts? (?:\w+ )?(?:mail|email|messages?) from|your (?:ip|server|host|
		domain|network)|sender|mail from|reputation|not (?:allowed|permitted|authori[sz]ed)|authenticat\w*|look ?up (?:\w+ ){0,5}(?:fail\w*|error|problem|timed)|fail\w* (?:\w+ ){0,3}look ?up|
		(?:can ?not|unable to|could not) (?:verify|look ?up)|verification fail\w*|callout|countr(?:y|ies)|geo ?(?:ip|graph\w*|location)|
		not responding|service unavailable|unknown error|vacation|try forward|out(?:going|bound)|sending|contact (?:support|your)|preferences?|privacy|settings?|
		users? (?:has |have )?(?:reject|refus)\w*|(?:smtp|relay) user|gateway user|user agent|you are not|reply address|contact list|(?:invalid|unknown|bad) command|links?|in from)\b`,
	// Of whom it is said is left open: a domain that is not there may be the sender's.
	"{whose}", `
		^(?:(?:sorry|error|the|this|that|such|your|mail|specified) )*(?:(?:invalid|bad|illegal|unknown|no such|nonexistent|non existent) (?:domain|host ?name|host)(?: name)?|
		(?:domain|host ?name|host)(?: name)? (?:is |was |does |must |can |could )*(?:not (?:be )?(?:found|valid|exist|known|resolved)|unknown|invalid|exist))(?: #| in dns)*$`,
	// To pass by itself.
	"{later}", `
		(?:temporar\w*|transient\w*|try (?:it |your \w+ |sending |delivery )?(?:again|later|another|back)|retry (?:later|
		again|in)|again later|(?:re)?send (?:it )?(?:again )?later|come back|later\b|deferred|defer\b|deferring|in progress|
		try in \d+|at this time|right now|currently|at the moment|busy|momentan\w*)`,
)
