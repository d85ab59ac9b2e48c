"""What models cost, in the admin: the table by which calls that told no cost are paid."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin.finding import narrow
from apps.agents.models import LLMPrice
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.figures import size


@admin.register(LLMPrice)
class LLMPriceAdmin(EntityAdmin):
    list_display = [
        "name", "provider", "input_per_million", "output_per_million", "since",
    ]  # fmt: skip
    list_filter = ["valid_from", "provider"]
    search_fields = ["model", "provider"]
    ordering = ["provider", "model", "-valid_from"]
    shows = {"input_per_million": size, "output_per_million": size, "provider": narrow}
    titles = {
        "input_per_million": "USD / M in",
        "output_per_million": "USD / M out",
    }
    fields = ["provider", "model", "valid_from", "input_per_million", "output_per_million"]
    empty_reasons = {"provider": "It is of no provider by name."}
    empty_hint = (
        "Add what a model costs here, or by POST /api/v1/agents/prices/ with a key: calls that"
        " tell their tokens and no cost are then paid for by it, those already stored too."
    )
    export_fields = [
        "provider", "model", "valid_from", "input_per_million", "output_per_million", "updated_at",
    ]  # fmt: skip
    groups = [
        ("Price", ["provider", "name", "input_per_million", "output_per_million"]),
        ("Times", ["valid_from", "created_at", "updated_at"]),
    ]

    @admin.display(description="Model", ordering="model")
    def name(self, obj: LLMPrice) -> SafeString:
        return narrow(obj.model)

    @admin.display(description="Since", ordering="valid_from")
    def since(self, obj: LLMPrice) -> SafeString:
        return display.moment(obj.valid_from)

    def page_title(self, obj: LLMPrice) -> str:
        return f"{obj.provider} {obj.model}".strip()

    def page_badges(self, obj: Any) -> list[SafeString]:
        return [format_html("since {}", display.moment(obj.valid_from))]
