/**
 * The messages of a queue, looked at without being taken: by state, and by what they carry.
 */

import { ask, every } from "./api.js";
import { h, link, put, say, table } from "./dom.js";
import { ago, some, span } from "./words.js";

const LOOK_EVERY_MS = 1500;
const PAGE = 20;
const STATES = [["visible", "Visible"], ["leased", "Leased"], ["delayed", "Delayed"], ["half", "Half"], ["rewindable", "Acked, kept"]];

/** A body in a line or two. @param {any} body */
export const excerpt = (body) => (body.text === undefined ? `0x${body.hex}` : body.text) + (body.is_cut ? " …" : "");

/** When its state ends, if it ends by itself. */
function due(message, now) {
  if (!message.due_ms) return "–";
  return message.due_ms > now ? `in ${span(message.due_ms - now)}` : "now";
}

/** @param {string} queue */
export function messagesSheet(queue) {
  let [state, now] = ["visible", 0];
  /** @type {{messages: any[], next: string}} */
  let found = { messages: [], next: "" };
  /** The pages that were added by hand: while there are some, the list stands still. */
  let isGrown = false;

  const body = h("input", { type: "search", name: "body", maxlength: 256, placeholder: "text in the body" });
  const headerName = h("input", { type: "search", name: "header_name", placeholder: "header" });
  const headerValue = h("input", { type: "search", name: "header_value", placeholder: "its value" });
  const origin = h("input", { type: "search", name: "origin", placeholder: "queue" });
  const said = h("p", { class: "soft", role: "status" });
  const more = h("button", { type: "button", hidden: true, onclick: () => turn(true) }, "More");
  const list = table(`Messages of ${queue}`, [
    { title: "Message", kind: "mono", show: (message, cell) => link(cell, `#/message/${encodeURIComponent(queue)}/${message.id}`, message.id) },
    { title: "Body", kind: "wide", show: (message, cell) => { if (!cell.firstElementChild) cell.append(h("span", { class: "excerpt" })); say(cell.firstElementChild, excerpt(message.body)); } },
    { title: "Sent", isNumber: true, show: (message) => ago(now, message.enqueued_ms) },
    { title: "Due", isNumber: true, kind: "narrow-off", show: (message) => due(message, now) },
    { title: "Received", isNumber: true, show: (message) => String(message.times_received) },
    { title: "Failed", isNumber: true, show: (message, cell) => { cell.classList.toggle("dead", message.times_failed > 0); return String(message.times_failed); } },
    { title: "From", show: (message) => (message.origin ? `${message.origin.queue}, ${message.origin.reason}` : message.published ? `topic ${message.published.topic}` : "–") },
  ], (message) => message.id);
  const empty = h("p", { class: "empty" });

  const choose = (wanted) => { state = wanted; again(); };
  const choices = STATES.map(([word, title]) => h("button", { type: "button", "data-state": word, onclick: () => choose(word) }, title));
  const form = h("form", { class: "filter", onsubmit: (event) => { event.preventDefault(); again(); } },
    h("label", { class: "field" }, "Body contains", body),
    h("label", { class: "field" }, "Header", headerName), h("label", { class: "field" }, "Value", headerValue),
    h("label", { class: "field" }, "Dead letters of", origin),
    h("button", { type: "submit" }, "Search"));
  const element = h("section", { class: "sheet", "aria-label": "Messages" },
    h("div", { class: "head" }, h("h2", { class: "grow" }, "Messages, without taking them"), h("div", { class: "choice", role: "group", "aria-label": "State" }, ...choices)),
    form, said, list.element, empty, h("div", { class: "row" }, more));

  function again() { isGrown = false; found = { messages: [], next: "" }; turn(false); }

  /** @param {boolean} isMore whether the next page is added */
  async function turn(isMore) {
    const wanted = state;
    for (const choice of choices) put(choice, "aria-pressed", String(choice.dataset.state === state));
    try {
      const page = await ask("messages", { queue, state, limit: PAGE, after: isMore ? found.next : "",
        body: body.value, header_name: headerName.value, header_value: headerValue.value, origin: origin.value });
      if (wanted !== state) return;
      isGrown ||= isMore;
      now = page.now_ms;
      found = { messages: isMore ? [...found.messages, ...page.messages] : page.messages, next: page.next };
      list.update(found.messages);
      say(said, `${some(found.messages.length, "message")} shown${found.next ? ", there may be more" : ""}`);
      say(empty, found.next ? "None among the messages looked through so far." : "No such message.");
      empty.hidden = found.messages.length > 0;
      more.hidden = !found.next;
    } catch (fault) {
      say(said, fault.sentence ?? fault.message);
    }
  }
  const close = every(LOOK_EVERY_MS, async () => { if (!isGrown) await turn(false); });
  return { element, close };
}
