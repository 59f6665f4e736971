// The engine behind the page: what is read from it, and what it can be asked to do.

export class Engine {
  static async open() {
    const engine = new Engine();
    await engine.renew();
    return engine;
  }

  /** Read the session, which ends with the engine. */
  async renew() {
    this.session = await read("/console/session.json");
  }

  feed() {
    return read("/console/feed.json");
  }

  describe(name) {
    return read(`/console/function.json?${new URLSearchParams({function: name})}`);
  }

  /** The last invocations of a function; `more` narrows them: after, request_id, log. */
  invocations(name, more) {
    return read(`/invocations.json?${new URLSearchParams({function: name, ...more})}`);
  }

  /** Have something done: `body` is JSON text. Throws an Error with the engine's words if it is refused. */
  async act(path, body, query = {}) {
    const answer = await fetch(`/console/${path}?${new URLSearchParams(query)}`, {
      method: "POST",
      headers: {"content-type": "application/json", "x-console-token": this.session.token},
      body,
    });
    return taken(answer);
  }
}

async function read(path) {
  return taken(await fetch(path, {cache: "no-store"}));
}

async function taken(answer) {
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.message);
  return content;
}
