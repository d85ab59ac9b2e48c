"""What the chart elements are fed with: lines, and what stands on them."""

from datetime import UTC, datetime, timedelta

from apps.shared.admin.charts import Line, Marker, line_chart

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class TestLineChart:
    def test_says_only_what_is_not_usual(self):
        chart = line_chart([Line("Equity", "info", [(1, 2.34567)])])

        assert chart == {
            "precision": 2,
            "series": [{"name": "Equity", "tone": "info", "points": [[1, 2.3457]]}],
        }

    def test_tells_a_line_from_what_it_is_compared_with(self):
        chart = line_chart(
            [Line("Peer", "2", [], quiet=True), Line("Holding", "default", [], dashed=True)],
            unit=" %",
            legend=True,
        )

        peer, holding = chart["series"]
        assert (chart["unit"], chart["legend"]) == (" %", True)
        assert peer["quiet"] is True
        assert "dashed" not in peer
        assert holding["dashed"] is True

    def test_marks_points_in_the_order_of_time(self):
        later = NOON + timedelta(hours=1)
        markers = [
            Marker(later, "out", "danger"),
            Marker(NOON, "in", "success", below=True, arrow=True),
        ]

        (line,) = line_chart([Line("Own", "1", [], markers=markers)])["series"]

        assert [each["text"] for each in line["markers"]] == ["in", "out"]
        assert line["markers"][0] == {
            "time": int(NOON.timestamp()),
            "text": "in",
            "tone": "success",
            "position": "belowBar",
            "shape": "arrowUp",
        }
        assert line["markers"][1]["shape"] == "circle"
