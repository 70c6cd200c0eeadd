/**
 * One message: where it is, what it carries, and what has become of it so far.
 */

import { ask, every } from "./api.js";
import { facts, h, say, sheet } from "./dom.js";
import { ago, clock, instant, size, span } from "./words.js";

const LOOK_EVERY_MS = 1000;
const GOOD = new Set(["acked", "committed", "redriven"]);
const BAD = new Set(["failed", "lease-ended", "dead-lettered", "expired", "purged", "half-expired", "rolled-back", "stalled"]);

/** Where it is, in a sentence. @param {any} story */
function place(story) {
  const { message, now_ms: now } = story;
  const until = (ms) => (ms > now ? `for another ${span(ms - now)}` : "until any moment now");
  if (!message) return story.is_complete ? "The queue does not hold it: it was acknowledged, dropped, moved, or never here." : "It was not found among the messages looked through; it may be one of many delayed ones.";
  switch (message.state) {
    case "visible": return "It can be received now.";
    case "leased": return `A consumer has it on lease, ${until(message.due_ms)}. If it is not acknowledged by then, it comes back.`;
    case "delayed": return `It is delayed, ${until(message.due_ms)}.`;
    case "half": return `It is a half message: invisible until its producer commits it. The next question is asked ${message.due_ms > now ? `in ${span(message.due_ms - now)}` : "now"}.`;
    default: return "It was acknowledged, and is kept: a rewind can bring it back.";
  }
}

/** What an event's number means, in words. @param {any} event */
function detail(event) {
  const value = Number(event.detail);
  const other = event.other_queue;
  switch (event.kind) {
    case "received": return `under receipt ${event.detail}`;
    case "lease-ended": return `receipt ${event.detail} was not acknowledged in time`;
    case "delayed": case "half-sent": return `until ${clock(value)}`;
    case "extended": return `the lease until ${clock(value)}`;
    case "released": case "failed": return value ? `back after ${span(value)}` : "back at once";
    case "queried": return `question ${event.detail}`;
    case "dead-lettered": case "redriven": return other ? `to ${other}` : "";
    case "arrived": return other ? `from ${other}` : "";
    default: return "";
  }
}

/** @param {any} events */
function timeline(events) {
  return h("ol", { class: "timeline" }, ...events.map((event, at) => {
    const before = events[at - 1];
    const gap = before ? ` · ${span(event.at_ms - before.at_ms)} later` : "";
    const kind = GOOD.has(event.kind) ? "good" : BAD.has(event.kind) ? "bad" : null;
    const what = detail(event);
    return h("li", { class: kind }, h("b", {}, event.kind), what && ` ${what}`, h("div", { class: "soft" }, `${clock(event.at_ms)}${gap} · ${event.queue}`));
  }));
}

/** @param {any} message @param {number} now */
function carried(message, now) {
  const { origin, published } = message;
  return facts([
    ["Sent", `${instant(message.enqueued_ms)} (${ago(now, message.enqueued_ms)})`],
    ["First received", instant(message.first_received_ms)],
    ["Received", `${message.times_received} times`],
    ["Failed", `${message.times_failed} times`],
    ["Priority", String(message.priority)],
    ...(message.tenant ? [["Tenant", message.tenant]] : []),
    ...(message.ordered_group ? [["Ordered group", message.ordered_group]] : []),
    ...(origin ? [["Dead letter of", [h("a", { href: `#/queue/${encodeURIComponent(origin.queue)}` }, origin.queue), `: ${origin.reason}, received ${origin.times_received}, failed ${origin.times_failed}, redriven ${origin.times_redriven}`]]] : []),
    ...(published ? [["Published to", `${published.topic}${published.tags.length ? `, tags ${published.tags.join(", ")}` : ""}`]] : []),
    ...Object.entries(message.headers).map(([name, value]) => [`Header ${name}`, h("code", {}, value)]),
  ]);
}

/** @param {HTMLElement} root @param {string[]} words */
export function messageView(root, [queue = "", id = ""]) {
  const sentence = h("p", { class: "note", role: "status" }, "looking …");
  const left = h("div", { class: "stack" });
  const right = h("div", { class: "stack" });
  root.append(
    h("a", { class: "crumb", href: `#/queue/${encodeURIComponent(queue)}` }, `← ${queue}`),
    h("div", { class: "head" }, h("h1", { class: "grow" }, "Message ", h("code", {}, id))),
    sentence, h("div", { class: "columns" }, left, right));
  let shown = "";
  const turn = async () => {
    try {
      const story = await ask("message", { queue, id });
      say(sentence, place(story));
      const { message } = story;
      const text = JSON.stringify([message, story.events]);
      if (text === shown) return;
      shown = text;
      const body = message?.body;
      left.replaceChildren(...(message ? [
        sheet(`Body, ${size(body.bytes)}${body.is_cut ? ", its beginning" : ""}`, h("pre", { class: "body", tabindex: "0" }, body.text ?? body.hex)),
        sheet("What it carries", carried(message, story.now_ms))] : [sheet("Body", h("p", { class: "empty" }, "Nothing of it is held here."))]));
      right.replaceChildren(sheet("Timeline", story.events.length ? timeline(story.events) : h("p", { class: "soft" }, "No timeline is kept. A queue keeps one for messages that come while its trace is on.")));
    } catch (fault) {
      say(sentence, fault.sentence ?? fault.message);
    }
  };
  return { close: every(LOOK_EVERY_MS, turn) };
}
