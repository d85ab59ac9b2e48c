"""The schedule in the admin: which jobs run when; paused here, changed in the code."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from apps.shared.admin import EntityAdmin

# Their own pages are not needed: the whole schedule stands in config/celery.py.
for model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(EntityAdmin):
    list_display = ["name", "task", "interval", "crontab", "enabled", "last_run_at"]
    list_filter = ["enabled"]
    list_select_related = ["interval", "crontab"]
    search_fields = ["name", "task"]
    ordering = ["name"]
    fields = ["name", "enabled"]
    readonly_fields = ["name"]
    groups = [
        ("Job", ["name", "task", "enabled", "interval", "crontab", "last_run_at",
                 "total_run_count", "date_changed", "description"]),
    ]  # fmt: skip
    empty_reasons = {
        "last_run_at": "Beat has not sent it yet.",
        "crontab": "Runs at an interval.",
        "description": "None.",
    }
    empty_hint = "Beat writes the schedule of config/celery.py here when it starts."

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
