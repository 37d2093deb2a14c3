package reply

// passRules are for what passes by itself, or when mail is sent more slowly.
var passRules = []rule{
	// What passes for one recipient, and could be taken for a limit of ours.
	{
		name: "greylisted", codes: "45", class: Transient, scope: Recipient,
		text: `grey ?list\w*|gray ?list\w*|postgrey|greylist\w*`,
		why:  "the first try from a sender is put off (RFC 6647)",
	},
	{
		name: "mailbox-full", codes: "45", class: Transient, scope: Recipient,
		text: `
			{recipient}{near}(?:full?\b|over ?quota|overfull|exhausted|
			{excess}{near}(?:quota|storage|space|allocation|size|capacity|limit))|(?:mailbox|inbox|mail ?box|quota|
			folder) (?:is )?full?\b|over ?quota|over (?:its |the |their |disk |storage |allowed )*quota|quota(?: \w+){0,5} (?:exceed\w*|full|reached|
			violat\w*|exhausted|used up|over)\b|{excess}(?: \w+){0,4} (?:quota|storage\b|disk space|mailbox|allocation)|quotaexceeded|
			(?:disk|storage|mail ?box) (?:space |quota |size )?(?:limit )?{excess}|enough (?:disk |storage |free )?space|(?:space|storage|room) (?:is )?not enough|not sufficient (?:disk |free )?(?:space|storage)|
			@ (?:is )?full?\b|(?:space|storage){near}used up|overdrawn|\bno (?:more |free |disk |storage |mail )*(?:space|storage|room)\b|too much (?:mail |message )?data|
			^(?:the |this )?(?:user|mail ?box|recipient) (?:has |is )?exceeded$|
			storage allocation|too many (?:messages|mails?) (?:on|in|auf) (?:the |its |their |dem )?(?:server|mail ?box|inbox)|(?:mail ?box|inbox|account){near}(?:has no (?:free )?space|no space left|size limit)`,
		unless: `
			(?:message|mail|email|attachment) (?:size|is too|too)|\b(?:sending|send|sent|rate|hourly|connection|session|messages|
			transport|throttl\w*) (?:\w+ )?(?:limit|quota)|{brief}|rate ?limit|threads?|sessions?|connections?`,
		why: "a full mailbox may be emptied; the code is often 5xx all the same (RFC 3463 X.2.2)",
	},

	// What is about speed.
	{
		name: "concurrency", codes: "45", class: Throttled, scope: Session,
		text: `
			(?:too many|too much|excessive(?: number of)?)(?: [a-z]+){0,3} (?:connections?|conns?|connects?|connexions?|sessions?|threads|channels)|(?:concurren\w+|simultaneous|parallel){near}{limit}|{limit}{near}(?:concurren\w+|
			simultaneous|parallel)|{excess}{near}(?:concurren\w+|simultaneous|parallel|connections|sessions|connexions)|
			(?:concurren\w+|simultaneous|parallel|connections?|connexions?|sessions?){near}{excess}|(?:connection|session|
			threads?) (?:count )?limit|limit (?:\w+ ){0,2}threads|max\w*(?: \w+){0,3} (?:connections|sessions)|(?:mails|messages|emails|
			recipients) per (?:session|connection)|(?:reduce|lower|limit){near}(?:connections|sessions|concurren\w*)|
			connections{near}(?:limited|restricted)|max\w*(?: \w+){0,3} clients|more (?:\w+ )?(?:connections|sessions) than|(?:that|so) many (?:\w+ )?(?:connections|sessions)|
			(?:connections|sessions)(?: \w+){0,4} (?:limit|maximum)|exceed\w* (?:\w+ )?connection`,
		unless: `time ?d? ?out|timeout|errors? (?:limit|exceed)|{recipient}{near}full`,
		why:    "fewer connections, or fewer messages in each (Postfix smtpd_client_connection_count_limit, X.4.5)",
	},
	{
		name: "rate", codes: "4", class: Throttled, scope: Server,
		text:   `{rate}`,
		unless: `(?:message|mail|email) size`,
		why:    "slower (Postfix anvil limits, Google 4.7.28, Amazon SES throttling)",
	},
	{
		name: "rate-permanent-code", codes: "5", class: Throttled, scope: Server,
		text:   `{rate}`,
		unless: `{abuse}|invalid recipients|(?:message|mail|email) size`,
		why:    "slower, although the code says never (Exim and hosted systems answer rate limits with 5xx)",
	},
	{
		name: "server-busy-with-us", codes: "4", status: "4.7.5*", class: Throttled, scope: Server,
		text: `busy`,
		why:  "Exchange Online says busy to addresses that it has seen too much of (4.7.500 to 4.7.599)",
	},
	{
		name: "messages-from-address-deferred", codes: "4", class: Throttled, scope: Server,
		text: `messages? from # (?:\w+ ){0,4}deferred`,
		why:  "put off for the address that sends, not for the message (Yahoo TSS, TS, GL)",
	},
	{
		name: "address-held-back", codes: "4", class: Throttled, scope: Server,
		text: `
			\b(?:ip|host|server|domain|sender|#) (?:\w+ ){0,2}temporarily (?:\w+ )?(?:black|block|listed|denied|banned|limited|
			restricted|suspended)`,
		why: "the address or domain that sends is held back for a while: go slower",
	},
	{
		name: "reputation-slowdown", codes: "4", class: Throttled, scope: Server,
		text: `
			reputation|complaints?|\buntrusted\b|denial of service|\bdos\b|suspicious (?:activity|traffic|behaviou?r)|new (?:ip|
			sender)|behaviou?r|warm(?:ing)? ?up|{abuse}{near}rate`,
		unless: `content|inactive`,
		why:    "the server holds back an address or domain that it does not trust yet: go slower (Yahoo TSS04, Google low reputation)",
	},

	// What would pass by itself if the mailbox were there: the very words of X.2.1 sound like a server's trouble.
	{
		name: "mailbox-disabled", codes: "5", class: HardBounce, scope: Recipient,
		text: `
			(?:mail ?box|account|user|recipient) (?:[a-z@#]+ ){0,4}(?:disabled|deactivated|closed|terminated|deleted|discontinued) not accepting|
			(?:mail ?box|account|user|recipient|address){near}inactivity|(?:extended|prolonged|due to|because of) inactivity`,
		unless: `{unsure}|your|{abuse}|{proof}|smtp|{daily}`,
		why:    "mailbox disabled, not accepting messages (RFC 3463 X.2.1)",
	},

	// What passes by itself.
	{
		name: "too-many-recipients", codes: "4", class: Transient, scope: Recipient,
		text: `too many recipients`,
		why:  "the others of this transaction go in the next (RFC 5321 section 4.5.3.1.10)",
	},
	{
		name: "server-trouble", codes: "5", class: Transient, scope: Message,
		text: `
			(?:internal|system|server|lookup|processing|local|database|resource|queue|write|software|unexpected|ldap|dns|upstream|
			backend|i o|scanner|filter) (?:\w+ )?(?:errors?|failure|problem|trouble)|(?:disk|storage|resources?|
			memory){near}(?:full|insufficient|low|unavailable|shortage)|(?:insufficient|not enough|no|out of)(?: system)? (?:disk|
			storage|resources?|memory|space)|\bsystem (?:is )?full|timed out|time ?out|not accepting (?:\w+ )?(?:messages|mail|connections)|
			can not (?:open|create)|unable to (?:open|write|lock|connect)|queue (?:is )?(?:too long|full)|error (?:while|during|when) (?:\w+ ){0,2}process\w*|
			(?:remote|receiving|destination|this) (?:mail )?(?:server|system|host) (?:is )?misconfigured|{later}`,
		unless: `
			{abuse}|{proof}|policy|content|size|large|permanent\w*|dial ?up|dynamic|nxdomain|dns hard|domain (?:name )?not found|no (?:such|mail ?box|user)|currently blocked|accepting (?:any )?(?:e?mail|messages) (?:from (?:this |the |your )?(?:sender|ip|address|host|server|network|domain)|with|of|that)\b|
			unknown user|user unknown|does not exist|{sender}{near}{gone}`,
		why: "the server's own trouble, or it says that it will pass, although the code says never",
	},
}
