"""Measure polywire beside its peers, in turn, on this machine.

Each contender runs alone on one core while the load runs on another; the rounds are interleaved, so that a slow minute
of the machine hits everybody alike; what is reported is the median. Polywire runs with routing, validation, deadlines,
request ids, metrics and two interceptors; access logs are off everywhere.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import answers, costs, load, realtime, report
from benchmarks.contenders import CONTENDERS, GROUPS, ROOT, ROWS, Contender, Row
from benchmarks.results import Results, Series, Start, as_json
from benchmarks.servers import Server, cores, import_seconds

WARM_UP_S = 1
STARTS = 3


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("make bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of one second: a glance, not a measurement")
    parser.add_argument("--only", default=",".join(GROUPS), help=f"some of {','.join(GROUPS)} (default: all)")
    parser.add_argument(
        "--peers", default="", help="only contenders whose name contains one of these, e.g. polywire,fastapi"
    )
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender in each row (default: 5)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run (default: 3)")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results.json", help="where the figures go")
    parser.add_argument("--png", type=Path, default=ROOT / "docs" / "benchmarks.png", help="where the picture goes")
    chosen = parser.parse_args(argv)
    chosen.only = [group.strip() for group in chosen.only.split(",")]
    unknown = set(chosen.only) - set(GROUPS)
    if unknown:
        parser.error(f"--only knows {', '.join(GROUPS)}, not {', '.join(sorted(unknown))}")
    if chosen.quick:
        chosen.rounds, chosen.seconds = 1, 1
    if chosen.rounds < 1 or chosen.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    return chosen


def main(argv: list[str] | None = None) -> int:
    chosen = arguments(argv)
    console = Console()
    missing = [tool for tool in ("wrk", "h2load") if shutil.which(tool) is None]
    if missing:
        console.print(f"[red]missing: {', '.join(missing)}[/] (Debian and Ubuntu: apt-get install wrk nghttp2-client)")
        return 1
    if cores() == (None, None):
        console.print("[yellow]Fewer than two cores, or no taskset: server and load share; the figures say little.[/]")
    wanted = [name.strip().lower() for name in chosen.peers.split(",") if name.strip()]
    contenders = [c for c in CONTENDERS if not wanted or any(name in c.name.lower() for name in wanted)]
    if not (ROOT / "benchmarks" / "peers" / "trpc" / "node_modules").is_dir():
        console.print("[yellow]No Node.js with npm: @trpc/server does not take part.[/]")
        contenders = [c for c in contenders if c.command[0] != "node"]
    rows = [row for row in ROWS if row.group in chosen.only]
    results = Results()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        if "start" in chosen.only:
            measure_starts(contenders, results, progress)
        for row in rows:
            measure_row(row, contenders, results, progress, chosen.rounds, chosen.seconds)
        if realtime.GROUP in chosen.only:
            realtime.measure(results, progress, chosen.rounds, chosen.seconds, wanted)
        if "costs" in chosen.only:
            costs.measure(contenders, results, progress, chosen.rounds, chosen.seconds)
    report.show(results, console)
    if chosen.quick or wanted or set(chosen.only) != set(GROUPS):
        console.print("[dim]A part only: the committed figures and the picture stay as they are.[/]")
    else:
        chosen.json.write_text(json.dumps(as_json(results, chosen.rounds, chosen.seconds), indent=1) + "\n")
        report.draw(results, chosen.png)
        console.print(f"written: {chosen.json}, {chosen.png}")
    return 1 if results.troubles or any(s.trouble for row in results.rows.values() for s in row.values()) else 0


def first_row(contender: Contender) -> Row:
    return next(row for row in ROWS if row.accepts(contender))


def started(contender: Contender) -> Server:
    return Server(contender, lambda port: answers.check(first_row(contender), port))


def measure_starts(contenders: list[Contender], results: Results, progress: Progress) -> None:
    task = progress.add_task("start-up and memory", total=len(contenders) * STARTS)
    for contender in contenders:
        start = Start()
        try:
            for _ in range(STARTS):
                with started(contender) as server:
                    start.seconds.append(server.start_s)
                    start.memory_bytes = server.memory_bytes()
                progress.advance(task)
        except (RuntimeError, OSError, answers.WrongAnswer) as error:
            results.troubles[contender.name] = str(error)
            continue
        results.starts[contender.name] = start
    results.import_s = import_seconds()
    progress.remove_task(task)


def measure_row(
    row: Row, contenders: list[Contender], results: Results, progress: Progress, rounds: int, seconds: int
) -> None:
    """One row: all of its contenders up at once and idle, but the one whose turn it is."""
    series = results.rows[row] = {}
    task = progress.add_task(row.title, total=None)
    with ExitStack() as stack:
        ready = list(_ready(row, contenders, results, series, stack))
        progress.update(task, total=len(ready) * (rounds + 1))
        for turn in range(rounds + 1):
            for server, answer_bytes in ready:
                name = server.contender.name
                progress.update(task, description=f"{row.title}: {name}")
                if not series[name].trouble:
                    try:
                        measured = load.run(row, server.port, seconds if turn else WARM_UP_S, answer_bytes)
                    except load.LoadFailed as error:
                        series[name] = Series(trouble=str(error))
                    else:
                        if turn:
                            series[name].runs.append(measured)
                progress.advance(task)
    progress.remove_task(task)


def _ready(
    row: Row, contenders: list[Contender], results: Results, series: dict[str, Series], stack: ExitStack
) -> Iterator[tuple[Server, int]]:
    """Start those that take part, and check that they answer as they must."""
    for contender in contenders:
        if contender.rest and row.protocol == "http2" and not contender.http2:
            series[contender.name] = Series(note="no HTTP/2")
        if not row.accepts(contender) or contender.name in results.troubles:
            continue
        series[contender.name] = Series()
        try:
            server = stack.enter_context(started(contender))
            yield server, answers.check(row, server.port)
        except (RuntimeError, OSError, answers.WrongAnswer) as error:
            series[contender.name].trouble = str(error)


if __name__ == "__main__":
    sys.exit(main())
