"""The admin site of Blotter as Django's own, and what ``config`` itself registers."""

from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    default_site = "config.admin.BlotterAdminSite"

    def ready(self) -> None:
        super().ready()
        # After every app has registered its own: what is taken over from other packages.
        import_module("config.schedule")


class BlotterConfig(AppConfig):
    """The system checks, the Celery app, the notes on how its jobs fare, their runs."""

    name = "config"
    label = "config"

    def ready(self) -> None:
        for module in ("checks", "celery", "jobs", "runs"):
            import_module(f"config.{module}")
