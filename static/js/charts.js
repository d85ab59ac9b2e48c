// Charts as elements: <candle-chart>, <line-chart>, <bar-chart>. Each reads the JSON inside it.
"use strict";

(() => {
  const PALETTE = {
    light: {
      text: "#4a5565", grid: "#eef0f3", border: "#d1d5dc", up: "#15803d", down: "#dc2626",
      success: "#15803d", danger: "#b91c1c", warning: "#b45309", info: "#155dfc", default: "#6a7282",
      1: "#155dfc", 2: "#c2410c", 3: "#15803d", 4: "#7e22ce", 5: "#be123c",
      6: "#0e7490", 7: "#a16207", 8: "#4d7c0f", 9: "#c026d3", 10: "#334155",
    },
    dark: {
      text: "#b4bcc8", grid: "#1e2939", border: "#364153", up: "#22c55e", down: "#f87171",
      success: "#4ade80", danger: "#f87171", warning: "#fbbf24", info: "#60a5fa", default: "#99a1af",
      1: "#60a5fa", 2: "#fb923c", 3: "#4ade80", 4: "#c084fc", 5: "#fb7185",
      6: "#22d3ee", 7: "#facc15", 8: "#a3e635", 9: "#e879f9", 10: "#e2e8f0",
    },
  };
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

  const isDark = () => document.documentElement.classList.contains("dark");
  const palette = () => (isDark() ? PALETTE.dark : PALETTE.light);
  const pad = (number) => String(number).padStart(2, "0");
  const faded = (color, alpha) => `${color}${Math.round(alpha * 255).toString(16).padStart(2, "0")}`;

  // The library counts in UTC; people read their own clocks.
  function localTime(seconds) {
    const date = new Date(seconds * 1000);
    const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
    return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}`;
  }

  function tickWords(seconds, kind) {
    const date = new Date(seconds * 1000);
    if (kind === 0) return String(date.getFullYear());
    if (kind === 1) return MONTHS[date.getMonth()];
    if (kind === 2) return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
    return `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  }

  function grouped(number, places) {
    return number.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
  }

  class ThemedElement extends HTMLElement {
    connectedCallback() {
      const data = this.querySelector("script[type='application/json']");
      if (!data || this.drawn) return;
      this.drawn = true;
      this.draw(JSON.parse(data.textContent));
      this.watcher = new MutationObserver(() => this.paint());
      this.watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    }

    disconnectedCallback() {
      if (this.watcher) this.watcher.disconnect();
      this.destroy();
      this.drawn = false;
    }
  }

  class PriceElement extends ThemedElement {
    makeChart(data) {
      this.box = document.createElement("div");
      this.box.className = "b-chart-box";
      this.append(this.box);
      const places = data.precision ?? 2;
      this.places = places;
      this.unit = data.unit ?? "";
      // With panes each line writes its own figures: a share of one is no price.
      const figures = data.panes ? {} : { priceFormatter: (price) => grouped(price, places) + this.unit };
      this.chart = LightweightCharts.createChart(this.box, {
        autoSize: true,
        layout: { attributionLogo: true, fontFamily: "Inter, sans-serif", background: { color: "transparent" } },
        localization: { timeFormatter: localTime, ...figures },
        timeScale: { timeVisible: true, secondsVisible: false, tickMarkFormatter: tickWords, minBarSpacing: 0.05 },
        rightPriceScale: { scaleMargins: { top: 0.08, bottom: 0.22 } },
        crosshair: { mode: LightweightCharts.CrosshairMode.Normal },
        // A page is scrolled with the wheel and the finger; the chart takes both only when meant.
        handleScroll: { mouseWheel: false, vertTouchDrag: false },
        handleScale: { mouseWheel: false },
      });
      this.chart.applyOptions(this.colors());
    }

    colors() {
      const colors = palette();
      return {
        layout: { textColor: colors.text, panes: { separatorColor: colors.border, separatorHoverColor: colors.grid } },
        grid: { vertLines: { color: colors.grid }, horzLines: { color: colors.grid } },
        rightPriceScale: { borderColor: colors.border },
        timeScale: { borderColor: colors.border },
      };
    }

    destroy() {
      if (this.chart) this.chart.remove();
      if (this.box) this.box.remove();
      if (this.legend) this.legend.remove();
      if (this.list) this.list.remove();
      this.chart = this.box = this.legend = this.list = this.entries = null;
    }

    // A color, a name and a value for each line: the last one, or the one pointed at.
    listLines(lines) {
      this.list = document.createElement("ul");
      this.list.className = "b-line-legend";
      this.entries = lines.map(([series, line]) => {
        const entry = document.createElement("li");
        const [swatch, name, value] = ["i", "span", "b"].map((tag) => document.createElement(tag));
        swatch.className = series.dashed ? "b-dashed" : "";
        name.textContent = series.name;
        entry.append(swatch, name, value);
        this.list.append(entry);
        const last = series.points.at(-1)?.[1];
        return { line, swatch, value, last, tone: series.tone, places: series.places ?? this.places };
      });
      const say = (pointed) => this.entries.forEach((entry) => {
        const number = pointed?.get(entry.line)?.value ?? entry.last;
        const words = number === undefined || number === null ? "" : grouped(Number(number), entry.places) + this.unit;
        entry.value.textContent = words.replace("-", "\u2212");
      });
      say(null);
      this.chart.subscribeCrosshairMove((move) => say(move.seriesData));
    }

    paintList(colors) {
      this.entries?.forEach(({ swatch, tone }) => { swatch.style.color = colors[tone]; });
    }
  }

  class CandleChart extends PriceElement {
    draw(data) {
      this.data = data;
      this.levels = [];
      this.titles = [];
      this.style.setProperty("--b-panes", (data.panes ?? []).length);
      this.makeChart(data);
      const places = this.places;
      const priceFormat = this.formatOf(places);
      const extra = data.lines.map((line) => Number(line.price));
      this.candles = this.chart.addSeries(LightweightCharts.CandlestickSeries, {
        priceFormat,
        borderVisible: false,
        // Targets and stops belong into the picture even where no candle reached them.
        autoscaleInfoProvider: (original) => {
          const info = original();
          if (info === null || extra.length === 0) return info;
          info.priceRange.minValue = Math.min(info.priceRange.minValue, ...extra);
          info.priceRange.maxValue = Math.max(info.priceRange.maxValue, ...extra);
          return info;
        },
      });
      this.candles.setData(data.candles.map(([time, open, high, low, close]) => (
        { time, open: Number(open), high: Number(high), low: Number(low), close: Number(close) }
      )));
      this.volume = this.chart.addSeries(LightweightCharts.HistogramSeries, {
        priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false,
      });
      this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
      this.lines = data.lines.map((line) => [line, this.candles.createPriceLine({
        price: Number(line.price), title: line.title, lineWidth: 1, axisLabelVisible: true,
        lineStyle: LightweightCharts.LineStyle.Dashed,
      })]);
      this.markers = LightweightCharts.createSeriesMarkers(this.candles, []);
      this.extras = [
        ...(data.overlays ?? []).map((line) => [line, this.addLine(line, 0)]),
        ...(data.panes ?? []).flatMap((pane, place) => this.addPane(pane, place + 1)),
      ];
      this.makeLegend();
      if (this.extras.length) this.listLines(this.extras);
      if (this.list) this.append(this.list);
      this.paint();
      // A little air at both ends, so that the words of the first and last marker fit in.
      const count = data.candles.length;
      const share = data.markers.length ? Math.max(0.06, 45 / Math.max(this.box.clientWidth - 90, 150)) : 0.01;
      const air = Math.max(count * share, 1);
      this.chart.timeScale().setVisibleLogicalRange({ from: -air, to: count - 1 + air });
    }

    formatOf(places) {
      const minMove = 10 ** -places;
      if (!this.data.panes) return { type: "price", precision: places, minMove };
      return { type: "custom", minMove, formatter: (value) => grouped(value, places) };
    }

    // A line or bars beside the candles: over them in pane 0, or beneath in a pane of its own.
    addLine(line, pane) {
      const drawn = this.chart.addSeries(LightweightCharts[line.bars ? "HistogramSeries" : "LineSeries"], {
        lineWidth: 1, lineStyle: LightweightCharts.LineStyle[line.dashed ? "Dashed" : "Solid"],
        lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false,
        priceFormat: this.formatOf(line.places),
      }, pane);
      drawn.setData(line.points.map(([time, value]) => (value === null ? { time } : { time, value })));
      return drawn;
    }

    addPane(pane, place) {
      const drawn = pane.lines.map((line) => [line, this.addLine(line, place)]);
      this.levels.push(...pane.levels.map((price) => drawn[0][1].createPriceLine({
        price, lineWidth: 1, lineStyle: LightweightCharts.LineStyle.Dotted, axisLabelVisible: false, title: "",
      })));
      const box = this.chart.panes()[place];
      // The price keeps three times the room of each pane.
      this.chart.panes()[0].setStretchFactor(3);
      box.setStretchFactor(1);
      drawn[0][1].priceScale().applyOptions({ scaleMargins: { top: 0.16, bottom: 0.08 } });
      this.titles.push([pane.title, LightweightCharts.createTextWatermark(box, { horzAlign: "left", vertAlign: "top", lines: [] })]);
      return drawn;
    }

    makeLegend() {
      this.legend = document.createElement("div");
      this.legend.className = "b-chart-legend";
      this.legend.setAttribute("aria-hidden", "true");
      this.append(this.legend);
      const byTime = new Map(this.data.candles.map((candle) => [candle[0], candle]));
      const last = this.data.candles.at(-1);
      const say = (candle) => {
        if (!candle) return;
        const [time, open, high, low, close, volume] = candle;
        const figure = (text) => grouped(Number(text), this.places);
        const change = (Number(close) / Number(open) - 1) * 100;
        this.legend.textContent =
          `${localTime(time)}  O ${figure(open)}  H ${figure(high)}  L ${figure(low)}  C ${figure(close)}  ` +
          `${change >= 0 ? "+" : "\u2212"}${Math.abs(change).toFixed(2)} %  V ${Number(volume).toLocaleString("en-US", { maximumSignificantDigits: 6 })}`;
      };
      say(last);
      this.chart.subscribeCrosshairMove((move) => say(byTime.get(move.time) ?? last));
    }

    paint() {
      if (!this.chart) return;
      const colors = palette();
      this.chart.applyOptions(this.colors());
      this.candles.applyOptions({
        upColor: colors.up, downColor: colors.down, wickUpColor: colors.up, wickDownColor: colors.down,
      });
      this.volume.setData(this.data.candles.map(([time, open, , , close, volume]) => ({
        time, value: Number(volume), color: faded(Number(close) >= Number(open) ? colors.up : colors.down, 0.35),
      })));
      this.lines.forEach(([line, drawn]) => drawn.applyOptions({
        color: colors[line.tone], axisLabelColor: colors[line.tone], axisLabelTextColor: isDark() ? "#101828" : "#ffffff",
      }));
      this.markers.setMarkers(this.data.markers.map((marker) => ({
        time: marker.time, position: marker.position, shape: marker.shape, text: marker.text,
        color: colors[marker.tone], size: 1,
      })));
      this.extras.forEach(([line, drawn]) => drawn.applyOptions({
        color: line.bars ? faded(colors[line.tone], 0.6) : colors[line.tone],
      }));
      this.levels.forEach((level) => level.applyOptions({ color: colors.default }));
      this.titles.forEach(([text, mark]) => mark.applyOptions({ lines: [{ text, color: colors.text, fontSize: 12 }] }));
      this.paintList(colors);
    }
  }

  class LineChart extends PriceElement {
    draw(data) {
      this.data = data;
      this.makeChart(data);
      this.series = data.series.map((series) => {
        const line = this.chart.addSeries(LightweightCharts.LineSeries, {
          lineWidth: series.quiet ? 1 : 2,
          lineStyle: LightweightCharts.LineStyle[series.dashed ? "Dashed" : "Solid"],
          // Names at the edge would cover each other; the legend has them.
          title: data.legend ? "" : series.name,
          lastValueVisible: !data.legend, priceLineVisible: !data.legend,
          priceFormat: { type: "price", precision: this.places, minMove: 10 ** -this.places },
        });
        line.setData(series.points.map(([time, value]) => ({ time, value: Number(value) })));
        return [series, line, series.markers ? LightweightCharts.createSeriesMarkers(line, []) : null];
      });
      if (data.legend) this.listLines(this.series);
      if (this.list) this.prepend(this.list);
      this.paint();
      this.chart.timeScale().fitContent();
    }

    paint() {
      if (!this.chart) return;
      const colors = palette();
      this.chart.applyOptions(this.colors());
      this.series.forEach(([series, line, markers]) => {
        line.applyOptions({ color: series.quiet ? faded(colors[series.tone], 0.75) : colors[series.tone] });
        markers?.setMarkers(series.markers.map((marker) => ({ ...marker, color: colors[marker.tone], size: 1 })));
      });
      this.paintList(colors);
    }
  }

  class BarChart extends ThemedElement {
    draw(data) {
      this.data = data;
      this.canvas = document.createElement("canvas");
      this.canvas.setAttribute("aria-hidden", "true");
      this.append(this.canvas);
      this.paint();
    }

    // Colors sit deep in Chart.js options: drawing anew is cheaper than reaching for each.
    paint() {
      if (this.chart) this.chart.destroy();
      const colors = palette();
      const grid = { color: colors.grid };
      const ticks = { color: colors.text, font: { family: "Inter, sans-serif", size: 11 }, precision: 0 };
      const flat = Boolean(this.data.horizontal);
      // Half a thing is less than any: so one thing is seen beside a thousand.
      const counts = this.data.logarithmic
        ? { type: "logarithmic", min: 0.5, ticks: { ...ticks, callback: (count) => (/^10*$/.test(String(count)) ? count.toLocaleString("en-US") : null) } }
        : { beginAtZero: true, ticks };
      this.chart = new Chart(this.canvas, {
        type: "bar",
        data: {
          labels: this.data.labels.map((label) => (typeof label === "number" ? localTime(label).slice(-5) : label)),
          datasets: this.data.datasets.map((set) => ({
            label: set.label, data: set.values, backgroundColor: faded(colors[set.tone], 0.85),
            borderRadius: 2, maxBarThickness: 26, stack: this.data.stacked ? "one" : undefined,
          })),
        },
        options: {
          animation: false, responsive: true, maintainAspectRatio: false, indexAxis: flat ? "y" : "x",
          scales: {
            x: { stacked: Boolean(this.data.stacked), grid: flat ? grid : { display: false }, ticks: { ...ticks, maxRotation: 0, autoSkip: true } },
            y: { stacked: Boolean(this.data.stacked), grid: flat ? { display: false } : grid, ...counts },
          },
          plugins: {
            legend: { display: this.data.datasets.length > 1, position: "bottom", labels: { color: colors.text, boxWidth: 10, boxHeight: 10, font: { family: "Inter, sans-serif" } } },
            tooltip: { mode: "index", intersect: false },
          },
        },
      });
    }

    destroy() {
      if (this.chart) this.chart.destroy();
      if (this.canvas) this.canvas.remove();
      this.chart = this.canvas = null;
    }
  }

  customElements.define("candle-chart", CandleChart);
  customElements.define("line-chart", LineChart);
  customElements.define("bar-chart", BarChart);
})();
