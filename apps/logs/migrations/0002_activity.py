from django.db import migrations, models

# All arms have the very same types, lengths included: only then are the newest rows of all
# tables merged from their indexes, instead of everything being read and sorted.
CREATE = """
CREATE VIEW recent_system_activity AS
SELECT id, 'system_log'::varchar(20) AS source, timestamp, level AS severity,
    logger_name AS component, message AS description, correlation_id, metadata
FROM system_logs
UNION ALL
SELECT id, 'trading_event'::varchar(20), timestamp, 'INFO'::varchar(10),
    'trading'::varchar(100), event_type || ' - ' || coalesce(nullif(symbol, ''), 'N/A'),
    correlation_id, metadata
FROM trading_events
UNION ALL
SELECT id, 'performance'::varchar(20), timestamp, severity,
    component, operation_name || ' (' || round(duration_ms, 1) || ' ms)',
    correlation_id, metadata
FROM performance_logs
UNION ALL
SELECT id, 'error'::varchar(20), timestamp, 'ERROR'::varchar(10),
    component, error_type || ': ' || error_message,
    correlation_id, metadata
FROM error_logs
UNION ALL
SELECT id, 'user_action'::varchar(20), timestamp, severity,
    'web'::varchar(100), concat_ws(' ', nullif(request_method, ''),
        coalesce(nullif(request_path, ''), action_type), response_status),
    correlation_id, metadata
FROM user_action_logs
"""


class Migration(migrations.Migration):
    dependencies = [("logs", "0001_entries")]

    operations = [
        migrations.RunSQL(CREATE, "DROP VIEW recent_system_activity"),
        migrations.CreateModel(
            name="RecentActivity",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("system_log", "Log"),
                            ("trading_event", "Event"),
                            ("performance", "Operation"),
                            ("error", "Error"),
                            ("user_action", "Request"),
                        ],
                        max_length=20,
                    ),
                ),
                ("timestamp", models.DateTimeField()),
                (
                    "severity",
                    models.CharField(
                        choices=[
                            ("DEBUG", "Debug"),
                            ("INFO", "Info"),
                            ("WARNING", "Warning"),
                            ("ERROR", "Error"),
                            ("CRITICAL", "Critical"),
                        ],
                        max_length=10,
                    ),
                ),
                ("component", models.CharField(max_length=100)),
                ("description", models.TextField()),
                ("correlation_id", models.CharField(max_length=100)),
                ("metadata", models.JSONField()),
            ],
            options={
                "verbose_name": "activity",
                "verbose_name_plural": "activity",
                "db_table": "recent_system_activity",
                "managed": False,
            },
        ),
    ]
