// One function: its charts, its last invocations with their logs, and a form to invoke it.

import {Charts} from "./charts.js";
import {field, h, setText} from "./dom.js";
import {Executions} from "./executions.js";
import {dollars, number, seconds} from "./numbers.js";
import {table} from "./overview.js";

const SHOWN = 220;
const COLUMNS = [
  // heading, how it is written, class
  ["Status", one => one.status],
  ["Started", one => (one.cold_start ? "cold" : "warm")],
  ["Duration", one => seconds(one.duration_s)],
  ["Wait", one => seconds(one.queue_wait_s), "wide"],
  ["Init", one => seconds(one.init_s), "wide"],
  ["Billed", one => `${number(one.billed_ms)} ms`],
  ["Memory", one => `${one.max_memory_mb ?? "–"} / ${one.memory_mb} MB`, "wide"],
  ["Cost", one => dollars(Number(one.cost_usd)), "wide"],
  ["By", one => one.trigger, "wide"],
  ["Request", one => one.request_id, "wide"],
];

export class FunctionPage {
  constructor({engine, history}, name, numberShown) {
    this.engine = engine;
    this.history = history;
    this.name = name;
    this.wanted = numberShown; // the invocation whose log is shown
    this.known = new Map();
    this.next = 0;
    this.waiting = false;
    this.changed = false; // since the list was filled
    this.charts = new Charts(history, () => history.functions.get(name));
    this.facts = h("dl", {class: "facts"});
    this.list = h("tbody");
    this.only = h(
      "select",
      {"aria-label": "Which invocations", onchange: () => this.fill()},
      h("option", {value: "all"}, "all, newest first"),
      h("option", {value: "failed"}, "failed"),
      h("option", {value: "slow"}, "slowest first"),
    );
    this.note = h("p", {class: "quiet"});
    this.detail = h("section", {class: "detail", hidden: true, tabindex: "-1"});
    this.element = h(
      "div",
      {},
      h("h1", {}, name),
      this.facts,
      this.detail,
      this.charts.element,
      h(
        "section",
        {},
        h("h2", {}, "Last invocations"),
        h("div", {class: "bar"}, this.only),
        this.note,
        table(
          [
            h("th", {scope: "col"}, "Ended"),
            ...COLUMNS.map(([heading, , kind]) => h("th", {scope: "col", class: kind}, heading)),
          ],
          this.list,
        ),
      ),
      engine.session.token ? new InvokeForm(engine, name).element : null,
    );
    this.describe();
    if (!engine.session.full) setText(this.note, "Invocations and their logs are not shown at this address.");
  }

  async describe() {
    const facts = await this.engine.describe(this.name).catch(error => ({error: error.message}));
    const shown = [
      ["Handler", facts.handler],
      ["Executor", facts.executor],
      ["Memory", facts.memory_mb && `${facts.memory_mb} MB`],
      ["Timeout", facts.timeout_s && seconds(facts.timeout_s)],
      ["Reserved", facts.reserved_concurrency],
      ["Provisioned", facts.provisioned_concurrency || null],
      ["Triggers", facts.triggers?.join(", ")],
      ["Variables, values hidden", facts.variables?.join(", ")],
      ["Error", facts.error],
    ];
    if (facts.durable && this.engine.session.token) {
      this.element.append(new Executions(this.engine, this.name).element);
    }
    this.facts.append(
      ...shown
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([label, value]) => fact(label, String(value))),
    );
  }

  update() {
    this.charts.update();
    this.load();
  }

  async load() {
    if (!this.engine.session.full || this.waiting) return;
    this.waiting = true;
    try {
      const answer = await this.engine.invocations(this.name, {after: this.next, log: 0});
      if (answer.next < this.next) {
        this.known.clear(); // another engine
        this.next = 0;
        return;
      }
      this.next = answer.next;
      for (const one of answer.invocations) this.known.set(one.number, one);
      for (const old of [...this.known.keys()].slice(0, -SHOWN)) this.known.delete(old);
      this.changed ||= answer.invocations.length > 0;
      // Nothing moves under the pointer or the keyboard's focus.
      const held = this.list.rows.length > 0 && this.list.matches(":hover, :focus-within");
      if (this.changed && !held) this.fill();
      setText(
        this.note,
        this.changed ? "There are newer ones; the list stays while you are in it." : left(answer),
      );
      if (this.wanted !== null) await this.showDetail();
    } catch (error) {
      setText(this.note, error.message);
    } finally {
      this.waiting = false;
    }
  }

  fill() {
    this.changed = false;
    let shown = [...this.known.values()].sort((one, other) => other.number - one.number);
    if (this.only.value === "failed") shown = shown.filter(one => one.status !== "success");
    if (this.only.value === "slow") shown.sort((one, other) => other.duration_s - one.duration_s);
    this.list.replaceChildren(...shown.map(one => this.row(one)));
  }

  row(one) {
    const bad = one.status !== "success";
    const link = h(
      "a",
      {href: `#/function/${encodeURIComponent(this.name)}/${one.number}`},
      new Date(one.ended_at).toLocaleTimeString(),
    );
    return h(
      "tr",
      {class: bad ? "failed" : null},
      h("th", {scope: "row"}, link),
      COLUMNS.map(([, write, kind], i) =>
        h("td", {class: [kind, bad && i === 0 ? "bad" : ""].filter(Boolean).join(" ") || null}, write(one)),
      ),
    );
  }

  /** Show the log of another invocation, or none. */
  show(numberShown) {
    this.wanted = numberShown;
    if (numberShown === null) this.detail.hidden = true;
    else this.showDetail();
  }

  async showDetail() {
    const known = this.known.get(this.wanted);
    if (!known) return;
    this.wanted = null;
    const {invocations} = await this.engine.invocations(this.name, {request_id: known.request_id});
    const one = invocations.find(({number}) => number === known.number);
    if (!one) return;
    const close = h("a", {href: `#/function/${encodeURIComponent(this.name)}`}, "Close");
    this.detail.replaceChildren(
      h("h2", {}, `Invocation ${one.request_id}`),
      close,
      h(
        "dl",
        {class: "facts"},
        COLUMNS.slice(0, -1).map(([heading, write]) => fact(heading, write(one))),
        one.node && fact("Node", one.node),
        one.error_type && fact("Error type", one.error_type),
      ),
      ...(one.error ? [h("pre", {class: "bad", "aria-label": "Error"}, pretty(one.error))] : []),
      h("pre", {class: "log", "aria-label": "Log"}, one.log),
    );
    this.detail.hidden = false;
    this.detail.focus();
  }

  close() {
    this.charts.close();
  }
}

const fact = (label, value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));

/** What is said of those that are not in the list. */
function left(answer) {
  const {last, per_s} = answer.kept;
  if (!answer.left_out) return "";
  return (
    `${number(answer.left_out)} more ended that are not kept: of those that succeed, ` +
    `the first ${last} after each reading are, then ${per_s} a second.`
  );
}

/** Events are saved in this browser, by function. */
class InvokeForm {
  constructor(engine, name) {
    this.engine = engine;
    this.name = name;
    this.key = `events:${name}`;
    this.text = h(
      "textarea",
      {rows: "8", spellcheck: "false", oninput: () => this.check()},
      this.saved()["last one"] ?? "{}",
    );
    this.problem = h("p", {class: "bad", role: "alert"});
    this.choice = h("select", {"aria-label": "Saved events", onchange: () => this.take()});
    this.title = h("input", {placeholder: "name", "aria-label": "Name of the saved event", maxlength: "60"});
    this.result = h("div", {"aria-live": "polite"});
    this.element = h(
      "section",
      {},
      h("h2", {}, "Invoke"),
      h(
        "form",
        {
          onsubmit: event => {
            event.preventDefault();
            this.invoke(false);
          },
        },
        h(
          "div",
          {class: "bar"},
          this.choice,
          this.title,
          h("button", {type: "button", onclick: () => this.save()}, "Save event"),
        ),
        field("Event, JSON", this.text),
        this.problem,
        h(
          "div",
          {class: "bar"},
          h("button", {type: "submit", class: "main"}, "Invoke"),
          h("button", {type: "button", onclick: () => this.invoke(true)}, "Invoke, wait for nothing"),
        ),
      ),
      this.result,
    );
    this.list();
  }

  saved() {
    try {
      return JSON.parse(localStorage.getItem(this.key)) ?? {};
    } catch {
      return {};
    }
  }

  store(name, text) {
    try {
      localStorage.setItem(this.key, JSON.stringify({...this.saved(), [name]: text}));
    } catch (error) {
      setText(this.problem, `The event is not saved: ${error.message}`);
    }
    this.list();
  }

  list() {
    this.choice.replaceChildren(
      h("option", {value: ""}, "saved events"),
      ...Object.keys(this.saved()).map(name => h("option", {value: name}, name)),
    );
  }

  take() {
    if (this.choice.value) this.text.value = this.saved()[this.choice.value];
    this.check();
  }

  save() {
    if (this.check() && this.title.value.trim()) this.store(this.title.value.trim(), this.text.value);
  }

  /** Whether the event is JSON; else it is said why not. */
  check() {
    try {
      JSON.parse(this.text.value);
      setText(this.problem, "");
      return true;
    } catch (error) {
      setText(this.problem, `This is no JSON: ${error.message}`);
      return false;
    }
  }

  async invoke(asynchronous) {
    if (!this.check()) return;
    this.store("last one", this.text.value);
    this.result.replaceChildren(h("p", {class: "quiet"}, "Running …"));
    try {
      const answer = await this.engine.act("invoke", this.text.value, {
        function: this.name,
        asynchronous: asynchronous ? "1" : "0",
      });
      this.result.replaceChildren(...answerShown(answer));
    } catch (error) {
      this.result.replaceChildren(h("p", {class: "bad"}, error.message));
    }
  }
}

/** What a service answered. */
export function answerShown(answer) {
  const good = answer.status < 300 && !answer.function_error;
  return [
    h(
      "p",
      {class: good ? "good" : "bad"},
      good ? "Done" : answer.function_error ? "The function failed" : "Refused",
      ` · status ${answer.status} · request ${answer.request_id ?? "–"}`,
    ),
    answer.body ? h("pre", {"aria-label": "Answer"}, pretty(answer.body)) : null,
    answer.log ? h("pre", {class: "log", "aria-label": "Log"}, answer.log) : null,
  ].filter(Boolean);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
