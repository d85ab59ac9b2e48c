"""The cache as providers see it: something to ask through, that remembers what was old."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from apps.market.providers.base import Answer, ProviderUnreachable
from apps.market.services.cache.asking import LoadFailed, cached


class Stale(NamedTuple):
    """An answer that stood in for one that did not come."""

    data_type: str
    cached_at: datetime
    error: str

    def __str__(self) -> str:
        return f"{self.error} Kept since {self.cached_at:%Y-%m-%d %H:%M:%S}."


@dataclass(slots=True)
class Recall:
    """Answers the questions of one fetch; ``stale`` and ``asked_at`` tell how old the answers are.

    ``asked_at``: of each type of data, when its oldest answer was asked for.
    """

    stale: list[Stale] = field(default_factory=list)
    asked_at: dict[str, datetime] = field(default_factory=dict)

    def __call__(
        self,
        *,
        source: str,
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        data_type: str,
        load: Callable[[], Any],
        good_until: Callable[[Any], datetime] | None,
        now: datetime,
        patience: float,
    ) -> Answer:
        """Return the answer as ``cached`` has it; a failure of another is one of the venue."""
        try:
            found = cached(
                source=source,
                method=method,
                args=args,
                kwargs=kwargs,
                data_type=data_type,
                load=load,
                good_until=good_until,
                now=now,
                patience=patience,
            )
        except LoadFailed as error:
            raise ProviderUnreachable(str(error)) from error
        known = self.asked_at.get(data_type, found.cached_at)
        self.asked_at[data_type] = min(known, found.cached_at)
        if found.state == "stale":
            self.stale.append(Stale(data_type, found.cached_at, found.error))
        return Answer(found.value, is_stale=found.state == "stale")
