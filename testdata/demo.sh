#!/bin/sh
# A thousand real SMTP deliveries: a test server on this machine, the demo campaign, a list of 1,000, a report.
set -eu
BIN=${BIN:-build/mailblast}
dir=$(mktemp -d)
sink=
trap '[ -z "$sink" ] || kill "$sink" 2>/dev/null || true; rm -rf "$dir"' EXIT
export MAILBLAST_DB="$dir/queue.db"

"$BIN" init --quiet "$dir/demo"
awk 'BEGIN {
  print "email,first name,city"
  split("Ada Grace Zoë José Björn", name, " "); split("London Wien Göteborg Paris", city, " ")
  for (i = 1; i <= 1000; i++) printf "reader%d@example.com,%s,%s\n", i, name[i % 5 + 1], city[i % 4 + 1]
}' > "$dir/list.csv"

echo "+ mailblast sink --fail 'RCPT~^reader13@=550 5.1.1 no such user' --fail 'RCPT#1~^reader77@=451 4.7.1 greylisted'"
"$BIN" sink --listen 127.0.0.1:0 --fail 'RCPT~^reader13@=550 5.1.1 no such user' --fail 'RCPT#1~^reader77@=451 4.7.1 greylisted' 2> "$dir/sink.log" &
sink=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
  SMTP_PORT=$(sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$dir/sink.log" | head -n 1)
  [ -z "$SMTP_PORT" ] || break
  sleep 0.2
done
export SMTP_PORT

echo "+ mailblast send campaign.yaml --recipients list.csv --wait 0s"
"$BIN" send "$dir/demo/campaign.yaml" --recipients "$dir/list.csv" --wait 0s || [ $? = 4 ]
echo
echo "+ mailblast report --failed"
"$BIN" report --failed
echo
echo "+ mailblast status"
"$BIN" status
echo
kill -TERM "$sink"
wait "$sink" || true
sink=
cat "$dir/sink.log"
