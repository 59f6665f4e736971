// The page: reads the feed about once a second while it is seen, and shows the view that its address names.

import {setText} from "./dom.js";
import {Engine} from "./engine.js";
import {FunctionPage} from "./function.js";
import {History} from "./history.js";
import {age} from "./numbers.js";
import {Overview} from "./overview.js";
import {SendPage} from "./send.js";

const EVERY_MS = 800; // so that nothing is seen later than after a second
const part = id => document.getElementById(id);

class App {
  constructor(engine) {
    this.engine = engine;
    this.history = new History(engine.session);
    this.view = null;
    this.paused = false;
    this.timer = null;
    addEventListener("hashchange", () => this.route());
    document.addEventListener("visibilitychange", () => this.tick());
    document.addEventListener("keydown", event => this.press(event));
    part("pause").addEventListener("click", () => this.pause());
    this.greet();
  }

  greet() {
    const {version, region, full} = this.engine.session;
    setText(part("about"), `version ${version} · ${region}`);
    part("notice").hidden = full;
    setText(
      part("notice"),
      full
        ? ""
        : "Other machines can reach this address: logs are not shown and actions are off. " +
            '[engine] console = "full" turns them on.',
    );
  }

  async tick() {
    clearTimeout(this.timer);
    if (document.hidden || this.paused) return;
    const began = performance.now();
    try {
      const feed = await this.engine.feed();
      if (this.history.last && feed.began_wall_s !== this.history.last.began_wall_s)
        await this.engine.renew();
      this.history.add(feed);
      if (!this.view) this.route();
      this.view.update();
      setText(part("state"), `live · up ${age(feed.uptime_s)}`);
      part("state").className = "good";
    } catch (error) {
      setText(part("state"), error instanceof TypeError ? "the engine does not answer" : error.message);
      part("state").className = "bad";
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tick(), Math.max(100, EVERY_MS - (performance.now() - began)));
  }

  route() {
    const [page, name, number] = location.hash.slice(2).split("/").map(decodeURIComponent);
    const shown = number ? Number(number) : null;
    if (page === "function" && this.view instanceof FunctionPage && this.view.name === name) {
      this.view.show(shown);
      return;
    }
    this.view?.close();
    if (page === "function" && name) this.view = new FunctionPage(this, name, shown);
    else if (page === "send") this.view = new SendPage(this);
    else this.view = new Overview(this);
    part("view").replaceChildren(this.view.element);
    for (const link of document.querySelectorAll("nav a"))
      if (link.getAttribute("href") === (page === "send" ? "#/send" : "#/"))
        link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    scrollTo(0, 0);
    if (this.history.last) this.view.update();
  }

  pause() {
    this.paused = !this.paused;
    part("pause").setAttribute("aria-pressed", String(this.paused));
    setText(part("pause"), this.paused ? "Go on" : "Pause");
    if (this.paused) setText(part("state"), "paused");
    this.tick();
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      else if (location.hash.length > 2)
        location.hash = location.hash
          .split("/")
          .slice(0, -1)
          .join("/")
          .replace(/^(#|#\/function)$/, "#/");
    } else if (!typing && event.key === "/" && part("filter")) {
      event.preventDefault();
      part("filter").focus();
    } else if (!typing && event.key === "p") this.pause();
  }
}

Engine.open().then(
  engine => new App(engine).tick(),
  error => setText(part("state"), error.message),
);
