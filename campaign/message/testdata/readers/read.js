// What mailparser and postal-mime read in the messages that are named, as JSON for readers_test.go:
// node read.js mailparser|postal-mime FILE…
// Exit code 77: it is not installed.
const fs = require("fs");

const MAILBOXES = ["From", "Sender", "Reply-To", "Errors-To", "Disposition-Notification-To"];
const TEXTS = ["Subject", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help", "List-Post",
  "References", "In-Reply-To", "Feedback-ID", "X-City"];

const plain = (all) => all.map((a) => ({ name: a.name, address: a.address }));

const readers = {
  async "mailparser"(source) {
    const { simpleParser } = require("mailparser");
    const libmime = require("libmime"); // its own
    const decodeWords = (s) => libmime.decodeWords(s);
    const m = await simpleParser(source);
    const found = { mailboxes: {}, texts: {}, files: [], leave: [] };
    for (const name of MAILBOXES) {
      const value = m.headers.get(name.toLowerCase());
      if (value && value.value) found.mailboxes[name] = plain(value.value); // it knows not all of them
    }
    for (const name of TEXTS) {
      const value = m.headers.get(name.toLowerCase());
      if (value) found.texts[name] = Array.isArray(value) ? value.join(" ") : name === "Subject" ? value : decodeWords(value);
    }
    // It takes the fields of a list apart.
    const { id, unsubscribe } = m.headers.get("list") || {};
    if (id) found.texts["List-Id"] = `${decodeWords(id.name)} <${id.id}>`;
    if (unsubscribe && unsubscribe.url) found.leave.push(unsubscribe.url);
    if (unsubscribe && unsubscribe.mail) found.leave.push("mailto:" + unsubscribe.mail);
    for (const a of m.attachments) {
      found.files.push({ name: a.filename, type: a.contentType, content: a.content.toString() });
    }
    return found;
  },

  async "postal-mime"(source) {
    const module = require("postal-mime");
    const { addressParser, decodeWords } = module;
    const m = await (module.default || module).parse(source);
    const header = (name) => (m.headers.find((h) => h.key === name.toLowerCase()) || {}).value;
    const found = { mailboxes: {}, texts: {}, files: [] };
    for (const name of MAILBOXES) {
      if (header(name)) found.mailboxes[name] = plain(addressParser(header(name)));
    }
    if (m.sender) found.mailboxes["Sender"] = plain([m.sender]);
    if (m.replyTo) found.mailboxes["Reply-To"] = plain(m.replyTo);
    found.mailboxes["From"] = plain([m.from]);
    for (const name of TEXTS) {
      if (header(name)) found.texts[name] = decodeWords(header(name));
    }
    for (const a of m.attachments) {
      found.files.push({ name: a.filename, type: a.mimeType, method: a.method || "", content: Buffer.from(a.content).toString() });
    }
    return found;
  },
};

(async () => {
  try {
    require(process.argv[2]);
  } catch {
    process.exit(77);
  }
  const read = readers[process.argv[2]];
  const all = [];
  for (const path of process.argv.slice(3)) all.push(await read(fs.readFileSync(path)));
  process.stdout.write(JSON.stringify(all));
})();
