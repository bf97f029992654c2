"""Keep one comment of a pull request up to date: the one that begins with the report's hidden marker.

    gate.md ── its first line is the marker ── comments of the pull request ── one begins so? change it : write it

Only the standard library: it runs in any job. Reads GITHUB_API_URL, GITHUB_REPOSITORY, NUMBER and TOKEN.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = 100
MOST_PAGES = 50
TIMEOUT_S = 20


def main() -> int:
    body = Path(sys.argv[1]).read_text(encoding="utf-8")
    marker = body.split("\n", 1)[0]
    if not marker.startswith("<!-- benchkit-gate"):
        sys.stderr.write(f"{sys.argv[1]}: no report of a gate\n")
        return 2
    try:
        for comment in comments():
            if (comment.get("body") or "").startswith(marker):
                ask("PATCH", f"issues/comments/{comment['id']}", {"body": body})
                return 0
        ask("POST", f"issues/{number()}/comments", {"body": body})
    except urllib.error.URLError as exc:
        # Never the request: it carries the token.
        sys.stderr.write(f"the comment could not be written: {exc}\n")
        return 1
    return 0


def comments() -> Iterator[dict[str, Any]]:
    """Yield the comments of the pull request."""
    for page in range(1, MOST_PAGES + 1):
        found = ask("GET", f"issues/{number()}/comments?per_page={PAGE}&page={page}")
        yield from found
        if len(found) < PAGE:
            return


def ask(method: str, path: str, content: dict[str, Any] | None = None) -> Any:
    """Call GitHub's interface of this repository."""
    url = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/{path}"
    request = urllib.request.Request(  # noqa: S310 - the runner's own address
        url,
        method=method,
        data=None if content is None else json.dumps(content).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
        return json.load(answer)


def number() -> int:
    return int(os.environ["NUMBER"])


if __name__ == "__main__":
    sys.exit(main())
