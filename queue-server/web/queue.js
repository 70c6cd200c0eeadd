/**
 * One queue: its numbers, its messages, its dead letters, and the acts on it.
 */

import { purgeDialog, redriveDialog, redriveLine } from "./acts.js";
import { ask, every } from "./api.js";
import { facts, h, say, sheet } from "./dom.js";
import { note } from "./history.js";
import { messagesSheet } from "./messages.js";
import { ackedOf, curves, sentOf } from "./queues.js";
import { instant, number, size, span } from "./words.js";

const LOOK_EVERY_MS = 1000;

/** @type {[string, (found: any) => string][]} */
const NUMBERS = [
  ["Visible", (found) => number(found.counters.visible)],
  ["Leased", (found) => number(found.counters.leased)],
  ["Delayed", (found) => number(found.counters.delayed)],
  ["Oldest", (found) => (found.oldest_visible_ms ? span(found.now_ms - found.oldest_visible_ms) : "–")],
  ["Sent", (found) => number(found.counters.sent)],
  ["Acked", (found) => number(found.counters.acked)],
  ["Redelivered", (found) => number(found.counters.redelivered)],
  ["Dead letters", (found) => number(found.counters.dead_lettered)],
  ["Arrived", (found) => number(found.counters.arrived)],
];

const queueLink = (name) => h("a", { href: `#/queue/${encodeURIComponent(name)}` }, name);

/** What the queue is. @param {any} found */
function described(found) {
  const has = found.attributes;
  const policy = has.dead_letter;
  const sources = found.dead_letter_sources;
  return facts([
    ["Group", String(found.group)],
    ["Created", instant(found.created_ms)],
    ["Lease", `${has.lease_s} s`],
    ["Kept for", span(has.retention_s * 1000)],
    ["Rewind", has.rewind_s ? span(has.rewind_s * 1000) : "off"],
    ["Body at most", size(has.message_bytes_max)],
    ["Sent so far", size(found.counters.sent_bytes)],
    ["Timeline", has.trace ? "kept" : "not kept"],
    ["Dead letters go to", policy ? [queueLink(policy.queue), ` at ${policy.times_max} ${policy.counts}`] : "no policy"],
    ["Dead letters come from", sources.length ? sources.flatMap((name, at) => [at ? ", " : "", queueLink(name)]) : "no queue"],
    ...(found.dead_letter_blocked ? [["Do not move, because", found.dead_letter_blocked]] : []),
  ]);
}

/** @param {HTMLElement} root @param {string[]} words */
export function queueView(root, [name = ""]) {
  const numbers = NUMBERS.map(([title]) => [title, h("span", {}, "…")]);
  const about = h("div");
  const moving = curves(name);
  const trouble = h("p", { class: "note bad", role: "alert", hidden: true });
  const messages = messagesSheet(name);
  const job = redriveLine(name);
  let aboutText = "";
  const redrive = h("button", { type: "button", onclick: () => redriveDialog(name, turn) }, "Redrive …");
  const purge = h("button", { type: "button", class: "danger", onclick: () => purgeDialog(name, turn) }, "Purge …");
  root.append(
    h("a", { class: "crumb", href: "#/queues" }, "← all queues"),
    h("div", { class: "head" }, h("h1", { class: "grow" }, name), redrive, purge),
    trouble,
    job.element,
    h("dl", { class: "numbers" }, ...numbers.map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value)))),
    messages.element,
    h("div", { class: "columns" }, sheet("About it", about), moving.element),
  );
  async function turn() {
    try {
      const found = await ask("queue", { name });
      note(sentOf(found), found.counters.sent);
      note(ackedOf(found), found.counters.acked);
      NUMBERS.forEach(([, show], at) => say(numbers[at][1], show(found)));
      moving.update();
      job.update(found);
      const text = JSON.stringify([found.attributes, found.dead_letter_sources, found.dead_letter_blocked, found.counters.sent_bytes]);
      if (text !== aboutText) { aboutText = text; about.replaceChildren(described(found)); }
      trouble.hidden = true;
    } catch (fault) {
      trouble.hidden = false;
      say(trouble, fault.sentence ?? fault.message);
    }
  }
  const ends = [every(LOOK_EVERY_MS, turn), messages.close];
  return { close: () => ends.forEach((end) => end()) };
}

