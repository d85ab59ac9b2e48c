"""What of an instrument decides how its candles are judged, and looking again when it changes."""

from collections.abc import Iterable, Mapping
from typing import Final

from django.db.models import F

from apps.market.models import CandleSeries, Instrument

# Whether its market closes, in which zone its days begin, with which source others are compared.
RULES: Final = ("asset_class", "timezone", "primary_source")

Rules = Mapping[str, tuple[str, ...]]


def rules_of(symbols: Iterable[str]) -> Rules:
    """Return what decides how candles of instruments are judged, as it stands."""
    found = Instrument.objects.filter(symbol__in=set(symbols)).values_list("symbol", *RULES)
    return {symbol: tuple(rules) for symbol, *rules in found}


def recheck_changed(before: Rules) -> None:
    """Have the series of instruments whose rules are others than before looked at as a whole.

    In the transaction that changes them, so that nobody looks by the old rules behind it.
    """
    after = rules_of(before)
    changed = [symbol for symbol, rules in before.items() if after.get(symbol, rules) != rules]
    if not changed:
        return
    # In the order in which everybody takes several of them.
    held = CandleSeries.objects.select_for_update(no_key=True).filter(
        symbol__in=changed, checked_until__isnull=False
    )
    seen = [row.pk for row in held.order_by("symbol", "source", "granularity")]
    CandleSeries.objects.filter(pk__in=seen).update(recheck_from=F("first_timestamp"))
