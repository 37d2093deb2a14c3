"""What Python's email reads in the messages that are named, as JSON for readers_test.go."""
import json
import sys
from email import message_from_binary_file, policy
from email.headerregistry import HeaderRegistry, UniqueAddressHeader

MAILBOXES = ["From", "Sender", "Reply-To", "Errors-To", "Disposition-Notification-To"]
TEXTS = ["Subject", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help", "List-Post",
         "References", "In-Reply-To", "Feedback-ID", "X-City"]

# Fields that the library does not know are texts to it.
registry = HeaderRegistry()
for name in MAILBOXES:
    registry.map_to_type(name.lower(), UniqueAddressHeader)
rules = policy.default.clone(header_factory=registry)


def defects(of):
    return [repr(d) for d in of.defects]


messages = []
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        m = message_from_binary_file(file, policy=rules)
    found = {"mailboxes": {}, "texts": {}, "files": [], "defects": defects(m)}
    for name in MAILBOXES:
        if m[name] is not None:
            found["mailboxes"][name] = [{"name": a.display_name, "address": a.addr_spec} for a in m[name].addresses]
            found["defects"] += defects(m[name])
    for name in TEXTS:
        if m[name] is not None:
            found["texts"][name] = str(m[name])
            found["defects"] += defects(m[name])
    for part in m.walk():
        found["defects"] += defects(part)
        if part.get_content_disposition():
            # The encoded-word in the name of a Content-Type is a defect by RFC 2047, and meant.
            found["defects"] += defects(part["Content-Disposition"])
            found["files"].append({
                "name": part.get_filename(),
                "typeName": part.get_param("name") or "",
                "type": part.get_content_type(),
                "method": part.get_param("method") or "",
                "content": part.get_payload(decode=True).decode(),
            })
    messages.append(found)
json.dump(messages, sys.stdout)
