// What the feed told since the page was opened: one row of numbers a second, of each function and of all.

import {gainedClasses, percentile, quantile, risen, sum} from "./numbers.js";

const KEPT = 600;
const FIELDS = [
  "starting",
  "idle",
  "busy",
  "inFlight",
  "queued",
  "oldest",
  "ready",
  "desired",
  "pending", // as in `levels`
  "limit",
  "ok",
  "failed",
  "throttled",
  "cold",
  "p50",
  "p90",
  "p99",
  "wait50",
  "wait99",
  "usdPerHour",
];
const LEVELS = 9;

/** The samples of one function, or of all together. */
class Samples {
  constructor() {
    this.columns = Object.fromEntries(FIELDS.map(name => [name, []]));
    this.throttles = {};
    this.length = 0;
    this.now = null;
  }

  add(row, throttles) {
    for (const name of FIELDS) this.columns[name].push(row[name]);
    for (const reason of Object.keys(throttles)) this.throttles[reason] ??= Array(this.length).fill(0);
    for (const [reason, column] of Object.entries(this.throttles)) column.push(throttles[reason] ?? 0);
    this.now = row;
    if (++this.length > KEPT + 100) this.trim();
  }

  trim() {
    for (const column of [...Object.values(this.columns), ...Object.values(this.throttles)])
      column.splice(0, column.length - KEPT);
    this.length = KEPT;
  }
}

export class History {
  constructor(session) {
    this.bounds = session.bounds;
    this.success = session.outcomes.indexOf("success");
    this.restart();
  }

  restart() {
    this.times = [];
    this.all = new Samples();
    this.functions = new Map();
    this.before = null;
    this.last = null;
  }

  /** Take one document of the feed. */
  add(feed) {
    if (this.last && feed.began_wall_s !== this.last.began_wall_s) this.restart();
    this.before = this.last;
    this.last = feed;
    const span = this.before ? Math.max(feed.uptime_s - this.before.uptime_s, 0.001) : 0;
    this.lag = quantile(this.bounds.lag, risen(this.before?.lag ?? feed.lag, feed.lag), 0.99);
    this.times.push(feed.wall_s);
    if (this.times.length > KEPT + 100) this.times.splice(0, this.times.length - KEPT);
    const totals = new Totals();
    for (const [name, now] of Object.entries(feed.functions)) {
      const gained = this.gained(this.before?.functions[name], now);
      this.samples(name).add(this.row(now.levels, now.limit, gained, span), each(gained.throttles, span));
      totals.add(now, gained);
    }
    for (const name of this.functions.keys()) if (!(name in feed.functions)) this.functions.delete(name);
    this.all.add(
      this.row(totals.levels, feed.account_limit, totals.gained, span),
      each(totals.gained.throttles, span),
    );
  }

  /** Those of a function; one that came later has gaps before. */
  samples(name) {
    let known = this.functions.get(name);
    if (!known) {
      known = new Samples();
      const gap = Object.fromEntries(FIELDS.map(field => [field, null]));
      for (let i = 1; i < this.times.length; i++) known.add(gap, {});
      this.functions.set(name, known);
    }
    return known;
  }

  /** What happened since the last document. The first one tells of no time: its counters say nothing. */
  gained(before, now) {
    const old = before ?? (this.before ? {} : now);
    const reasons = Object.entries(now.throttles);
    return {
      ended: risen(old.ended, now.ended),
      throttles: Object.fromEntries(reasons.map(([r, n]) => [r, Math.max(0, n - (old.throttles?.[r] ?? 0))])),
      cold: Math.max(0, now.cold - (old.cold ?? 0)),
      duration: gainedClasses(old.duration, now.duration),
      wait: gainedClasses(old.wait, now.wait),
      usd: Math.max(0, now.usd - (old.usd ?? 0)),
    };
  }

  percentile(name, gained, q) {
    return percentile(gained[name], q, this.bounds.per_doubling, this.bounds[`lowest_${name}`]);
  }

  row(levels, limit, gained, span) {
    const rate = span ? 1 / span : 0;
    const ended = sum(gained.ended);
    const ok = gained.ended[this.success] ?? 0;
    const row = Object.fromEntries(FIELDS.slice(0, LEVELS).map((name, i) => [name, levels[i]]));
    return Object.assign(row, {
      limit,
      ok: ok * rate,
      failed: (ended - ok) * rate,
      throttled: sum(Object.values(gained.throttles)) * rate,
      cold: gained.cold * rate,
      p50: this.percentile("duration", gained, 0.5),
      p90: this.percentile("duration", gained, 0.9),
      p99: this.percentile("duration", gained, 0.99),
      wait50: this.percentile("wait", gained, 0.5),
      wait99: this.percentile("wait", gained, 0.99),
      usdPerHour: gained.usd * rate * 3600,
    });
  }
}

/** The sum over all functions. */
class Totals {
  constructor() {
    this.levels = Array(LEVELS).fill(0);
    this.gained = {
      ended: [],
      throttles: {},
      cold: 0,
      usd: 0,
      duration: new Map(),
      wait: new Map(),
    };
  }

  add(now, gained) {
    const oldest = Math.max(this.levels[5], now.levels[5]);
    for (let i = 0; i < LEVELS; i++) this.levels[i] += now.levels[i];
    this.levels[5] = oldest;
    const all = this.gained;
    for (let i = 0; i < gained.ended.length; i++) all.ended[i] = (all.ended[i] ?? 0) + gained.ended[i];
    for (const [reason, count] of Object.entries(gained.throttles))
      all.throttles[reason] = (all.throttles[reason] ?? 0) + count;
    for (const name of ["duration", "wait"])
      for (const [number, count] of gained[name])
        all[name].set(number, (all[name].get(number) ?? 0) + count);
    all.cold += gained.cold;
    all.usd += gained.usd;
  }
}

function each(counts, span) {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, span ? count / span : 0]));
}
