package reply

import "time"

// stopRules are for what stops everything until a person acts or a day passes, and what could be taken for it.
var stopRules = []rule{
	{
		name: "recipient-receives-too-much", codes: "45", class: Transient, scope: Recipient,
		text: `
			{recipient}{near}receiv\w+{near}(?:quick\w*|rate|too|limit|number|fast)|{recipient} (?:\w+ )?exceed\w* .*receiv|
			{recipient} (?:is|has been) receiving |\brecipient (?:has )?exceed\w* (?:\w+ ){0,2}rate`,
		unless: `{daily}{near}sen[dt]`,
		why:    "one recipient gets more mail than its server lets in; others are not hit (Google 4.2.1, Exchange Online 5.2.122)",
	},
	{
		name: "larger-than-mailbox-takes", codes: "5", status: "5.2.3", class: Rejected, scope: Message,
		unless: `{recipient}{near}(?:full\b|over ?quota)|quota`,
		why:    "message length exceeds an administrative limit (RFC 3463 X.2.3)",
	},
	{
		name: "larger-than-system-takes", codes: "5", status: "5.3.4", class: Rejected, scope: Message,
		unless: `{recipient}{near}(?:full\b|over ?quota)|quota`,
		why:    "message too big for the system (RFC 3463 X.3.4)",
	},
	{
		name: "daily-quota", codes: "45", class: AuthOrConfig, scope: Server, quota: 24 * time.Hour,
		text:   `{daily}{near}{limit}|(?:{limit}|{excess}|number of){near}{daily}|only \d+ (?:messages|mails|emails|recipients) {daily}`,
		unless: `invalid recipients|receiv\w+|complain\w*|{abuse}`,
		why:    "the quota of the day or month is used up: nothing goes out before the next (Amazon SES, Google 5.4.5, Exchange Online 5.1.90)",
	},
	{
		name: "sending-quota", codes: "45", class: AuthOrConfig, scope: Server, quota: 24 * time.Hour,
		text: `
			(?:sending|send|submission|submit|relay\w*|outbound|outgoing|plan|package|account|smtp) ?(?:message |mail |
			email )?(?:quota|credits?|allowance|limit)\w*(?: \w+){0,5} {excess}|
			{excess}(?: \w+){0,3} (?:sending|send|submission|submit|relay\w*|outbound|outgoing|plan|smtp) (?:message |mail |
			email )?(?:quota|credits?|allowance|limit)|(?:maximum|no|insufficient|not enough|out of)(?: \w+){0,2} credits?|
			credits? (?:\w+ )?(?:exceeded|exhausted|used|expired)|(?:trial|subscription|plan|licen[cs]e){near}(?:expired|ended|
			over|limit)|your (?:\w+ )?account(?: \w+){0,3} {excess}(?: \w+){0,4} (?:quota|limit)|unpaid|overdue|payment required|billing|upgrade (?:your|to) (?:\w+ )?(?:plan|account|subscription)|
			you(?: have)? {excess} your(?: (?:out|send|sent|mail|email|message)\w*){0,2} (?:quota|allowance|credits?)|insufficient (?:\w+ )?(?:balance|funds)|(?:balance|funds) (?:\w+ )?insufficient`,
		unless: `{brief}|rate`,
		why:    "what the account may send is used up (SendGrid, Exchange Online SubmissionQuotaExceeded)",
	},
	{
		name: "authentication-for-recipient", codes: "5", class: Rejected, scope: Message,
		text: `
			resolver rst|\bgroup\b{near}(?:member|organi[sz]ation|sender)|(?:allowed|accepted|safe) senders?|by organi[sz]ation|
			notauthenticatedfor|not authenticated for (?:the |this )?(?:mail ?box|recipient|group)|not (?:a )?(?:group )?member|restricted (?:recipient|address|group|list)|(?:only|
			just) accepts?{near}(?:from|internal|authenticated|members)|only (?:authenticated|internal|authorized|members)|accepts?{near}from (?:\w+ )?members|members only|
			recipient address(?:es)? rejected{near}authenticat`,
		unless: `member of (?:\w+ )?domain|your (?:\w+ )?senders?\b|sender identit\w*`,
		why:    "the recipient takes mail only from some senders (Exchange Online 5.7.1 RESOLVER.RST, 5.7.133, 5.7.193)",
	},
	{
		name: "login-trouble-passing", codes: "4", class: Transient, scope: Session,
		text: `
			(?:authenticat\w*|\bauth\b|log ?in|credentials?){near}(?:temporar\w*|try)|temporar\w*{near}(?:authenticat\w*|\bauth\b|
			log ?in|credentials?)`,
		unless: `
			{flow}{near}{excess}|too many|\b(?:wrong|invalid|incorrect|bad) (?:\w+ ){0,3}(?:user ?name|password|credentials)|
			\b(?:user ?name|password|credentials) (?:\w+ ){0,3}(?:wrong|invalid|incorrect|bad|expired|not accepted)`,
		why: "the server cannot look up the credentials just now (RFC 4954 section 6, 454 4.7.0)",
	},
	{
		name: "credentials", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			\b(?:authenticat\w*|authentification|\bauth\b|log ?in|log ?on|credentials?|password|passwd|user ?name|api key|token|
			sasl)\b{near}(?:fail\w*|invalid\w*|incorrect|reject\w*|denied|unsuccessful|not (?:be )?(?:\w+ )?(?:accept\w*|allow\w*|
			recogni\w*|enable\w*|valid\w*|success\w*|match\w*|correct|complete\w*|support\w*|permit\w*|implement\w*)|unimplemented|disabled|wrong|bad|
			expired|revoked|mismatch\w*|required|needed|mandatory|first|error|unrecogni[sz]ed|unknown|does not match|do not match|
			refus\w*|erron\w*|incorrecte?s?|null|empty)|\b(?:fail\w*|invalid|incorrect|bad|wrong|no|unrecogni[sz]ed|unsupported|malformed|rejected|
			expired|must|requires?|need|needs|ha(?:ve|s) to|please|could not|can not|unable to|not|without|before|
			unauthori[sz]ed){near}(?:authenticat\w*|\bauth\b|log ?in|log ?on|credentials?|password|api key|sasl)|
			(?:only|allowed|permitted|possible) with (?:smtp )?authentication|unauthenticated (?:senders?|users?|clients?|connections?|access|smtp)|(?:client|sender|user|you are|session) (?:was |
			is )?not (?:been )?(?:authenticated|logged in)|unknown auth\w* (?:type|method|mechanism)|pop before smtp|(?:auth|authentication) (?:\w+ ){0,4}advertised|
			invalid base64`,
		unless: `
			{proof}|authenticate with|authenticated with|too many (?:\w+ )?(?:auth|unauth|login|connect)|{flow}{near}{excess}|
			\bresolver\b|dns|message header|verify{near}sender policy|password protected|(?:archives?|attachments?|files?|zip){near}password|encrypted{near}password`,
		why: "the server does not accept the log-in, or wants one (RFC 4954 section 6; Amazon SES, Postfix, SendGrid)",
	},
	{
		name: "encryption-required", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			\b(?:starttls|tls|ssl|encrypt\w*|secure connection){near}(?:required|first|mandatory|needed|only)|\b(?:must|requires?|
			need|needs){near}(?:starttls|tls|ssl|encrypt\w*|secure connection)|(?:tls|ssl) #(?: \w+ #)?(?: is| are)? (?:not|no longer) (?:supported|accepted|allowed)`,
		unless: `{flow}{near}{excess}|too many|\broute\b|encrypted (?:\w+ )?(?:archives?|attachments?|files?|zip)`,
		why:    "the server wants TLS first (RFC 3207 section 4)",
	},
	{
		name: "relay-denied", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			\brelay\w*\b{near}(?:denied|deny|not|no|disallowed|prohibited|forbidden|refused|rejected|disabled|restricted|
			unauthori[sz]ed|required)|\b(?:not|no|unable to|denied|can not|never|denies|refuse\w*|reject\w*|invalid|
			unauthori[sz]ed|without|prohibit\w*) (?:[a-z@#]+ ){0,4}relay\w*|local users? only|rcpthosts|not an? (?:\w+ )?gateway\w*|not gateway\w*|anti ?relay|insecure (?:\w+ )?relay`,
		unless: `(?:black|block|deny) ?list|dnsbl|\blisted\b|{abuse}|in relay (?:recipient|domain)s?|relay (?:recipient|domain)s? (?:table|map)|user unknown|unknown user|relay (?:\w+ )?(?:is )?(?:not (?:ready|respond\w*|reach\w*|answer\w*|available)|busy|down|unavailable)`,
		why:    "this server does not send mail on for us: log in, or use the right server (RFC 3463 X.7.1; Postfix smtpd_relay_restrictions)",
	},
	{
		name: "country", codes: "5", class: Rejected, scope: Message,
		text: `
			\b(?:countr(?:y|ies)|geo ?(?:ip|graph\w*|location|block\w*)|(?:your|this) region)\b.*\b(?:block|den(?:y|ied)|reject|refus|restrict|bann|prohibit|not (?:\w+ )?(?:allow|accept|permit|authori))|
			(?:block|denied|reject|refus|restrict|bann|prohibit|not (?:\w+ )?(?:allow|accept|permit|authori)).*\b(?:countr(?:y|ies)|geo ?(?:ip|graph\w*|location|block\w*)|(?:your|this) region)\b`,
		unless: `authenticat\w*|log ?in|password|credentials`,
		why:    "mail from this country or place is not taken (RFC 3463 X.7.1)",
	},
	{
		name: "sending-stopped", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			\b(?:outgoing|outbounds?)\b{near}{stopped}|\b(?:sending|submission)\b (?:[^ ]+ ){0,6}{stopped}|{stopped} (?:[^ ]+ ){0,3}(?:from (?:sending|send|relaying|submitting)|for (?:outgoing|outbound))|
			{stopped} (?:outgoing|outbound|sending) (?:of )?(?:e?mails?|messages?)|
			\b(?:abilit\w+|permissions?|rights?|privileges?) to send(?: [^ ]+){0,4} {stopped}|
			not (?:\w+ )?(?:allowed|permitted|authori[sz]ed) to (?:send|submit)(?: (?:any|new|out|outgoing))?(?: e?mails?| messages?)?(?:$| (?:at this time|now|any ?more|any longer|from (?:this|that|your) (?:address|account|server|ip|sender|domain|host|mailbox)|
			through|via|using|because|due|until|contact|please)\b)|account{near}not (?:\w+ )?(?:allowed|permitted|authori[sz]ed|able) to send`,
		unless: `
			{proof}|{brief}|\b(?:sending|outgoing|outbound) (?:ip|ips|server|host|mta|mail server|system|network|domain|address|relay|hostname|dynamic)\b|dynamic|authenticate with|your{near}recipient|
			sending (?:spam|attachments?|files?|links?|content|bulk|newsletters?|to|of)\b|sending (?:e?mails?|messages?) to\b|to (?:this|that|the|these) (?:recipients?|users?|address\w*|group|list|mail ?box)|
			bulk|unsolicited|newsletters?|(?:outgoing|outbound) (?:spam|filter|content)`,
		why: "this account may not send, for now or for good, whatever it is that it sends",
	},
	{
		name: "domain-not-authorised", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			domain lockdown|lockdown record|(?:missing|no|without|add|publish|create|lacks?|not have|not (?:be )?find|failed to find|required)(?: [a-z#]+){0,5} (?:txt|cname|authori[sz]ation|verification|ownership|validation|lockdown)(?: (?:dns|txt|cname))? records?\b|
			\b(?:txt|cname|authori[sz]ation|verification|ownership|validation)(?: (?:dns|txt))? records?{near}(?:missing|not found|required|not (?:\w+ )?(?:exist|set|published|present)|needed|absent)|
			(?:dns|txt) (?:records?|entry|entries){near}(?:missing|not found|absent|required|needed|does not exist){near}authori[sz]\w*|authori[sz]\w*{near}(?:dns|txt) (?:records?|entry|entries){near}(?:missing|not found|absent|required|needed|does not exist)|
			(?:no|missing) (?:dns|txt) (?:records?|entry|entries){near}authori[sz]\w*`,
		unless: `{proof}`,
		why:    "a record that lets this server send for the domain is missing in its DNS",
	},
	{
		name: "helo-refused", codes: "5", class: AuthOrConfig, scope: Server,
		text:   `\b(?:helo|ehlo|helohost)\b`,
		unless: `{abuse}|{proof}|{later}|grey ?list\w*`,
		why:    "the name that this machine gives itself is not taken, from whomever the mail is and to whomever it goes (RFC 5321 section 4.1.4)",
	},
	{
		name: "sender-not-ours", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			not owned by|not (?:\w+ )?(?:allowed|permitted|authori[sz]ed) (?:to use|for (?:this|your) (?:user|account))|
			not one of your|send(?:ing)? as (?:an? )?(?:different|another|other)\b|(?:different|other|another) (?:\w+ ){0,2}address than|not associated with (?:your|this)|(?:check|receive|fetch|retrieve|read) (?:for )?(?:\w+ )?e?mails? before|(?:activate|enable) sending|
			not (?:\w+ )?(?:allowed|permitted|authori[sz]ed) to (?:perform|send (?:as|on|from (?:this|that|the))|use)|(?:not have|no|lacks?) (?:\w+ )?(?:permission|right|privilege)s? to (?:send|relay|use)|
			(?:mail ?from|from|sender)(?: \w+){0,3} must (?:be (?:the )?)?(?:same|equal|match|identical)|smtp (?:\w+ ){0,3}(?:disabled|not enabled)|(?:permission|right|allowed|permitted|
			authori[sz]ed)s? to send (?:as|on behalf|mail as)|send ?as ?denied|(?:sender|from|identit\w*|domain|address\w*|
			emails?|signature)\b{near}not (?:been |yet )?(?:\w+ )?(?:verified|confirmed|validated)|(?:identity|sender|signature) (?:\w+ )?unverified|sending (?:\w+ )?as @ (?:\w+ )?not|(?:unverified|not a verified|not an? (?:authori[sz]ed|approved|
			registered)) (?:sender|domain|from|identity|email)|verified sender|must be verified|(?:must|please|need to|have to|first) verify your|verify your (?:\w+ )?(?:domain|sender|identity|address|email) (?:before|first|to)|(?:mail from|mail ?from|sender|
			from)\b{near}(?:authenticat(?:ed user|ion|ed account|ed)\b|login|logged in|auth account)|bad outbound sender|
			(?:sender|sending|from) (?:domain |address )?(?:# |@ )?(?:not|is not|must be) (?:registered|configured|set up)|(?:your|senders?|
			sending|smtp|customer|relay|the) (?:\w+ )?(?:account|domain|user){near}(?:not (?:been |yet )?(?:approved|active|activated|enabled|
			allowed to send)|under review|on hold)|(?:your|senders?|sending|smtp) account{near}(?:suspended|disabled|locked|
			deactivated|blocked|inactive|restricted|closed|limited|terminated|paused)|(?:sending|submission|outbound mail|
			outgoing mail|mail sending)\b (?:\w+ ){0,3}(?:denied|disabled|suspended|paused|not allowed|blocked|restricted)|
			sender\b(?: [a-z@]+){0,4} account (?:is )?(?:suspended|disabled|blocked|locked)|sending (?:for|from) (?:this|that|your|the) (?:\w+ ){1,2}(?:is|was|has been) (?:disabled|suspended|paused|not enabled)|
			from (?:address |header )?and (?:auth\w*|log ?in|user ?name){near}(?:not|differ\w*)|storedrv submission|(?:blocked|barred) from sending|(?:unregistered|unconfigured|unverified) (?:sending )?(?:domain|sender)|not (?:allowed|permitted|
			authori[sz]ed) to send(?: mails?| emails?| messages?)?$|tenant{near}(?:exceeded|blocked|threshold)|sandbox|
			test purposes|account (?:is )?not subscribed|^(?:main|master|parent) account\b|
			(?:sender|from|sending|mail ?from|return path) (?:e?mail )?(?:address|domain|identity) (?:@ |# )?(?:is |was )?not (?:allowed|permitted|authori[sz]ed|trusted)|(?:from|sender) domain (?:# )?(?:is )?untrusted|
			(?:sender|mail ?from|from)\b (?:[a-z@#]+ ){0,4}not (?:an? )?(?:local|in (?:my|our|your) (?:local )?domains?)|not (?:an? )?local sender|mail ?from (?:[a-z@#]+ ){0,3}(?:non ?local|is an? local)|
			mail ?from @ (?:is )?not (?:allowed|permitted) from (?:this|your)|use (?:your|the) (?:account|own|registered|verified|authenticated|log ?in)(?: e?mail)? address`,
		unless: `{proof}|sending (?:ip|server|host|mta)\b|verification (?:is )?in progress|authenticate with|your{near}recipient`,
		why:    "this account may not send, or not with this sender address (Amazon SES, SendGrid, Postfix reject_sender_login_mismatch, Exchange Online 5.7.60)",
	},
	{
		name: "sender-blocked-here", codes: "5", status: "5.1.8", class: AuthOrConfig, scope: Server,
		text:   `\bblocked\b`,
		unless: `{abuse}|by (?:this|the|that) (?:user|recipient)`,
		why:    "a sender that the server itself has blocked is one of its own accounts",
	},
	{
		name: "suspicious-sending", codes: "5", class: AuthOrConfig, scope: Server,
		text:   `(?:unusual|suspicious) (?:\w+ )?(?:sending|account|login|activity)`,
		unless: `{abuse}`,
		why:    "the provider has stopped the account (Zoho 5.4.6)",
	},
}
