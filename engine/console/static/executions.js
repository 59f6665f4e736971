// The durable executions of a function: which there are, the timeline of one, stop, pause and resume.

import {h, setText} from "./dom.js";
import {table} from "./overview.js";

const STATUSES = ["RUNNING", "PAUSED", "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"];

export class Executions {
  constructor(engine, name) {
    this.engine = engine;
    this.name = name;
    this.status = h(
      "select",
      {"aria-label": "Which executions", onchange: () => this.load()},
      h("option", {value: ""}, "all, newest first"),
      ...STATUSES.map(status => h("option", {value: status}, status)),
    );
    this.list = h("tbody");
    this.note = h("p", {class: "quiet"});
    this.drawn = h("pre", {class: "log", "aria-label": "Timeline", hidden: true});
    const heads = ["Name", "Status", "Started", ""].map(head => h("th", {scope: "col"}, head));
    this.element = h(
      "section",
      {},
      h("h2", {}, "Durable executions"),
      h("div", {class: "bar"}, this.status, h("button", {type: "button", onclick: () => this.load()}, "Refresh")),
      this.note,
      this.drawn,
      table(heads, this.list),
    );
    this.load();
  }

  async load() {
    await this.told(async () => {
      const query = {function: this.name, status: this.status.value};
      const found = content(await this.engine.act("executions", "{}", query)).DurableExecutions;
      this.list.replaceChildren(...found.map(one => this.row(one)));
      setText(this.note, found.length ? "" : "None.");
    });
  }

  row(one) {
    const button = (label, act) => h("button", {type: "button", onclick: act}, label);
    const actions = {RUNNING: ["pause", "stop"], PAUSING: ["resume", "stop"], PAUSED: ["resume", "stop"]};
    return h(
      "tr",
      {},
      h("td", {}, button(one.DurableExecutionName, () => this.show(one.DurableExecutionArn))),
      h("td", {}, one.Status),
      h("td", {}, new Date(1000 * one.StartTimestamp).toLocaleString()),
      h(
        "td",
        {},
        ...(actions[one.Status] ?? []).map(action =>
          button(action, () => this.change(one.DurableExecutionArn, action)),
        ),
      ),
    );
  }

  async show(arn) {
    await this.told(async () => {
      const answer = await this.engine.act("timeline", JSON.stringify({arn}));
      setText(this.drawn, answer.text);
      this.drawn.hidden = false;
    });
  }

  async change(arn, action) {
    await this.told(async () => {
      content(await this.engine.act("execution", JSON.stringify({arn, action})));
      await this.load();
    });
  }

  async told(act) {
    try {
      await act();
    } catch (error) {
      setText(this.note, error.message);
    }
  }
}

function content(answer) {
  const document = JSON.parse(answer.body || "{}");
  if (answer.status >= 300) throw new Error(document.message ?? document.Message ?? `status ${answer.status}`);
  return document;
}
