package reply

import (
	"strings"
	"testing"
)

// Replies in the manner of real ones, none of them copied: the code, the text after it, and what it means.
var meanings = []struct {
	code int
	text string
	want Class
}{
	// Slower.
	{421, "4.7.0 Too many connections from 192.0.2.7, goodbye", Throttled},
	{421, "4.7.0 mx1.example.net Error: too many new connections from unknown[192.0.2.7]", Throttled},
	{421, "Too many concurrent SMTP connections from this address; please wait", Throttled},
	{421, "4.3.2 You have opened more than the maximum of 20 simultaneous sessions", Throttled},
	{421, "4.4.5 Server load too high for new connections, max connections reached", Throttled},
	{450, "4.7.1 192.0.2.7 sends too much mail", Throttled},
	{450, "4.7.1 <mx.example.net[192.0.2.7]>: Client host rejected: message rate limit for this hour is exceeded", Throttled},
	{451, "4.7.1 Sending rate exceeded, slow down and retry", Throttled},
	{451, "4.7.1 You are sending too fast", Throttled},
	{451, "Ratelimit reached for sender news@example.com: 200 messages / 1h", Throttled},
	{452, "4.2.1 Throttling in effect for your domain", Throttled},
	{452, "4.3.1 You have sent 500 emails this hour, the hourly limit is 500", Throttled},
	{454, "Throttling failure: over the maximum rate", Throttled},
	{421, "4.7.28 Unusual traffic volume from your network has been noticed, mail is limited for now", Throttled},
	{421, "4.7.0 [TSX02] Mail from 198.51.100.9 deferred because of user complaints", Throttled},
	{421, "RP-002 The sending server has exceeded the rate allowed because of its IP reputation", Throttled},
	{451, "4.7.650 The mail server [198.51.100.9] has been temporarily rate limited due to IP reputation.", Throttled},
	{421, "4.7.1 Connection frequency limited, try later", Throttled},
	{450, "4.7.1 Mails are sent too frequently, please try again in a while", Throttled},
	{550, "5.7.0 Too many emails per second, upgrade your plan", Throttled},
	{550, "5.1.1 Too many recipients this hour, wait before you send more", Throttled},
	{550, "Message rejected: sender exceeded 250 mails per hour", Throttled},
	{550, "5.7.1 Rate limit exceeded for 192.0.2.7", Throttled},
	{554, "Request rate too high, please slow down", Throttled},
	{554, "5.7.1 Maximum number of messages per session reached, reconnect", Throttled},
	{421, "Trop de connexions depuis votre adresse IP", Throttled},
	{421, "4.7.0 Zu viele Verbindungen von 192.0.2.7", Throttled},
	{450, "4.7.1 Excessive number of messages from your host", Throttled},
	{421, "4.7.0 Reduce the number of parallel sessions", Throttled},
	{451, "4.7.1 The reputation of 192.0.2.7 is too low, deferring", Throttled},
	{452, "Too many messages in one connection, open another", Throttled},
	{451, "Max emails per minute for this account: 60. Delivery postponed", Throttled},
	{421, "4.4.5", Throttled},
	{550, "Sorry, you may send no more than 30 messages every 5 minutes; limit reached", Throttled},
	{421, "4.7.0 Message volume from this sender has exceeded the threshold", Throttled},
	{450, "4.7.1 Policy restriction: quota of 100 messages in 60 minutes exceeded", Throttled},

	// Later.
	{450, "4.2.0 <bob@example.org>: Recipient address rejected: Greylisted, see http://postgrey.example.org/help", Transient},
	{451, "Graylisting in force, come back in five minutes", Transient},
	{550, "5.7.1 Grey-listed: first delivery from this host, retry", Transient},
	{452, "4.2.2 Mailbox of bob@example.org is full", Transient},
	{552, "5.2.2 Mailbox of bob@example.org is full", Transient},
	{550, "5.2.2 <bob@example.org>: user is over quota", Transient},
	{554, "Delivery error: the recipient's inbox is out of storage space", Transient},
	{552, "Requested action aborted: storage allocation exceeded", Transient},
	{550, "5.1.1 Bob's mailbox has exceeded its storage limit", Transient},
	{552, "5.7.0 Boîte aux lettres pleine", Transient},
	{552, "Das Postfach ist voll", Transient},
	{550, "El buzón del usuario está lleno", Transient},
	{552, "Mailbox size limit exceeded", Transient},
	{554, "5.2.2 mailbox full", Transient},
	{550, "5.2.2", Transient},
	{451, "4.3.0 Internal failure, try again", Transient},
	{451, "4.3.5 Server configuration error", Transient},
	{451, "Local error in processing", Transient},
	{452, "4.3.1 Insufficient system storage", Transient},
	{421, "4.3.2 Service shutting down", Transient},
	{421, "mx.example.net closing transmission channel", Transient},
	{450, "4.2.1 Mailbox temporarily disabled", Transient},
	{450, "Requested mail action not taken: mailbox unavailable", Transient},
	{450, "4.1.1 <bob@example.org>: Recipient address rejected: unverified address: lookup in progress", Transient},
	{450, "4.1.1 <bob@example.org>: user unknown", Transient},
	{450, "4.1.8 <news@example.com>: Sender address rejected: Domain not found", Transient},
	{451, "4.4.3 DNS lookup of the recipient's domain failed", Transient},
	{421, "4.4.2 connection timed out", Transient},
	{452, "4.5.3 Too many recipients in one transaction", Transient},
	{451, "4.7.1 Content scanner is not ready", Transient},
	{451, "4.7.1 Message looks suspicious, further checks are made", Transient},
	{454, "4.7.0 Temporary failure in the authentication backend", Transient},
	{454, "4.3.0 TLS not available due to local problem", Transient},
	{550, "Mailbox busy, try again later", Transient},
	{554, "5.3.0 System temporarily unavailable", Transient},
	{550, "An internal error occurred on this server", Transient},
	{554, "Timed out while waiting for the next server", Transient},
	{550, "5.3.1 Not enough disk space on the server", Transient},
	{451, "", Transient},
	{450, "4.2.1 The user you write to receives mail too quickly just now", Transient},
	{452, "4.3.2 Please retry this recipient later", Transient},
	{451, "4.7.1 Reverse lookup of your address gave no answer", Transient},
	{554, "This account is temporarily disabled", Transient},
	{450, "4.3.2 The queue of the next host is long", Transient},

	// Dead.
	{550, "5.1.1 <bob@example.org>: rejected, user unknown in the table of mailboxes", HardBounce},
	{550, "5.1.1 No such user here", HardBounce},
	{550, "No such recipient bob@example.org", HardBounce},
	{550, "5.1.1 The mail account that you wanted to reach does not exist. Check the address for typing errors.", HardBounce},
	{550, "5.1.1 bob@example.org... User unknown", HardBounce},
	{550, "5.5.0 Requested action not taken: mailbox unavailable", HardBounce},
	{550, "unknown user <bob@example.org>", HardBounce},
	{550, "Invalid recipient", HardBounce},
	{550, "This address is unrouteable", HardBounce},
	{551, "User isn’t known at this site", HardBounce},
	{553, "sorry, no mailbox here with that name (#5.1.1)", HardBounce},
	{554, "5.1.1 Address unknown", HardBounce},
	{550, "5.1.10 RESOLVER.ADR.RecipientNotFound; nothing by that name", HardBounce},
	{550, "5.2.1 This mailbox is disabled", HardBounce},
	{550, "5.2.1 The account has been closed for inactivity", HardBounce},
	{554, "delivery error: This user has no account with us any more; account is no longer active", HardBounce},
	{550, "Account inactive", HardBounce},
	{550, "5.1.6 Recipient no longer with the company", HardBounce},
	{550, "5.1.2 Host unknown: no such domain", HardBounce},
	{550, "Recipient domain does not exist", HardBounce},
	{556, "5.1.10 Recipient address has a null MX", HardBounce},
	{550, "5.1.3 Recipient address is not valid", HardBounce},
	{550, "Nous n'avons pas trouvé: utilisateur inconnu", HardBounce},
	{550, "5.1.1 Empfänger unbekannt", HardBounce},
	{550, "El usuario no existe", HardBounce},
	{550, "Utente sconosciuto", HardBounce},
	{550, "Usuário desconhecido", HardBounce},
	{550, "There is no mailbox of that name", HardBounce},
	{550, "5.1.1", HardBounce},
	{550, "Not a valid mailbox", HardBounce},
	{550, "we could not find the recipient bob@example.org in our directory", HardBounce},
	{550, "The mailbox you wrote to does not exist!", HardBounce},
	{550, "bob@example.org user_unknown", HardBounce},
	{550, "address deactivated", HardBounce},
	{550, "5.4.1 Recipient address rejected: Access denied", HardBounce},
	{550, "5.7.1 User is no longer employed here", HardBounce},
	{550, "Nobody of that name", HardBounce},
	{554, "Address is on our suppression list", HardBounce},
	{550, "5.1.1 Compte inconnu", HardBounce},
	{550, "the domain of this address is not hosted here any more", HardBounce},

	// Refused.
	{550, "5.7.1 Message looks like spam", Rejected},
	{554, "5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org", Rejected},
	{554, "Your address 192.0.2.7 is on our block list", Rejected},
	{550, "5.7.1 Blacklisted", Rejected},
	{550, "5.7.1 Connection refused: 192.0.2.7 is listed in a DNSBL", Rejected},
	{550, "5.7.26 This mail is unauthenticated: neither SPF nor DKIM passed", Rejected},
	{550, "5.7.1 Refused because of the DMARC policy of example.com", Rejected},
	{550, "5.7.23 The message was rejected because of a Sender Policy Framework violation", Rejected},
	{550, "5.7.25 No PTR record for the sending address", Rejected},
	{552, "5.3.4 Message size exceeds the fixed limit", Rejected},
	{552, "5.2.3 Message too large for this recipient", Rejected},
	{554, "5.6.0 Malformed message header", Rejected},
	{550, "5.7.1 This attachment type is not accepted", Rejected},
	{554, "5.7.1 A virus was found in the message", Rejected},
	{550, "5.7.1 Rejected for policy reasons", Rejected},
	{550, "Administrative prohibition", Rejected},
	{553, "5.1.8 <news@example.com>: Sender address rejected: Domain not found", Rejected},
	{550, "5.1.7 Unknown sender", Rejected},
	{550, "Could not verify the sender", Rejected},
	{550, "5.7.1 Recipient does not wish to receive mail from you", Rejected},
	{550, "5.7.1 RESOLVER.RST.AuthRequired; the list wants authentication", Rejected},
	{550, "5.7.133 The group takes mail only from its own organization", Rejected},
	{554, "5.4.6 Mail loop: too many hops", Rejected},
	{550, "5.7.1 <mail.example.com>: Helo command rejected: Host not found", AuthOrConfig},
	{550, "5.7.1 Client host rejected: cannot find your hostname", Rejected},
	{554, "Transaction failed", Rejected},
	{550, "", Rejected},
	{554, "5.7.1 Unknown user complaints: your IP was blocked", Rejected},
	{550, "5.1.1 Access denied by security policy", Rejected},
	{554, "5.7.1 Message contains a forbidden URL", Rejected},
	{550, "Too many invalid recipients from your address today, blocked for abuse", Rejected},
	{550, "5.7.1 Message held: content filter", Rejected},
	{501, "5.5.4 Syntax error in parameters", Rejected},
	{550, "5.7.509 Access denied, sending domain does not pass DMARC verification", Rejected},
	{550, "5.7.1 The sending IP has a poor reputation", Rejected},
	{554, "Denied [CS] http://x.example.org/denied", Rejected},
	{550, "Missing or invalid From header", Rejected},
	{550, "5.7.1 Our users do not want bulk mail", Rejected},
	{550, "5.7.0 spam rate too high for this sender", Rejected},
	{554, "5.7.5 permanent error evaluating the DMARC policy of example.com", Rejected},
	{550, "Die Nachricht wurde als Spam abgelehnt", Rejected},
	{550, "User has disabled mail from outside", Rejected},
	{550, "This account does not accept messages from your domain", Rejected},
	{550, "Your account produces too many hard bounces of unknown users", Rejected},
	{554, "5.5.1 No valid recipients", Rejected},
	{550, "5.7.1 Recipient mailbox accepts only mail from its contacts", Rejected},
	{550, "Invalid HELO name", AuthOrConfig},
	{550, "The hostname of your mail server does not exist in DNS", Rejected},
	{550, "5.1.1 Refused by the policy of the recipient", Rejected},
	{502, "5.5.1 Unknown command", Rejected},
	{550, "5.1.7 The address of the sender is invalid", Rejected},

	// Stop.
	{535, "5.7.8 Name of the user or password not accepted", AuthOrConfig},
	{535, "5.7.3 Authentication unsuccessful", AuthOrConfig},
	{535, "The credentials are invalid", AuthOrConfig},
	{535, "Incorrect authentication data", AuthOrConfig},
	{535, "", AuthOrConfig},
	{530, "5.7.0 Say STARTTLS first, it is required", AuthOrConfig},
	{530, "5.7.1 Client was not authenticated", AuthOrConfig},
	{534, "5.7.9 Application-specific password required", AuthOrConfig},
	{538, "Encryption required for requested authentication mechanism", AuthOrConfig},
	{550, "5.7.1 Authentication required before sending", AuthOrConfig},
	{454, "4.7.1 <bob@example.org>: Relay access denied", AuthOrConfig},
	{554, "5.7.1 <bob@example.org>: Relay access denied", AuthOrConfig},
	{550, "5.7.1 Unable to relay", AuthOrConfig},
	{550, "We do not relay for 192.0.2.7", AuthOrConfig},
	{550, "You are not permitted to relay", AuthOrConfig},
	{553, "5.7.1 <news@example.com>: Sender address rejected: not owned by user bob", AuthOrConfig},
	{554, "Message rejected: Email address is not verified. The following identities failed the check", AuthOrConfig},
	{550, "The from address does not match a verified Sender Identity", AuthOrConfig},
	{550, "5.7.60 SMTP; Client does not have permissions to send as this sender", AuthOrConfig},
	{550, "5.4.5 Daily user sending limit exceeded", AuthOrConfig},
	{454, "Throttling failure: Daily message quota exceeded.", AuthOrConfig},
	{550, "5.1.90 The message can't be sent: the daily limit for recipients is reached", AuthOrConfig},
	{451, "Log-in refused: no credits left, maximum exceeded", AuthOrConfig},
	{452, "You sent more than the maximum of 500 messages in 24 hours", AuthOrConfig},
	{554, "Sending paused for this account", AuthOrConfig},
	{550, "5.7.1 Your account is suspended, call support", AuthOrConfig},
	{550, "Your sending quota is used up", AuthOrConfig},
	{535, "5.7.139 Authentication unsuccessful, basic authentication is disabled.", AuthOrConfig},
	{550, "5.7.1 Sender domain is not verified", AuthOrConfig},
	{554, "Sandbox subdomains are for test purposes only", AuthOrConfig},
	{504, "5.5.4 This type of authentication is not supported", AuthOrConfig},
	{554, "5.7.1 Sending is not allowed for this user: trial expired", AuthOrConfig},

	// What a word beside the one that decides takes away from it.
	{550, "5.2.1 <bob@example.org>: the reader's privacy settings keep this from being delivered", Rejected},
	{550, "5.2.1 Preferences of the mailbox do not let this in", Rejected},
	{554, "The person does not accept mail in other alphabets", Rejected},
	{550, "5.1.10 The domain does not receive messages", HardBounce},
	{552, "The account of bob@example.org does not have enough free space for it", Transient},
	{551, "<bob@example.org> is full", Transient},
	{550, "The user bob@example.org is not a member of this domain", HardBounce},
	{550, "5.7.1 bob@example.org takes mail of the group only, and you are not a member", Rejected},
	{553, "This host denies all relaying", AuthOrConfig},
	{550, "For local users only", AuthOrConfig},
	{450, "Your account has reached its quota of mails, ask us for a larger one", AuthOrConfig},
	{450, "The account has reached its quota", Transient},
	{450, "4.7.1 Too many delivery attempts from 192.0.2.7", Throttled},
	{554, "5.7.1 You may send only 50 mails per day", AuthOrConfig},
	{550, "5.1.2 The user rejects this", Rejected},
	{550, "5.0.0 The system is full for now", Transient},
	{552, "5.0.0 All the space of bob@example.org is used up", Transient},
	{550, "Your host is currently blocked here", Rejected},
	{550, "bob@example.org is not accepting mail from this sender now", Rejected},
	{550, "The host is not accepting mail now", Transient},
	{550, "To send from elsewhere is only possible with authentication", AuthOrConfig},
	{550, "Fetch your mail before you send", AuthOrConfig},
	{550, "Sending from this domain has been disabled by us", AuthOrConfig},
	{550, "Mail sending from that domain is suspended, see the console", AuthOrConfig},
	{535, "5.7.0 The message limit was hit, upgrade your subscription", AuthOrConfig},
	{554, "5.7.1 <bob@example.org>: Recipient address rejected: you exceeded your sentmail quota", AuthOrConfig},
	{553, "From address and auth differ", AuthOrConfig},
	{504, "Authentication mechanism not implemented", AuthOrConfig},
	{504, "Unknown authentication mechanism", AuthOrConfig},
	{501, "Malformed authentication string", AuthOrConfig},
	{421, "4.7.66 TLS 1.1 is no longer accepted here", AuthOrConfig},
	{451, "The relay host is not responding", Transient},
	{450, "4.7.1 Recipients that are inactive after complaints", Transient},
	{550, "5.7.134 You are not authenticated for this mailbox", Rejected},
	{551, "Parent account not available", AuthOrConfig},
	{550, "No user bob@example.org here (#5.1.5)", HardBounce},
	{550, "<bob@example.org>: not currently taking mail, due to inactivity", HardBounce},
	{550, "There are no users named so here", HardBounce},
	{550, "bob@example.org is not a recognised account of ours", HardBounce},
	{550, "Unable to locate that alias", HardBounce},
	{550, "This host does not handle mail for that user", HardBounce},
	{550, "The domain is not set up for mail", HardBounce},
	{550, "Invalid domain", Rejected},
	{501, "Invalid address", Rejected},
	{501, "5.1.3 Invalid address", HardBounce},
	{501, "5.1.7 Invalid address", Rejected},
	{550, "Invalid address", HardBounce},
	{550, "Domain not found", Rejected},
	{550, "5.1.7 No such user", Rejected},
	{451, "Outbounds of this account are disabled", AuthOrConfig},
	{550, "Refused: you send as another address than that of the log-in", AuthOrConfig},
	{550, "5.1.2 Invalid domain", HardBounce},
	{550, "Invalid domain in bob@example.org", HardBounce},
	{550, "5.0.0 Can not create the file of the mailbox", Transient},
}

func TestExplain(t *testing.T) {
	classifier := NewClassifier(nil)
	for _, c := range meanings {
		reply, err := Parse(strings.TrimSpace(strings.Join([]string{itoa(c.code), c.text}, " ")))
		if err != nil {
			t.Fatalf("%d %s: %v", c.code, c.text, err)
		}
		e := classifier.Explain(Rcpt, reply.Code, reply.Status, reply.Text)
		if e.Class != c.want {
			t.Errorf("%d %s\n\tis %s by rule %s, want %s", c.code, c.text, e.Class, e.Rule, c.want)
		}
	}
}
func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

// The same reply about somebody else, in other letters, means the same.
func TestExplainIsAboutMeaning(t *testing.T) {
	classifier := NewClassifier(nil)
	others := strings.NewReplacer(
		"bob@example.org", "spam.full.unknown+blocked@quota-exceeded.example.com", "news@example.com", "relay@greylist.example.net",
		"192.0.2.7", "2001:db8::17", "198.51.100.9", "203.0.113.254", "mx.example.net", "too-many.connections.example.org", "mx1.example.net", "policy.example.com",
		"example.com", "auth-failed.example.net",
	)
	for _, c := range meanings {
		for _, text := range []string{strings.ToUpper(c.text), strings.ToLower(c.text), others.Replace(c.text), strings.ReplaceAll(c.text, " ", "  "), c.text + " [7f3b2c91aa]", strings.ReplaceAll(c.text, "'", "’")} {
			status, said := splitStatus(c.code, text)
			if e := classifier.Explain(Rcpt, c.code, status, said); e.Class != c.want {
				t.Errorf("%d %s\n\tis %s by rule %s, want %s", c.code, text, e.Class, e.Rule, c.want)
			}
		}
	}
}

// Whatever calls a recipient dead does so no more when the sender, a policy or a passing trouble stands beside it in
// the sentence; but for the provider's own suppression list, from which nobody is taken by the reason for which they
// are on it.
func TestDoubt(t *testing.T) {
	classifier := NewClassifier(nil)
	for _, c := range meanings {
		if c.want != HardBounce {
			continue
		}
		for _, doubt := range []string{
			", or your address is on a blocklist", ", says our spam filter", "; sender policy", ", the lookup failed, try again later", " because of the reputation of your server",
			" by the privacy settings of the user", ", or the user rejects mail from you",
		} {
			text := strings.TrimRight(c.text, ".!") + doubt
			status, said := splitStatus(c.code, text)
			if e := classifier.Explain(Rcpt, c.code, status, said); e.Class == HardBounce && e.Rule != "recipient-suppressed" {
				t.Errorf("%d %s\n\tis %s by rule %s", c.code, text, e.Class, e.Rule)
			}
		}
	}
}

// An enhanced status code means the same inside the text, where some servers write it, as in front.
func TestExplainStatusInText(t *testing.T) {
	classifier := NewClassifier(nil)
	for _, text := range []string{"sorry (#5.1.1)", "5.1.1 sorry", "sorry, 5.1.1", "#5.1.1"} {
		if e := classifier.Explain(Rcpt, 550, "", text); e.Class != HardBounce {
			t.Errorf("%s is %s by rule %s, want hard_bounce", text, e.Class, e.Rule)
		}
	}
}

func TestExplainStages(t *testing.T) {
	classifier := NewClassifier(nil)
	const unknown, spam, blocked, slow, later = "user unknown", "looks like spam", "blocked", "too many connections", "try again later"
	for _, c := range []struct {
		stage   Stage
		code    int
		text    string
		class   Class
		verdict Verdict
		scope   Scope
	}{
		{Rcpt, 550, unknown, HardBounce, Permanent, Recipient},
		{Dot, 550, unknown, HardBounce, Permanent, Recipient},
		{Mail, 550, unknown, Rejected, Permanent, Message},
		{Connect, 554, unknown, Rejected, Stop, Server},
		{Auth, 550, unknown, AuthOrConfig, Stop, Server},
		{Mail, 550, spam, Rejected, Permanent, Message},
		{Dot, 554, spam, Rejected, Permanent, Message},
		{Connect, 554, blocked, Rejected, Stop, Server},
		{Ehlo, 550, blocked, Rejected, Stop, Server},
		{Auth, 535, "", AuthOrConfig, Stop, Server},
		{Auth, 500, "", AuthOrConfig, Stop, Server},
		{Auth, 454, "", Transient, Retry, Session},
		{Rcpt, 535, unknown, AuthOrConfig, Stop, Server},
		{Rcpt, 530, later, AuthOrConfig, Stop, Server},
		{Connect, 421, slow, Throttled, Throttle, Session},
		{Rcpt, 451, "sending rate exceeded", Throttled, Throttle, Server},
		{Connect, 421, later, Transient, Retry, Session},
		{Rset, 451, later, Transient, Retry, Session},
		{Rcpt, 451, "greylisted", Transient, Retry, Recipient},
		{Dot, 451, later, Transient, Retry, Message},
		{Dot, 250, unknown, Accepted, Sent, Message},
		{Dot, 0, "connection lost", Transient, Retry, Message},
		{Rcpt, 354, "go on", Transient, Retry, Message},
		{Rcpt, 999, "", Transient, Retry, Message},
		{Rcpt, -1, "", Transient, Retry, Message},
	} {
		want := Explanation{Class: c.class, Verdict: c.verdict, Scope: c.scope, Closing: c.code == 421}
		got := classifier.Explain(c.stage, c.code, "", c.text)
		got.Rule, got.Reason = "", ""
		if got != want {
			t.Errorf("%d %q at %s: %+v, want %+v", c.code, c.text, c.stage, got, want)
		}
	}
}

// No rule may speak for a code that it has no right to, nor go without saying why.
func TestRules(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range newRulebook().rules {
		switch {
		case seen[r.name]:
			t.Errorf("two rules are called %s", r.name)
		case r.why == "":
			t.Errorf("%s does not say why", r.name)
		case r.class == HardBounce && r.codes != "5":
			t.Errorf("%s makes a hard bounce of a reply other than 5xx", r.name)
		case r.class == HardBounce && r.scope != Recipient, r.class == AuthOrConfig && r.scope != Server:
			t.Errorf("%s: a %s cannot hit a %s", r.name, r.class, r.scope)
		case r.text == "" && r.status == "":
			t.Errorf("%s fits everything", r.name)
		}
		seen[r.name] = true
	}
}

// What the filter of a pattern says no to, the pattern itself does not match.
func TestFilterHidesNothing(t *testing.T) {
	book := newRulebook()
	texts := make([]string, 0, len(meanings)+len(book.providers.rules))
	for _, c := range meanings {
		texts = append(texts, c.text)
	}
	for _, r := range book.providers.rules {
		texts = append(texts, r.example)
	}
	for _, text := range texts {
		said, _ := words(text)
		for _, r := range []*reading{book.read(said), book.providers.readWhole(plain(text))} {
			for i := range r.matcher.patterns {
				p := &r.matcher.patterns[i]
				for j := range r.sentences {
					s := &r.sentences[j]
					if p.re.MatchString(s.text) && !s.possible(r.matcher, p.needs) {
						t.Errorf("%s matches %q, but its filter says no", p.re, s.text)
					}
				}
			}
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ text, want, status string }{
		{"<Bob@Example.com>: mailbox isn't found at mx1.example.com (#5.1.1)", "@ mailbox is not found at #", "5.1.1"},
		{"See https://example.org/help?p=NoSuchUser (now).", "see # now .", ""},
		{"Over-quota user_unknown e-mail", "over quota user unknown email", ""},
		{"rejected.See below", "rejected . see below", ""},
		{"RESOLVER.ADR.InvalidInSystem; not there", "resolver adr invalidinsystem . not there", ""},
		{"Boîte pleine, code d'accès", "mailbox full code d access", ""},
		{"in 15 seconds, ID 7f3b2c at 192.0.2.1 12345", "in 15 seconds id # at # #", ""},
		{"5.7.1 twice 5.1.1", "twice", "5.7.1"},
		{"... Addressee unknown, relay=[192.0.2.1]", "addressee unknown # #", ""},
		{`<"a b"@example.com> unknown`, "@ unknown", ""},
		{"почта переполнена", "mail full", ""},
		{"L'utente non è presente", "l user not found", ""},
		{"n'existe pas; Boîte aux lettres pleine", "n not exist . mailbox full", ""},
		{"Die Empfängeradresse wurde nicht gefunden, Empfaenger unbekannt", "die address wurde not found recipient unknown", ""},
		{"Нет такого пользователя. Почтовый ящик отключён", "no such user . mailbox disabled", ""},
		{"用户不存在。", "user not exist .", ""},
		{"サーバー: 宛先のユーザーが見つかりません", "server recipient の user か not found", ""},
		{"exeeded the qouta, recipent adress unkown", "exceeded the quota recipient address unknown", ""},
		{"exiting addresses, accounts, a quote reused", "exiting addresses accounts a quote reused", ""},
		{"", "", ""},
		{"...", "", ""},
		{"\xff\xfe<@", "@", ""},
	} {
		got, status := words(c.text)
		if got != c.want || status != c.status {
			t.Errorf("%q: %q, %q, want %q, %q", c.text, got, status, c.want, c.status)
		}
	}
}

// No word of another language stands for two things.
func TestDictionary(t *testing.T) {
	seen := map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(dictionary)) {
		english, foreign, ok := strings.Cut(line, ": ")
		if !ok {
			t.Errorf("%q: no colon", line)
		}
		for _, word := range strings.Fields(foreign) {
			if other, ok := seen[unaccent(word)]; ok {
				t.Errorf("%s is %s and %s", word, other, english)
			}
			seen[unaccent(word)] = english
		}
	}
}

func FuzzClassify(f *testing.F) {
	classifier := NewClassifier(nil)
	for _, c := range meanings {
		f.Add(int(Rcpt), c.code, "", c.text)
	}
	f.Add(int(Auth), 535, "5.7.8", "no")
	f.Add(-1, -1, "9.9.9", "\xff<@http://.'")
	f.Fuzz(func(t *testing.T, stage, code int, status, text string) {
		e := classifier.Explain(Stage(stage), code, status, text)
		switch {
		case (e.Class == Accepted) != (code/100 == 2), (e.Verdict == Sent) != (code/100 == 2):
			t.Fatalf("%d is %+v", code, e)
		case e.Class == HardBounce && code/100 == 4:
			t.Fatalf("%d is a hard bounce: %+v", code, e)
		case e.Rule == "" || e.Reason == "":
			t.Fatalf("no reason: %+v", e)
		}
	})
}
