// The one line that is read from across the hall: what is wrong, or that all wells are watched.

import { html, keep, say, shape } from "./make.js";
import { condition, t } from "./words.js";

/** Blocks of the banner, the gravest first; each is {key, priority, flash, title, more}. */
export function blocks(state, link) {
  if (link.state === "gone") return [{ key: "gone", priority: "high", flash: true, title: t("gone"), more: t("gone_more", { s: Math.floor(link.silent()) }) }];
  if (link.state === "login") return [{ key: "login", priority: "high", flash: true, title: t("login"), more: t("login_more"), href: "login" }];
  if (!state || link.state === "waiting") return [{ key: "waiting", priority: "calm", title: t("waiting"), more: "" }];
  const hangs = link.state === "hangs" ? [{ key: "hangs", priority: "high", flash: true, title: t("hangs"), more: t("hangs_more", { s: Math.floor(link.age) }) }] : [];
  const found = [...hangs, ...spillBlock(state.alarms), ...blindBlocks(state), ...otherBlocks(state.alarms)];
  return found.length ? found : [calm(state)];
}

const flashing = (alarms) => alarms.some((alarm) => !alarm.acked && alarm.active);

function spillBlock(alarms) {
  const spills = alarms.filter((alarm) => alarm.condition === "spill");
  if (!spills.length) return [];
  const places = [...new Set(spills.map((alarm) => alarm.camera))];
  const where = (alarm) => alarm.well;
  if (spills.length === 1) {
    const [one] = spills;
    const more = [one.test && t("test"), places.length && `${t("camera")} ${one.camera}`, !one.active && t(one.state)].filter(Boolean).join(" · ");
    return [{ key: "spill", priority: "high", flash: flashing(spills), title: `${condition("spill")} ${one.well}`, more }];
  }
  const byTime = [...spills].sort((a, b) => a.since.localeCompare(b.since) || a.seq - b.seq);
  const first = spills.find((alarm) => alarm.first_out) ?? byTime[0];
  const title = spills.length <= 3 ? `${condition("spill")} ${byTime.map(where).join(" ")}` : t("spills", { n: spills.length });
  const flood = alarms.some((alarm) => alarm.flood) ? ` · ${t("flood")}` : "";
  return [{ key: "spill", priority: "high", flash: flashing(spills), title,
    more: `${t("first", { well: where(first) })} · ${t("newest", { well: where(byTime.at(-1)) })}${flood}` }];
}

function blindBlocks(state) {
  return state.cameras.filter((camera) => camera.state === "blind").map((camera) => {
    const own = state.alarms.filter((alarm) => alarm.camera === camera.camera && alarm.well === null && alarm.condition.startsWith("camera_"));
    return { key: `blind ${camera.camera}`, priority: "high", flash: !own.length || flashing(own), title: `${t("blind")} ${camera.camera}`,
      more: [own[0] && condition(own[0].condition), camera.reason, t("unwatched", { n: camera.count ?? 0 })].filter(Boolean).join(" · ") };
  });
}

function otherBlocks(alarms) {
  const others = alarms.filter((alarm) => alarm.condition !== "spill" && !alarm.condition.startsWith("camera_"));
  const kinds = [...new Set(others.map((alarm) => alarm.condition))];
  return kinds.map((kind) => {
    const own = others.filter((alarm) => alarm.condition === kind);
    return { key: kind, priority: own[0].priority, flash: flashing(own), title: condition(kind),
      more: own.map((alarm) => alarm.well ?? (alarm.camera === "-" ? "" : alarm.camera)).join(" ") };
  });
}

function calm(state) {
  const all = state.cameras.reduce((sum, camera) => sum + (camera.count ?? 0), 0);
  const unwatched = state.cameras.reduce((sum, camera) => sum + Object.keys(camera.unusual).length, 0);
  const title = unwatched === 0 ? t("all_watched", { n: all }) : unwatched < all ? t("some_watched", { n: all - unwatched, all }) : t("none_watched");
  return { key: "calm", priority: "calm", title, more: state.cameras.map((camera) => `${camera.camera} ${camera.fps.toFixed(0)} ${t("fps")}`).join(" · ") };
}

export function show(parent, found) {
  keep(parent, found, (block) => block.key,
    (block) => html(block.href ? "a" : "div", { class: "block", href: block.href }, shape(block.priority), html("div", {}, html("strong"), html("span"))),
    (element, block) => {
      element.className = `block ${block.priority}${block.flash ? " flash" : ""}`;
      say(element.querySelector("strong"), block.title);
      say(element.querySelector("span"), block.more);
    });
}
