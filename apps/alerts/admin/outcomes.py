"""Prices at checkpoints and outcomes of alerts in the admin."""

from django.contrib import admin
from django.utils.safestring import SafeString

from apps.alerts.choices import COLORS, CheckpointStatus, PerformanceStatus
from apps.alerts.models import AlertPerformance, TrackedPrice
from apps.shared import display
from apps.shared.admin import DerivedAdmin

NOT_SETTLED = "Not settled yet."
RETURNS = ["final_return_24h", "final_return_72h"]
EXCURSIONS = ["max_gain", "max_loss", "checkpoint_max_gain", "checkpoint_max_loss"]


def outcome(performance: AlertPerformance | None) -> SafeString:
    """Return what became of an alert in one badge."""
    if performance is None:
        return display.empty("Nothing is tracked for this alert.")
    if performance.status == PerformanceStatus.OPEN:
        return display.badge("Open", COLORS[PerformanceStatus.OPEN], "Prices are still to come.")
    if performance.is_success is None:
        return display.badge("Undecided", "warning", performance.evaluation_note)
    if performance.is_success:
        return display.badge("Success", "success", "It gained what success asks for.")
    return display.badge("No success", "danger", "It did not gain what success asks for.")


@admin.register(TrackedPrice)
class TrackedPriceAdmin(DerivedAdmin):
    list_display = [
        "symbol", "time_elapsed_hours", "status", "price", "percentage_change", "timestamp",
        "alert",
    ]  # fmt: skip
    list_filter = ["timestamp", "status", "time_elapsed_hours", "percentage_change"]
    list_select_related = ["alert"]
    search_fields = ["=alert__alert_id"]
    time = "timestamp"
    colors = COLORS
    signed = ["percentage_change"]
    empty_reasons = dict.fromkeys(
        ["price", "percentage_change", "candle_timestamp"],
        "No candle stood near enough to this moment.",
    )
    empty_hint = "A price is taken at each checkpoint after an alert, every minute by the worker."

    def page_badges(self, obj: TrackedPrice) -> list[SafeString]:
        status = CheckpointStatus(obj.status)
        return [display.badge(status.label, COLORS[status])]


@admin.register(AlertPerformance)
class AlertPerformanceAdmin(DerivedAdmin):
    list_display = [
        "symbol", "shown_outcome", "first_touch", *RETURNS, *EXCURSIONS[:2], "source", "settled_at",
        "alert",
    ]  # fmt: skip
    list_filter = ["settled_at", "status", "is_success", "first_touch", *RETURNS, *EXCURSIONS[:2]]
    list_select_related = ["alert"]
    short_texts = ["evaluation_note"]
    search_fields = ["=alert__alert_id"]
    ordering = ["-id"]
    colors = COLORS
    signed = [*RETURNS, *EXCURSIONS]
    empty_reasons = {
        "settled_at": "Settled once every checkpoint is known or missing.",
        "first_touch": "Neither target nor stop was named, or the window is still open.",
        "first_touch_at": "Neither target nor stop was touched.",
        "is_success": "Undecided as long as a price that could decide is missing.",
        "source": "No candles to judge on yet.",
        "evaluation_note": "Nothing is empty that would need a reason.",
        **dict.fromkeys([*RETURNS, *EXCURSIONS], "No price yet, or none near the checkpoint."),
    }
    groups = [
        ("Outcome", ["alert", "shown_outcome", "status", "settled_at", "first_touch",
                     "first_touch_at", "evaluation_note"]),
        ("Changes in the alert's favor", [*RETURNS, *EXCURSIONS]),
        ("Judged on", ["symbol", "source", "granularity", "entry_price", "judged_through",
                       "next_checkpoint_at", "updated_at"]),
    ]  # fmt: skip
    empty_hint = "Each alert gets one of these the moment it is raised."

    @admin.display(description="Outcome")
    def shown_outcome(self, obj: AlertPerformance) -> SafeString:
        return outcome(obj)

    def page_badges(self, obj: AlertPerformance) -> list[SafeString]:
        return [outcome(obj)]
