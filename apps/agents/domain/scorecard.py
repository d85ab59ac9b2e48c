"""How good a group of decisions was, and why a figure is empty. Pure rules."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from apps.agents.domain.outcomes import selling
from apps.shared.quant.scorecards import Horizon, Scorecard, unpriced


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionScorecardRow(Scorecard):
    """One group of decisions, by what the price did 1, 4 and 24 hours later.

    ``accepted`` counts those among all that broke no rule, ``no_claim`` those of which nothing
    can be judged, ``settled`` those that are judged for good: ``n`` of them decided, ``hits`` of
    those moved in their favor within 24 hours. ``aside`` are settled without a direction (a HOLD,
    a close of who knows what): they have no verdict, and count in none of the figures of the
    others. ``undecided`` took a direction and still have no verdict, ``undecided_reasons`` says
    why; ``missing`` lack a price at a checkpoint at least.

    ``horizons`` are changes in the direction taken, ``bought`` those of buying where none was
    taken, ``sold`` what selling would have brought there instead. ``touched_target``,
    ``touched_stop``, ``ambiguous`` and ``untouched`` count first touches.
    """

    accepted: int
    no_claim: int
    settled: int
    aside: int
    touched_target: int
    touched_stop: int
    ambiguous: int
    untouched: int
    confident: int = 0
    horizons: Sequence[Horizon] = ()
    bought: Sequence[Horizon] = ()
    undecided_reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def sold(self) -> list[Horizon]:
        """What selling would have brought where no direction was taken."""
        return [
            replace(each, mean=selling(each.mean), median=selling(each.median))
            for each in self.bought
        ]

    def own_reasons(self) -> dict[str, str]:
        """Return why the figures that are only here are undefined, by their names."""
        found = unpriced(self.horizons)
        for name in ("bought", "sold"):
            found |= unpriced(self.bought, name=name)
        return found

    def figures(self) -> dict[str, Any]:
        """Return everything that the row says, what is derived included, as plain documents."""
        return Scorecard.figures(self) | {"sold": [asdict(each) for each in self.sold]}
