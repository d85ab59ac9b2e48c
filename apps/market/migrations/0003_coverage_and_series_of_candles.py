from django.db import migrations

# One row per symbol over its vectors of the last 90 days. Each series is one range of the index
# that holds its key, the RSI and the average: the table itself is not read. Versions are compared
# number by number: as text, 9.0 would come after 10.0.
CREATE_VIEW = """
CREATE MATERIALIZED VIEW mv_features_dashboard_summary AS
WITH counted AS (
    SELECT s.symbol, s.source, s.granularity, s.feature_version,
        -- As versions, not as text: 10.0 comes after 9.0.
        string_to_array(s.feature_version, '.')::numeric[] AS version,
        seen.latest, seen.records, seen.with_rsi, seen.with_ma
    FROM feature_series s
    CROSS JOIN LATERAL (
        SELECT max(v.timestamp) AS latest, count(*) AS records,
            count(v.rsi_1d) AS with_rsi, count(v.price_ma_short) AS with_ma
        FROM feature_engineered_data v
        WHERE v.symbol = s.symbol AND v.source = s.source AND v.granularity = s.granularity
          AND v.feature_version = s.feature_version
          AND v.timestamp >= statement_timestamp() - interval '90 days'
    ) seen
    WHERE seen.records > 0
),
newest AS (
    SELECT DISTINCT ON (symbol) * FROM counted
    ORDER BY symbol, latest DESC, version DESC, granularity::interval, source
),
summed AS (
    SELECT symbol, sum(records)::bigint AS records, sum(with_rsi) AS with_rsi,
        sum(with_ma) AS with_ma,
        (array_agg(feature_version ORDER BY version DESC))[1] AS latest_version
    FROM counted
    GROUP BY symbol
)
SELECT n.symbol, n.latest AS latest_timestamp, t.records AS total_records, t.latest_version,
    v.rsi_1d AS latest_rsi, v.price_ma_short AS latest_ma,
    (t.with_rsi::float8 / t.records) AS rsi_coverage,
    (t.with_ma::float8 / t.records) AS ma_coverage,
    statement_timestamp() AS refreshed_at
FROM newest n
JOIN summed t USING (symbol)
JOIN feature_engineered_data v ON v.symbol = n.symbol AND v.source = n.source
    AND v.granularity = n.granularity AND v.feature_version = n.feature_version
    AND v.timestamp = n.latest
"""
DROP_VIEW = "DROP MATERIALIZED VIEW mv_features_dashboard_summary"
# What a refresh beside readers needs.
CREATE_INDEX = """
CREATE UNIQUE INDEX mv_features_dashboard_summary_symbol
ON mv_features_dashboard_summary (symbol)
"""
DROP_INDEX = "DROP INDEX mv_features_dashboard_summary_symbol"
# Numbers that hardly compress: trying to costs more than it saves.
KEEP_PLAIN = "ALTER TABLE feature_series ALTER COLUMN tail SET STORAGE EXTERNAL"
# Rows are written anew at every candle: room for that in their own page.
LEAVE_ROOM = "ALTER TABLE feature_series SET (fillfactor = 50)"
FULL_PAGES = "ALTER TABLE feature_series RESET (fillfactor)"
SERIES_OF_CANDLES = """
INSERT INTO candle_series (symbol, source, granularity, first_timestamp, last_timestamp)
SELECT symbol, source, granularity, min(timestamp), max(timestamp)
FROM candles GROUP BY symbol, source, granularity
"""


class Migration(migrations.Migration):
    dependencies = [("market", "0002_features_series_regimes_health_cache")]

    operations = [
        migrations.RunSQL(CREATE_VIEW, DROP_VIEW),
        migrations.RunSQL(CREATE_INDEX, DROP_INDEX),
        migrations.RunSQL(KEEP_PLAIN, migrations.RunSQL.noop),
        migrations.RunSQL(LEAVE_ROOM, FULL_PAGES),
        migrations.RunSQL(SERIES_OF_CANDLES, migrations.RunSQL.noop),
    ]
