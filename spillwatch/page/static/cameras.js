// Cameras: the live picture with wells drawn over it, and the table as a map. Pictures are asked for only while seen.

import { html, keep, say, svg } from "./make.js";
import { condition, t, timeOfDay } from "./words.js";

const EVERY_MS = 300;

/** What one well shows: {kind, flash, first}. */
export function wellLook(camera, well, alarms, gone) {
  const own = alarms.filter((alarm) => alarm.camera === camera.camera && alarm.well === well.id);
  const spill = own.find((alarm) => alarm.condition === "spill");
  const other = own.find((alarm) => alarm.condition !== "spill");
  const hidden = camera.unusual[well.id];
  if (spill) return { kind: spill.active ? "spill" : "spill ended", flash: !spill.acked && !gone, first: spill.first_out };
  if (hidden === "out_of_service" || hidden === "shelved") return { kind: hidden };
  if (gone || camera.state === "blind") return { kind: "unwatched" };
  if (other || hidden === "obstructed") return { kind: "obstructed", flash: other && !other.acked };
  return { kind: "normal" };
}

export class Cameras {
  constructor(parent, choose) {
    Object.assign(this, { parent, choose, cards: new Map(), plans: new Map(), large: null });
  }

  setPlans(plans) {
    this.plans = new Map(plans.map((plan) => [plan.camera, plan]));
    for (const card of this.cards.values()) card.plan = null;
  }

  enlarge(number) {
    const name = [...this.plans.keys()][number - 1];
    if (!name || this.plans.size < 2) return;
    this.large = this.large === name ? null : name;
    this.parent.dataset.large = this.large ? "yes" : "no";
  }

  show(state, gone) {
    this.parent.dataset.count = state.cameras.length;
    keep(this.parent, state.cameras, (camera) => camera.camera, (camera) => this.makeCard(camera), (element, camera) => {
      const card = this.cards.get(camera.camera), plan = this.plans.get(camera.camera);
      if (plan && card.plan !== plan) card.setPlan(plan);
      element.classList.toggle("large", this.large === camera.camera);
      card.show(camera, state.alarms, gone);
    });
  }

  makeCard(camera) {
    const card = new Card(camera.camera, this.choose);
    this.cards.set(camera.camera, card);
    return card.element;
  }
}

class Card {
  constructor(name, choose) {
    Object.assign(this, { name, choose, plan: null, after: "", gone: false });
    this.image = html("img", { alt: "", draggable: "false" });
    this.drawing = svg("svg", { class: "drawing", preserveAspectRatio: "none", viewBox: "0 0 16 10" });
    this.cry = html("div", { class: "cry", hidden: true }, html("strong"), html("span"));
    this.note = html("span", { class: "note" });
    this.map = svg("svg", { class: "map", role: "img", "aria-label": t("wells_title", { camera: name }) });
    this.picture = html("div", { class: "picture" }, this.image, this.drawing, this.cry);
    this.element = html("article", { class: "camera" }, html("h2", {}, html("b", {}, name), this.note), this.picture, this.map);
    this.look();
  }

  setPlan(plan) {
    this.plan = plan;
    const rows = Math.max(...plan.wells.map((well) => well.row)) + 1, columns = Math.max(...plan.wells.map((well) => well.column)) + 1;
    const wide = 24 + 9 * Math.max(...plan.wells.map((well) => well.id.length));
    // A gap after every second row: the launders lie between the upper and the lower wells.
    const cell = (well) => `translate(${well.column * (wide + 4) + 2} ${well.row * 27 + Math.floor(well.row / 2) * 7 + 2})`;
    this.map.setAttribute("viewBox", `0 0 ${columns * (wide + 4)} ${rows * 27 + Math.floor((rows - 1) / 2) * 7 + 2}`);
    this.map.replaceChildren(...plan.wells.map((well) =>
      svg("g", { "data-well": well.id, transform: cell(well), onclick: () => this.choose(this.name, well.id) },
        svg("rect", { width: wide, height: 24, rx: 4 }), svg("path", { class: "sign" }), svg("text", { x: wide / 2, y: 17 }, well.id))));
    this.drawing.replaceChildren(...plan.wells.map((well) => svg("g", { "data-well": well.id, onclick: () => this.choose(this.name, well.id) },
      svg("ellipse", { class: "halo", rx: well.width / 2, ry: well.height / 2 }), svg("ellipse", { rx: well.width / 2, ry: well.height / 2 }),
      svg("path", { class: "sign" }), svg("text", { y: -well.height / 2 - 8 }, well.id))));
    this.place([0, 0]);
  }

  /** Wells where the picture has them now; names stay inside it. */
  place([dx, dy], width = Infinity) {
    for (const [index, group] of [...this.drawing.children].entries()) {
      const well = this.plan.wells[index], half = 0.03 * width;
      group.setAttribute("transform", `translate(${well.x + dx} ${well.y + dy})`);
      const x = width === Infinity ? well.x : Math.min(Math.max(well.x, half), width - half);
      group.querySelector("text").setAttribute("x", x - well.x);
    }
  }

  show(camera, alarms, gone) {
    this.gone = gone;
    camera.count = this.plan?.wells.length ?? 0;
    const blind = camera.state === "blind";
    this.element.classList.toggle("blind", blind || gone);
    const own = alarms.find((alarm) => alarm.camera === this.name && alarm.well === null);
    this.cry.hidden = !blind || gone;
    this.cry.classList.toggle("flash", blind && !gone && !own?.acked);
    say(this.cry.querySelector("strong"), t("blind"));
    say(this.cry.querySelector("span"), own ? condition(own.condition) : camera.reason ?? "");
    const test = camera.self_test?.ok && t("tested", { time: timeOfDay(camera.self_test.at), well: camera.self_test.well });
    say(this.note, [!blind && `${camera.fps.toFixed(0)} ${t("fps")}`, camera.reason, test].filter(Boolean).join(" · "));
    if (!this.plan) return;
    this.plan.wells.forEach((well, index) => {
      const look = wellLook(camera, well, alarms, gone);
      for (const group of [this.map.children[index], this.drawing.children[index]]) paint(group, look, group.parentNode === this.map, well);
    });
  }

  /** Asks for the next picture when the last one has come, and only while somebody can see it. */
  async look() {
    try {
      if (!document.hidden && !this.gone) await this.fetchPicture();
    } catch { /* the line is down; link.js says so */ }
    setTimeout(() => this.look(), EVERY_MS);
  }

  async fetchPicture() {
    const reply = await fetch(`api/cameras/${encodeURIComponent(this.name)}/picture?after=${this.after}`);
    if (reply.status !== 200) return;
    const url = URL.createObjectURL(await reply.blob());
    const [width, height] = reply.headers.get("X-Size").split(",").map(Number);
    const loaded = new Promise((resolve) => { this.image.onload = this.image.onerror = resolve; });
    this.image.src = url;
    await loaded;
    URL.revokeObjectURL(url);
    this.after = reply.headers.get("X-Time");
    this.frame(width, height);
    if (this.plan) this.place(reply.headers.get("X-Shift").split(",").map(Number), width);
  }

  /** Shows the part of the picture in which the wells are, with some floor around it: larger wells are seen from afar. */
  frame(width, height) {
    const margin = 0.07 * width, wells = this.plan?.wells ?? [{ x: width / 2, y: height / 2, width, height }];
    const edge = (along, across, sign) => wells.map((well) => well[along] + sign * (well[across] / 2 + margin));
    const left = Math.max(0, Math.min(...edge("x", "width", -1))), right = Math.min(width, Math.max(...edge("x", "width", 1)));
    const top = Math.max(0, Math.min(...edge("y", "height", -1))), bottom = Math.min(height, Math.max(...edge("y", "height", 1)));
    const [w, h] = [right - left, bottom - top];
    this.drawing.setAttribute("viewBox", `${left} ${top} ${w} ${h}`);
    this.drawing.style.fontSize = `${w / 26}px`;
    this.picture.style.aspectRatio = `${w} / ${h}`;
    const percent = (value) => `${100 * value}%`;
    Object.assign(this.image.style, { width: percent(width / w), height: percent(height / h), left: percent(-left / w), top: percent(-top / h) });
  }
}

const SIGNS = { // on the map, each state is a shape, and not only a colour
  spill: "M5 12l5-7 5 7-5 7z", first: "M10 3l2.4 6.2 6.6.4-5.1 4.2 1.7 6.4-5.6-3.6-5.6 3.6 1.7-6.4L1 9.6l6.6-.4z", obstructed: "M4 18l6-12 6 12z",
};
const NOTHING = "M0 0";

function paint(group, look, onMap, well) {
  const name = `${look.kind}${look.flash ? " flash" : ""}${look.first ? " first" : ""}`;
  if (group.getAttribute("class") === name) return;
  group.setAttribute("class", name);
  const kind = look.kind.split(" ")[0], sign = group.querySelector(".sign");
  const cross = `M${-well.width / 2} ${well.height / 2}L${well.width / 2} ${-well.height / 2}`;
  if (!onMap) { sign.setAttribute("d", kind === "out_of_service" ? cross : NOTHING); return; }
  sign.setAttribute("d", (look.first ? SIGNS.first : SIGNS[kind]) ?? NOTHING);
  const wide = Number(group.querySelector("rect").getAttribute("width")), beside = kind === "spill" || kind === "obstructed";
  group.querySelector("text").setAttribute("x", beside ? wide / 2 + 9 : wide / 2);
  if (kind === "out_of_service") sign.setAttribute("d", `M3 22L${wide - 3} 2`);
  if (kind === "unwatched") sign.setAttribute("d", [0, 13, 26, 39].map((x) => `M${x} 24L${x + 12} 0`).join(""));
}
