"""The figure of the desk about retention: when it last ran, and what it freed."""

from collections.abc import Callable

from django.template.defaultfilters import filesizeformat

from apps.shared import display
from config.figures import Figure, rows
from config.readings import Readings


def freed(now: Readings) -> Figure:
    last = now.freed
    failing = len(now.failing_policies)
    if last.at is None:
        under = "it has not run yet: daily at 03:30 UTC"
    else:
        ago = display.span_words(now.at - last.at)
        under = f"{filesizeformat(last.bytes)}, {ago} ago" + (f"; {failing} failed" * bool(failing))
    return Figure(
        "Rows freed by retention",
        display.EMPTY if last.at is None else f"{last.rows:,}",
        under,
        rows("retention_retentionpolicy"),
        "b-loss" if failing else "",
        f"By the last round, of {last.policies} policies. What is archived can be restored.",
    )


FIGURES: list[tuple[str, Callable[[Readings], Figure]]] = [
    ("retention.view_retentionpolicy", freed),
]
