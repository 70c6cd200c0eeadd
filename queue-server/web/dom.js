/**
 * Elements: made from words and values, never from markup, so that nothing that a queue holds can become a script.
 */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @param {Element} element
 * @param {Record<string, unknown>} attributes `on…` are listeners; false and null are left out
 * @param {Child[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** An HTML element. @param {string} tag @param {Record<string, unknown>} [attributes] @param {...Child} children */
export function h(tag, attributes = {}, ...children) {
  return /** @type {HTMLElement} */ (fill(document.createElement(tag), attributes, children));
}

/** An SVG element. @param {string} tag @param {Record<string, unknown>} [attributes] @param {...Child} children */
export function s(tag, attributes = {}, ...children) {
  return /** @type {SVGElement} */ (fill(document.createElementNS(SVG, tag), attributes, children));
}

/** Sets a text if it is another one: what does not change is not touched. @param {Element} element @param {unknown} text */
export function say(element, text) {
  const next = String(text ?? "");
  if (element.textContent !== next) element.textContent = next;
}

/** Sets an attribute if it is another one. @param {Element} element @param {string} name @param {unknown} value */
export function put(element, name, value) {
  if (value === null || value === false || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/**
 * @template T
 * @typedef {object} Column
 * @property {string} title
 * @property {(item: T, cell: HTMLElement) => unknown} show a text; or nothing, when it has filled the cell itself
 * @property {boolean} [isNumber]
 * @property {string} [kind] more classes
 */

/**
 * A table that keeps its rows: an item that is still there keeps its row, with the focus and the pointer on it.
 * @template T
 * @param {string} caption for screen readers
 * @param {Column<T>[]} columns
 * @param {(item: T) => string} key
 */
export function table(caption, columns, key) {
  const body = h("tbody");
  const classes = (column) => [column.isNumber ? "n" : "", column.kind ?? ""].join(" ").trim() || null;
  const head = columns.map((column) => h("th", { scope: "col", class: classes(column) }, column.title));
  const element = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "visually-hidden" }, caption), h("thead", {}, h("tr", {}, ...head)), body));
  /** @type {Map<string, HTMLElement>} */
  const rows = new Map();
  /** @param {T[]} items */
  const update = (items) => {
    const present = new Set(items.map(key));
    for (const [name, row] of rows) if (!present.has(name)) { row.remove(); rows.delete(name); }
    items.forEach((item, at) => {
      const name = key(item);
      const row = rows.get(name) ?? h("tr", {}, ...columns.map((column) => h("td", { class: classes(column) })));
      rows.set(name, row);
      columns.forEach((column, index) => {
        const cell = /** @type {HTMLElement} */ (row.children[index]);
        const text = column.show(item, cell);
        if (text !== undefined) say(cell, text);
        if (column.isNumber) cell.classList.toggle("zero", text === "0" || text === "–");
      });
      if (body.children[at] !== row) body.insertBefore(row, body.children[at] ?? null);
    });
  };
  return { element, update };
}

/** A cell that holds a link. @param {HTMLElement} cell @param {string} href @param {string} text */
export function link(cell, href, text) {
  let anchor = cell.querySelector("a");
  if (!anchor) { anchor = /** @type {HTMLAnchorElement} */ (h("a", { class: "name" })); cell.append(anchor); }
  put(anchor, "href", href);
  say(anchor, text);
}

/** A list of terms and what they are. @param {[string, Child | Child[]][]} pairs @param {string} [kind] */
export function facts(pairs, kind = "facts") {
  return h("dl", { class: kind }, ...pairs.map(([term, what]) =>
    h("div", { class: kind === "facts" ? "fact" : null }, h("dt", {}, term), h("dd", {}, ...[what].flat()))));
}

/** A section with a heading. @param {string} title @param {...Child} children */
export function sheet(title, ...children) {
  return h("section", { class: "sheet", "aria-label": title }, h("h2", {}, title), ...children);
}
