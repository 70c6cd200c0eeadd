/**
 * The queues: what each holds, how old the oldest of it is, and how it moves.
 */

import { ask, every } from "./api.js";
import { h, link, put, say, sheet, table } from "./dom.js";
import { draw, note, rate, spark } from "./history.js";
import { number, perSecond, some, span } from "./words.js";

const LOOK_EVERY_MS = 1000;
/** A message that has waited longer than this is shown as old. */
const OLD_MS = 60_000;

const count = (field, kind = "") => ({ title: field[0].toUpperCase() + field.slice(1), isNumber: true, kind, show: (queue) => number(queue[field]) });

/** A cell with a curve and its rate. */
function moving(what, name) {
  return (queue, cell) => {
    if (!cell.firstElementChild) cell.append(h("span", { class: "moving" }, spark(`${what} of ${queue.queue}, lately`, what === "acked" ? "hue-2" : ""), h("span")));
    const [curve, text] = /** @type {HTMLElement} */ (cell.firstElementChild).children;
    draw(curve, name(queue));
    say(text, `${perSecond(rate(name(queue)))}/s`);
  };
}

export const sentOf = (queue) => `sent ${queue.queue}`;
export const ackedOf = (queue) => `acked ${queue.queue}`;

const COLUMNS = [
  { title: "Queue", show: (queue, cell) => link(cell, `#/queue/${encodeURIComponent(queue.queue)}`, queue.queue) },
  count("visible"), count("leased"), count("delayed"),
  { title: "Oldest", isNumber: true, show: (queue, cell) => { cell.classList.toggle("hot", queue.oldest_ms > OLD_MS); return queue.oldest_ms ? span(queue.oldest_ms) : "–"; } },
  { title: "Sent", show: moving("sent", sentOf) },
  { title: "Acked", show: moving("acked", ackedOf) },
  { title: "Redelivered", isNumber: true, kind: "narrow-off", show: (queue) => number(queue.redelivered) },
  { title: "Dead letters", isNumber: true, show: (queue, cell) => { cell.classList.toggle("dead", queue.dead_lettered > 0); return number(queue.dead_lettered); } },
  { title: "Group", isNumber: true, kind: "narrow-off", show: (queue) => queue.group },
];

/** @param {HTMLElement} root */
export function queuesView(root) {
  const search = /** @type {HTMLInputElement} */ (h("input", { type: "search", placeholder: "part of a name", id: "queue-search" }));
  const shown = h("p", { class: "soft" });
  const list = table("Queues", COLUMNS, (queue) => queue.queue);
  const empty = h("p", { class: "empty", hidden: true });
  root.append(
    h("div", { class: "head" }, h("h1", { class: "grow" }, "Queues"), shown, h("label", { class: "field", for: "queue-search" }, "Search", search)),
    h("section", { class: "sheet", "aria-label": "Queues" }, list.element, empty),
  );
  const turn = async () => {
    try {
      const found = await ask("queues", { search: search.value });
      for (const queue of found.queues) { note(sentOf(queue), queue.sent); note(ackedOf(queue), queue.acked); }
      list.update(found.queues);
      say(shown, found.queues_total > found.queues.length ? `${found.queues.length} of ${some(found.queues_total, "queue")}` : some(found.queues_total, "queue"));
      say(empty, search.value ? "No queue's name contains that." : "There is no queue yet.");
      put(empty, "hidden", found.queues.length ? "" : null);
    } catch (fault) {
      say(shown, fault.sentence ?? fault.message);
    }
  };
  search.addEventListener("input", turn);
  return { close: every(LOOK_EVERY_MS, turn) };
}

/** Two curves with what they are. @param {string} queue */
export function curves(queue) {
  const made = [["Sent", sentOf, ""], ["Acked", ackedOf, "hue-2"]].map(([title, name, kind]) => {
    const [curve, text] = [spark(`${title} of ${queue}, lately`, `big ${kind}`), h("span", { class: "soft" })];
    const update = () => { draw(curve, name({ queue })); say(text, `${title} ${perSecond(rate(name({ queue })))}/s`); };
    return { element: h("div", {}, text, curve), update };
  });
  return { element: sheet("The last two minutes", ...made.map((one) => one.element)), update: () => made.forEach((one) => one.update()) };
}
