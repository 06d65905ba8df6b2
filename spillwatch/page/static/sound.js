// The sound. It can be silenced for what sounds now, for five minutes; never switched off, and news always sounds.

const SILENT_S = 300;
const EVERY_S = 2;

export class Sound {
  constructor(changed) {
    Object.assign(this, { changed, calling: [], hushed: new Set(), until: 0, context: null });
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => this.wake(), { capture: true });
    this.wake();
    setInterval(() => this.turn(), 250);
  }

  /** Browsers let a page sound only once somebody touched it, unless they are told otherwise. */
  wake() {
    this.context ??= new AudioContext();
    if (this.context.state !== "running") this.context.resume().then(() => this.turn(), () => {});
  }

  /** Names of what calls for somebody now. */
  call(names) {
    this.calling = names;
    for (const name of this.hushed) if (!names.includes(name)) this.hushed.delete(name);
    this.turn();
  }

  silence() {
    this.hushed = new Set(this.calling);
    this.until = performance.now() + SILENT_S * 1000;
    this.turn();
  }

  get state() {
    if (!this.calling.length) return this.context.state === "running" ? "quiet" : "blocked";
    if (this.silentFor() > 0 && this.calling.every((name) => this.hushed.has(name))) return "silenced";
    return this.context.state === "running" ? "sounding" : "blocked";
  }

  /** Seconds of silence that are left. */
  silentFor() { return (this.until - performance.now()) / 1000; }

  turn() {
    if (this.state === "sounding" && this.context.currentTime >= (this.next ?? 0)) {
      this.next = this.context.currentTime + EVERY_S;
      [0, 0.22, 0.44].forEach((after) => this.beep(this.next - EVERY_S + after + 0.02));
    }
    this.changed(this.state);
  }

  beep(at) {
    const tone = this.context.createOscillator(), gain = this.context.createGain();
    tone.type = "square";
    tone.frequency.setValueAtTime(880, at);
    tone.frequency.setValueAtTime(1175, at + 0.08);
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.35, at + 0.01);
    gain.gain.setValueAtTime(0.35, at + 0.14);
    gain.gain.linearRampToValueAtTime(0, at + 0.16);
    tone.connect(gain).connect(this.context.destination);
    tone.start(at);
    tone.stop(at + 0.17);
  }
}
