from django.db import migrations

# The longest a trade lasts, in bars; risk multiplier, confidence threshold, ceiling of the
# leverage, stop and target as fractions. As they stood when this was written: later defaults are
# another migration.
MAX_BARS = 96
DEFAULTS = [
    ("Conservative_ML", "15m", 0.7, 0.80, 10, 0.05, 0.10),
    ("Conservative_ML", "30m", 0.8, 0.75, 12, 0.06, 0.12),
    ("Conservative_ML", "1h", 0.9, 0.70, 15, 0.08, 0.15),
    ("Conservative_ML", "4h", 1.0, 0.65, 18, 0.10, 0.20),
    ("Conservative_ML", "1d", 1.1, 0.60, 20, 0.12, 0.25),
    ("Conservative_ML", "1w", 1.2, 0.55, 25, 0.15, 0.30),
    ("Aggressive_ML", "15m", 1.3, 0.60, 30, 0.08, 0.25),
    ("Aggressive_ML", "30m", 1.4, 0.55, 35, 0.10, 0.30),
    ("Aggressive_ML", "1h", 1.5, 0.50, 40, 0.12, 0.35),
    ("Aggressive_ML", "4h", 1.6, 0.45, 45, 0.15, 0.40),
    ("Aggressive_ML", "1d", 1.7, 0.40, 50, 0.18, 0.45),
    ("Aggressive_ML", "1w", 1.8, 0.35, 55, 0.20, 0.50),
    ("Balanced", "15m", 1.0, 0.65, 20, 0.06, 0.15),
    ("Balanced", "30m", 1.1, 0.60, 25, 0.08, 0.18),
    ("Balanced", "1h", 1.2, 0.55, 30, 0.10, 0.20),
    ("Balanced", "4h", 1.3, 0.50, 35, 0.12, 0.25),
    ("Balanced", "1d", 1.4, 0.45, 40, 0.15, 0.30),
    ("Balanced", "1w", 1.5, 0.40, 45, 0.18, 0.35),
]


def add_defaults(apps, schema_editor):
    """Add the defaults; one of that name that somebody has made stays as it is."""
    configuration = apps.get_model("analysis", "StrategyConfiguration")
    configuration.objects.using(schema_editor.connection.alias).bulk_create(
        [
            configuration(
                name=f"{base} - {timeframe}",
                base_strategy=base,
                timeframe=timeframe,
                parameters={
                    "risk_multiplier": risk,
                    "confidence_threshold": confidence,
                    "max_leverage": leverage,
                    "stop_loss_threshold": stop,
                    "take_profit_threshold": target,
                    "max_bars": MAX_BARS,
                },
                is_default=True,
            )
            for base, timeframe, risk, confidence, leverage, stop, target in DEFAULTS
        ],
        ignore_conflicts=True,
    )


def remove_defaults(apps, schema_editor):
    """Take the defaults away again, but for those that analyses were made with."""
    configuration = apps.get_model("analysis", "StrategyConfiguration")
    defaults = configuration.objects.using(schema_editor.connection.alias).filter(is_default=True)
    defaults.filter(analyses=None).delete()


class Migration(migrations.Migration):
    dependencies = [("analysis", "0001_analyses_and_models")]

    operations = [migrations.RunPython(add_defaults, remove_defaults)]
