// The wells over their reference picture: drag, add, delete, rename, resize, take out of service, save.

import { html, post, say, svg } from "./make.js";
import { t } from "./words.js";

const at = (id) => document.getElementById(id);
const sheet = at("sheet");
const GOOD_NAME = /^[A-Za-z0-9_.-]{1,64}$/;
let camera = null, digest = "", saved = "", wells = [], chosen = null, past = [], size = [0, 0], drag = null;

async function start() {
  const plans = await (await fetch("api/plans")).json();
  camera = new URLSearchParams(location.search).get("camera") ?? plans[0]?.camera;
  at("cameras").replaceChildren(...(plans.length > 1 ? plans : []).map((plan) =>
    html("a", { class: "button", href: `wells?camera=${encodeURIComponent(plan.camera)}`, "aria-current": plan.camera === camera ? "page" : null }, plan.camera)));
  say(at("title"), t("wells_title", { camera }));
  say(at("back"), t("to_board"));
  await Promise.all([load(), picture()]);
}

async function load() {
  const told = await (await fetch(`api/cameras/${encodeURIComponent(camera)}/wells`)).json();
  digest = told.digest;
  wells = told.wells.map(({ id, x, y, width, height, out_of_service }) => ({ was: id, id, x, y, width, height, out_of_service }));
  saved = JSON.stringify(wells);
  [past, chosen] = [[], null];
  draw();
}

async function picture() {
  const reply = await fetch(`api/cameras/${encodeURIComponent(camera)}/reference`);
  if (!reply.ok) return toast(t("no_reference"), false);
  size = reply.headers.get("X-Size").split(",").map(Number);
  sheet.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
  sheet.prepend(svg("image", { href: URL.createObjectURL(await reply.blob()), width: size[0], height: size[1] }));
}

const changes = () => {
  const before = new Map(JSON.parse(saved || "[]").map((well) => [well.was, JSON.stringify(well)]));
  const kept = wells.filter((well) => well.was !== null);
  return wells.length - kept.length + kept.filter((well) => before.get(well.was) !== JSON.stringify(well)).length + before.size - kept.length;
};

/** Remembers how it was; several changes of one field in a row are one. */
function remember(what = null) {
  if (what === null || what !== past.at(-1)?.what) past.push({ what, wells: JSON.stringify(wells) });
}

function undo() {
  const last = past.pop();
  if (!last) return;
  const name = chosen?.was ?? chosen?.id;
  wells = JSON.parse(last.wells);
  chosen = wells.find((well) => (well.was ?? well.id) === name) ?? null;
  draw();
}

function draw() {
  sheet.querySelectorAll("g").forEach((group) => group.remove());
  for (const well of wells) {
    const bad = fault(well) ? " bad" : "";
    sheet.append(svg("g", { class: `${well === chosen ? "chosen" : ""}${well.out_of_service ? " out" : ""}${bad}`, "data-well": well.id, transform: `translate(${well.x} ${well.y})` },
      svg("ellipse", { class: "halo", rx: well.width / 2, ry: well.height / 2 }), svg("ellipse", { rx: well.width / 2, ry: well.height / 2 }),
      well.out_of_service ? svg("path", { d: `M${-well.width / 2} ${well.height / 2}L${well.width / 2} ${-well.height / 2}` }) : null,
      svg("text", { y: 5 }, well.id)));
  }
  drawSide();
}

function fault(well) {
  if (!GOOD_NAME.test(well.id)) return t("bad_name");
  return wells.some((other) => other !== well && other.id === well.id) ? t("taken", { id: well.id }) : "";
}

function drawSide() {
  const focused = document.activeElement?.name, n = changes();
  const field = (name, label, extra, read) => html("label", {}, label, html("input", { name, ...extra, oninput: (event) => edit(name, read(event.target)) }));
  const own = chosen ? [
    html("h2", {}, `${t("selected")}: ${chosen.id}`),
    field("id", t("rename"), { value: chosen.id, maxlength: 64 }, (input) => input.value.trim()),
    fault(chosen) ? html("p", { class: "fault" }, fault(chosen)) : null,
    html("div", { class: "pair" }, ...["x", "y"].map((name) => field(name, name, { type: "number", step: "any", value: round(chosen[name]) }, (input) => Number(input.value)))),
    html("div", { class: "pair" }, field("width", t("width"), { type: "number", step: "any", value: round(chosen.width) }, (input) => Number(input.value)),
      field("height", t("height"), { type: "number", step: "any", value: round(chosen.height) }, (input) => Number(input.value))),
    html("label", { class: "tick" }, html("input", { type: "checkbox", name: "service", checked: !chosen.out_of_service, onchange: (event) => edit("out_of_service", !event.target.checked) }), t("in_service")),
    html("button", { type: "button", name: "remove", class: "danger", onclick: remove }, t("remove")),
  ] : [html("p", { class: "soft" }, t("choose"))];
  at("side").replaceChildren(...own.filter(Boolean), html("span", { class: "gap" }),
    html("button", { type: "button", name: "add", onclick: add }, t("add")),
    html("button", { type: "button", name: "undo", disabled: !past.length, onclick: undo }, t("undo")),
    html("p", { class: n ? "count changed" : "count" }, `${t("wells_count", { n: wells.length })} · ${n ? t("unsaved", { n }) : t("no_change")}`),
    html("button", { name: "save", class: "primary", disabled: !n || wells.some(fault) }, t("save")));
  const again = focused && at("side").elements[focused];
  if (again) { again.focus(); if (again.type === "text") again.setSelectionRange(again.value.length, again.value.length); }
}

const round = (value) => Math.round(value * 10) / 10;

function edit(name, value) {
  if (!chosen || Number.isNaN(value)) return;
  remember(`${chosen.was}.${name}`);
  chosen[name] = value;
  draw();
}

function add() {
  remember();
  const middle = (key) => wells.map((well) => well[key]).sort((a, b) => a - b)[wells.length >> 1];
  let number = 1;
  while (wells.some((well) => well.id === `new${number}`)) number += 1;
  chosen = { was: null, id: `new${number}`, x: round(size[0] / 2), y: round(size[1] / 2), width: middle("width") ?? 48, height: middle("height") ?? 28, out_of_service: false };
  wells.push(chosen);
  draw();
}

function remove() {
  remember();
  wells = wells.filter((well) => well !== chosen);
  chosen = null;
  draw();
}

function place(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(sheet.getScreenCTM().inverse());
  return [point.x, point.y];
}

sheet.addEventListener("pointerdown", (event) => {
  const name = event.target.closest("g")?.dataset.well;
  chosen = wells.find((well) => well.id === name) ?? null;
  if (chosen) {
    const [x, y] = place(event);
    drag = { x: chosen.x - x, y: chosen.y - y, moved: false };
    sheet.setPointerCapture(event.pointerId);
  }
  draw();
});
sheet.addEventListener("pointermove", (event) => {
  if (!drag) return;
  if (!drag.moved) { remember(); drag.moved = true; }
  const [x, y] = place(event);
  move(x + drag.x, y + drag.y);
});
for (const kind of ["pointerup", "pointercancel"]) sheet.addEventListener(kind, () => { drag = null; });

/** The middle stays inside the picture, the oval with it. */
function move(x, y) {
  const inside = (value, half, length) => round(Math.min(Math.max(value, half), length - half));
  chosen.x = inside(x, chosen.width / 2, size[0]);
  chosen.y = inside(y, chosen.height / 2, size[1]);
  draw();
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input");
  if (event.code === "KeyZ" && event.ctrlKey) { event.preventDefault(); undo(); }
  if (typing || !chosen) return;
  if (event.code === "Delete") remove();
  const step = STEPS[event.code];
  if (!step) return;
  event.preventDefault();
  remember(`${chosen.was}.moved`);
  const far = event.shiftKey ? 10 : 1;
  move(chosen.x + far * step[0], chosen.y + far * step[1]);
});

at("side").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await post(`api/cameras/${encodeURIComponent(camera)}/wells`, { digest, wells });
  if (!answer.ok) return toast(t("sent_no", { why: answer.refused ?? t("no_answer") }), false);
  await load();
  toast(t("saved", { file: answer.request.backup }), true);
});

addEventListener("beforeunload", (event) => { if (changes()) event.preventDefault(); });

let fading;
function toast(text, good) {
  say(at("toast"), text);
  at("toast").className = good ? "shown" : "shown bad";
  clearTimeout(fading);
  fading = setTimeout(() => { at("toast").className = ""; }, good ? 5000 : 12000);
}

start();
