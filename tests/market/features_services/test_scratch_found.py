from datetime import timedelta
import pytest
from apps.market.models import *
from apps.market.services.features import building, planning, rebuilding
from apps.market.services.features.building import plan_build, request_build
from apps.market.services.features.lineage import due_series, ensure_series
from apps.market.services.features.rebuilding import rebuild_series
from apps.market.services.features.stepping import advance_series
from apps.market.services.features.verifying import verify_series
from apps.market.services.features.versions import ensure_versions
from tests.market.features_services.series import *
pytestmark = pytest.mark.django_db

@pytest.fixture
def forty():
    ensure_versions()
    store(*range(40)); ensure_series(now=NOW); build()

def build(**o):
    return rebuild_series(due(), now=NOW, **o)
def due():
    return [one.id for one in due_series(now=NOW)]

class TestX:
    def test_last_deleted(self, forty):
        Candle.objects.filter(timestamp__gte=START+38*HOUR).delete()
        assert verify_series(now=NOW)==1
        build()
        s=series_of(); print(s.rows,s.last_timestamp,s.changed_from)
        assert due()==[]
    def test_last_candle_deleted_before_built(self, forty):
        store(40)
        Candle.objects.filter(timestamp=START+40*HOUR).delete()
        ids=due()
        print(ids, advance_series(ids,now=NOW))
        assert due()==[]
    def test_all_deleted(self, forty):
        Candle.objects.all().delete()
        assert verify_series(now=NOW)==1
        build(); assert due()==[]
        store(3)
        build(); assert due()==[]; assert_as_computed()
    def test_all_deleted_then_one_old(self, forty):
        Candle.objects.all().delete()
        store(10, seed=3)
        build();
        s=series_of(); print(s.rows,s.first_timestamp,s.last_timestamp,s.changed_from, FeatureVector.objects.count())
        print(verify_series(now=NOW), due()); build(); print(due(), series_of().rows)
        assert due()==[]; assert_as_computed()
    def test_granularity_removed(self, forty):
        store(*range(5), granularity="1d")
        ensure_series(now=NOW); build()
        FeatureVersion.objects.filter(version="3.1").update(granularities=["1d"])
        store(40)
        assert due()==[]
        from config.market_readings import MarketReadings
        m=MarketReadings(); m.at=NOW+timedelta(days=1000)
        print(m.features)
        assert m.features.behind==0
    def test_two_missing_from_front(self, forty):
        FeatureVector.objects.filter(timestamp__lt=START + 3 * HOUR).delete()
        FeatureSeries.objects.update(rows=37, first_timestamp=START+3*HOUR, rsi_rows=FeatureVector.objects.filter(rsi_1d__isnull=False).count(), ma_rows=FeatureVector.objects.filter(price_ma_short__isnull=False).count())
        assert verify_series(now=NOW)==0
    def test_extreme(self, forty):
        from decimal import Decimal as D
        rows=[]
        for i in range(60):
            lo,hi=D("0.000000000000000001"),D("99999999999999999999.999999999999999999") if i%2 else D(1)
            rows.append(CandleRow("EXT","t","1h",START+i*HOUR,lo if i%3 else hi,hi,lo,hi if i%3 else lo,D("99999999999999999999") if i%2 else D(0)))
        o=store_candles(rows,now=NOW); print(o.results[:2])
        assert not o.failed
        ensure_series(now=NOW); out=build(); print(out); assert not out.failed
        assert_as_computed("EXT")
        for i in range(60,62):
            lo,hi=D("0.000000000000000001"),D("99999999999999999999.999999999999999999")
            store_candles([CandleRow("EXT","t","1h",START+i*HOUR,hi,hi,lo,lo,D("99999999999999999999"))],now=NOW)
            o=advance_series(due(),now=NOW); print(o); assert o.rows==1
        assert_as_computed("EXT")
    def test_weekly_and_minute(self, forty):
        FeatureVersion.objects.filter(version="3.1").update(granularities=["1h","1w","1m"])
        from decimal import Decimal as D
        w=START
        rows=[CandleRow("WEE","t","1w",w+i*timedelta(weeks=1),D(5),D(6),D(4),D(5+i%2),D(3)) for i in range(30)]
        o=store_candles(rows,now=NOW); assert not o.failed, o.results[:1]
        Instrument.objects.filter(symbol="WEE").update(timezone="Asia/Tokyo")
        ensure_series(now=NOW); build(); assert_as_computed("WEE")
        print(FeatureVector.objects.filter(symbol="WEE").first().date)
    def test_one_candle(self, forty):
        store(0,symbol="ONE"); ensure_series(now=NOW); build(); assert_as_computed("ONE")
        store(1,symbol="ONE"); assert advance_series(due(),now=NOW).rows==1; assert_as_computed("ONE")
    def test_bad_zone_way_out(self, forty):
        store(*range(30),symbol="BAD"); ensure_series(now=NOW); build()
        Instrument.objects.filter(symbol="BAD").update(timezone="Mars/Olympus")
        store(40); store(30, symbol="BAD")
        run=plan_build(now=NOW)
        while building.work(clock=lambda: NOW, joined=lambda: None): pass
        run.refresh_from_db(); print(run.status, run.current_operation, [s.error_message for s in run.steps.all()])
        print(series_of("BAD").error, series_of("BAD").retry_at)
        assert_as_computed("AAA")
        Instrument.objects.filter(symbol="BAD").update(timezone="Asia/Tokyo")
        print("due after mend", due(), FeatureSeries.objects.values_list("symbol","retry_at"))
        assert due()
    def test_garbage_state(self, forty):
        FeatureSeries.objects.update(state=b"xx", tail=b"yy")
        store(40)
        out=advance_series(due(),now=NOW); print(out); assert out.rows==1; assert_as_computed()
        FeatureSeries.objects.update(tail=None)
        store(41)
        out=advance_series(due(),now=NOW); print(out); assert_as_computed()
    def test_weird_granularities(self, forty):
        for g in ["1h", "x", {"1h":1}, 5, None, ["2x", 5], {}]:
            FeatureVersion.objects.filter(version="3.1").update(granularities=g)
            store(50)
            print(g, ensure_series(now=NOW), due(), plan_build(now=NOW))
