// Nodemailer as its documentation shows it for bulk mail: one pooled transport, fed while it is idle.
const fs = require('fs');
const path = require('path');
const nodemailer = require('nodemailer');

const [address, connections, dir, list] = process.argv.slice(2);
const [host, port] = address.split(':');
const html = fs.readFileSync(path.join(dir, 'newsletter.html'), 'utf8');
const text = fs.readFileSync(path.join(dir, 'newsletter.txt'), 'utf8');
const rows = fs.readFileSync(list, 'utf8').trim().split('\n').slice(1);
const transport = nodemailer.createTransport({
  pool: true, host, port: Number(port), secure: false, ignoreTLS: true,
  maxConnections: Number(connections), maxMessages: Infinity,
});

let next = 0;
let done = 0;
function feed() {
  while (transport.isIdle() && next < rows.length) {
    const [email, firstName, , city, code] = rows[next++].split(',');
    const fill = (s) => s.replaceAll('{{ .first_name }}', firstName).replaceAll('{{ .city }}', city).replaceAll('{{ .code }}', code);
    transport.sendMail({
      from: 'Bench <news@example.com>', to: email, subject: fill('News for {{ .first_name }}'), html: fill(html), text: fill(text),
    }, (err) => {
      if (err) {
        console.error(err.message);
        process.exit(1);
      }
      if (++done === rows.length) transport.close();
    });
  }
}
transport.on('idle', feed);
feed();
