"""The results as tables in the terminal and as a picture."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.contenders import POLYWIRE
from benchmarks.results import LIMITS, Results, Series, machine, targets

MINE, PEER, LIMIT = "#0f766e", "#94a3b8", "#e2e8f0"


def show(results: Results, console: Console) -> None:
    """Every table, then the figures that were to be reached."""
    for row, contenders in results.rows.items():
        table = Table(title=row.title, title_justify="left", title_style="bold", min_width=78)
        table.add_column("")
        by_cpu = any(series.per_cpu_s is not None for series in contenders.values())
        for name in (f"{row.unit}/s", "polywire is", *(("by CPU time", "polywire is") if by_cpu else ()), "p50", "p99"):
            table.add_column(name, justify="right")
        mine = contenders.get(POLYWIRE)
        for name, series in contenders.items():
            table.add_row(*_cells(name, series, mine, by_cpu), style=_style(name))
        console.print(table)
        for name, series in contenders.items():
            if series.trouble:
                console.print(f"[red]{name}:[/] {escape(series.trouble)}")
    if results.starts:
        table = Table(title="At start", title_justify="left", title_style="bold", min_width=78)
        table.add_column("")
        table.add_column("first answer after", justify="right")
        table.add_column("memory at rest", justify="right")
        for name, start in results.starts.items():
            cells = (f"{median(start.seconds) * 1000:.0f} ms", f"{start.memory_bytes / 1e6:.0f} MB")
            table.add_row(name, *cells, style=_style(name))
        console.print(table)
    if results.costs:
        _show_costs(results, console)
    for name, trouble in results.troubles.items():
        console.print(f"[red]{name} did not take part:[/] {escape(trouble)}")
    _show_targets(results, console)
    console.print(f"[dim]4 x 16: 4 connections with 16 requests under way on each. Medians. {machine()}.[/]")


def _style(name: str) -> str:
    return "bold green" if name == POLYWIRE else "dim" if name in LIMITS else ""


def _cells(name: str, series: Series, mine: Series | None, by_cpu: bool) -> tuple[str, ...]:
    if not series.runs:
        return name, "failed" if series.trouble else series.note
    rates = [(series.per_second, None if mine is None else mine.per_second)]
    if by_cpu:
        rates.append((series.per_cpu_s or 0.0, None if mine is None else mine.per_cpu_s))
    cells = []
    for rate, own in rates:
        cells += [f"{rate:,.0f}", f"{own / rate:.1f}x" if own and rate and name != POLYWIRE else ""]
    latencies = ("" if ms is None else f"{ms:.2f} ms" for ms in (series.p50_ms, series.p99_ms))
    return name, *cells, *latencies


def _show_costs(results: Results, console: Console) -> None:
    names = list(dict.fromkeys(name for cost in results.costs.values() for name in cost.seen))
    table = Table(title="Costs", title_justify="left", title_style="bold", min_width=78)
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right", style=_style(name))
    for cost in results.costs.values():
        table.add_row(cost.title, *(cost.text(cost.seen[name]) if name in cost.seen else "" for name in names))
    console.print(table)


def _show_targets(results: Results, console: Console) -> None:
    found = targets(results)
    if not found:
        return
    table = Table(title="Figures to reach", title_justify="left", title_style="bold", min_width=78)
    for name in ("", "wanted", "seen", ""):
        table.add_column(name, justify="left" if not name else "right")
    for target in found:
        verdict = "[green]reached[/]" if target.reached else "[red]not reached[/]"
        table.add_row(target.title, target.wanted, target.seen, verdict)
    console.print(table)


def draw(results: Results, path: Path) -> None:
    """A PNG with one panel for each row, and one each for start-up and memory."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels: list[tuple[str, dict[str, float]]] = [
        (row.title, {name: series.per_second for name, series in contenders.items() if series.runs})
        for row, contenders in results.rows.items()
    ]
    if results.starts:
        panels.append(("First answer, ms", {n: median(s.seconds) * 1000 for n, s in results.starts.items()}))
        panels.append(("Memory at rest, MB", {n: s.memory_bytes / 1e6 for n, s in results.starts.items()}))
    panels = [(title, values) for title, values in panels if values]
    if not panels:
        return
    lines = -(-len(panels) // 2)
    figure, axes = pyplot.subplots(lines, 2, figsize=(12, 2.4 * lines), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, values) in zip(axes.flat, panels, strict=False):
        _panel(axis, title, values)
    figure.suptitle(
        "polywire beside its peers: one core, requests or messages per second unless said otherwise", fontsize=12
    )
    figure.tight_layout(rect=(0, 0, 1, 0.985))
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axis: Any, title: str, values: dict[str, float]) -> None:
    names = list(reversed(values))
    colours = [MINE if name == POLYWIRE else LIMIT if name in LIMITS else PEER for name in names]
    bars = axis.barh(names, [values[name] for name in names], color=colours)
    axis.bar_label(bars, [f" {values[name]:,.0f}" for name in names], fontsize=8)
    axis.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axis.tick_params(labelsize=8)
    axis.xaxis.set_visible(False)
    axis.margins(x=0.15)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
