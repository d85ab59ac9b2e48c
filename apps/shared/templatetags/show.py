"""The display functions of the admin, for templates: ``{{ moment|age }}``."""

from django import template

from apps.shared import display

register = template.Library()

for shown in (
    display.age,
    display.exact_moment,
    display.moment,
    display.number,
    display.price,
    display.signed_pct,
    display.visible,
):
    register.filter(shown.__name__, shown)


@register.filter
def known(value: object, reason: str) -> object:
    """Show the value, or the sign of emptiness with its reason."""
    return display.empty(reason) if value in (None, "") else value
