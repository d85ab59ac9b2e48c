"""What an alert's outcome says of itself. Pure rules; the judging is ``quant.outcomes``."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from apps.shared.quant.outcomes import Outcome, QuoteState

NO_ENTRY = "No entry price: none was given, and no candle tells it at the alert's own time."
NO_SUCCESS_CHECKPOINT = "None of the checkpoints decides success."
SUCCESS_MISSING = "No candles at the checkpoints that decide success."
EMPTY_WINDOW = "No whole candle inside the window."
TOO_LARGE = "A change is too large to be kept."


def success_thresholds(settings: Mapping[int, str | int | Decimal]) -> dict[int, Decimal]:
    """Return the change in percent that makes a success, by hours after the alert.

    Raises ValueError for a threshold that is no finite number.
    """
    try:
        thresholds = {int(hours): Decimal(value) for hours, value in settings.items()}
    except (InvalidOperation, TypeError) as error:
        raise ValueError("A success threshold is a percentage, such as '5'.") from error
    if not all(threshold.is_finite() for threshold in thresholds.values()):
        raise ValueError("A success threshold is a finite percentage.")
    return thresholds


def evaluation_note(outcome: Outcome, *, success_hours: Iterable[int]) -> str:
    """Say why a part of the outcome is empty; nothing where nothing is, or may still come."""
    if outcome.entry_state == QuoteState.MISSING:
        return NO_ENTRY
    if not outcome.settled:
        return ""
    reasons = []
    known = [h for h, quote in outcome.quotes.items() if quote.state == QuoteState.KNOWN]
    counted = set(success_hours) & set(outcome.quotes)
    if not counted:
        reasons.append(NO_SUCCESS_CHECKPOINT)
    elif not counted & set(known):
        reasons.append(SUCCESS_MISSING)
    if not outcome.candles:
        reasons.append(EMPTY_WINDOW)
    if any(h not in outcome.changes for h in known) or (
        outcome.candles and None in outcome.excursions
    ):
        reasons.append(TOO_LARGE)
    return " ".join(reasons)
