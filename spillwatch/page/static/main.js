// The operators' page: one state comes in, everything is drawn from it.

import { Alarms } from "./alarms.js";
import { blocks, show as showBanner } from "./banner.js";
import { Cameras } from "./cameras.js";
import { help, isOpen, question } from "./dialogs.js";
import { Link } from "./link.js";
import { html, post, say } from "./make.js";
import { Sound } from "./sound.js";
import { lasting, switchLanguage, t, timeOfDay } from "./words.js";

const at = (id) => document.getElementById(id);
let state = null, editions = "", user = "", gone = false, loading = false;

const alarms = new Alarms(at("alarms"), { act, now: () => link.now() });
const cameras = new Cameras(at("cameras"), (camera, well) => alarms.chooseWell(camera, well));
const sound = new Sound(showSound);
const link = new Link({ tell: take, hello: greet, changed: turn });

/** A new connection may lead to a spillwatch that was started anew, with other wells. */
function greet(said) {
  user = said.user;
  editions = "";
  draw();
}

async function take(told) {
  if (state && state.version !== told.version) location.reload(); // updated meanwhile
  state = told;
  const now = JSON.stringify(told.editions);
  if (now !== editions && !loading) {
    loading = true;
    const reply = await fetch("api/plans").catch(() => null);
    loading = false;
    if (reply?.ok) { cameras.setPlans(await reply.json()); editions = now; }
  }
  draw();
}

function turn(now) {
  gone = now === "gone" || now === "login";
  document.body.dataset.link = now;
  draw();
}

function draw() {
  if (state) {
    cameras.show(state, gone || link.state === "hangs");
    alarms.show(state);
    say(at("site"), state.site);
    document.title = state.alarms.length ? `(${state.alarms.length}) ${state.site}` : `${state.site} – spillwatch`;
  }
  showBanner(at("banner"), blocks(state, link));
  sound.call(calling());
  say(at("user"), user);
  say(at("edit"), t("edit"));
  if (at("reports").lang !== language) showReports();
  say(at("language"), t("other"));
  say(at("help"), `${t("help")} ?`);
  say(at("leave"), t("leave"));
  tick();
}

/** What calls for somebody: unanswered alarms that still hold, and that nothing is heard from spillwatch. */
function calling() {
  const names = state?.alarms.filter((alarm) => alarm.active && !alarm.acked).map((alarm) => alarm.name) ?? [];
  return link.state === "live" || link.state === "waiting" ? names : [...names, link.state];
}

function tick() {
  say(at("clock"), timeOfDay(link.now()));
  say(at("pulse"), link.state === "live" ? `● ${t("watched_live")}` : `✕ ${t("gone")}`);
  if (link.state !== "live") showBanner(at("banner"), blocks(state, link));
  alarms.tick();
}
setInterval(tick, 500);

function showSound(now) {
  document.body.dataset.sound = now;
  const button = at("silence");
  button.hidden = now === "quiet";
  button.disabled = now === "silenced";
  const words = { sounding: "silence", silenced: "silenced", blocked: "blocked", quiet: "silence" };
  say(button, t(words[now], { time: lasting(sound.silentFor()) }) + (now === "sounding" ? " M" : ""));
}

async function act(verb, alarm) {
  if (verb === "ack_all") return Promise.all(alarms.unanswered.map((each) => act("ack", each)));
  if (!alarm) return;
  const place = { camera: alarm.camera, well: alarm.well };
  if (verb === "ack" || verb === "unshelve" || verb === "in_service") return send("api/commands", { command: verb, ...place });
  if (verb === "was_unsaid") return send("api/judgements", { alarm: alarm.name, verdict: null });
  const answer = await question(verb, alarm);
  if (!answer) return;
  if (verb === "was_true" || verb === "was_false")
    return send("api/judgements", { alarm: alarm.name, verdict: verb === "was_true", note: answer.reason });
  const lasts = verb === "shelve" ? { for_s: answer.for_s } : {};
  return send("api/commands", { command: verb, ...place, reason: answer.reason, ...lasts });
}

async function send(address, body) {
  const answer = await post(address, body);
  toast(answer.ok ? t("done") : t("sent_no", { why: answer.refused ?? t("no_answer") }), answer.ok);
}

let fading;
function toast(text, good) {
  const place = at("toast");
  say(place, text);
  place.className = good ? "shown" : "shown bad";
  clearTimeout(fading);
  fading = setTimeout(() => { place.className = ""; }, good ? 1500 : 8000);
}

function chosen(verb) {
  const alarm = alarms.selected;
  if (!alarm) return;
  if (alarms.tab === "active" || verb.startsWith("was_")) act(verb, alarm);
}

function showReports() {
  const spans = t("reports").map(([since, words]) => html("a", { href: `report/${since}`, target: "_blank" }, words));
  at("reports").lang = language;
  at("reports").replaceChildren(`${t("report")}:`, ...spans);
}

const doors = {
  language() { switchLanguage(); alarms.list.replaceChildren(); alarms.below.replaceChildren(); draw(); },
  edit() { location.href = "wells"; },
  async leave() { await post("logout", {}); location.href = "login"; },
  help,
};
for (const [id, does] of Object.entries(doors)) at(id).addEventListener("click", does);
at("silence").addEventListener("click", () => sound.silence());

// By the place of a key, not its letter: the same in every keyboard layout.
const KEYS = {
  ArrowDown: () => alarms.step(1), ArrowUp: () => alarms.step(-1), ArrowRight: () => alarms.stepTab(1), ArrowLeft: () => alarms.stepTab(-1),
  KeyA: (event) => event.shiftKey ? act("ack_all") : chosen("ack"), KeyS: () => chosen("shelve"), KeyO: () => chosen("out_of_service"),
  KeyT: () => chosen("was_true"), KeyF: () => chosen("was_false"), KeyU: () => chosen("was_unsaid"), KeyM: () => sound.silence(), KeyL: doors.language, KeyW: doors.edit,
  Slash: help, KeyH: help,
};
addEventListener("keydown", (event) => {
  if (isOpen() || event.ctrlKey || event.altKey || event.metaKey || event.repeat && !event.code.startsWith("Arrow")) return;
  const digit = event.code.match(/^(?:Digit|Numpad)([1-9])$/);
  if (digit) { cameras.enlarge(Number(digit[1])); draw(); return; }
  const does = KEYS[event.code];
  if (does) { event.preventDefault(); does(event); }
});

draw();
