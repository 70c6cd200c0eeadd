/**
 * Nodes of the page: how they are made, how money and times are written, and what is said to the user in passing.
 *
 * Must never: make a node out of text from elsewhere. Names and greetings are text and stay text.
 */
import { language, t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Paths of the icons, on a square of 24. Our own drawings. */
const ICONS = {
  back: "M15 4l-8 8 8 8",
  chats: "M4 5h16v11H10l-4 4v-4H4z",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c0-4 2.5-6 6-6s6 2 6 6M16 5a3 3 0 0 1 0 6M17 14c2.5.5 4 2.5 4 6",
  packets: "M6 3h12v18H6zM6 8c4 3 8 3 12 0M12 10v4",
  wallet: "M4 7h14a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2H4zM4 7l11-3v3M16 13h4",
  add: "M12 5v14M5 12h14",
  crown: "M4 18h16l1-10-5 4-4-7-4 7-5-4z",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4l3 2",
  done: "M5 12l5 5 9-10",
  send: "M6 3h12v18H6zM6 9c4 3 8 3 12 0M12 13v5M9.5 15.5h5",
  more: "M6 12h.01M12 12h.01M18 12h.01",
};

/**
 * A node.
 * @param {string} tag
 * @param {Object<string, *>} [facts] attributes; `class`, `text`, `on` (listeners) and properties that are booleans
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function el(tag, facts = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, fact] of Object.entries(facts)) {
    if (name === "text") node.textContent = fact;
    else if (name === "on") for (const [event, listener] of Object.entries(fact)) node.addEventListener(event, listener);
    else if (fact === true) node.setAttribute(name, "");
    else if (fact !== false && fact !== null && fact !== undefined) node.setAttribute(name, fact);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/**
 * A drawing of lines; it is decoration, the words beside it say the same.
 * @param {keyof ICONS} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["class", `icon icon-${name}`], ["aria-hidden", "true"], ["focusable", "false"]]) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * A button.
 * @param {string} text
 * @param {() => void} press
 * @param {Object<string, *>} [facts]
 */
export function button(text, press, facts = {}) {
  return el("button", { type: "button", ...facts, on: { click: press } }, text);
}

/**
 * An input under its label.
 * @param {string} label
 * @param {Object<string, *>} facts of the input
 * @param {string} [unit] written behind it
 * @returns {{field: HTMLElement, input: HTMLInputElement}}
 */
export function field(label, facts, unit) {
  const input = el("input", { autocomplete: "off", ...facts });
  const row = el("label", { class: "field" }, el("span", { class: "label", text: label }), input, unit ? el("span", { class: "unit", text: unit }) : null);
  return { field: row, input };
}

/**
 * A face for somebody: a colour of the id and the first letter of the name.
 * @param {string} id
 * @param {string} name
 */
export function avatar(id, name) {
  const colour = Number.parseInt(id.slice(-2) || "0", 16) % 8;
  return el("span", { class: `avatar colour-${colour}`, "aria-hidden": "true", text: [...(name || "?")][0].toUpperCase() });
}

/** Fen as yuan, without the sign of the currency. */
export function amount(fen) {
  const whole = Math.trunc(Math.abs(fen) / 100);
  const rest = String(Math.abs(fen) % 100).padStart(2, "0");
  return `${fen < 0 ? "-" : ""}${whole.toLocaleString("en-US")}.${rest}`;
}

/** Fen as yuan. */
export const yuan = (fen) => `¥${amount(fen)}`;

/**
 * Yuan as somebody has typed them, in fen; NaN for what is no amount. No floating point touches money.
 * @param {string} text
 */
export function fen(text) {
  const parts = /^\s*(\d{1,9})(?:[.。](\d{0,2}))?\s*$/.exec(text);
  return parts ? Number(parts[1]) * 100 + Number((parts[2] || "").padEnd(2, "0")) : Number.NaN;
}

/** A time: the hour today, else the day too. */
export function when(ms) {
  const date = new Date(ms);
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { month: "numeric", day: "numeric" };
  return date.toLocaleString(language(), { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

/** Says something in passing. */
export function say(text) {
  const note = document.getElementById("note");
  note.textContent = text;
  note.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => {
    note.classList.remove("shown");
    note.textContent = "";
  }, 4000);
}

/**
 * A list, or words where it is empty.
 * @param {HTMLElement[]} rows
 * @param {string} empty
 * @param {string} label
 */
export function list(rows, empty, label) {
  if (rows.length === 0) return el("p", { class: "empty", text: empty });
  return el("ul", { class: "list", "aria-label": label }, ...rows);
}

/**
 * Brings the children of `parent` to what `items` say, and keeps every node that still fits: focus and place stay.
 * @param {HTMLElement} parent
 * @param {Array<*>} items
 * @param {(item: *) => string} key
 * @param {(item: *) => HTMLElement} make
 */
export function match(parent, items, key, make) {
  const known = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const nodes = items.map((item) => {
    const said = JSON.stringify(item);
    const old = known.get(key(item));
    if (old && old.dataset.said === said) return old;
    const node = make(item);
    node.dataset.key = key(item);
    node.dataset.said = said;
    if (old && old.contains(document.activeElement)) queueMicrotask(() => node.querySelector("button, a")?.focus());
    return node;
  });
  if (nodes.length !== parent.children.length || nodes.some((node, at) => parent.children[at] !== node)) parent.replaceChildren(...nodes);
}

/** A line at the end of a list that loads what is older. */
export function older(load) {
  return button(t("older"), load, { class: "quiet older" });
}
