"""How policies, sizes and archives look, and links between the pages of retention."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.apps import apps
from django.contrib.admin.utils import quote
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from apps.retention.choices import COLORS, ArchiveStatus
from apps.retention.models import Archive, RetentionPolicy
from apps.shared import display
from apps.shared.admin.reads import words
from apps.shared.retention.datasets import Dataset, UnknownDataset, dataset

NEVER_RAN: Final = "It has not run yet."
# Columns of a policy in the order in which a change of them is told.
TOLD = ("enabled", "age_days", "time_column", "exemptions", "archive", "held_until")


def known(name: str) -> Dataset | None:
    """Return the dataset of this name; None where no app declares it any more."""
    try:
        return dataset(name)
    except UnknownDataset:
        return None


def title_of(name: str) -> str:
    """Return what a dataset is called, or its name where no app declares it any more."""
    found = known(name)
    return found.title if found else name


def size(value: int | None, reason: str = "") -> SafeString:
    """Return bytes in words, exactly on hover."""
    if value is None:
        return display.empty(reason, figure=True)
    return display.figure(filesizeformat(value), f"{value:,} bytes")


def days(value: int) -> SafeString:
    """Return for how long rows are kept, in years on hover where that is easier to grasp."""
    if not value:
        return display.figure("0 d", "They leave as soon as their time is over.")
    years = value / 365.25
    return display.figure(f"{value:,} d", f"{years:.1f} years" if years >= 1 else "")


def days_words(value: int) -> str:
    """Return a number of days as it stands in a sentence.

    >>> days_words(1), days_words(1200)
    ('1 day', '1,200 days')
    """
    return f"{value:,} day{'' if value == 1 else 's'}"


def address(model: type[Model], action: str, *args: Any, **query: Any) -> str:
    """Return the address of a page of the admin: ``address(Archive, "changelist", dataset=…)``."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{action}"
    url = reverse(name, args=[quote(str(each)) for each in args])
    return f"{url}?{urlencode(query)}" if query else url


# --- Policies -----------------------------------------------------------------------------


def is_held(policy: RetentionPolicy, now: datetime) -> bool:
    return policy.held_until is not None and policy.held_until > now


def chosen(policy: RetentionPolicy) -> set[str]:
    """Return the exemptions that a policy names; whatever else was written there names none."""
    names = policy.exemptions if isinstance(policy.exemptions, list) else []
    return {each for each in names if isinstance(each, str)}


def states(policy: RetentionPolicy, now: datetime) -> Iterator[SafeString]:
    """Yield whether a policy is on, and what keeps it from being applied."""
    if policy.enabled:
        yield display.badge("On", "success", "It is applied every night.")
    else:
        yield display.badge("Off", "default", "Nothing leaves but by hand.")
    if policy.held_until and is_held(policy, now):
        until = display.utc_words(policy.held_until)
        left = display.span_words(policy.held_until - now)
        yield display.badge(
            f"Held {left} more", "warning", f"Rows were restored: nothing leaves before {until}."
        )
    if known(policy.dataset) is None:
        yield display.badge("Unknown", "danger", "No app declares this dataset any more.")
    if policy.last_error:
        yield display.badge("Failed", "danger", display.visible(policy.last_error))


def column_words(found: Dataset | None, name: str) -> str:
    """Return what a time column is called: "Closed at"."""
    if found is not None:
        try:
            column: Any = found.model._meta.get_field(name)
        except FieldDoesNotExist:
            return name
        return words(column.verbose_name)
    return name


# --- Changes of them ----------------------------------------------------------------------


def told_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what a change did, column by column: label, what it was, what it became."""
    names = [name for name in TOLD if name in after or name in before]
    names += sorted({*before, *after} - set(TOLD))
    return [
        {"label": label(name), "before": told(before.get(name)), "after": told(after.get(name))}
        for name in names
        if before.get(name) != after.get(name)
    ]


def label(name: str) -> str:
    try:
        column: Any = RetentionPolicy._meta.get_field(name)
    except FieldDoesNotExist:
        return name
    return words(column.verbose_name)


def told(value: Any) -> str:
    """Return a stored value of a policy in words.

    >>> [told(each) for each in (True, None, 90, ["open", "live"], [])]
    ['yes', '—', '90', 'open, live', 'none']
    """
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "none"
    moment = parse_datetime(value) if isinstance(value, str) and "T" in value else None
    return display.utc_words(moment) if moment and moment.tzinfo else str(value)


# --- Archives -----------------------------------------------------------------------------


def archive_state(archive: Archive) -> SafeString:
    """Return the state of an archive, what it means on hover."""
    status = ArchiveStatus(archive.status)
    meaning = {
        ArchiveStatus.WRITTEN: "It is verified; its rows still stand in the database.",
        ArchiveStatus.EMPTYING: f"{archive.left_rows:,} of {archive.rows:,} rows have left.",
        ArchiveStatus.KEPT: "Its rows stand nowhere else.",
        ArchiveStatus.RESTORED: "Its rows are back in the database.",
        ArchiveStatus.DAMAGED: "A file is not what was written: nothing is deleted by it.",
    }[status]
    return display.badge(str(status.label), COLORS[status], meaning)


def time_range(first: datetime | None, last: datetime | None) -> SafeString:
    """Return from when to when rows are: the days, the exact times on hover."""
    if first is None or last is None:
        return display.empty("It holds no row with a time.")
    same = first.date() == last.date()
    shown = f"{first:%Y-%m-%d}" if same else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return format_html(
        '<span class="b-num b-nowrap" title="{} to {}">{}</span>',
        display.utc_words(first),
        display.utc_words(last),
        shown,
    )


def tables_words(tables: Sequence[str]) -> list[str]:
    """Return what the rows of each table of a dataset are called, its own first.

    Where that comes again, its rows are parts of the first ones.
    """
    named = [table_words(each) for each in tables]
    return [
        f"parts of {words}" if place and table == tables[0] else words
        for place, (table, words) in enumerate(zip(tables, named, strict=True))
    ]


def table_words(table: str) -> str:
    """Return what the rows of a table are called: "order events"; its name if it is not ours."""
    for model in apps.get_models():
        if model._meta.db_table == table:
            return str(model._meta.verbose_name_plural)
    return table
