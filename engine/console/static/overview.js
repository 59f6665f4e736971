// All functions: what they do together, the queues, and a table of each.

import {Charts} from "./charts.js";
import {h, setText} from "./dom.js";
import {dollars, number, percent, seconds, sum} from "./numbers.js";

const PAGE = 50;
const failedShare = row => (row.ok + row.failed ? row.failed / (row.ok + row.failed) : null);
const TILES = [
  ["Invocations a second", row => number(row.ok + row.failed)],
  ["Failed", row => percent(failedShare(row))],
  ["Throttles a second", row => number(row.throttled)],
  ["In flight of limit", row => `${number(row.inFlight)} / ${number(row.limit)}`],
  ["Duration p99", row => seconds(row.p99)],
  ["Cold starts a second", row => number(row.cold)],
  ["Cost an hour", row => dollars(row.usdPerHour)],
  ["Event loop late, p99", (_row, history) => seconds(history.lag)],
];
const COLUMNS = [
  // heading, what it is sorted by, how it is written, class
  ["Inv/s", row => row.ok + row.failed, row => number(row.ok + row.failed)],
  ["Failed", row => failedShare(row) ?? -1, row => percent(failedShare(row)), "failures"],
  ["Throttles/s", row => row.throttled, row => number(row.throttled)],
  ["p50", row => row.p50 ?? -1, row => seconds(row.p50), "wide"],
  ["p99", row => row.p99 ?? -1, row => seconds(row.p99)],
  ["In flight", row => row.inFlight, row => `${number(row.inFlight)} / ${number(row.limit)}`],
  ["Waiting", row => row.queued, row => number(row.queued), "wide"],
  [
    "Environments",
    row => row.busy + row.idle + row.starting,
    row => number(row.busy + row.idle + row.starting),
    "wide",
  ],
  ["Cold/s", row => row.cold, row => number(row.cold), "wide"],
  ["$/h", row => row.usdPerHour, row => dollars(row.usdPerHour), "wide"],
];
const QUEUE = [
  ["Queue", one => one.source],
  ["Function", one => one.function],
  ["Messages", one => number(one.backlog)],
  ["Age of the oldest", one => seconds(one.oldest_age_s)],
  ["Pollers", one => number(one.pollers)],
  ["Batches running", one => number(one.running)],
  ["Failed", one => number(one.failed)],
];
const NODE = [
  ["Node", one => one.name],
  ["State", one => (one.silent_s > 0.5 ? "hardly heard" : one.state)],
  ["Environments busy / idle / starting", one => states(one.environments)],
  ["Invocations", one => number(sum(Object.values(one.invocations)))],
  ["Failed", one => number(sum(Object.values(one.invocations)) - one.invocations.success)],
  ["CPU", one => (one.load === undefined ? "–" : `${one.load.toFixed(1)} / ${one.cores}`)],
  ["Memory free", one => (one.load === undefined ? "–" : `${one.free_memory_mb} / ${one.memory_mb} MB`)],
  ["Round trip", one => seconds(one.round_trip_s)],
  ["Python", one => one.python ?? "–"],
  ["Agent", one => one.version ?? "–"],
  ["Address", one => one.address ?? "–"],
];
const states = ({busy, idle, starting}) => `${number(busy)} / ${number(idle)} / ${number(starting)}`;

export class Overview {
  constructor({history}) {
    this.history = history;
    this.page = 0;
    this.order = null; // column and direction; null: as registered
    this.tiles = TILES.map(([label]) => h("dd", {}, "–"));
    this.charts = new Charts(history, () => history.all);
    this.filter = h("input", {
      type: "search",
      placeholder: "Filter functions",
      "aria-label": "Filter functions",
      id: "filter",
      oninput: () => {
        this.page = 0;
        this.fill();
      },
    });
    this.count = h("span", {class: "quiet", "aria-live": "polite"});
    this.rows = [];
    this.shown = []; // their names
    this.body = h("tbody");
    this.back = h("button", {type: "button", onclick: () => this.turn(-1)}, "Previous");
    this.next = h("button", {type: "button", onclick: () => this.turn(1)}, "Next");
    this.queues = new Listing("Queues", QUEUE);
    this.nodes = new Listing("Nodes", NODE, (one, cells) =>
      cells[1].classList.toggle("bad", one.state === "lost" || one.silent_s > 0.5),
    );
    this.element = h(
      "div",
      {},
      h("h1", {class: "unseen"}, "Overview"),
      h(
        "dl",
        {class: "tiles"},
        TILES.map(([label], i) => h("div", {}, h("dt", {}, label), this.tiles[i])),
      ),
      this.charts.element,
      this.nodes.element,
      this.queues.element,
      h(
        "section",
        {},
        h("h2", {}, "Functions"),
        h("div", {class: "bar"}, this.filter, this.count, this.back, this.next),
        table(this.headings(), this.body),
      ),
    );
  }

  headings() {
    this.sorters = COLUMNS.map(([heading], i) =>
      h("button", {type: "button", onclick: () => this.sort(i)}, heading),
    );
    return [
      h("th", {scope: "col"}, "Function"),
      ...COLUMNS.map(([, , , kind], i) => h("th", {scope: "col", class: kind}, this.sorters[i])),
    ];
  }

  update() {
    const now = this.history.all.now;
    if (now) TILES.forEach(([, write], i) => setText(this.tiles[i], write(now, this.history)));
    this.charts.update();
    this.queues.show(this.history.last.mappings);
    this.nodes.show(this.history.last.nodes);
    if (this.body.matches(":hover, :focus-within"))
      this.write(); // no row moves under the pointer
    else this.fill();
  }

  sort(column) {
    if (this.order?.column === column) this.order = this.order.down ? {column, down: false} : null;
    else this.order = {column, down: true};
    this.sorters.forEach((button, i) => {
      const way = i !== this.order?.column ? null : this.order.down ? "descending" : "ascending";
      if (way) button.parentElement.setAttribute("aria-sort", way);
      else button.parentElement.removeAttribute("aria-sort");
    });
    this.fill();
  }

  turn(step) {
    this.page += step;
    this.fill();
  }

  /** The functions that pass the filter, in the order that is wanted. */
  chosen() {
    const wanted = this.filter.value.trim().toLowerCase();
    const found = [...this.history.functions].filter(([name]) => name.toLowerCase().includes(wanted));
    if (this.order) {
      const [, value] = COLUMNS[this.order.column];
      const way = this.order.down ? -1 : 1;
      found.sort(([, one], [, other]) => way * (value(one.now) - value(other.now)));
    }
    return found.map(([name]) => name);
  }

  /** Show one page of them. */
  fill() {
    const names = this.chosen();
    const pages = Math.max(1, Math.ceil(names.length / PAGE));
    this.page = Math.min(Math.max(this.page, 0), pages - 1);
    setText(
      this.count,
      `${names.length} of ${this.history.functions.size}` +
        (pages > 1 ? ` · page ${this.page + 1} of ${pages}` : ""),
    );
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page === pages - 1;
    this.shown = names.slice(this.page * PAGE, (this.page + 1) * PAGE);
    this.write();
  }

  /** Write the numbers of now into the rows. */
  write() {
    const shown = this.shown.filter(name => this.history.functions.has(name));
    while (this.rows.length > shown.length) this.rows.pop().element.remove();
    while (this.rows.length < shown.length) {
      this.rows.push(new Row());
      this.body.append(this.rows.at(-1).element);
    }
    shown.forEach((name, i) => this.rows[i].show(name, this.history.functions.get(name).now));
  }

  close() {
    this.charts.close();
  }
}

/** A section with one row for each thing there is; hidden while there is none. */
class Listing {
  constructor(title, columns, mark = () => {}) {
    this.columns = columns;
    this.mark = mark;
    this.body = h("tbody");
    const headings = columns.map(([heading]) => h("th", {scope: "col"}, heading));
    this.element = h("section", {hidden: true}, h("h2", {}, title), table(headings, this.body));
  }

  show(things) {
    const rows = this.body.rows;
    this.element.hidden = things.length === 0;
    while (rows.length > things.length) this.body.lastElementChild.remove();
    while (rows.length < things.length)
      this.body.append(
        h(
          "tr",
          {},
          this.columns.map(() => h("td")),
        ),
      );
    things.forEach((one, i) => {
      this.columns.forEach(([, write], j) => setText(rows[i].cells[j], write(one)));
      this.mark(one, rows[i].cells);
    });
  }
}

/** One function's row, which is given another function when the table is sorted or turned. */
class Row {
  constructor() {
    this.link = h("a");
    this.cells = COLUMNS.map(([, , , kind]) => h("td", {class: kind}));
    this.element = h("tr", {}, h("th", {scope: "row"}, this.link), this.cells);
  }

  show(name, row) {
    setText(this.link, name);
    this.link.href = `#/function/${encodeURIComponent(name)}`;
    COLUMNS.forEach(([, , write], i) => setText(this.cells[i], write(row)));
    this.cells[1].classList.toggle("bad", row.failed > 0);
  }
}

export function table(headings, body) {
  return h(
    "div",
    {class: "scroll", tabindex: "0", role: "group", "aria-label": "Table"},
    h("table", {}, h("thead", {}, h("tr", {}, headings)), body),
  );
}
