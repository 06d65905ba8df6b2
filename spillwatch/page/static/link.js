// The line to spillwatch. Silence is never calm: without a heartbeat for 2 s the page says that nobody watches.

const SILENT_MS = 2000;
const HANGS_S = 3;

export class Link {
  /** `tell` is called with each state; `state` says "waiting", "live", "gone", "hangs" or "login". */
  constructor({ tell, hello, changed }) {
    Object.assign(this, { tell, hello, changed, state: "waiting", heard: performance.now(), ahead: 0, age: 0 });
    this.open();
    setInterval(() => this.check(), 200);
  }

  open() {
    this.source?.close();
    this.source = new EventSource("api/events");
    this.source.addEventListener("hello", (event) => this.hello(JSON.parse(event.data)));
    this.source.addEventListener("state", (event) => this.tell(JSON.parse(event.data)));
    this.source.addEventListener("beat", (event) => this.beat(JSON.parse(event.data)));
    this.source.onerror = () => this.broken();
  }

  /** Seconds since the last sign of life. */
  silent() { return (performance.now() - this.heard) / 1000; }
  /** The time of day where the alarms are made, in ms. */
  now() { return Date.now() + this.ahead; }

  beat({ at, age_s }) {
    this.heard = performance.now();
    this.ahead = Date.parse(at) - Date.now();
    this.age = age_s;
    this.become(age_s > HANGS_S ? "hangs" : "live");
  }

  broken() {
    if (this.state !== "waiting") this.become("gone");
    clearTimeout(this.again);
    this.again = setTimeout(() => this.retry(), 1000);
  }

  async retry() {
    const reply = await fetch("api/plans").catch(() => null);
    if (reply?.status === 401) { this.source.close(); this.become("login"); }
    if (this.source.readyState === EventSource.CLOSED) reply?.status === 401 ? this.broken() : this.open();
  }

  check() {
    if (this.state === "login") return;
    if (performance.now() - this.heard > SILENT_MS) {
      this.become("gone");
      // A frozen server keeps the connection open; a new one is found by asking anew.
      if (performance.now() - (this.asked ?? 0) > 5000) { this.asked = performance.now(); this.open(); }
    }
  }

  become(state) {
    if (state === this.state) return;
    this.state = state;
    this.changed(state);
  }
}
