"""What the API answers beside rows: what a run of a policy would do."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from apps.shared.retention.selecting import Plan


class StayAnswer(msgspec.Struct):
    """Old rows that stay for one reason; a row counts under the first that holds."""

    name: str
    why: Annotated[str, Meta(description="A clause: it is open.")]
    rows: int


class PlanAnswer(msgspec.Struct):
    """What a run of a policy would do now. `old` is what would leave and what stays."""

    dataset: str
    time: Annotated[str, Meta(description="The column that says how old a row is.")]
    cutoff: Annotated[datetime, Meta(description="Rows before it are old.")]
    old: int
    rows: Annotated[int, Meta(description="Rows of the dataset itself that would leave.")]
    dependents: Annotated[
        dict[str, int], Meta(description="By table: rows that would leave along with them.")
    ]
    oldest: datetime | None
    newest: datetime | None
    bytes: Annotated[int, Meta(description="What leaves takes up in the database, about.")]
    exempt: list[StayAnswer]
    months: Annotated[
        list[date], Meta(description="First days of the months that would leave whole.")
    ]

    @classmethod
    def of(cls, plan: Plan) -> "PlanAnswer":
        stay = [StayAnswer(each.name, each.why, each.rows) for each in plan.exempt]
        return cls(**{**plan._asdict(), "exempt": stay})
