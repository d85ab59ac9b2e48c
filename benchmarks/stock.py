"""The list of system logs as one writes it first, on an admin site of Django's own."""

from typing import Any, ClassVar

from django.contrib.admin import AdminSite, ModelAdmin
from django.urls import path

from apps.logs.models import SystemLog


class StockAdmin(ModelAdmin):
    list_display: ClassVar[list[Any]] = ["timestamp", "level", "logger_name", "message"]
    list_filter: ClassVar[list[Any]] = ["level", "logger_name"]
    date_hierarchy = "timestamp"
    search_fields: ClassVar[list[str]] = ["message"]


site = AdminSite(name="admin")
site.register(SystemLog, StockAdmin)
urlpatterns = [path("admin/", site.urls)]
