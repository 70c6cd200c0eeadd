/**
 * The topics, and one of them with its subscriptions.
 */

import { ask, every } from "./api.js";
import { h, link, put, say, sheet, table } from "./dom.js";
import { draw, note, rate, spark } from "./history.js";
import { number, perSecond, some } from "./words.js";

const LOOK_EVERY_MS = 1500;
const publishedOf = (topic) => `published ${topic.topic}`;

/** @param {HTMLElement} root */
export function topicsView(root) {
  const shown = h("p", { class: "soft" });
  const list = table("Topics", [
    { title: "Topic", show: (topic, cell) => link(cell, `#/topic/${encodeURIComponent(topic.topic)}`, topic.topic) },
    { title: "Published", isNumber: true, show: (topic) => number(topic.published) },
    { title: "Lately", show: (topic, cell) => {
      if (!cell.firstElementChild) cell.append(h("span", { class: "moving" }, spark(`Published to ${topic.topic}, lately`), h("span")));
      const [curve, text] = /** @type {HTMLElement} */ (cell.firstElementChild).children;
      draw(curve, publishedOf(topic));
      say(text, `${perSecond(rate(publishedOf(topic)))}/s`);
    } },
    { title: "Waiting copies", isNumber: true, show: (topic) => number(topic.waiting) },
    { title: "Subscriptions", isNumber: true, show: (topic) => number(topic.subscriptions) },
    { title: "Group", isNumber: true, show: (topic) => topic.group },
  ], (topic) => topic.topic);
  const empty = h("p", { class: "empty", hidden: true }, "There is no topic yet.");
  root.append(h("div", { class: "head" }, h("h1", { class: "grow" }, "Topics"), shown), h("section", { class: "sheet", "aria-label": "Topics" }, list.element, empty));
  return { close: every(LOOK_EVERY_MS, async () => {
    try {
      const found = await ask("queues");
      for (const topic of found.topics) note(publishedOf(topic), topic.published);
      list.update(found.topics);
      say(shown, some(found.topics_total, "topic"));
      put(empty, "hidden", found.topics.length ? "" : null);
    } catch (fault) {
      say(shown, fault.sentence ?? fault.message);
    }
  }) };
}

/** @param {HTMLElement} root @param {string[]} words */
export function topicView(root, [name = ""]) {
  const said = h("p", { class: "soft" });
  const list = table(`Subscriptions of ${name}`, [
    { title: "Subscription", show: (one) => one.name },
    { title: "To", kind: "wide", show: (one, cell) => {
      if (one.kind !== "queue") return one.endpoint;
      link(cell, `#/queue/${encodeURIComponent(one.endpoint)}`, one.endpoint);
      return undefined;
    } },
    { title: "Takes", show: (one) => one.filters.join(", ") || "everything" },
    { title: "Waiting", isNumber: true, show: (one) => number(one.waiting) },
    { title: "Given up", isNumber: true, show: (one, cell) => { cell.classList.toggle("dead", one.given_up > 0); return number(one.given_up); } },
    { title: "What is given up goes to", show: (one) => one.dead_letter_queue || "nowhere" },
    { title: "Held up by", kind: "wide", show: (one) => one.blocked || "–" },
  ], (one) => one.name);
  root.append(h("a", { class: "crumb", href: "#/topics" }, "← all topics"), h("div", { class: "head" }, h("h1", { class: "grow" }, name), said), sheet("Subscriptions", list.element));
  return { close: every(LOOK_EVERY_MS, async () => {
    try {
      const found = await ask("topic", { name });
      list.update(found.subscriptions);
      say(said, `${number(found.published)} published, ${some(found.waiting, "copy waits", "copies wait")}, group ${found.group}`);
    } catch (fault) {
      say(said, fault.sentence ?? fault.message);
    }
  }) };
}
