"""Runs the Autobahn suite against /echo, and its cases of compression against /kept: what scripts/autobahn.sh starts.

`python conformance/autobahn.py WSTEST... -- [CASE...]`: the words that start `wstest`, and patterns of cases (`7.*`).
Reports go to build/autobahn/echo and build/autobahn/kept. Ends with 1 where a case does not pass.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "build" / "autobahn"
PASSED = {"OK", "INFORMATIONAL"}
"""INFORMATIONAL: several ways are right, and the suite tells which one was seen."""
COMPRESSION = ["12.*", "13.*"]


def main(arguments: list[str]) -> int:
    split = arguments.index("--")
    wstest, cases = arguments[:split], arguments[split + 1 :] or ["*"]
    REPORTS.mkdir(parents=True, exist_ok=True)
    server = subprocess.Popen(
        [sys.executable, "-m", "polywire.cli", "serve", "conformance/echo.py:app", "--port", "0", "--no-access-log"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        port = _port(server)
        failed = run(wstest, f"ws://127.0.0.1:{port}/echo", cases)
        kept = COMPRESSION if cases == ["*"] else [case for case in cases if case.startswith(("12.", "13."))]
        if kept:
            failed += run(wstest, f"ws://127.0.0.1:{port}/kept", kept)
        return 1 if failed else 0
    finally:
        server.terminate()
        server.communicate()


def _port(server: subprocess.Popen[str]) -> int:
    assert server.stderr is not None
    for line in server.stderr:
        found = re.search(r"on http://[\d.]+:(\d+)", line)
        if found:
            return int(found[1])
    raise SystemExit("the server has not started")


def run(wstest: list[str], url: str, cases: list[str]) -> int:
    """How many cases do not pass."""
    path = url.rpartition("/")[2]
    reports = REPORTS / path
    servers = [{"agent": "polywire", "url": url}]
    options = {"cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
    spec = REPORTS / "spec.json"
    spec.write_text(json.dumps({"outdir": str(reports), "servers": servers, **options}))
    with subprocess.Popen(  # noqa: S603 -- our own words
        [*wstest, "-m", "fuzzingclient", "-s", str(spec)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as suite:
        assert suite.stdout is not None
        count = 0
        for line in suite.stdout:
            found = re.match(r"Running test case ID (\S+)", line)
            if found:
                count += 1
                print(f"\r/{path}: {count} cases, now {found[1]:<8}", end="", flush=True)
        print()
    if suite.returncode or not count:
        raise SystemExit("the suite has failed to run")
    index: dict[str, dict[str, Any]] = json.loads((reports / "index.json").read_text())["polywire"]
    print(f"/{path}: {dict(Counter(case['behavior'] for case in index.values()))}, see {reports}/index.html")
    bad = {name: case for name, case in index.items() if not {case["behavior"], case["behaviorClose"]} <= PASSED}
    for name, case in bad.items():
        print(f"  {name}: {case['behavior']}, closed {case['behaviorClose']}, see {case['reportfile']}")
    return len(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
