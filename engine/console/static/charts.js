// The charts: uPlot over the history, in the colours of the style sheet.

import {h} from "./dom.js";
import {dollars, number, seconds} from "./numbers.js";

const SHOWN = 300; // samples
const HEIGHT = 130;
const SPECS = [
  {
    title: "Concurrency",
    write: number,
    series: [
      ["in flight", "inFlight", 1],
      ["desired", "desired", 2],
      ["ready", "ready", 3],
      ["waiting", "queued", 4],
      ["limit", "limit", 6, true],
    ],
  },
  {
    title: "Environments by state",
    write: number,
    stacked: true,
    series: [
      ["busy", "busy", 1],
      ["idle", "idle", 3],
      ["starting", "starting", 2],
      ["pending", "pending", 5],
    ],
  },
  {
    title: "Invocations a second",
    write: number,
    series: [
      ["succeeded", "ok", 1],
      ["failed", "failed", 4],
    ],
  },
  {title: "Throttles a second, by reason", write: number, throttles: true},
  {
    title: "Duration",
    write: seconds,
    series: [
      ["p50", "p50", 1],
      ["p90", "p90", 2],
      ["p99", "p99", 4],
    ],
  },
  {
    title: "Queue wait",
    write: seconds,
    series: [
      ["p50", "wait50", 1],
      ["p99", "wait99", 4],
    ],
  },
  {title: "Cold starts a second", write: number, series: [["cold starts", "cold", 1]]},
  {title: "Cost an hour, at this rate", write: dollars, series: [["cost", "usdPerHour", 1]]},
];

/** All charts of one function, or of all together. */
export class Charts {
  constructor(history, samplesOf) {
    this.history = history;
    this.samplesOf = samplesOf;
    this.element = h("section", {class: "charts", "aria-label": "Charts"});
    this.charts = SPECS.map(spec => new Chart(spec, this));
    this.element.append(...this.charts.map(chart => chart.element));
    this.resizing = new ResizeObserver(() => this.charts.forEach(chart => chart.resize()));
    this.resizing.observe(this.element);
    this.theme = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => this.charts.forEach(chart => chart.rebuild());
    this.theme.addEventListener("change", this.recolour);
  }

  update() {
    const samples = this.samplesOf();
    if (samples) this.charts.forEach(chart => chart.update(samples));
  }

  close() {
    this.resizing.disconnect();
    this.theme.removeEventListener("change", this.recolour);
    this.charts.forEach(chart => chart.close());
  }
}

class Chart {
  constructor(spec, owner) {
    this.spec = spec;
    this.owner = owner;
    this.place = h("div", {class: "plot"});
    this.element = h("figure", {}, h("figcaption", {}, spec.title), this.place);
    this.plot = null;
    this.samples = null;
    this.names = "";
  }

  /** Label, column, number of its colour, and whether it is dashed. */
  lines() {
    if (!this.spec.throttles)
      return this.spec.series.map(([label, key, hue, dashed]) => [
        label,
        this.samples.columns[key],
        hue,
        dashed,
      ]);
    const reasons = Object.entries(this.samples.throttles);
    return reasons.length
      ? reasons.map(([reason, column], i) => [reason.replaceAll("_", " "), column, (i % 6) + 1])
      : [["none", this.samples.columns.throttled, 1]];
  }

  update(samples) {
    this.samples = samples;
    const lines = this.lines();
    const names = lines.map(([label]) => label).join();
    if (names !== this.names || !this.plot) {
      this.names = names;
      this.rebuild();
    } else this.plot.setData(this.data(lines));
  }

  data(lines) {
    const times = this.owner.history.times.slice(-SHOWN);
    const columns = lines.map(([, column]) => column.slice(-SHOWN));
    this.raw = columns;
    if (this.spec.stacked) return [times, ...stack(columns)];
    return [times, ...columns];
  }

  rebuild() {
    if (!this.samples) return;
    this.plot?.destroy();
    const lines = this.lines();
    this.plot = new uPlot(this.options(lines), this.data(lines), this.place);
  }

  resize() {
    const width = this.place.clientWidth;
    if (this.plot && width && width !== this.plot.width) this.plot.setSize({width, height: HEIGHT});
  }

  close() {
    this.plot?.destroy();
    this.plot = null;
  }

  options(lines) {
    const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--quiet"),
      grid: {stroke: colour("--line"), width: 1},
      ticks: {show: false},
      font: "11px system-ui, sans-serif",
    };
    const write = this.spec.write;
    return {
      width: this.place.clientWidth || 320,
      height: HEIGHT,
      cursor: {sync: {key: "console"}, y: false, points: {size: 6}},
      scales: {x: {time: true}, y: {range: () => [0, this.top(lines) * 1.1 || 1]}},
      axes: [
        {...axis, size: 22, space: 80, values: (_plot, splits) => splits.map(clock)},
        {...axis, size: 58, space: 28, values: (_plot, splits) => splits.map(write)},
      ],
      series: [
        {value: (_plot, time) => (time === null ? "" : clock(time))},
        ...lines.map(([label, , hue, dashed], i) => ({
          label,
          stroke: colour(`--series-${hue}`),
          width: 1.5,
          dash: dashed ? [4, 4] : undefined,
          fill: this.spec.stacked ? colour(`--series-${hue}`) + "55" : undefined,
          points: {show: false},
          value: (_plot, _value, _series, index) =>
            write(index === null ? this.raw[i].at(-1) : this.raw[i][index]),
        })),
      ],
      bands: this.spec.stacked ? lines.slice(1).map((_line, i) => ({series: [i + 2, i + 1]})) : [],
      hooks: {draw: [plot => this.drawPhases(plot, colour("--quiet"))]},
    };
  }

  /** The highest value. A limit (dashed) far above all others is left out: they would lie on the ground. */
  top(lines) {
    const highest = columns => Math.max(0, ...columns.flat());
    const values = highest(
      this.spec.stacked ? stack(this.raw) : this.raw.filter((_column, i) => !lines[i][3]),
    );
    const limits = highest(this.raw.filter((_column, i) => lines[i][3]));
    return values * 4 > limits ? Math.max(values, limits) : values;
  }

  /** A line where each phase of a load test begins. */
  drawPhases(plot, colour) {
    const {ctx, bbox} = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const {name, wall_s} of this.owner.history.last?.phases ?? []) {
      const x = Math.round(plot.valToPos(wall_s, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.fillText(name, x, bbox.top - 4 * devicePixelRatio);
    }
    ctx.restore();
  }
}

const clock = time => new Date(time * 1000).toLocaleTimeString("en-GB");

/** The upper edges of areas that stand on each other, the first one at the bottom. */
function stack(columns) {
  const below = columns[0].map(() => 0);
  return columns.map(column => column.map((value, i) => (value === null ? null : (below[i] += value))));
}
