"""Analyses in the admin: the ranking, the page of one, its trades file, two side by side."""

import json
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.analysis.admin.charts import stake_of
from apps.analysis.admin.comparison import better
from apps.analysis.choices import AnalysisStatus, Origin
from tests.analysis.pages import MARKUP, judged, page, staff
from tests.factories import (
    make_analysis,
    make_execution,
    make_leverage_calculation,
    make_metric,
)

pytestmark = pytest.mark.django_db

LIST = "admin:analysis_analysis_changelist"
PAGE = "admin:analysis_analysis_change"
COMPARE = "admin:analysis_compare"


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def order(html, *names):
    """Return the names as they follow each other on a page."""
    return sorted(names, key=html.index)


def chart(html, element="line-chart"):
    found = re.search(rf"<{element}.*?<script[^>]*>(.*?)</script>", html, re.DOTALL)
    return json.loads(found[1])


class TestRanking:
    def test_has_the_best_sharpe_first_and_those_without_one_last(self, admin_client):
        make_analysis(config="middling", sharpe_ratio=0.5)
        make_analysis(config="without", sharpe_ratio=None)
        make_analysis(config="best", sharpe_ratio=2.75)
        make_analysis(config="losing", sharpe_ratio=-1.0)

        shown = page(admin_client, LIST)

        names = ["best", "middling", "losing", "without"]
        assert order(shown, *names) == names

    def test_can_be_turned_round_with_those_without_one_still_last(self, admin_client):
        make_analysis(config="without", sharpe_ratio=None)
        make_analysis(config="losing", sharpe_ratio=-1.0)
        make_analysis(config="best", sharpe_ratio=2.75)
        up = re.search(r'href="(\?o=[^"]*)"', page(admin_client, LIST))[1]

        shown = admin_client.get(reverse(LIST) + up.replace("&amp;", "&")).content.decode()

        assert order(shown, "losing", "best", "without") == ["losing", "best", "without"]

    def test_reads_its_first_page_from_the_index(self, admin_client):
        make_analysis()
        with CaptureQueriesContext(connection) as asked:
            page(admin_client, LIST)
        listed = next(
            each["sql"] for each in asked if 'ORDER BY "analyses"."sharpe_ratio"' in each["sql"]
        )

        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {listed}")
            plan = "\n".join(line for (line,) in cursor.fetchall())

        assert "idx_analyses_sharpe_ratio" in plan
        assert "Sort" not in plan

    def test_shows_fractions_as_percent_with_their_sign(self, admin_client):
        make_analysis(win_rate=0.555, total_return=0.1234, max_drawdown=-0.0876, avg_leverage=4.5)

        shown = page(admin_client, LIST)

        assert ">55.5 %<" in shown
        assert re.search(r'b-num b-gain"[^>]*>\+12\.34 %<', shown)
        assert re.search(r'b-num b-loss"[^>]*>\u22128\.76 %<', shown)
        assert ">4.50×<" in shown

    def test_tells_reported_figures_from_our_own(self, admin_client):
        make_analysis(origin=Origin.REPORTED)
        make_analysis(origin=Origin.COMPUTED)

        shown = page(admin_client, LIST)

        assert 'b-badge b-warning" title="As a program reported them' in shown
        assert 'b-badge b-success" title="Computed here from its trades.">Computed<' in shown

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"sharpe_ratio_min": "1"}, "good"),
            ({"win_rate_min": "55 %"}, "good"),
            ({"win_rate_max": "0.5"}, "bad"),
            ({"max_drawdown_min": "-20%"}, "good"),
            ({"timeframe": "4h"}, "good"),
            ({"config": "bad"}, "bad"),
            ({"symbol": "ETH/USD"}, "bad"),
            ({"status__exact": "failed"}, "bad"),
            ({"origin__exact": "computed"}, "good"),
            ({"execution__execution_id__exact": "run of the good one"}, "good"),
        ],
    )
    def test_is_narrowed_by(self, admin_client, query, found):
        make_analysis(
            config="good", sharpe_ratio=2.0, win_rate=0.6, max_drawdown=-0.1, timeframe="4h",
            symbol="BTC/USD", origin=Origin.COMPUTED,
            execution=make_execution(execution_id="run of the good one"),
        )  # fmt: skip
        make_analysis(
            config="bad", sharpe_ratio=-2.0, win_rate=0.3, max_drawdown=-0.6, timeframe="1h",
            symbol="ETH/USD", origin=Origin.REPORTED, status=AnalysisStatus.FAILED,
        )  # fmt: skip

        shown = page(admin_client, LIST, **query)

        rows = re.findall(r'field-config[^"]*"[^>]*>\s*(?:<[^>]*>\s*)*(\w+)', shown)
        assert rows == [found]

    def test_costs_three_queries(self, admin_client, django_assert_num_queries):
        for _ in range(3):
            make_analysis()
        page(admin_client, LIST)  # what is suggested in filters is cached now

        with django_assert_num_queries(3):  # session, user, analyses
            page(admin_client, LIST)

    def test_says_how_it_is_filled_when_it_is_empty(self, admin_client):
        assert "Add a symbol to try the active strategies out" in page(admin_client, LIST)


class TestChoosingTwo:
    def choose(self, client, *analyses):
        keys = [each.pk for each in analyses]
        data = {"action": "compare", "_selected_action": keys, "index": 0}
        return client.post(reverse(LIST), data)

    def test_leads_to_their_comparison(self, admin_client):
        answer = self.choose(admin_client, make_analysis(), make_analysis())

        assert answer.status_code == 302
        assert answer.url.startswith(reverse(COMPARE))

    def test_is_refused_for_one_or_three(self, admin_client):
        for count in (1, 3):
            chosen = [make_analysis() for _ in range(count)]
            answer = self.choose(admin_client, *chosen)
            shown = admin_client.get(answer.url).content.decode()
            assert "Choose exactly two analyses" in shown


class TestPage:
    def test_draws_the_account_and_its_figures(self, admin_client):
        analysis = judged(nets=("10", "-40"), stake="0.5")

        shown = page(admin_client, PAGE, analysis.pk)

        (line,) = chart(shown)["series"]
        values = [value for _, value in line["points"]]
        assert values[0] == 100
        assert values[-1] == pytest.approx(100 * 1.05 * 0.8)
        assert "50 % of it put up per trade" in shown
        assert 'title="Sharpe ratio: the mean excess return' in shown

    def test_says_when_the_file_is_gone(self, admin_client, media):
        analysis = judged()
        (media / analysis.compressed_path).unlink()

        shown = page(admin_client, PAGE, analysis.pk)

        assert "The trades file is not there." in shown
        assert "Sharpe ratio" in shown

    def test_says_when_the_file_was_changed(self, admin_client, media):
        analysis = judged()
        place = media / analysis.compressed_path
        place.write_bytes(place.read_bytes() + b"x")

        shown = page(admin_client, PAGE, analysis.pk)

        assert "no longer what was written" in shown
        assert "<line-chart" not in shown

    def test_sets_reported_figures_beside_ours(self, admin_client):
        analysis = judged()
        analysis.metrics.filter(metric_name="win_rate").update(reported_value=0.9)
        make_metric(analysis=analysis, metric_name=MARKUP, reported_value=3.5)

        shown = page(admin_client, PAGE, analysis.pk)

        assert ">90.0 %<" in shown
        assert ">differs<" in shown
        assert "3.50" in shown
        assert MARKUP not in shown

    def test_gives_the_reason_of_a_figure_that_is_empty(self, admin_client):
        analysis = judged(nets=("5", "6"))

        shown = page(admin_client, PAGE, analysis.pk)

        assert "No trade lost." in shown

    def test_warns_of_figures_that_are_only_reported(self, admin_client):
        shown = page(admin_client, PAGE, make_analysis(origin=Origin.REPORTED).pk)

        assert "as a program reported them" in shown
        assert "No trades are stored of this analysis." in shown

    def test_shows_prices_by_their_digits(self, admin_client):
        shown = page(admin_client, PAGE, judged().pk)

        assert ">0.0006123<" in shown
        assert "0.000612300" not in shown

    def test_shows_the_first_trades_and_offers_all(self, admin_client):
        analysis = judged(nets=["0.5"] * 38)

        shown = page(admin_client, PAGE, analysis.pk)

        assert shown.count(">Target<") >= 38
        assert reverse("admin:analysis_trades", args=[analysis.pk]) in shown

    def test_shows_foreign_text_as_text(self, admin_client):
        analysis = make_analysis(
            symbol=MARKUP[:40], config=MARKUP, source=MARKUP, error_message=MARKUP,
            status=AnalysisStatus.FAILED, parameters={MARKUP: [MARKUP]},
        )  # fmt: skip

        for shown in (page(admin_client, LIST), page(admin_client, PAGE, analysis.pk)):
            assert "<img src=x" not in shown

    def test_survives_parameters_of_any_shape(self, admin_client):
        for told in ([], ["stake"], {"strategy": 5}, {"stake": "NaN"}, {"stake": {}}, {"stake": 7}):
            analysis = judged()
            type(analysis).objects.filter(pk=analysis.pk).update(parameters=told)

            assert page(admin_client, PAGE, analysis.pk)

    def test_costs_the_same_for_many_trades(self, admin_client):
        counts = []
        for number in (1, 30):
            analysis = judged(nets=["1"] * number)
            for trade in range(1, number + 1):
                make_leverage_calculation(analysis=analysis, trade_number=trade)
            with CaptureQueriesContext(connection) as asked:
                page(admin_client, PAGE, analysis.pk)
            counts.append(len(asked))

        # session, user, analysis, figures, trades by constraint, first trade, its two neighbors
        assert counts == [8, 8]

    def test_is_for_those_who_may_see_it(self):
        analysis = make_analysis()

        answer = staff("logs.view_systemlog").get(reverse(PAGE, args=[analysis.pk]))

        assert answer.status_code == 403

    def test_has_no_form(self, admin_client):
        analysis = make_analysis()

        answer = admin_client.post(reverse(PAGE, args=[analysis.pk]), {"sharpe_ratio": "9"})

        analysis.refresh_from_db()
        assert (answer.status_code, analysis.sharpe_ratio) == (403, 1.25)


class TestLeverage:
    def test_marks_the_constraint_that_binds(self, admin_client):
        analysis = make_analysis()
        make_leverage_calculation(
            analysis=analysis, trade_number=1, support_distance_pct=Decimal("2.5"),
            support_constraint_leverage=Decimal(8), volatility_constraint_leverage=Decimal(16),
            reasons={"btc": "No candles of Bitcoin reach over these bars."},
        )  # fmt: skip

        shown = page(admin_client, PAGE, analysis.pk)

        binding = re.search(r'<li class="b-binding">.*?</li>', shown, re.DOTALL)[0]
        assert "Support" in binding
        assert "2.5 % away" in binding
        assert ">8.00×<" in binding
        assert "Binding" in binding
        assert "No candles of Bitcoin reach over these bars." in shown

    def test_follows_the_sum_from_the_tightest_to_the_final(self, admin_client):
        analysis = make_analysis()
        make_leverage_calculation(
            analysis=analysis, trade_number=1, min_constraint_leverage=Decimal(10),
            trend_strength="strong_bullish", trend_multiplier=Decimal("1.25"),
            risk_multiplier=Decimal("0.8"), safety_margin_pct=Decimal(20),
            scaled_leverage=Decimal(8), floor=Decimal(1), ceiling=Decimal(6),
            final_leverage=Decimal(6), bounded_by="ceiling",
        )  # fmt: skip

        shown = page(admin_client, PAGE, analysis.pk)

        sum_ = re.search(r'<ol class="b-sum".*?</ol>', shown, re.DOTALL)[0]
        values = re.findall(r'b-value"><span[^>]*>([^<]*)<', sum_)
        assert values == ["10×", "1.25", "0.8", "20 %", "8×", "1× – 6×", "6×"]
        assert "held by the ceiling" in sum_

    def test_leads_from_trade_to_trade(self, admin_client):
        analysis = make_analysis()
        for number in (2, 5, 9):
            make_leverage_calculation(analysis=analysis, trade_number=number)

        first = page(admin_client, PAGE, analysis.pk)
        middle = page(admin_client, PAGE, analysis.pk, trade="5")

        assert ">Trade 2<" in first
        assert 'rel="prev"' not in first
        assert ">Trade 5<" in middle
        assert '?trade=2#leverage"' in middle
        assert '?trade=9#leverage"' in middle

    @pytest.mark.parametrize("asked", ["7", "0", "-1", "x", "²", "99999999999999999999", ""])
    def test_shows_the_first_trade_when_there_is_no_such_one(self, admin_client, asked):
        analysis = make_analysis()
        make_leverage_calculation(analysis=analysis, trade_number=3)

        assert ">Trade 3<" in page(admin_client, PAGE, analysis.pk, trade=asked)

    def test_counts_how_often_each_constraint_ruled(self, admin_client):
        analysis = make_analysis()
        for number, name in enumerate(["btc", "btc", "support", ""], start=1):
            make_leverage_calculation(
                analysis=analysis, trade_number=number, binding_constraint=name, bounded_by="floor"
            )

        shown = page(admin_client, PAGE, analysis.pk)

        overview = shown[shown.index("Over all") :]
        lines = re.findall(r'b-tip"[^>]*>([^<]+)</span><svg.*?b-num">.*?>(\d+)<', overview)
        assert dict(lines)["Bitcoin"] == "2"
        assert dict(lines)["Support"] == "1"
        assert "None was tight in" in overview

    def test_survives_reasons_of_any_shape(self, admin_client):
        calculation = make_leverage_calculation(reasons=["x"])

        assert page(admin_client, PAGE, calculation.analysis_id)
        name = "admin:analysis_leveragecalculation_change"
        assert "How it came about" in page(admin_client, name, calculation.pk)


class TestTradesFile:
    def test_comes_as_it_lies_there(self, admin_client, media):
        analysis = judged()

        answer = admin_client.get(reverse("admin:analysis_trades", args=[analysis.pk]))

        assert answer.status_code == 200
        content = b"".join(answer.streaming_content)
        assert content == (media / analysis.compressed_path).read_bytes()
        assert f"analysis-{analysis.pk}-trades.parquet" in answer["Content-Disposition"]

    def test_is_for_those_who_may_see_the_analysis(self):
        address = reverse("admin:analysis_trades", args=[judged().pk])

        assert staff("logs.view_systemlog").get(address).status_code == 403

    def test_is_for_those_who_are_logged_in(self, client):
        address = reverse("admin:analysis_trades", args=[judged().pk])

        assert client.get(address).status_code == 302

    def test_says_on_the_page_why_there_is_none(self, admin_client, media):
        analysis = make_analysis(compressed_path="../outside.parquet")
        address = reverse("admin:analysis_trades", args=[analysis.pk])

        answer = admin_client.get(address, follow=True)

        assert "cannot be followed" in answer.content.decode()

    def test_of_no_analysis_is_not_found(self, admin_client):
        for key in ("987654321", "x"):
            assert admin_client.get(reverse("admin:analysis_trades", args=[key])).status_code == 404


class TestComparison:
    def test_marks_the_better_figure_of_each_pair(self, admin_client):
        first = make_analysis(config="calm", max_drawdown=-0.05, total_return=0.1)
        second = make_analysis(config="wild", max_drawdown=-0.4, total_return=0.9)

        shown = page(admin_client, COMPARE, a=first.pk, b=second.pk)

        def marked(name):
            row = re.search(rf"<tr><th[^>]*><span[^>]*>{name}<.*?</tr>", shown, re.DOTALL)[0]
            return ["b-better" in cell for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]

        assert marked("Max drawdown") == [True, False]
        assert marked("Total return") == [False, True]
        assert marked("Total trades") == [False, False]

    def test_draws_both_accounts_in_one_chart(self, admin_client):
        first, second = judged(nets=("10",)), judged(nets=("-10",))

        shown = page(admin_client, COMPARE, a=first.pk, b=second.pk)

        assert [line["name"] for line in chart(shown)["series"]] == ["A", "B"]

    def test_draws_one_account_and_says_why_not_the_other(self, admin_client):
        shown = page(admin_client, COMPARE, a=judged().pk, b=make_analysis().pk)

        assert [line["name"] for line in chart(shown)["series"]] == ["A"]
        assert "B: This analysis has no trades file." in shown
        assert "may not be worked out alike" in shown

    def test_names_the_parameters_that_differ(self, admin_client):
        told = {"strategy": {"stake": "0.1", "stop_loss": "0.05"}}
        first = make_analysis(parameters=told)
        second = make_analysis(parameters={"strategy": {"stake": "0.2", "stop_loss": "0.05"}})

        shown = page(admin_client, COMPARE, a=first.pk, b=second.pk)

        assert "strategy / stake" in shown
        assert "strategy / stop_loss" not in shown

    @pytest.mark.parametrize("asked", ["", "x", "-1", "999999999", "9" * 40, "\0", "²"])
    def test_says_which_analysis_is_not_known(self, admin_client, asked):
        shown = page(admin_client, COMPARE, a=make_analysis().pk, b=asked)

        assert "There is no such analysis" in shown

    def test_has_nothing_to_say_of_one_and_itself(self, admin_client):
        analysis = make_analysis()

        shown = page(admin_client, COMPARE, a=analysis.pk, b=analysis.pk)

        assert "Both are the same analysis." in shown

    def test_is_for_those_who_may_see_analyses(self):
        assert staff("logs.view_systemlog").get(reverse(COMPARE)).status_code == 403

    def test_shows_foreign_text_as_text(self, admin_client):
        first = make_analysis(config=MARKUP, parameters={MARKUP: MARKUP})

        shown = page(admin_client, COMPARE, a=first.pk, b=make_analysis().pk)

        assert "<img src=x" not in shown


class TestWhichIsBetter:
    @pytest.mark.parametrize(
        ("name", "first", "second", "best"),
        [
            ("sharpe_ratio", 1.0, 2.0, 1),
            ("max_drawdown", -0.1, -0.2, 0),
            ("annual_volatility", 0.2, 0.3, 0),
            ("average_loss", -0.01, -0.05, 0),
            ("win_rate", 0.5, 0.5, None),
            ("total_trades", 5.0, 9.0, None),
            ("anything_reported", 1.0, 2.0, None),
            ("sharpe_ratio", None, 2.0, None),
        ],
    )
    def test_depends_on_the_figure(self, name, first, second, best):
        assert better(name, first, second) == best


class TestStake:
    @pytest.mark.parametrize(
        ("told", "stake"),
        [
            ({"strategy": {"stake": "0.3"}}, "0.3"),
            ({"stake": 0.2}, "0.2"),
            ({}, "0.1"),
            ({"stake": "much"}, "0.1"),
            ({"stake": 0}, "0.1"),
        ],
    )
    def test_is_what_was_told_else_the_usual(self, told, stake):
        assert stake_of(make_analysis(parameters=told)) == Decimal(stake)
