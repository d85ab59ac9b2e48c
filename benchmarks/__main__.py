"""``python -m benchmarks [pattern]``: run all cases whose name holds the pattern."""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.harness import LARGE_DATABASE, Case, Result, databases, measure

CASES = [
    "intake", "lists", "imports", "admin", "alerts",
    "log_lists", "log_activity", "log_intake", "log_partitions", "backtests",
    "bots_life", "bots_metrics",
    "agents_outcomes", "agents_league",
    "features_compute", "features_store", "retention",
]  # fmt: skip


def main(pattern: str) -> int:
    """Print a table; return 1 when an aim is missed."""
    console = Console()
    with databases():
        prepare()
        results = []
        present = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
        for name in CASES:
            if name not in present:
                continue
            for case in cases_of(name, pattern):
                console.print(f"[dim]{case.name} …")
                results.append(measure(case))
                console.print(table(results[-1:]))
        console.print(table(results))
    return 0 if all(result.ok for result in results) else 1


def prepare() -> None:
    """Make the tables in both databases."""
    import os

    import django
    from django.core.management import call_command
    from django.db import connection

    from benchmarks.harness import address_of

    django.setup()
    usual = os.environ["DATABASE_URL"]
    call_command("migrate", verbosity=0)
    connection.close()
    connection.close_pool()
    from config import embedded

    large = embedded.database_settings(address_of(usual, LARGE_DATABASE))
    connection.settings_dict["NAME"] = large["NAME"]
    call_command("migrate", verbosity=0)
    connection.close()
    connection.close_pool()
    connection.settings_dict["NAME"] = embedded.database_settings(usual)["NAME"]


def cases_of(name: str, pattern: str) -> Iterator[Case]:
    """Yield the cases of a module whose name holds the pattern, while the module serves them."""
    module = importlib.import_module(f"benchmarks.{name}")
    wanted = re.compile(pattern, re.IGNORECASE)
    if not (wanted.search(name) or any(map(wanted.search, module.NAMES))):
        return
    with module.cases() as cases:
        for case in cases:
            if wanted.search(name) or wanted.search(case.name):
                yield case


def table(results: list[Result]) -> Table:
    """Return the results as a table; seconds are medians."""
    shown = Table("case", "ours", "theirs", "ratio", "aim", "")
    for result in results:
        ours, theirs = (f"{1000 * cost:,.1f} ms" for cost in (result.ours, result.theirs))
        mark = "[green]ok" if result.ok else "[red]missed"
        shown.add_row(
            result.case.name, ours, theirs, f"{result.ratio:.2f}", str(result.case.aim), mark
        )
    return shown


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
