"""Blotter's own two Django applications: its admin site, and what stands above all apps."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    default_site = "config.admin.BlotterAdminSite"


class BlotterConfig(AppConfig):
    """The frame: its Celery app, its checks, its management commands."""

    name = "config"
    label = "config"

    def ready(self) -> None:
        # Imported for what they register, once the settings are read.
        from config import celery, checks  # noqa: F401
