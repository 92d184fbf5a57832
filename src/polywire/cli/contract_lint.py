"""What `polywire contract lint` does."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from polywire.cli.applications import load_or_complain
from polywire.cli.contract_folder import load_protos, root_of, shown_place
from polywire.cli.terminal import BOLD, DIM, GREEN, RED, complain, paint, wants_color

if TYPE_CHECKING:
    from polywire.contract.lint import Finding

FOUND, USAGE_ERROR = 1, 2


def lint(target: str | None, ignored: Sequence[str], as_json: bool) -> int:
    """Returns the exit code."""
    from polywire.contract.lint import RULES, lint_protos, lint_services

    unknown = [rule for rule in ignored if rule not in RULES]
    if unknown:
        complain(f"there is no rule {', '.join(unknown)}; there are {', '.join(RULES)}")
        return USAGE_ERROR
    if target is not None and (target.endswith(".proto") or Path(target).is_dir()):
        path = Path(target)
        files = load_protos(path)
        if files is None:
            return USAGE_ERROR
        findings = [replace(one, place=str(root_of(path) / one.place)) for one in lint_protos(files)]
    else:
        app = load_or_complain(target)
        if app is None:
            return USAGE_ERROR
        findings = lint_services([service.type for service in app.services])
    return _report([finding for finding in findings if finding.rule not in ignored], as_json)


def _report(findings: list[Finding], as_json: bool) -> int:
    if as_json:
        print(json.dumps([{**asdict(one), "place": shown_place(one.place)} for one in findings], indent=1))
        return FOUND if findings else 0
    color = wants_color(sys.stdout)
    for one in findings:
        print(f"{paint(shown_place(one.place), BOLD, color=color)}: {one.subject}: {one.problem}")
        print(f"  {paint(one.instead, DIM, color=color)} [{paint(one.rule, RED, color=color)}]")
    if findings:
        found = paint(f"{len(findings)} found", RED, color=color)
        print(f"{found}; `lint: allow RULE` in a declaration's docs says that it knows better")
        return FOUND
    print(paint("nothing to regret", GREEN, color=color))
    return 0
