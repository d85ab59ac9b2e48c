from datetime import UTC, datetime

from django.db import migrations

from apps.shared.partitions import make_months, month_of, months_from

TABLES = ["system_logs", "trading_events", "performance_logs", "error_logs", "user_action_logs"]


def first_months(apps, schema_editor):
    """Have this month and the next two; from then on the schedule makes them."""
    for table in TABLES:
        make_months(table, months_from(month_of(datetime.now(UTC)), 3))


class Migration(migrations.Migration):
    dependencies = [("logs", "0002_activity")]

    # They go with their tables.
    operations = [migrations.RunPython(first_months, migrations.RunPython.noop)]
