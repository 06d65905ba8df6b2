// Elements, made small. Texts are set as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** html("button", {class: "big", onclick: f}, "text", child …) */
export const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
/** The same for drawings. */
export const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text only where it is news, so that screen readers and selections are left alone. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A shape of its own for every urgency, told apart without colour: octagon, triangle, circle, each with its rank.
const SHAPES = {
  high: ["M13 2h14l11 11v14l-11 11h-14l-11-11v-14z", "1", 28],
  medium: ["M20 3 38 36H2z", "2", 33],
  low: ["M20 4a16 16 0 1 0 .01 0z", "3", 28],
  calm: ["M20 4a16 16 0 1 0 .01 0z", "✓", 27],
};

export function shape(priority) {
  const [path, rank, baseline] = SHAPES[priority];
  return svg("svg", { class: `shape ${priority}`, viewBox: "0 0 40 40", "aria-hidden": "true" },
    svg("path", { d: path }), svg("text", { x: 20, y: baseline }, rank));
}

/** Makes children of `parent` match `items` by key, keeping the elements of those that stay: a click never misses. */
export function keep(parent, items, key, make, update) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = String(key(item));
    let element = there.get(name);
    if (!element) { element = make(item); element.dataset.key = name; }
    there.delete(name);
    update(element, item, index);
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  for (const element of there.values()) element.remove();
}

export async function post(address, body) {
  try {
    const reply = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    return await reply.json();
  } catch { return { ok: false, refused: null }; }
}
