"""System checks: what would go wrong later is said before anything starts."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Error, Tags, Warning, register

SECRET_LENGTH = 32


@register(Tags.security, deploy=True)
def secrets_are_worth_their_name(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[Error]:
    """Refuse secrets that can be guessed, and one secret for two purposes."""
    errors = [
        Error(
            f"{name} is shorter than {SECRET_LENGTH} characters.",
            hint="python -c 'import secrets; print(secrets.token_urlsafe(48))' makes a good one.",
            id="blotter.E001",
        )
        for name in ("SECRET_KEY", "API_KEY_PEPPER")
        if len(getattr(settings, name)) < SECRET_LENGTH
    ]
    if settings.SECRET_KEY == settings.API_KEY_PEPPER:
        errors.append(Error("SECRET_KEY and API_KEY_PEPPER are the same.", id="blotter.E002"))
    return errors


@register(Tags.security, deploy=True)
def hosts_are_named(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[Warning]:
    """Warn of an installation on many machines that answers to every host name."""
    if settings.DISTRIBUTED and "*" in settings.ALLOWED_HOSTS:
        hint = "Set ALLOWED_HOSTS to the names that Blotter is reached by."
        return [Warning("ALLOWED_HOSTS lets every host name in.", hint=hint, id="blotter.W001")]
    return []


@register(Tags.compatibility)
def checkpoints_are_judged(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[Error]:
    """Refuse a success rule at an hour at which no price is taken."""
    unknown = sorted(set(settings.ALERT_SUCCESS) - set(settings.ALERT_CHECKPOINT_HOURS))
    if unknown:
        message = f"ALERT_SUCCESS names hours without a checkpoint: {unknown}."
        return [Error(message, hint="Add them to ALERT_CHECKPOINT_HOURS.", id="blotter.E003")]
    return []
