// Rates and percentiles between two documents of the feed, and how numbers are written.

/** The value below which a share `q` of the counts lies, interpolated inside a bucket; null without any. */
export function quantile(bounds, counts, q) {
  let total = 0;
  for (const count of counts) total += count;
  if (!total) return null;
  const rank = q * total;
  let below = 0;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] && below + counts[i] >= rank) {
      if (i === bounds.length) return bounds[i - 1];
      const lower = i ? bounds[i - 1] : 0;
      return lower + (bounds[i] - lower) * ((rank - below) / counts[i]);
    }
    below += counts[i];
  }
  return bounds[bounds.length - 1];
}

/** The same of a Map from fine class to count (`fine_classes.py`): the middle of the class, right to 2.2 %. */
export function percentile(classes, q, perDoubling, lowest) {
  const rank = q * sum([...classes.values()]);
  let below = 0;
  for (const number of [...classes.keys()].sort((one, other) => one - other)) {
    const inside = classes.get(number);
    if (inside && below + inside >= rank) {
      if (number === lowest) return (2 ** (lowest / perDoubling) * rank) / inside;
      return 2 ** ((number - 0.5) / perDoubling);
    }
    below += inside;
  }
  return null;
}

/** How much the counts of fine classes rose, as a Map; those of an engine that began anew count from 0. */
export function gainedClasses(before, after) {
  const old = new Map(before ?? []);
  return new Map(after.map(([number, count]) => [number, Math.max(0, count - (old.get(number) ?? 0))]));
}

/** How much counters rose; one that began anew counts from 0. */
export function risen(before, after) {
  return after.map((count, i) => (count >= (before?.[i] ?? 0) ? count - (before?.[i] ?? 0) : count));
}

export const sum = numbers => numbers.reduce((total, number) => total + number, 0);

/** Three digits: 0.00123, 12.3, 1,230, 45.6 k. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e6) return (value / 1e6).toPrecision(3) + " M";
  if (size >= 1e5) return Math.round(value / 1e3) + " k";
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(size >= 1 ? 3 : 2)));
}

export function seconds(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  if (value < 0.001) return number(value * 1e6) + " µs";
  if (value < 1) return number(value * 1e3) + " ms";
  return number(value) + " s";
}

export function dollars(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "$0";
  if (Math.abs(value) >= 1) return "$" + value.toLocaleString("en", {maximumFractionDigits: 2});
  return "$" + value.toFixed(Math.min(12, 2 - Math.floor(Math.log10(Math.abs(value)))));
}

export const percent = share => (share === null ? "–" : number(share * 100) + " %");

export function age(value) {
  if (value < 60) return Math.floor(value) + " s";
  if (value < 3600) return Math.floor(value / 60) + " min";
  if (value < 172800) return Math.floor(value / 3600) + " h " + Math.floor((value % 3600) / 60) + " min";
  return Math.floor(value / 86400) + " days";
}
