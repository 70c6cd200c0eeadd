/**
 * The acts on a queue: a redrive, counted first, and a purge, confirmed by typing the queue's name.
 */

import { act, ask, every } from "./api.js";
import { h, say } from "./dom.js";
import { some } from "./words.js";

/**
 * Opens a dialog, and takes it away when it is closed.
 * @param {string} title @param {import("./dom.js").Child[]} children @param {() => void} [closed]
 */
function dialog(title, children, closed) {
  const element = /** @type {HTMLDialogElement} */ (h("dialog", { "aria-labelledby": "dialog-title" }, h("h2", { id: "dialog-title" }, title), ...children));
  element.addEventListener("close", () => { element.remove(); closed?.(); });
  document.body.append(element);
  element.showModal();
  return element;
}

/** What became of a call, below the buttons. */
function outcome() {
  const element = h("p", { class: "note", role: "status", hidden: true });
  const tell = (text, kind = "") => { element.hidden = false; element.className = `note ${kind}`; say(element, text); };
  return { element, tell };
}

/** A redrive in words. @param {any} job */
function jobWords(job) {
  const verb = job.is_dry ? "counted" : "moved";
  const done = job.is_dry ? job.matched : job.moved;
  const state = job.is_ended ? "ended" : "runs";
  const blocked = job.blocked ? `; held up: ${job.blocked}` : "";
  return `${job.is_dry ? "The count" : "The redrive"} ${state}: ${some(job.scanned, "message")} looked at, ${done} ${verb}${blocked}`;
}

/** The line about a queue's redrive while one runs. @param {string} queue */
export function redriveLine(queue) {
  const text = h("span", { class: "grow" });
  const stop = h("button", { type: "button", onclick: async () => { try { await act("redrive/stop", { queue }); } catch (fault) { say(text, fault.sentence); } } }, "Stop it");
  const element = h("div", { class: "note head", hidden: true }, text, stop);
  const update = (found) => {
    const runs = found.redrive && !found.redrive.is_ended;
    element.hidden = !runs;
    if (runs) say(text, jobWords(found.redrive));
  };
  return { element, update };
}

const field = (title, input) => h("label", { class: "field" }, title, input);
const input = (name, attributes) => h("input", { name, autocomplete: "off", ...attributes });

/** What the form asks for. @param {HTMLFormElement} form @param {string} queue @param {boolean} isDry */
function order(form, queue, isDry) {
  const given = new FormData(form);
  const text = (name) => String(given.get(name) ?? "").trim();
  const count = (name) => Math.max(0, Math.floor(Number(text(name)) || 0));
  const filter = { origin: text("origin"), header_name: text("header_name"), header_value: text("header_value"), failed_min: count("failed_min"), received_min: count("received_min") };
  return { queue, target: text("target"), filter, messages_max: count("messages_max"), rate: count("rate"), is_dry: isDry };
}

/** @param {string} queue @param {() => void} changed */
export function redriveDialog(queue, changed) {
  const said = outcome();
  let end = () => {};
  const start = async (isDry) => {
    end();
    try {
      await act("redrive", order(form, queue, isDry));
      said.tell(isDry ? "Counting …" : "Moving …");
      end = every(250, async () => {
        const { redrive: job } = await ask("queue", { name: queue });
        if (!job || job.is_dry !== isDry) return;
        if (job.is_ended) end();
        const done = isDry ? `${some(job.matched, "message")} match${job.matched === 1 ? "es" : ""}. Nothing was moved.` : `${some(job.moved, "message")} moved.`;
        said.tell(job.is_ended ? done + (job.blocked ? ` Held up: ${job.blocked}` : "") : jobWords(job), job.is_ended ? "good" : "");
        changed();
      });
    } catch (fault) {
      said.tell(fault.sentence ?? fault.message, "bad");
    }
  };
  const form = /** @type {HTMLFormElement} */ (h("form", { onsubmit: (event) => { event.preventDefault(); start(false); } },
    h("p", { class: "soft" }, "Visible messages that match leave this queue: to the queue that you name, or else each to the one that it came from."),
    h("div", { class: "fields" },
      field("To the queue (empty: back home)", input("target", {})),
      field("Only dead letters of", input("origin", {})),
      field("Header", input("header_name", {})), field("with the value", input("header_value", {})),
      field("Failed at least", input("failed_min", { type: "number", min: 0 })), field("Received at least", input("received_min", { type: "number", min: 0 })),
      field("At most (0: all)", input("messages_max", { type: "number", min: 0 })), field("A second (0: no limit)", input("rate", { type: "number", min: 0 }))),
    said.element,
    h("div", { class: "end" },
      h("button", { type: "button", onclick: () => box.close() }, "Close"),
      h("button", { type: "button", onclick: () => start(true) }, "Only count"),
      h("button", { type: "submit", class: "main" }, "Redrive"))));
  const box = dialog(`Redrive messages of ${queue}`, [form], () => end());
}

/** @param {string} queue @param {() => void} changed */
export function purgeDialog(queue, changed) {
  const said = outcome();
  const typed = /** @type {HTMLInputElement} */ (input("typed", { "aria-label": "The queue's name" }));
  const go = /** @type {HTMLButtonElement} */ (h("button", { type: "submit", class: "main", disabled: true }, "Purge"));
  typed.addEventListener("input", () => { go.disabled = typed.value !== queue; });
  const purge = async () => {
    try {
      const done = await act("purge", { queue, typed: typed.value });
      said.tell(`${some(done.purged, "message")} gone.`, "good");
      go.disabled = true;
      changed();
    } catch (fault) {
      said.tell(fault.sentence ?? fault.message, "bad");
    }
  };
  const box = dialog(`Purge ${queue}`, [h("form", { onsubmit: (event) => { event.preventDefault(); purge(); } },
    h("p", {}, "Every message of the queue is dropped, for good. Type the queue's name to confirm."),
    field("The queue's name", typed), said.element,
    h("div", { class: "end" }, h("button", { type: "button", onclick: () => box.close() }, "Close"), go))]);
}
