/**
 * The console: finds the view that the address names, and keeps looking at the cluster.
 *
 * A view is a function (root, words, shared) that fills `root` and may return `{ look, close }`: `look` is called with
 * every look at the cluster, `close` when another view is opened.
 */

import { ask, every } from "./api.js";
import { auditView } from "./audit.js";
import { clusterView } from "./cluster.js";
import { put, say } from "./dom.js";
import { messageView } from "./message.js";
import { queueView } from "./queue.js";
import { queuesView } from "./queues.js";
import { topicView, topicsView } from "./topics.js";

/** How often the cluster is looked at: a death is to be seen within a second. */
const LOOK_EVERY_MS = 400;
/** This page's own node is taken for dead after this much silence. */
const LOOK_MAX_MS = 900;

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const verdict = /** @type {HTMLElement} */ (document.getElementById("verdict"));
const lost = /** @type {HTMLElement} */ (document.getElementById("lost"));
const spoken = /** @type {HTMLElement} */ (document.getElementById("spoken"));
const asked = /** @type {HTMLElement} */ (document.getElementById("asked"));

/** The last look, and which node this page comes from. @type {{look: any, node: string}} */
const shared = { look: null, node: "" };
/** @type {{look?: (look: any) => void, close?: () => void} | undefined} */
let view;

const VIEWS = {
  "": ["cluster", clusterView, "Cluster"],
  queues: ["queues", queuesView, "Queues"],
  queue: ["queues", queueView, "Queue"],
  message: ["queues", messageView, "Message"],
  topics: ["topics", topicsView, "Topics"],
  topic: ["topics", topicView, "Topic"],
  audit: ["audit", auditView, "Audit"],
};

/** Opens the view that the address names. @param {boolean} isFirst */
function open(isFirst) {
  const [name, ...words] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const [tab, make, title] = VIEWS[name] ?? VIEWS[""];
  view?.close?.();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  main.replaceChildren();
  view = make(main, words, shared) ?? undefined;
  if (shared.look) view?.look?.(shared.look);
  document.title = `${[words.join(" / "), title].filter(Boolean).join(" · ")} · Tercet console`;
  for (const link of document.querySelectorAll("[data-tab]")) {
    put(link, "aria-current", link.getAttribute("data-tab") === tab ? "page" : null);
  }
  // Who moves by the keyboard goes on reading at the new view, not at the end of the old one.
  if (!isFirst) { main.focus({ preventScroll: true }); scrollTo(0, 0); }
}

/** Shows the verdict; tells screen readers only when it changes. @param {string} word @param {string} detail */
function judge(word, detail) {
  if (verdict.dataset.verdict !== word) say(spoken, `The cluster is ${word}. ${detail}`);
  put(verdict, "data-verdict", word);
  say(verdict, word);
}

async function look() {
  try {
    const look = await ask("cluster", {}, LOOK_MAX_MS);
    Object.assign(shared, { look, node: look.asked });
    put(lost, "hidden", "");
    judge(look.verdict, look.reasons.join("; "));
    say(asked, `asked at node ${look.asked}`);
    view?.look?.(look);
  } catch (fault) {
    // What was seen before may be wrong by now: the page's own node is drawn as dead, and the rest is marked as old.
    const own = shared.node ? `node ${shared.node}, which serves this page,` : "the node that serves this page";
    say(lost, `${own[0].toUpperCase()}${own.slice(1)} does not answer (${fault.message}). What is shown is old; open another node's console, or wait.`);
    put(lost, "hidden", null);
    judge("lost", "");
    if (shared.look) {
      const nodes = shared.look.nodes.map((node) => node.node === shared.node ? { ...node, is_up: false, why: "does not answer" } : node);
      view?.look?.({ ...shared.look, nodes, verdict: "lost", reasons: ["the node that serves this page does not answer"] });
    }
  }
}

const scheme = /** @type {HTMLSelectElement} */ (document.getElementById("scheme"));

/** Light, dark, or as the system has it. @param {string} wanted */
function colour(wanted) {
  put(document.documentElement, "data-scheme", wanted || null);
  scheme.value = wanted;
}
try {
  colour(localStorage.getItem("tercet-scheme") ?? "");
} catch {
  colour("");
}
scheme.addEventListener("change", () => {
  colour(scheme.value);
  try { localStorage.setItem("tercet-scheme", scheme.value); } catch { /* a browser that keeps nothing */ }
});

// The address names the view: the way to the content must not change it.
document.querySelector(".skip")?.addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", () => open(false));
open(true);
every(LOOK_EVERY_MS, look);
