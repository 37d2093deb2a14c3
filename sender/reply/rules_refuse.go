package reply

// refuseRules are for what was refused for good: this message, its sender, or the recipient; and what only the enhanced status code says.
var refuseRules = []rule{
	// What was refused: this message, or its sender.
	{
		name: "recipient-suppressed", codes: "5", class: HardBounce, scope: Recipient,
		text:   `(?:address|recipient|@)(?: \w+){0,4} suppress\w*|suppression list|bounce rule|bounced (?:before|previously|check)`,
		unless: `your (?:\w+ )?(?:ip|server|domain|account)`,
		why:    "the provider will not try this recipient again: it bounced or complained before (SparkPost, Amazon SES)",
	},
	{
		name: "sender-refused", codes: "5", class: Rejected, scope: Message,
		text: `
			{sender}\b(?: [a-z@#]+){0,3} {gone}|{nosuch}(?: [a-z]+){0,2} (?:sender|from|return path|helo|ehlo|client|mail from)\b|
			sender\b{near}(?:reject\w*|refus\w*|denied|not allowed|block\w*)|(?:reject\w*|refus\w*|denied|
			block\w*) (?:\w+ )?sender|{sender}(?: [a-z@#]+){0,4} (?:no (?:a|mx|valid)|does not resolve|not resolve\w*)`,
		unless: `from (?:@|#) (?:to|for) |your (?:\w+ )?recipient`,
		why:    "what does not exist is the sender's, not the recipient's (RFC 3463 X.1.7, X.1.8)",
	},
	{
		name: "abuse", codes: "5", class: Rejected, scope: Message,
		text: `{abuse}`,
		unless: `
			\baccount\b{near}(?:disabled|suspended|discontinued|closed){near}abus|(?:incoming |{recipient} (?:is |was |
			has been )?)(?:suspended|disabled) (?:due|because|for)`,
		why: "content or sender is taken for spam, or on a block list (RFC 3463 X.7.1)",
	},
	{
		name: "sender-authentication", codes: "5", class: Rejected, scope: Message,
		text: `{proof}|authenticate with|unauthenticated (?:email|mail|message)|dns (?:record|entry|lookup)`,
		why:  "SPF, DKIM, DMARC or reverse DNS does not satisfy the server (RFC 7372, Google 5.7.26, Exchange Online 5.7.515)",
	},
	{
		name: "size-or-form", codes: "5", class: Rejected, scope: Message,
		text: `
			(?:message|mail|email|content|attachment|data|header\w*|line|body|file)(?: [a-z]+){0,4} (?:size|length|too (?:large|
			big|long)|exceed\w*)|size (?:\w+ )?(?:limit|exceed\w*|too|of)|too (?:large|big|long)|oversize\w*|
			maximum (?:\w+ )?size|(?:attachment|file) (?:type|extension|name)|executable|(?:bad|invalid|missing|malformed|
			duplicate|illegal|multiple)(?: [a-z]+){0,3} (?:headers?|from|to|subject|date|mime|message id|content)\b|syntax|
			protocol|rfc ?\d*\b{near}(?:compl\w+|conform\w*|violat\w*)|malformed|bare (?:lf|cr|newline)|line feed|(?:mail|routing|
			message|forwarding) loop|loop detected|looping|too many (?:hops|received|recipients|rcpts?)|hop count|rcpts? is over|
			number of recipients|8 ?bit|mime|smtputf|utf`,
		unless: `(?:recipient|address|mailbox) (?:name )?(?:syntax|too long)`,
		why:    "size or form of this message (RFC 3463 X.2.3, X.3.4, X.5, X.6)",
	},
	{
		name: "policy", codes: "5", class: Rejected, scope: Message,
		text: `
			polic(?:y|ies)|content|filter\w*|suspicious|security|(?:blocked|rejected|refused|denied|restricted) by (?:the |
			an? )?(?:recipients?|users?|admin\w*|organi[sz]ation|domain|rule|system|destination)|transport rules?|
			administratively|admin\w* prohibit\w*|prohibited|restriction\w*|banned|\burl\b|attachments?|keywords?|trust\w*`,
		unless: `(?:address|recipient|user|account) is restricted|{recipient} (?:\w+ ){0,3}disabled`,
		why:    "a rule of the server or of the recipient (RFC 3463 X.7.1, X.7.2)",
	},

	// What sounds like a dead recipient, and may as well be said of the sender.
	{
		name: "account-suspended", codes: "5", class: Rejected, scope: Message,
		text:   `^(?:the |this |your |user )?(?:account|domain)(?: or domain)? (?:is |was |has been )?(?:suspended|disabled|deactivated|locked)`,
		unless: `@|discontinued`,
		why:    "it does not say whose account that is: the recipient's, or the one that sends",
	},
	{
		name: "unavailable-by-policy", codes: "5", status: "5.7.*", class: Rejected, scope: Message,
		text: `mail ?box (?:is )?unavailable`,
		why:  "the status speaks of policy and not of the mailbox (RFC 3463 X.7)",
	},

	{
		name: "address-syntax", codes: "5", code: 501, status: none, class: Rejected, scope: Message,
		text: `^(?:sorry )?(?:(?:invalid|bad|malformed) (?:e?mail )?address(?: syntax| format)?|(?:e?mail )?address (?:is )?(?:invalid|bad|malformed))(?: #| @)*$`,
		why:  "a parameter that is no address: it does not say whether MAIL's or RCPT's (RFC 5321 section 4.2.2)",
	},
	{name: "status-sender", codes: "5", status: "5.1.7", class: Rejected, scope: Message, why: "bad sender's mailbox address (RFC 3463 X.1.7)"},
	{name: "status-sender-system", codes: "5", status: "5.1.8", class: Rejected, scope: Message, why: "bad sender's system address (RFC 3463 X.1.8)"},

	// Who cannot be reached, ever.
	{
		name: "recipient-unknown", codes: "5", class: HardBounce, scope: Recipient,
		text: `
			{recipient} (?:[^ ]+ ){0,9}{gone}|{recipient}{near}(?:could|can) not be found|not found (?:recipient|user|mail ?box)\b|{nosuch}(?: [a-z@#]+){0,3} (?:users?|recipients?|mail ?box(?:es)?|accounts?|
			address(?:es)?|addressees?|alias|person|customer|rcpt|rcptto|domain|host|local part|mail ?drop)\b|(?:illegal|wrong|unavailable) (?:e?mail )?(?:users?|recipients?|mail ?box(?:es)?|accounts?|alias|rcpt|rcptto)\b|recipient (?:is |are )?wrong|(?:address|alias|mail ?box|account) (?:@ )?(?:is |was |are )?(?:not (?:in )?used?\b|unused|no longer (?:in )?used?\b)|nobody\b|@ {gone}|no (?:local )?(?:mail ?box|users?|
			account|one|body)\b(?: [a-z@]+){0,4} (?:here|name|found|match\w*|available for|address)|no local (?:mail ?box|user)|no longer in use|(?:not|
			no|unable to) (?:find|locate|have|know|recogni[sz]e)(?: \w+){0,3} (?:recipient|mail ?box|user|account|address|addressee|alias)|
			not handle (?:e?mail|messages) for (?:this|that|the) (?:user|recipient|address|mail ?box)|
			not have an? (?:\w+ |@ |# )*(?:mail ?box|account|user)|nosuchuser|recip ?not ?found|recipient ?not ?found|
			unknown ?user|user ?unknown|honeypot|not in (?:\w+ ){0,3}(?:recipients?|user|rcpt\w*|valid\w*) (?:list|table|map)|no \w+ in (?:\w+ )?directory|
			{recipient} (?:@ )?(?:is )?not an? member of (?:\w+ )?domain|not (?:an? )?users? (?:of|on|at|here)|not exists? (?:that|this|such) (?:user|mail ?box|address)|
			no (?:mail )?(?:redirect\w*|forward\w*|alias\w*)(?: [a-z]+){0,2} (?:for (?:this|that|the|@)|found|exists?|defined|set)|receiv\w+ (?:is |has been )?disabled|^(?:not exist|not found)(?: [^ ]+){0,2} (?:users?|mail ?box|recipient|account|address)\b`,
		unless: `{doubt}|{whose}`,
		why:    "no such mailbox, or it was closed (RFC 3463 X.1.1, X.2.1)",
	},
	{
		name: "recipient-address-rejected", codes: "5", status: "5.1.0", class: HardBounce, scope: Recipient,
		text:   `^address rejected`,
		unless: `{doubt}`,
		why:    "what a widespread gateway says of an address that is not in its directory",
	},
	{
		name: "recipient-not-in-directory", codes: "5", status: "5.4.1", class: HardBounce, scope: Recipient,
		text:   `recipient address(?:es)? rejected access denied`,
		unless: `{abuse}|{later}|polic(?:y|ies)|privacy|preferences?|settings?|users? (?:\w+ )?(?:reject|refus)\w*|your|sender`,
		why:    "Exchange Online's words for an address that is not in the directory (5.4.1, directory based edge blocking)",
	},
	{
		name: "domain-unknown", codes: "5", class: HardBounce, scope: Recipient,
		text: `
			(?:domain|host|host ?name){near}(?:unknown|not (?:be )?(?:found|exist|valid|active|hosted|local|known)|does not exist|
			no longer|invalid|disabled|suspended|expired)|domain{near}not (?:used|configured|set up) for (?:e?mail|receiving)|(?:no such|unknown|non ?exist[ea]nt|invalid|bad)(?: destination|
			 recipient)? (?:domain|host)|(?:does|do) not (?:accept|receive) (?:any )?(?:e?mail|messages)|null mx|nxdomain|dns hard error|bad destination (?:host|system)|find any host|recipient domain must|no (?:mx|
			mail exchanger)\b|no domain\b|nonexistentdomain`,
		unless: `{doubt}|{whose}|not (?:accept|receive) (?:any )?(?:e?mail|messages) (?:in|from|of|that|which|with|without|larger|unless|until|if)\b`,
		why:    "the recipient's domain takes no mail (RFC 3463 X.1.2, X.1.10; RFC 7504, RFC 7505)",
	},
	{
		name: "client-refused", codes: "5", class: Rejected, scope: Message,
		text: `
			\b(?:ip|client|client host|connections?|your (?:server|host|network|mail server|ip|domain)|network|(?:sending|remote|
			source) (?:server|ip|host))\b{near}(?:refused|denied|reject\w*|block\w*|not (?:allowed|accepted|permitted|
			authori[sz]ed|welcome)|listed|banned)|(?:refused|denied|reject\w*|block\w*|banned|listed){near}(?:\bip\b|client host|
			network|your (?:server|host|ip))|blocked using`,
		why: "the server takes nothing from our address (RFC 3463 X.7.1)",
	},
	{
		name: "refused", codes: "5", class: Rejected, scope: Message,
		text: `
			access denied|blocked|refus\w*|not (?:been )?(?:allowed|permitted|accepted|authori[sz]ed)|denied|forbidden|disallowed|
			not accept\w*|restricted`,
		why: "refused, and not because the recipient is unknown",
	},

	// What only the enhanced status code says (RFC 3463, the registry of RFC 5248).
	{name: "status-congestion", codes: "4", status: "4.4.5", class: Throttled, scope: Server, why: "mail system congestion (RFC 3463 X.4.5)"},
	{name: "status-flood", codes: "45", status: "4.7.28", class: Throttled, scope: Server, why: "mail flood detected (registry of RFC 5248, X.7.28)"},
	{name: "status-mailbox", codes: "5", status: "5.1.1", class: HardBounce, scope: Recipient, why: "bad destination mailbox address (RFC 3463 X.1.1)", unless: `{doubt}`},
	{name: "status-system", codes: "5", status: "5.1.2", class: HardBounce, scope: Recipient, why: "bad destination system address (RFC 3463 X.1.2)", unless: `{doubt}`},
	{name: "status-syntax", codes: "5", status: "5.1.3", class: HardBounce, scope: Recipient, why: "bad destination mailbox address syntax (RFC 3463 X.1.3)", unless: `{doubt}`},
	{name: "status-moved", codes: "5", status: "5.1.6", class: HardBounce, scope: Recipient, why: "mailbox has moved, no forwarding address (RFC 3463 X.1.6)", unless: `{doubt}`},
	{name: "status-null-mx", codes: "5", status: "5.1.10", class: HardBounce, scope: Recipient, why: "recipient address has null MX (RFC 7505)", unless: `{doubt}`},
	{name: "status-disabled", codes: "5", status: "5.2.1", class: HardBounce, scope: Recipient, why: "mailbox disabled, not accepting messages (RFC 3463 X.2.1)", unless: `{doubt}`},
	{name: "status-owner-changed", codes: "5", status: "5.7.17", class: HardBounce, scope: Recipient, why: "the mailbox belongs to somebody else now (RFC 7293)", unless: `{doubt}`},
	{name: "status-expired", codes: "5", status: "5.4.7", class: Transient, scope: Message, why: "delivery time expired: a server behind this one did not answer (RFC 3463 X.4.7)"},
	{name: "status-proof", codes: "5", status: "5.7.2*", class: Rejected, scope: Message, why: "SPF, DKIM, DMARC or reverse DNS does not satisfy the server (RFC 7372)"},
	{name: "status-credentials", codes: "5", status: "5.7.8", class: AuthOrConfig, scope: Server, why: "the credentials are not valid (RFC 4954 section 6)"},
	{name: "status-encryption", codes: "5", status: "5.7.11", class: AuthOrConfig, scope: Server, why: "encryption required for the authentication mechanism (RFC 4954 section 6)"},
	{name: "status-account-disabled", codes: "5", status: "5.7.13", class: AuthOrConfig, scope: Server, why: "user account disabled (registry of RFC 5248, X.7.13)"},
	{name: "status-full", codes: "5", status: "5.2.2", class: Transient, scope: Recipient, why: "mailbox full (RFC 3463 X.2.2)"},
	{name: "status-system-full", codes: "5", status: "5.3.1", class: Transient, scope: Message, why: "mail system full (RFC 3463 X.3.1)"},
}
