// The list of alarms, what is put aside, and what has ended. The chosen alarm opens and shows what can be done.

import { html, keep, say, shape } from "./make.js";
import { condition, lasting, t, timeOfDay } from "./words.js";

const TABS = ["active", "shelf", "recent"];

export class Alarms {
  /** `act` does what is asked: act(verb, alarm). `now` gives the time of day in ms. */
  constructor(parent, { act, now }) {
    Object.assign(this, { act, now, tab: "active", chosen: null, state: null });
    this.tabs = parent.querySelector(".tabs");
    this.list = parent.querySelector(".list");
    this.below = parent.querySelector(".below");
    this.list.addEventListener("scroll", () => this.countBelow());
  }

  get items() {
    if (!this.state) return [];
    const { alarms, suppressed, recent } = this.state;
    return { active: alarms, shelf: suppressed, recent }[this.tab];
  }
  get selected() { return this.tab === "active" || this.tab === "recent" ? this.items.find((item) => item.name === this.chosen) ?? null : null; }
  get unanswered() { return this.state?.alarms.filter((alarm) => !alarm.acked) ?? []; }

  show(state) {
    const fresh = this.state === null;
    this.state = state;
    // Who acknowledges one after the other goes down the list.
    if (this.tab === "active" && (!this.selected || (this.selected.acked && this.answering))) this.chosen = this.items[0]?.name ?? null;
    if (this.selected) this.answering = !this.selected.acked;
    // News must be seen: whatever was looked at, a new alarm brings the list of alarms back.
    const names = state.alarms.map((alarm) => alarm.name);
    if (!fresh && names.some((name) => !this.known.has(name)) && this.tab !== "active") this.turn("active");
    this.known = new Set(names);
    this.draw();
  }

  draw() {
    if (!this.state) return;
    const counts = { active: this.state.alarms.length, shelf: this.state.suppressed.length, recent: this.state.recent.length };
    keep(this.tabs, TABS, (name) => name,
      (name) => html("button", { role: "tab", onclick: () => this.turn(name) }),
      (element, name) => {
        element.setAttribute("aria-selected", String(name === this.tab));
        say(element, `${t(name)} ${counts[name]}`);
      });
    this.list.className = `list ${this.tab}${this.items.length > 6 ? " tight" : ""}`;
    const make = this.tab === "shelf" ? (item) => this.makeAside(item) : (item) => this.makeRow(item);
    const update = this.tab === "shelf" ? (element, item) => this.updateAside(element, item) : (element, item) => this.updateRow(element, item);
    const key = (item) => item.name ?? `${item.camera}/${item.well}/${item.kind}`;
    keep(this.list, this.items.length ? this.items : [{ name: `none ${this.tab}`, none: true }], key,
      (item) => item.none ? html("p", { class: "none" }) : make(item), (element, item) => item.none ? say(element, t(`nothing_${this.tab}`)) : update(element, item));
    this.countBelow();
  }

  turn(tab) {
    this.tab = tab;
    this.chosen = this.items[0]?.name ?? null;
    this.list.replaceChildren();
    this.draw();
  }

  step(by) {
    const index = this.items.findIndex((item) => item.name === this.chosen);
    this.choose(this.items[Math.min(Math.max(index + by, 0), this.items.length - 1)]?.name);
  }

  stepTab(by) { this.turn(TABS[(TABS.indexOf(this.tab) + by + TABS.length) % TABS.length]); }

  choose(name) {
    if (!name) return;
    this.chosen = name;
    this.draw();
    [...this.list.children].find((row) => row.dataset.key === name)?.scrollIntoView({ block: "nearest" });
  }

  chooseWell(camera, well) {
    if (this.tab !== "active") this.turn("active");
    const found = this.state?.alarms.find((alarm) => alarm.camera === camera && alarm.well === well);
    this.choose(found?.name);
    return found;
  }

  countBelow() {
    const bottom = this.list.getBoundingClientRect().bottom;
    const hidden = [...this.list.children].filter((row) => row.getBoundingClientRect().top > bottom - 20).length;
    const many = this.tab === "active" && this.unanswered.length > 1 ? this.unanswered.length : 0;
    keep(this.below, [hidden && "more", many && "all"].filter(Boolean), (name) => name,
      (name) => name === "more" ? html("span") : html("button", { class: "primary", onclick: () => this.act("ack_all") }, shape("calm"), html("span"), html("kbd", {}, "⇧A")),
      (element, name) => name === "more" ? say(element, `▼ ${t("more", { n: hidden })}`) : say(element.querySelector("span"), t("ack_all", { n: many })));
  }

  makeRow(alarm) {
    const button = (verb, key, look = "") => html("button", { class: `${verb} ${look}`, onclick: () => this.act(verb, this.find(alarm.name)) }, html("span"), html("kbd", {}, key));
    return html("article", { class: "alarm", onclick: () => this.choose(alarm.name) },
      html("div", { class: "line" }, shape(alarm.priority), html("b", { class: "what" }),
        html("div", { class: "said" }, html("span", {}, html("span", { class: "condition" }), html("span", { class: "marks" })), html("span", { class: "detail" })),
        html("span", { class: "since" }), button("ack", "A", "primary")),
      html("div", { class: "open" }, html("span", { class: "facts" }), html("a", { class: "evidence", target: "_blank" }),
        html("div", { class: "row" }, button("shelve", "S"), button("out_of_service", "O"), button("was_true", "T"), button("was_false", "F"), button("was_unsaid", "U"))));
  }

  find(name) { return [...this.state.alarms, ...this.state.recent].find((alarm) => alarm.name === name); }

  updateRow(row, alarm) {
    const find = (name) => row.querySelector(name);
    const calls = this.tab === "active" && !alarm.acked;
    row.className = `alarm ${alarm.priority} ${alarm.active ? "now" : "ended"}${alarm.well === null ? " general" : ""}${calls ? " calls" : ""}${calls && alarm.active ? " flash" : ""}`;
    const chosen = alarm.name === this.chosen;
    row.classList.toggle("chosen", chosen);
    row.toggleAttribute("aria-current", chosen);
    say(find(".what"), place(alarm));
    const marks = [alarm.first_out && `★ ${t("first_out")}`, alarm.test && t("test")].filter(Boolean);
    keep(find(".marks"), marks, (mark) => mark, (mark) => html("em", {}, mark), () => {});
    say(find(".condition"), condition(alarm.condition));
    say(find(".detail"), this.detail(alarm));
    say(find(".since"), this.since(alarm));
    say(find(".facts"), facts(alarm));
    say(find(".evidence"), t("evidence"));
    find(".evidence").hidden = !alarm.evidence;
    if (alarm.evidence) find(".evidence").href = alarm.evidence;
    for (const name of ["ack", "shelve", "out_of_service", "was_true", "was_false", "was_unsaid"]) say(find(`button.${name} span`), t(name));
    find("button.ack").hidden = !calls;
    find("button.was_true").hidden = alarm.verdict === true;
    find("button.was_false").hidden = alarm.verdict === false;
    find("button.was_unsaid").hidden = alarm.verdict === null;
    find("button.shelve").hidden = find("button.out_of_service").hidden = this.tab !== "active";
  }

  detail(alarm) {
    const verdict = alarm.verdict === null ? null : t(alarm.verdict ? "judged_true" : "judged_false");
    const state = t(alarm.state) + (alarm.by ? ` · ${t("by", { who: alarm.by })}` : "");
    return [alarm.well && this.state.cameras.length > 1 ? alarm.camera : null, state, verdict].filter(Boolean).join(" · ");
  }

  since(alarm) {
    return this.tab === "recent" ? timeOfDay(alarm.since) : lasting((this.now() - Date.parse(alarm.since)) / 1000);
  }

  tick() {
    if (this.tab === "shelf" || !this.state) return;
    for (const row of this.list.children) {
      const alarm = this.find(row.dataset.key);
      if (alarm) say(row.querySelector(".since"), this.since(alarm));
    }
  }

  makeAside(item) {
    return html("article", { class: "aside" }, html("b", { class: "what" }), html("div", { class: "said" }, html("span"), html("span", { class: "detail" })),
      html("button", { onclick: () => this.act(item.kind === "shelved" ? "unshelve" : "in_service", item) }, html("span")));
  }

  updateAside(row, item) {
    say(row.querySelector(".what"), item.well ?? item.camera);
    const ends = item.until ? t("until", { time: timeOfDay(item.until) }) : t(item.kind === "shelved" ? "until_normal" : "for_good");
    say(row.querySelector(".said span"), `${t(`kind_${item.kind}`)} · ${ends}`);
    say(row.querySelector(".detail"), [item.reason, t("by", { who: item.by })].filter(Boolean).join(" · "));
    say(row.querySelector("button span"), t(item.kind === "shelved" ? "unshelve" : "back"));
  }
}

function facts(alarm) {
  const number = (value) => value?.toPrecision(3);
  return [timeOfDay(alarm.since), alarm.reason, alarm.score && `${t("score")} ${number(alarm.score)} / ${t("threshold")} ${number(alarm.threshold)}`,
    alarm.model && `${t("model")} ${alarm.model}`, alarm.delay_ms && `${t("delay")} ${Math.round(alarm.delay_ms)} ms`].filter(Boolean).join(" · ");
}

/** A well, a camera, or spillwatch itself, whose camera is "-". */
const place = (alarm) => alarm.well ?? (alarm.camera === "-" ? "spillwatch" : alarm.camera);

/** How an alarm is called in a sentence. */
export const called = (alarm) => alarm.well ? `${t("well")} ${alarm.well}` : `${t("camera")} ${alarm.camera}`;
