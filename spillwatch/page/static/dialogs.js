// Questions: why, for how long, what was it. Answers that are often given are one touch.

import { called } from "./alarms.js";
import { html } from "./make.js";
import { t } from "./words.js";

const dialog = document.getElementById("dialog");
const MINUTES = [5, 15, 30, 60, 240, 480];
const lastsLabel = (minutes) => minutes < 60 ? `${minutes} ${t("min")}` : `${minutes / 60} ${t("hour")}`;

/** Asks and gives {reason, for_s}, or null when it was cancelled. */
const KINDS = {
  shelve: { title: "shelve_title", more: "shelve_more", reasons: "reasons_shelve", ask: "why", go: "do_shelve", times: true, must: true },
  out_of_service: { title: "out_title", more: "out_more", reasons: "reasons_out", ask: "why", go: "do_out", must: true },
  was_false: { title: "false_title", reasons: "reasons_false", ask: "note", go: "do_false" },
  was_true: { title: "true_title", reasons: "reasons_true", ask: "note", go: "do_true" },
};

export function question(verb, alarm) {
  const kind = KINDS[verb];
  const text = html("input", { name: "reason", maxlength: 200, required: kind.must, autocomplete: "off" });
  const presets = t(kind.reasons).map((reason) => html("button", { type: "button", class: "preset", onclick: () => { text.value = reason; text.focus(); } }, reason));
  const times = kind.times ? html("fieldset", {}, html("legend", {}, t("how_long")), ...MINUTES.map((minutes) =>
    html("label", { class: "choice" }, html("input", { type: "radio", name: "minutes", value: minutes, checked: minutes === 15 }), html("span", {}, lastsLabel(minutes))))) : null;
  const form = html("form", { method: "dialog" },
    html("h2", {}, t(kind.title, { what: called(alarm) })), kind.more ? html("p", { class: "soft" }, t(kind.more)) : null,
    html("fieldset", {}, html("legend", {}, t(kind.ask)), html("div", { class: "row" }, ...presets), text), times,
    html("div", { class: "row end" }, html("button", { type: "button", onclick: () => dialog.close() }, t("cancel")),
      html("button", { class: "primary", value: "go" }, t(kind.go))));
  return ask(form, text, () => {
    const minutes = form.elements.minutes?.value;
    return { reason: text.value.trim(), for_s: minutes ? 60 * Number(minutes) : null };
  });
}

export function help() {
  const rows = t("key_rows").map(([keys, does]) => html("tr", {}, html("th", {}, html("kbd", {}, keys)), html("td", {}, does)));
  const form = html("form", { method: "dialog" }, html("h2", {}, t("help_title")), html("table", {}, html("tbody", {}, ...rows)),
    html("p", { class: "soft" }, t("help_sound")), html("div", { class: "row end" }, html("button", { class: "primary", autofocus: true }, t("close"))));
  return ask(form, null, () => null);
}

function ask(form, focus, answer) {
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  dialog.showModal();
  focus?.focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "go" ? answer() : null), { once: true }));
}

export const isOpen = () => dialog.open;
