"""Turns what the clients said into a table; fails if one of them failed."""

import json
import sys

CHECKS = ["list", "call", "progress", "timeout", "cancel", "load", "end"]


def main():
    rows, failed = {}, False
    for line in sys.stdin:
        client, transport, said = line.rstrip("\n").split("\t")
        said = json.loads(said)
        failed |= said["result"] == "FAILED"
        rows.setdefault((client, transport), {})[said["check"]] = said["result"]
    checks = [check for check in CHECKS if any(check in row for row in rows.values())]
    print("| client | over |", " | ".join(checks), "|")
    print("|---" * (2 + len(checks)) + "|")
    for (client, transport), row in rows.items():
        print("|", client, "|", transport, "|", " | ".join(row.get(check, "") for check in checks), "|")
    sys.exit(failed)


main()
