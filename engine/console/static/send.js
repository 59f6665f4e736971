// Send a message to a queue, put an object, mark a phase.

import {field, h} from "./dom.js";
import {answerShown} from "./function.js";

export class SendPage {
  constructor({engine}) {
    this.engine = engine;
    this.queues = h("datalist", {id: "queues"});
    this.element = h("div", {}, h("h1", {}, "Send"));
    if (!engine.session.token) {
      this.element.append(
        h("p", {}, "Actions are off at this address. "),
        h(
          "p",
          {class: "quiet"},
          'They are taken where only this machine reaches the admin listener, or with console = "full".',
        ),
      );
      return;
    }
    this.element.append(this.queues, this.messageForm(), this.objectForm(), this.phaseForm());
    this.listQueues();
  }

  async listQueues() {
    const answer = await this.engine.act("targets", "{}").catch(() => null);
    const urls = answer?.status === 200 ? (JSON.parse(answer.body).QueueUrls ?? []) : [];
    this.queues.append(...urls.map(url => h("option", {value: url})));
  }

  messageForm() {
    const queue = h("input", {list: "queues", required: true, autocomplete: "off"});
    const body = h("textarea", {rows: "5", required: true, spellcheck: "false"});
    const group = h("input", {autocomplete: "off"});
    const once = h("input", {autocomplete: "off"});
    const delay = h("input", {type: "number", min: "0", max: "900"});
    return this.form(
      "A message to a queue",
      "Send message",
      [
        field("Queue, its URL or name", queue),
        field("Body", body),
        field("Group, for a FIFO queue", group),
        field("Deduplication id", once),
        field("Delay, seconds", delay),
      ],
      () => {
        const message = {QueueUrl: queue.value, MessageBody: body.value};
        if (group.value) message.MessageGroupId = group.value;
        if (once.value) message.MessageDeduplicationId = once.value;
        if (delay.value) message.DelaySeconds = Number(delay.value);
        return this.engine.act("send", JSON.stringify(message));
      },
    );
  }

  objectForm() {
    const bucket = h("input", {required: true, autocomplete: "off"});
    const key = h("input", {required: true, autocomplete: "off"});
    const type = h("input", {placeholder: "text/plain; charset=utf-8", autocomplete: "off"});
    const text = h("textarea", {rows: "5", spellcheck: "false"});
    return this.form(
      "An object into a bucket",
      "Put object",
      [field("Bucket", bucket), field("Key", key), field("Content type", type), field("Text", text)],
      () =>
        this.engine.act(
          "put",
          JSON.stringify({bucket: bucket.value, key: key.value, type: type.value, text: text.value}),
        ),
    );
  }

  phaseForm() {
    const name = h("input", {required: true, maxlength: "80", autocomplete: "off"});
    return this.form(
      "A mark in the charts: the load is in a new phase",
      "Mark phase",
      [field("Name", name)],
      async () => ({
        status: 200,
        body: "",
        log: "",
        ...(await this.engine.act("phase", JSON.stringify({name: name.value}))),
      }),
    );
  }

  form(title, verb, fields, act) {
    const result = h("div", {"aria-live": "polite"});
    const send = async event => {
      event.preventDefault();
      try {
        result.replaceChildren(...answerShown(await act()));
      } catch (error) {
        result.replaceChildren(h("p", {class: "bad"}, error.message));
      }
    };
    return h(
      "section",
      {},
      h("h2", {}, title),
      h(
        "form",
        {onsubmit: send},
        fields,
        h("div", {class: "bar"}, h("button", {type: "submit", class: "main"}, verb)),
      ),
      result,
    );
  }

  update() {}

  close() {}
}
