import django.contrib.postgres.indexes
import django.db.models.functions.datetime
from django.db import migrations, models

import apps.logs.models.entries
import apps.shared.fields
from apps.shared.partitions import CreatePartitionedModel

# One for all five tables: an id names one entry among all of them.
SEQUENCE = "CREATE SEQUENCE log_entries_id_seq AS bigint"

# Only the beginning of a long message is indexed: an index has its limits, evidence has none.
# Punctuation parts words here, or PostgreSQL would take BTC/USDT for the path of a file. These
# are the signs that mean something to its parser; all others part words anyway. One replace()
# after the other, because translate() takes twenty times as long, which is most of the intake.
SPACED = "left($1, 8192)"
for sign in "+-./~&<>@:_":
    SPACED = f"replace({SPACED}, '{sign}', ' ')"
WORDS = f"""
CREATE FUNCTION log_words(text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN to_tsvector('simple'::regconfig, {SPACED})
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.RunSQL(SEQUENCE, "DROP SEQUENCE log_entries_id_seq"),
        migrations.RunSQL(WORDS, "DROP FUNCTION log_words(text)"),
        migrations.CreateModel(
            name="ErrorGroup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        auto_now=True, db_default=django.db.models.functions.datetime.Now()
                    ),
                ),
                ("fingerprint", models.CharField(max_length=32)),
                ("error_type", models.CharField(max_length=255)),
                (
                    "culprit",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="The innermost place in code of our own.",
                        max_length=300,
                    ),
                ),
                ("component", models.CharField(blank=True, default="", max_length=100)),
                ("message", models.TextField(blank=True, default="", help_text="As it came last.")),
                ("count", models.BigIntegerField(default=0)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("regressed", "Regressed"),
                            ("muted", "Muted"),
                            ("resolved", "Resolved"),
                        ],
                        default="new",
                        max_length=10,
                    ),
                ),
                ("state_changed_at", models.DateTimeField(blank=True, null=True)),
                ("state_changed_by", models.CharField(blank=True, default="", max_length=150)),
            ],
            options={
                "db_table": "error_groups",
                "indexes": [
                    models.Index(fields=["-last_seen", "-id"], name="error_groups_last_seen_idx"),
                    models.Index(fields=["state", "-last_seen"], name="error_groups_state_idx"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("fingerprint",), name="error_groups_one_per_fingerprint"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["new", "regressed", "muted", "resolved"])
                        ),
                        name="error_groups_state_known",
                    ),
                ],
            },
        ),
        CreatePartitionedModel(
            name="ErrorLog",
            fields=[
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "id",
                    models.BigIntegerField(
                        db_default=apps.logs.models.entries.NextId(),
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "timestamp",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When it happened.",
                    ),
                ),
                (
                    "correlation_id",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="What it has in common with its cause.",
                        max_length=100,
                    ),
                ),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("error_type", models.CharField(max_length=255)),
                ("error_message", models.TextField(blank=True, default="")),
                ("stack_trace", models.TextField(blank=True, default="")),
                ("component", models.CharField(blank=True, default="", max_length=100)),
                (
                    "user_id",
                    models.CharField(blank=True, default="", max_length=150, verbose_name="user"),
                ),
                ("request_path", models.TextField(blank=True, default="")),
                (
                    "fingerprint",
                    models.CharField(
                        help_text="The same for errors of one type from one place.", max_length=32
                    ),
                ),
            ],
            options={
                "verbose_name": "error",
                "db_table": "error_logs",
                "indexes": [
                    models.Index(fields=["-timestamp", "-id"], name="error_logs_timestamp_idx"),
                    models.Index(
                        fields=["error_type", "-timestamp", "-id"], name="error_logs_type_idx"
                    ),
                    models.Index(
                        fields=["component", "-timestamp", "-id"], name="error_logs_component_idx"
                    ),
                    models.Index(
                        fields=["correlation_id", "-timestamp", "-id"],
                        name="error_logs_correlation_idx",
                    ),
                    models.Index(
                        fields=["fingerprint", "-timestamp", "-id"],
                        name="error_logs_fingerprint_idx",
                    ),
                    django.contrib.postgres.indexes.GinIndex(
                        apps.logs.models.entries.LogWords("error_message"),
                        name="error_logs_words_idx",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "what",
                    models.CharField(
                        help_text="The kind of change, such as bot_silent.", max_length=50
                    ),
                ),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("info", "Info"),
                            ("warning", "Warning"),
                            ("critical", "Critical"),
                        ],
                        default="warning",
                        max_length=10,
                    ),
                ),
                ("subject", models.CharField(max_length=200)),
                ("message", models.TextField(blank=True, default="")),
                (
                    "link",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="The page of what it is about.",
                        max_length=500,
                    ),
                ),
                (
                    "dedupe_key",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Told once, however often it is said.",
                        max_length=255,
                    ),
                ),
                ("correlation_id", models.CharField(blank=True, default="", max_length=100)),
                ("seen_by", models.CharField(blank=True, default="", max_length=150)),
                ("seen_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "notifications",
                "indexes": [
                    models.Index(fields=["-created_at", "-id"], name="notifications_created_idx"),
                    models.Index(
                        condition=models.Q(("seen_at__isnull", True)),
                        fields=["-created_at"],
                        name="notifications_unseen_idx",
                    ),
                    models.Index(fields=["correlation_id"], name="notifications_trace_idx"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("dedupe_key", ""), _negated=True),
                        fields=("dedupe_key",),
                        name="notifications_told_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("level__in", ["info", "warning", "critical"])),
                        name="notifications_level_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("seen_at__isnull", True), ("seen_by", "")),
                            models.Q(
                                ("seen_at__isnull", False), models.Q(("seen_by", ""), _negated=True)
                            ),
                            _connector="OR",
                        ),
                        name="notifications_seen_by_somebody",
                    ),
                ],
            },
        ),
        CreatePartitionedModel(
            name="PerformanceLog",
            fields=[
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "id",
                    models.BigIntegerField(
                        db_default=apps.logs.models.entries.NextId(),
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "timestamp",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When it happened.",
                    ),
                ),
                (
                    "correlation_id",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="What it has in common with its cause.",
                        max_length=100,
                    ),
                ),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("operation_name", models.CharField(max_length=100, verbose_name="operation")),
                (
                    "duration_ms",
                    apps.shared.fields.Ratio(
                        decimal_places=8,
                        help_text="Milliseconds.",
                        max_digits=20,
                        verbose_name="duration",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("success", "Success"),
                            ("error", "Error"),
                            ("timeout", "Timeout"),
                        ],
                        default="success",
                        max_length=10,
                    ),
                ),
                ("component", models.CharField(blank=True, default="", max_length=100)),
                (
                    "memory_usage_mb",
                    apps.shared.fields.Ratio(
                        blank=True,
                        decimal_places=8,
                        help_text="Resident memory at the end, MB.",
                        max_digits=20,
                        null=True,
                        verbose_name="memory",
                    ),
                ),
                (
                    "cpu_usage_percent",
                    apps.shared.fields.Ratio(
                        blank=True,
                        decimal_places=8,
                        help_text="Of one core, over the duration, percent.",
                        max_digits=20,
                        null=True,
                        verbose_name="CPU",
                    ),
                ),
                (
                    "severity",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(status="error", then=models.Value("ERROR")),
                            models.When(status="timeout", then=models.Value("WARNING")),
                            default=models.Value("INFO"),
                        ),
                        output_field=models.CharField(
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
                ),
            ],
            options={
                "verbose_name": "operation",
                "db_table": "performance_logs",
                "indexes": [
                    models.Index(
                        fields=["-timestamp", "-id"], name="performance_logs_timestamp_idx"
                    ),
                    models.Index(
                        fields=["severity", "-timestamp", "-id"],
                        name="performance_logs_severity_idx",
                    ),
                    models.Index(
                        fields=["operation_name", "-timestamp", "-id"],
                        name="performance_logs_operation_idx",
                    ),
                    models.Index(
                        fields=["component", "-timestamp", "-id"],
                        name="performance_logs_component_idx",
                    ),
                    models.Index(
                        fields=["correlation_id", "-timestamp", "-id"],
                        name="performance_logs_trace_idx",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["success", "error", "timeout"])),
                        name="performance_logs_status_known",
                    )
                ],
            },
        ),
        CreatePartitionedModel(
            name="SystemLog",
            fields=[
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "id",
                    models.BigIntegerField(
                        db_default=apps.logs.models.entries.NextId(),
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "timestamp",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When it happened.",
                    ),
                ),
                (
                    "correlation_id",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="What it has in common with its cause.",
                        max_length=100,
                    ),
                ),
                ("metadata", models.JSONField(blank=True, default=dict)),
                (
                    "level",
                    models.CharField(
                        choices=[
                            ("DEBUG", "Debug"),
                            ("INFO", "Info"),
                            ("WARNING", "Warning"),
                            ("ERROR", "Error"),
                            ("CRITICAL", "Critical"),
                        ],
                        default="INFO",
                        max_length=10,
                    ),
                ),
                ("logger_name", models.CharField(max_length=100, verbose_name="logger")),
                ("message", models.TextField()),
                ("module", models.CharField(blank=True, default="", max_length=100)),
                (
                    "function_name",
                    models.CharField(
                        blank=True, default="", max_length=100, verbose_name="function"
                    ),
                ),
                (
                    "line_number",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="line"),
                ),
                (
                    "thread_name",
                    models.CharField(blank=True, default="", max_length=100, verbose_name="thread"),
                ),
                (
                    "process_id",
                    models.BigIntegerField(blank=True, null=True, verbose_name="process"),
                ),
            ],
            options={
                "db_table": "system_logs",
                "indexes": [
                    models.Index(fields=["-timestamp", "-id"], name="system_logs_timestamp_idx"),
                    models.Index(
                        fields=["level", "-timestamp", "-id"], name="system_logs_level_idx"
                    ),
                    models.Index(
                        fields=["logger_name", "-timestamp", "-id"], name="system_logs_logger_idx"
                    ),
                    models.Index(
                        fields=["correlation_id", "-timestamp", "-id"],
                        name="system_logs_correlation_idx",
                    ),
                    django.contrib.postgres.indexes.BrinIndex(
                        fields=["created_at"], name="system_logs_created_idx"
                    ),
                    django.contrib.postgres.indexes.GinIndex(
                        apps.logs.models.entries.LogWords("message"), name="system_logs_words_idx"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("level__in", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
                        ),
                        name="system_logs_level_known",
                    )
                ],
            },
        ),
        CreatePartitionedModel(
            name="TradingEvent",
            fields=[
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "id",
                    models.BigIntegerField(
                        db_default=apps.logs.models.entries.NextId(),
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "timestamp",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When it happened.",
                    ),
                ),
                (
                    "correlation_id",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="What it has in common with its cause.",
                        max_length=100,
                    ),
                ),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("event_type", models.CharField(max_length=50)),
                ("symbol", models.CharField(blank=True, default="", max_length=50)),
                ("side", models.CharField(blank=True, default="", max_length=10)),
                (
                    "quantity",
                    apps.shared.fields.Size(
                        blank=True, decimal_places=18, max_digits=38, null=True
                    ),
                ),
                (
                    "price",
                    apps.shared.fields.Price(
                        blank=True, decimal_places=18, max_digits=38, null=True
                    ),
                ),
                ("order_id", models.CharField(blank=True, default="", max_length=255)),
                ("strategy", models.CharField(blank=True, default="", max_length=50)),
            ],
            options={
                "db_table": "trading_events",
                "indexes": [
                    models.Index(fields=["-timestamp", "-id"], name="trading_events_timestamp_idx"),
                    models.Index(
                        fields=["symbol", "-timestamp", "-id"], name="trading_events_symbol_idx"
                    ),
                    models.Index(
                        fields=["event_type", "-timestamp", "-id"], name="trading_events_type_idx"
                    ),
                    models.Index(
                        fields=["correlation_id", "-timestamp", "-id"],
                        name="trading_events_correlation_idx",
                    ),
                ],
            },
        ),
        CreatePartitionedModel(
            name="UserActionLog",
            fields=[
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "id",
                    models.BigIntegerField(
                        db_default=apps.logs.models.entries.NextId(),
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "timestamp",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="When it happened.",
                    ),
                ),
                (
                    "correlation_id",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="What it has in common with its cause.",
                        max_length=100,
                    ),
                ),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("action_type", models.CharField(max_length=50, verbose_name="action")),
                (
                    "user_id",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="A user, or the client of a key.",
                        max_length=150,
                        verbose_name="user",
                    ),
                ),
                (
                    "session_id",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="A hash; not the session's key.",
                        max_length=100,
                        verbose_name="session",
                    ),
                ),
                (
                    "ip_address",
                    models.GenericIPAddressField(blank=True, null=True, verbose_name="address"),
                ),
                ("user_agent", models.TextField(blank=True, default="")),
                ("request_path", models.TextField(blank=True, default="", verbose_name="path")),
                (
                    "request_method",
                    models.CharField(blank=True, default="", max_length=10, verbose_name="method"),
                ),
                (
                    "response_status",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="status"),
                ),
                (
                    "duration_ms",
                    apps.shared.fields.Ratio(
                        blank=True,
                        decimal_places=8,
                        help_text="Milliseconds.",
                        max_digits=20,
                        null=True,
                        verbose_name="duration",
                    ),
                ),
                (
                    "severity",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(response_status__gte=500, then=models.Value("ERROR")),
                            models.When(response_status__gte=400, then=models.Value("WARNING")),
                            default=models.Value("INFO"),
                        ),
                        output_field=models.CharField(
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
                ),
            ],
            options={
                "verbose_name": "request",
                "db_table": "user_action_logs",
                "indexes": [
                    models.Index(
                        fields=["-timestamp", "-id"], name="user_action_logs_timestamp_idx"
                    ),
                    models.Index(
                        fields=["severity", "-timestamp", "-id"],
                        name="user_action_logs_severity_idx",
                    ),
                    models.Index(
                        fields=["action_type", "-timestamp", "-id"],
                        name="user_action_logs_type_idx",
                    ),
                    models.Index(
                        fields=["user_id", "-timestamp", "-id"], name="user_action_logs_user_idx"
                    ),
                    models.Index(
                        fields=["correlation_id", "-timestamp", "-id"],
                        name="user_action_logs_trace_idx",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("response_status__gte", 100), ("response_status__lte", 599)
                        ),
                        name="user_action_logs_status_is_http",
                    )
                ],
            },
        ),
    ]
