package reply

import (
	"slices"
	"strings"
	"time"
)

// A rule says what a reply means. The first rule that fits decides, so their order is part of their meaning:
// what would stop everything, what is about speed, what passes by itself, and only then who or what was refused; a
// recipient is given up last, and only when nothing else was said.
//
// text and unless are regular expressions over what words makes of the reply, with names from the lexicon in braces; line
// breaks and tabs do not count.
// Rules are about what servers mean, not about what one server says: a sentence seen once does not belong here.
type rule struct {
	name   string
	codes  string // first digits of the code, any of them: "4", "5", "45"
	status string // enhanced status code, or how it starts: "4.7.5*"; empty: any
	text   string // has to match; empty: any text
	unless string // must not match
	class  Class
	scope  Scope
	quota  time.Duration // for a quota that is used up: within which time it is new
	why    string        // what it means, and who says so

	match, veto []int // patterns of the rulebook's matcher
}

// fitsStatus reports whether the rule is about this enhanced status code.
func (r *rule) fitsStatus(status string) bool {
	if prefix, any := strings.CutSuffix(r.status, "*"); any {
		return strings.HasPrefix(status, prefix)
	}
	return r.status == "" || r.status == status
}

// A rulebook is what a Classifier knows, with its patterns compiled.
type rulebook struct {
	*matcher
	rules     []rule
	providers *providerBook
}

func newRulebook() *rulebook {
	book := &rulebook{matcher: newMatcher(), rules: slices.Clone(table), providers: newProviderBook()}
	for i := range book.rules {
		r := &book.rules[i]
		r.match, r.veto = book.compile(r.text), book.compile(r.unless)
	}
	return book
}

var table = []rule{
	// What stops everything until a person acts or a day passes.
	{
		name: "recipient-receives-too-much", codes: "45", class: Transient, scope: Recipient,
		text: `
			{recipient}{near}receiv\w+{near}(?:quick\w*|rate|too|limit|number|fast)|{recipient} (?:\w+ )?exceed\w* .*receiv|
			{recipient} (?:is|has been) receiving `,
		unless: `{daily}{near}sen[dt]`,
		why:    "one recipient gets more mail than its server lets in; others are not hit (Google 4.2.1, Exchange Online 5.2.122)",
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
		unless: `member of (?:\w+ )?domain`,
		why:    "the recipient takes mail only from some senders (Exchange Online 5.7.1 RESOLVER.RST, 5.7.133, 5.7.193)",
	},
	{
		name: "login-trouble-passing", codes: "4", class: Transient, scope: Session,
		text: `
			(?:authenticat\w*|\bauth\b|log ?in|credentials?){near}(?:temporar\w*|try)|temporar\w*{near}(?:authenticat\w*|\bauth\b|
			log ?in|credentials?)`,
		unless: `{flow}{near}{excess}|too many`,
		why:    "the server cannot look up the credentials just now (RFC 4954 section 6, 454 4.7.0)",
	},
	{
		name: "credentials", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			\b(?:authenticat\w*|authentification|\bauth\b|log ?in|log ?on|credentials?|password|passwd|user ?name|api key|token|
			sasl)\b{near}(?:fail\w*|invalid\w*|incorrect|reject\w*|denied|unsuccessful|not (?:be )?(?:\w+ )?(?:accept\w*|allow\w*|
			recogni\w*|enable\w*|valid\w*|success\w*|match\w*|correct|complete\w*|support\w*|permit\w*|implement\w*)|unimplemented|disabled|wrong|bad|
			expired|revoked|mismatch\w*|required|needed|mandatory|first|error|unrecogni[sz]ed|unknown|does not match|do not match|
			refus\w*|erron\w*|incorrecte?s?)|\b(?:fail\w*|invalid|incorrect|bad|wrong|no|unrecogni[sz]ed|unsupported|malformed|rejected|
			expired|must|requires?|need|needs|ha(?:ve|s) to|please|could not|can not|unable to|not|without|before|
			unauthori[sz]ed){near}(?:authenticat\w*|\bauth\b|log ?in|log ?on|credentials?|password|api key|sasl)|
			(?:only|allowed|permitted|possible) with (?:smtp )?authentication|unauthenticated (?:senders?|users?|clients?|connections?|access|smtp)|(?:client|sender|user|you are|session) (?:was |
			is )?not (?:been )?(?:authenticated|logged in)|unknown auth\w* (?:type|method|mechanism)|pop before smtp|(?:auth|authentication) (?:\w+ ){0,4}advertised|
			anmeldung`,
		unless: `
			{proof}|authenticate with|authenticated with|too many (?:\w+ )?(?:auth|unauth|login|connect)|{flow}{near}{excess}|
			\bresolver\b|dns|message header|verify{near}sender policy`,
		why: "the server does not accept the log-in, or wants one (RFC 4954 section 6; Amazon SES, Postfix, SendGrid)",
	},
	{
		name: "encryption-required", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			\b(?:starttls|tls|ssl|encrypt\w*|secure connection){near}(?:required|first|mandatory|needed|only)|\b(?:must|requires?|
			need|needs){near}(?:starttls|tls|ssl|encrypt\w*|secure connection)|(?:tls|ssl) #(?: \w+ #)?(?: is| are)? (?:not|no longer) (?:supported|accepted|allowed)`,
		unless: `{flow}{near}{excess}|too many`,
		why:    "the server wants TLS first (RFC 3207 section 4)",
	},
	{
		name: "relay-denied", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			\brelay\w*\b{near}(?:denied|deny|not|no|disallowed|prohibited|forbidden|refused|rejected|disabled|restricted|
			unauthori[sz]ed|required|verboten|interdit)|\b(?:not|no|unable to|denied|can not|never|denies|refuse\w*|reject\w*|invalid|
			unauthori[sz]ed|without|prohibit\w*) (?:[a-z@#]+ ){0,4}relay\w*|local users? only|rcpthosts|not (?:a )?gateway\w*|anti ?relay|insecure (?:\w+ )?relay`,
		unless: `(?:black|block|deny) ?list|dnsbl|\blisted\b|{abuse}|in relay (?:recipient|domain)s?|relay (?:recipient|domain)s? (?:table|map)|user unknown|unknown user|relay (?:\w+ )?(?:is )?(?:not (?:ready|respond\w*|reach\w*|answer\w*|available)|busy|down|unavailable)`,
		why:    "this server does not send mail on for us: log in, or use the right server (RFC 3463 X.7.1; Postfix smtpd_relay_restrictions)",
	},
	{
		name: "sender-not-ours", codes: "45", class: AuthOrConfig, scope: Server,
		text: `
			not owned by|not (?:\w+ )?(?:allowed|permitted|authori[sz]ed) (?:to use|for (?:this|your) (?:user|account))|
			not one of your|not associated with (?:your|this)|(?:check|receive|fetch|retrieve|read) (?:for )?(?:\w+ )?e?mails? before|(?:activate|enable) sending|
			not (?:\w+ )?(?:allowed|permitted|authori[sz]ed) to (?:perform|send (?:as|on|from (?:this|that|the))|use)|(?:not have|no|lacks?) (?:\w+ )?(?:permission|right|privilege)s? to (?:send|relay|use)|
			(?:mail ?from|from|sender)(?: \w+){0,3} must (?:be (?:the )?)?(?:same|equal|match|identical)|smtp (?:\w+ ){0,3}(?:disabled|not enabled)|(?:permission|right|allowed|permitted|
			authori[sz]ed)s? to send (?:as|on behalf|mail as)|send ?as ?denied|(?:sender|from|identit\w*|domain|address\w*|
			emails?|signature)\b{near}not (?:been |yet )?(?:\w+ )?(?:verified|confirmed|validated)|(?:identity|sender|signature) (?:\w+ )?unverified|sending (?:\w+ )?as @ (?:\w+ )?not|(?:unverified|not a verified|not an? (?:authori[sz]ed|approved|
			registered)) (?:sender|domain|from|identity|email)|verified sender|must be verified|(?:mail from|mail ?from|sender|
			from)\b{near}(?:authenticat(?:ed user|ion|ed account|ed)\b|login|logged in|auth account)|bad outbound sender|
			(?:sender|sending|from) (?:domain |address )?(?:not|is not|must be) (?:registered|configured|set up)|(?:your|senders?|
			sending|smtp|customer|relay|the) (?:\w+ )?(?:account|domain|user){near}(?:not (?:been |yet )?(?:approved|active|activated|enabled|
			allowed to send)|under review|on hold)|(?:your|senders?|sending|smtp) account{near}(?:suspended|disabled|locked|
			deactivated|blocked|inactive|restricted|closed|limited|terminated|paused)|(?:sending|submission|outbound mail|
			outgoing mail|mail sending)\b (?:\w+ ){0,3}(?:denied|disabled|suspended|paused|not allowed|blocked|restricted)|
			sender\b(?: [a-z@]+){0,4} account (?:is )?(?:suspended|disabled|blocked|locked)|sending (?:for|from) (?:this|that|your|the) (?:\w+ ){1,2}(?:is|was|has been) (?:disabled|suspended|paused|not enabled)|
			from (?:address |header )?and (?:auth\w*|log ?in|user ?name){near}(?:not|differ\w*)|storedrv submission|(?:blocked|barred) from sending|(?:unregistered|unconfigured|unverified) (?:sending )?(?:domain|sender)|not (?:allowed|permitted|
			authori[sz]ed) to send(?: mails?| emails?| messages?)?$|tenant{near}(?:exceeded|blocked|threshold)|sandbox|
			test purposes|account (?:is )?not subscribed`,
		unless: `{proof}|verification (?:is )?in progress|authenticate with|your{near}recipient`,
		why:    "this account may not send, or not with this sender address (Amazon SES, SendGrid, Postfix reject_sender_login_mismatch, Exchange Online 5.7.60)",
	},
	{
		name: "suspicious-sending", codes: "5", class: AuthOrConfig, scope: Server,
		text:   `(?:unusual|suspicious) (?:\w+ )?(?:sending|account|login|activity)`,
		unless: `{abuse}`,
		why:    "the provider has stopped the account (Zoho 5.4.6)",
	},

	// What passes for one recipient, and could be taken for a limit of ours.
	{
		name: "greylisted", codes: "45", class: Transient, scope: Recipient,
		text: `grey ?list\w*|gray ?list\w*|postgrey|greylist\w*`,
		why:  "the first try from a sender is put off (RFC 6647)",
	},
	{
		name: "mailbox-full", codes: "45", class: Transient, scope: Recipient,
		text: `
			{recipient}{near}(?:full\b|over ?quota|overfull|
			{excess}{near}(?:quota|storage|space|allocation|size|capacity|limit))|(?:mailbox|inbox|mail ?box|quota|postfach|
			folder) (?:is )?full|over ?quota|over (?:its |the |their |disk )?quota|quota(?: \w+){0,3} (?:exceed\w*|full|reached|
			violat\w*|depass\w*|superad\w*)|{excess}(?: \w+){0,4} (?:quota|storage\b|disk space|mailbox|allocation)|quotaexceeded|
			(?:disk|storage|mail ?box) (?:space |quota |size )?(?:limit )?{excess}|enough (?:disk |storage |free )?space|@ (?:is )?full\b|(?:space|storage){near}used up|overdrawn|
			storage allocation|too many messages (?:on|in) (?:the |its |their )?(?:server|mail ?box|inbox)|(?:mail ?box|inbox|account){near}(?:has no (?:free )?space|no space left|size limit)|
			{destinataire}{near}(?:plein\w*|voll\b|uberfullt|llen[oa]|pien[oa]|chei[oa]|pelna|vol\b|переполнен)|(?:cuota|quota|kontingent|cota){near}(?:excedid[oa]|superat[oa]|superad[oa]|uberschritten|depasse\w*)`,
		unless: `
			(?:message|mail|email|attachment) (?:size|is too|too)|\b(?:sending|send|sent|rate|hourly|connection|session|messages|
			transport|throttl\w*) (?:\w+ )?(?:limit|quota)|{brief}|rate ?limit|threads?|sessions?|connections?`,
		why: "a full mailbox may be emptied; the code is often 5xx all the same (RFC 3463 X.2.2)",
	},

	// What is about speed.
	{
		name: "concurrency", codes: "45", class: Throttled, scope: Session,
		text: `
			(?:too many|too much|excessive(?: number of)?|trop de|zu viele|demasiad[oa]s|tropp[ie]|
			muitas)(?: [a-z]+){0,3} (?:connections?|conns?|connects?|connexions?|sessions?|verbindungen|conexiones|connessioni|
			conexoes|threads|channels)|(?:concurren\w+|simultaneous|parallel){near}{limit}|{limit}{near}(?:concurren\w+|
			simultaneous|parallel)|{excess}{near}(?:concurren\w+|simultaneous|parallel|connections|sessions|connexions)|
			(?:concurren\w+|simultaneous|parallel|connections?|connexions?|sessions?){near}{excess}|(?:connection|session|
			threads?) (?:count )?limit|max\w*(?: \w+){0,3} (?:connections|sessions)|(?:mails|messages|emails|
			recipients) per (?:session|connection)|(?:reduce|lower|limit){near}(?:connections|sessions|concurren\w*)|
			connections{near}(?:limited|restricted)|max\w*(?: \w+){0,3} clients|more (?:\w+ )?(?:connections|sessions) than|(?:that|so) many (?:\w+ )?(?:connections|sessions)|
			(?:connections|sessions)(?: \w+){0,4} (?:limit|maximum)|exceed\w* (?:\w+ )?connection`,
		unless: `time ?d? ?out|timeout|errors? (?:limit|exceed)|{recipient}{near}full`,
		why:    "fewer connections, or fewer messages in each (Postfix smtpd_client_connection_count_limit, X.4.5)",
	},
	{
		name: "rate", codes: "4", class: Throttled, scope: Server,
		text: `{rate}`,
		why:  "slower (Postfix anvil limits, Google 4.7.28, Amazon SES throttling)",
	},
	{
		name: "rate-permanent-code", codes: "5", class: Throttled, scope: Server,
		text:   `{rate}`,
		unless: `{abuse}|invalid recipients`,
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
			restricted)`,
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
		unless: `{doubt}|your|{abuse}|{proof}|smtp|{daily}`,
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
			can not (?:open|create)|unable to (?:open|write|lock|connect)|{later}`,
		unless: `
			{abuse}|{proof}|policy|content|size|large|permanent\w*|dial ?up|dynamic|nxdomain|dns hard|domain (?:name )?not found|no (?:such|mail ?box|user)|currently blocked|accepting (?:any )?(?:e?mail|messages) (?:from (?:this |the |your )?sender|with|of|that)\b|
			unknown user|user unknown|does not exist|{sender}{near}{gone}`,
		why: "the server's own trouble, or it says that it will pass, although the code says never",
	},

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
		text:   `^(?:the |this |your |user )?(?:account|domain)(?: or domain)? (?:is |was |has been )?(?:suspended|disabled|deactivated|locked)|^(?:main|master|parent) account\b`,
		unless: `@|discontinued`,
		why:    "it does not say whose account that is: the recipient's, or the one that sends",
	},
	{
		name: "unavailable-by-policy", codes: "5", status: "5.7.*", class: Rejected, scope: Message,
		text: `mail ?box (?:is )?unavailable`,
		why:  "the status speaks of policy and not of the mailbox (RFC 3463 X.7)",
	},

	// Who cannot be reached, ever.
	{
		name: "recipient-unknown", codes: "5", class: HardBounce, scope: Recipient,
		text: `
			{recipient} (?:[^ ]+ ){0,9}{gone}|{recipient}{near}(?:could|can) not be found|{destinataire}{near}{inconnu}|{inconnu}{near}{destinataire}|{nosuch}(?: [a-z@#]+){0,3} (?:users?|recipients?|mail ?box(?:es)?|accounts?|
			address(?:es)?|addressees?|alias|person|customer|rcpt|domain|host|local part)\b|nobody\b|@ {gone}|no (?:local )?(?:mail ?box|users?|
			account|one|body)\b(?: [a-z@]+){0,3} (?:here|name|found|match\w*|available for)|no local (?:mail ?box|user)|no longer in use|(?:not|
			no|unable to) (?:find|locate|have|know|recogni[sz]e)(?: \w+){0,3} (?:recipient|mail ?box|user|account|address|addressee|alias)|
			not handle (?:e?mail|messages) for (?:this|that|the) (?:user|recipient|address|mail ?box)|
			not have an? (?:\w+ |@ |# )*(?:mail ?box|account|user)|nosuchuser|recip ?not ?found|recipient ?not ?found|
			unknown ?user|user ?unknown|honeypot|not in (?:\w+ ){0,3}(?:recipients?|user|rcpt\w*|valid\w*) (?:list|table|map)|no \w+ in (?:\w+ )?directory|
			(?:nessun|ningun|aucun|kein)\w* {destinataire}|{recipient} (?:@ )?(?:is )?not an? member of (?:\w+ )?domain`,
		unless: `{doubt}|{whose}`,
		why:    "no such mailbox, or it was closed (RFC 3463 X.1.1, X.2.1)",
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
			 recipient)? (?:domain|host)|(?:does|do) not (?:accept|receive) (?:any )?(?:e?mail|messages)|null mx|nxdomain|dns hard error|bad destination (?:host|system)|no (?:mx|
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
