// The one line that is read from across the hall: what is wrong, or that all wells are watched.

import { html, keep, say, shape } from "./make.js";
import { condition, t } from "./words.js";

/** Blocks of the banner, the gravest first; each is {key, priority, flash, title, more}. */
export function blocks(state, link) {
  if (link.state === "gone") return [{ key: "gone", priority: "high", flash: true, title: t("gone"), more: t("gone_more", { s: Math.floor(link.silent()) }) }];
  if (link.state === "login") return [{ key: "login", priority: "high", flash: true, title: t("login"), more: t("login_more"), href: "login" }];
  if (!state || link.state === "waiting") return [{ key: "waiting", priority: "calm", title: t("waiting"), more: "" }];
  const hangs = link.state === "hangs" ? [{ key: "hangs", priority: "high", flash: true, title: t("hangs"), more: t("hangs_more", { s: Math.floor(link.age) }) }] : [];
  const all = [...hangs, ...spillBlock(state.alarms), ...blindBlocks(state), ...otherBlocks(state.alarms)];
  const found = [...all.filter((block) => !block.over), ...all.filter((block) => block.over)];
  return found.length ? found : [calm(state)];
}

const flashing = (alarms) => alarms.some((alarm) => !alarm.acked && alarm.active);

function spillBlock(alarms) {
  const spills = alarms.filter((alarm) => alarm.condition === "spill").sort((a, b) => a.since.localeCompare(b.since) || a.seq - b.seq);
  const now = spills.filter((alarm) => alarm.active), ended = spills.length - now.length;
  if (!spills.length) return [];
  const shown = now.length ? now : spills, wells = shown.map((alarm) => alarm.well);
  const title = shown.length <= 3 ? `${condition("spill")} ${wells.join(" ")}` : t("spills", { n: shown.length });
  const first = spills.find((alarm) => alarm.first_out) ?? spills[0];
  const more = [
    shown.some((alarm) => alarm.test) && t("test"),
    spills.length > 1 ? `${t("first", { well: first.well })} · ${t("newest", { well: spills.at(-1).well })}` : `${t("camera")} ${first.camera}`,
    now.length && ended ? t("ended_too", { n: ended }) : !now.length && t("spills_over"),
    alarms.some((alarm) => alarm.flood) && t("flood"),
  ];
  return [{ key: "spill", priority: "high", over: !now.length, flash: flashing(spills), title, more: more.filter(Boolean).join(" · ") }];
}

function blindBlocks(state) {
  return state.cameras.filter((camera) => camera.state === "blind").map((camera) => {
    const own = state.alarms.filter((alarm) => alarm.camera === camera.camera && alarm.well === null && alarm.condition.startsWith("camera_"));
    return { key: `blind ${camera.camera}`, priority: "high", flash: !own.length || flashing(own), title: `${t("blind")} ${camera.camera}`,
      more: [own[0] && condition(own[0].condition), t("unwatched", { n: camera.count ?? 0 }), camera.reason].filter(Boolean).join(" · ") };
  });
}

function otherBlocks(alarms) {
  const others = alarms.filter((alarm) => alarm.condition !== "spill" && !alarm.condition.startsWith("camera_"));
  const kinds = [...new Set(others.map((alarm) => alarm.condition))];
  return kinds.map((kind) => {
    const own = others.filter((alarm) => alarm.condition === kind);
    return { key: kind, priority: own[0].priority, over: !own.some((alarm) => alarm.active), flash: flashing(own), title: condition(kind),
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
      element.className = `block ${block.priority}${block.over ? " over" : ""}${block.flash ? " flash" : ""}`;
      say(element.querySelector("strong"), block.title);
      say(element.querySelector("span"), block.more);
    });
}
