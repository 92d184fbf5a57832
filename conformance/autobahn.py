"""The Autobahn suite against /echo, its cases of compression against /kept, and against our client side.

What scripts/autobahn.sh starts.

`python conformance/autobahn.py WSTEST... -- [CASE...]`: the words that start `wstest`, and patterns of cases (`7.*`).
Reports go to build/autobahn, a folder for each. Ends with 1 where a case does not pass.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from autobahn_client import AGENT, run_all

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "build" / "autobahn"
PASSED = {"OK", "INFORMATIONAL"}
"""INFORMATIONAL: several ways are right, and the suite tells which one was seen."""
COMPRESSION = ["12.*", "13.*"]
FOR_CLIENTS = [*(f"{chapter}.*" for chapter in (1, 2, 3, 4, 5, 6, 7, 9, 10)), "12.1.*", "13.7.*"]
"""Where nothing else is said: the other cases of compression send the same in other windows."""


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
    finally:
        server.terminate()
        server.communicate()
    failed += run_client(wstest, FOR_CLIENTS if cases == ["*"] else cases)
    return 1 if failed else 0


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
    spec = write_spec(path, cases, servers=[{"agent": AGENT, "url": url}])
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
    return verdict(path)


def run_client(wstest: list[str], cases: list[str]) -> int:
    """How many cases do not pass, where the suite is the server."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port = opened.getsockname()[1]
    spec = write_spec("client", cases, url=f"ws://127.0.0.1:{port}")
    with subprocess.Popen(  # noqa: S603 -- our own words
        [*wstest, "-m", "fuzzingserver", "-u", "0", "-s", str(spec)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as suite:
        try:
            _wait_for(port)
            run_all(port, lambda number: print(f"\rclient: {number} cases", end="", flush=True))
            print()
        finally:
            suite.terminate()
    return verdict("client")


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the suite's server has not started")


def write_spec(name: str, cases: list[str], **more: Any) -> Path:
    spec = REPORTS / "spec.json"
    options = {"cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
    spec.write_text(json.dumps({"outdir": str(REPORTS / name), **options, **more}))
    return spec


def verdict(name: str) -> int:
    """How many have not passed."""
    reports = REPORTS / name
    index: dict[str, dict[str, Any]] = json.loads((reports / "index.json").read_text())[AGENT]
    print(f"{name}: {dict(Counter(case['behavior'] for case in index.values()))}, see {reports}/index.html")
    bad = {number: case for number, case in index.items() if not {case["behavior"], case["behaviorClose"]} <= PASSED}
    for number, case in bad.items():
        print(f"  {number}: {case['behavior']}, closed {case['behaviorClose']}, see {case['reportfile']}")
    return len(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
