from decimal import Decimal

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("logs", "0003_months"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="performancelog",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("duration_ms__gte", Decimal("0")),
                    ("duration_ms__lt", Decimal("1000000000000")),
                ),
                name="performance_logs_duration",
            ),
        ),
        migrations.AddConstraint(
            model_name="performancelog",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("memory_usage_mb__gte", Decimal("0")),
                    ("memory_usage_mb__lt", Decimal("1000000000000")),
                ),
                name="performance_logs_memory",
            ),
        ),
        migrations.AddConstraint(
            model_name="performancelog",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("cpu_usage_percent__gte", Decimal("0")),
                    ("cpu_usage_percent__lt", Decimal("1000000000000")),
                ),
                name="performance_logs_cpu",
            ),
        ),
        migrations.AddConstraint(
            model_name="tradingevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("quantity__lt", Decimal("100000000000000000000"))),
                name="trading_events_quantity_finite",
            ),
        ),
        migrations.AddConstraint(
            model_name="tradingevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("price__lt", Decimal("100000000000000000000"))),
                name="trading_events_price_finite",
            ),
        ),
        migrations.AddConstraint(
            model_name="useractionlog",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("duration_ms__gte", Decimal("0")),
                    ("duration_ms__lt", Decimal("1000000000000")),
                ),
                name="user_action_logs_duration",
            ),
        ),
    ]
