"""Which rows are old, which of them leave, and why the others stay: counted before any leaves.

An exemption holds for a row where its condition is true. Where a column is empty SQL knows neither
true nor false; that counts as "does not hold", here and wherever rows are deleted.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, cast

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connection, transaction
from django.db.models import (
    BigIntegerField,
    BooleanField,
    Case,
    Count,
    Exists,
    Expression,
    Func,
    IntegerField,
    Max,
    Min,
    Model,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.expressions import NegatedExpression

from apps.shared.errors import DomainError
from apps.shared.partitions import existing_months, next_month, other, partition_name
from apps.shared.retention.datasets import Exemption, Rule


class ForbiddenRows(DomainError):
    """What would leave holds rows that no policy may touch."""

    code = "forbidden_rows"
    status = 409


class Exempted(NamedTuple):
    """How many old rows stay for one reason."""

    name: str
    why: str
    rows: int


class Plan(NamedTuple):
    """What a run would do: ``old`` rows are those that leave (``rows``) and the exempt ones.

    ``dependents``: rows per table that leave along. ``bytes``: of all that leaves, as it stands in
    the database. ``months``: of a table cut into months, those that leave whole.
    """

    dataset: str
    time: str
    cutoff: datetime
    old: int
    rows: int
    dependents: dict[str, int]
    oldest: datetime | None
    newest: datetime | None
    bytes: int
    exempt: list[Exempted]
    months: list[date]


class NotTrue(Func):
    """A condition is false or not known."""

    template = "(%(expressions)s) IS NOT TRUE"
    output_field = BooleanField()

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **options: Any) -> Any:
        try:
            return super().as_sql(compiler, connection, *args, **options)
        except EmptyResultSet:
            return "TRUE", []
        except FullResultSet:
            raise EmptyResultSet from None


class RowBytes(Func):
    """The size of the row that a column belongs to, as it is stored."""

    output_field = BigIntegerField()

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **options: Any) -> Any:
        (column,) = self.get_source_expressions()
        return f"pg_column_size({compiler.quote_name_unless_alias(column.alias)}.*)", []


def rows_of(model: type[Model]) -> QuerySet[Any]:
    """Return all rows of a model, whatever its own manager leaves out."""
    return cast(QuerySet[Any], model._base_manager.all())


def failing(condition: Q) -> Iterator[Expression]:
    """Yield conditions that hold together exactly where ``condition`` is not true.

    What is asked of other tables stays on its own, so that it is answered by one join.
    """
    if len(condition.children) > 1 and (condition.negated or condition.connector != Q.OR):
        yield NotTrue(condition)
        return
    for child in condition.children:
        if isinstance(child, Q) and not condition.negated:
            yield from failing(child)
        elif isinstance(child, Exists | NegatedExpression) and not condition.negated:
            yield cast(Expression, ~child)
        else:
            yield NotTrue(Q(child, _negated=condition.negated))


def leaving(rule: Rule, now: datetime) -> QuerySet[Any]:
    """Return the rows that are old and not exempt."""
    return kept_out(rule, rows_of(rule.dataset.model)).filter(
        **{f"{rule.time}__lt": rule.cutoff(now)}
    )


def kept_out(rule: Rule, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of ``rows`` that are meant by the rule and exempt from nothing, of any age."""
    conditions = [each for exemption in rule.holding for each in failing(exemption.rows)]
    return rows.filter(rule.dataset.scope).filter(*conditions)


def plan(rule: Rule, now: datetime) -> Plan:
    """Count what would leave and what would stay. Nothing is changed."""
    dataset, cutoff, reasons = rule.dataset, rule.cutoff(now), rule.holding
    months = months_to_leave(rule, now) if dataset.monthly else []
    old = Q(**{f"{rule.time}__lt": cutoff}) | Q(**{f"{rule.time}__isnull": True})
    found = counted(rows_of(dataset.model).filter(dataset.scope).filter(old), rule, bool(months))
    rows, oldest, newest, size = found.pop(len(reasons), (0, None, None, 0))
    exempt = [
        Exempted(each.name, each.why, found[place][0] if place in found else 0)
        for place, each in enumerate(reasons)
    ]
    dependents: dict[str, int] = {}
    for table, along, taken in counted_along(rule, now):
        dependents[table] = dependents.get(table, 0) + along
        size += taken
    if months:
        size = bytes_of(dataset.table, months, cutoff)
    return Plan(
        dataset=dataset.name,
        time=rule.time,
        cutoff=cutoff,
        old=rows + sum(each.rows for each in exempt),
        rows=rows,
        dependents=dependents,
        oldest=oldest,
        newest=newest,
        bytes=size,
        exempt=exempt,
        months=months,
    )


def counted(
    old: QuerySet[Any], rule: Rule, whole_months: bool
) -> dict[int, tuple[int, datetime | None, datetime | None, int]]:
    """Return rows, first and last time and bytes for each reason to stay, by its place.

    What has none comes last. One statement, so no row is counted twice or missed.
    """
    reasons: tuple[Exemption, ...] = rule.holding
    place = Case(
        *(When(each.rows, then=Value(number)) for number, each in enumerate(reasons)),
        default=Value(len(reasons)),
        output_field=IntegerField(),
    )
    # Months are measured as files: there is no need to look into their rows.
    size = Value(0) if whole_months else Sum(RowBytes("pk"))
    # No field of a model is called so.
    groups = (
        old.order_by()
        .annotate(retention_reason=place)
        .values_list("retention_reason")
        .annotate(
            retention_rows=Count("*"),
            retention_first=Min(rule.time),
            retention_last=Max(rule.time),
            retention_bytes=size,
        )
    )
    return {place: (rows, first, last, int(size or 0)) for place, rows, first, last, size in groups}


@transaction.atomic
def counted_along(rule: Rule, now: datetime) -> list[tuple[str, int, int]]:
    """Return table, rows and bytes of each kind of dependents of what leaves.

    The keys of what leaves are noted first: to look for them anew with each dependent would take
    for ever where PostgreSQL wrongly expects few of both.
    """
    found: list[tuple[str, int, int]] = []
    if not rule.dataset.dependents:
        return found
    keys, values = leaving(rule, now).order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS retention_leaving")
        cursor.execute(
            f"CREATE TEMP TABLE retention_leaving (key) ON COMMIT DROP AS {keys}", values
        )
        cursor.execute("ANALYZE retention_leaving")
        for each in rule.dataset.dependents:
            rows = rows_of(each.model).annotate(
                retention_root=each.root, retention_bytes=RowBytes("pk")
            )
            listed = rows.order_by().values_list("retention_root", "retention_bytes")
            sql, values = listed.query.sql_with_params()
            cursor.execute(
                "SELECT count(*), coalesce(sum(along.bytes), 0) "
                f"FROM ({sql}) AS along (root, bytes) "
                "JOIN retention_leaving ON retention_leaving.key = along.root",
                values,
            )
            count, taken = cursor.fetchone()
            found.append((each.model._meta.db_table, count, int(taken)))
    return found


def months_to_leave(rule: Rule, now: datetime) -> list[date]:
    """Return the months of a table that are old as a whole, the oldest first.

    One of which every row is exempt stays: it would come back each time.
    """
    cutoff = rule.cutoff(now)
    old = [month for month in existing_months(rule.dataset.table) if month < cutoff.date()]
    if len(rule.holding) == 1:
        return old
    rows = rows_of(rule.dataset.model)
    return [
        month
        for month in old
        if leaving(rule, now).filter(within(rule.time, month)).exists()
        or not rows.filter(within(rule.time, month)).exists()
    ]


def within(time: str, month: date) -> Q:
    """Return the condition that a moment lies in a month, in UTC."""
    first, last = (
        datetime(each.year, each.month, 1, tzinfo=UTC) for each in (month, next_month(month))
    )
    return Q(**{f"{time}__gte": first, f"{time}__lt": last})


def bytes_of(table: str, months: list[date], cutoff: datetime) -> int:
    """Return what dropping whole months frees, and old rows of the catch-all take up."""
    names = [partition_name(table, month) for month in months]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(pg_total_relation_size(name::regclass)), 0) + "
            f'(SELECT coalesce(sum(pg_column_size(late.*)), 0) FROM "{other(table)}" AS late '
            "WHERE late.timestamp < %s) FROM unnest(%s::text[]) AS name",
            [cutoff, names],
        )
        (size,) = cursor.fetchone()
    return int(size)


def guard(rule: Rule, now: datetime) -> None:
    """Look once more, before anything leaves, whether it holds what no policy may touch.

    Raises ForbiddenRows, naming what it found.
    """
    forbidden = rule.dataset.mandatory
    if not forbidden:
        return
    found = leaving(rule, now).aggregate(
        **{f"retention_{n}": Count("pk", filter=each.rows) for n, each in enumerate(forbidden)}
    )
    touched = [each for n, each in enumerate(forbidden) if found[f"retention_{n}"]]
    if touched:
        whys = "; ".join(f"{each.name} ({each.why})" for each in touched)
        raise ForbiddenRows(f"{rule.dataset.title}: rows would leave that must stay: {whys}.")
