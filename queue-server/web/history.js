/**
 * What counters did lately: rates from their growth, and the small curves of them. It begins when the page is opened.
 */

import { put, s } from "./dom.js";

/** Looks that are kept: two minutes at one a second. */
const KEPT = 120;
/** A rate is taken over this much of the past. */
const WINDOW_MS = 3000;

/** @type {Map<string, {at: number, count: number}[]>} */
const tracks = new Map();

/** Notes a counter. One that fell was begun anew, on another leader or by a new queue of that name. @param {string} name @param {number} count */
export function note(name, count) {
  const track = tracks.get(name) ?? [];
  const last = track.at(-1);
  if (last && count < last.count) track.length = 0;
  track.push({ at: performance.now(), count });
  if (track.length > KEPT) track.shift();
  tracks.set(name, track);
}

/** Its growth a second, lately. @param {string} name */
export function rate(name) {
  const track = tracks.get(name) ?? [];
  const last = track.at(-1);
  if (!last) return 0;
  const first = track.find((point) => last.at - point.at <= WINDOW_MS) ?? last;
  return last.at > first.at ? ((last.count - first.count) * 1000) / (last.at - first.at) : 0;
}

/** Its growth a second from look to look. @param {string} name */
function rates(name) {
  const track = tracks.get(name) ?? [];
  return track.slice(1).map((point, at) => {
    const before = track[at];
    return ((point.count - before.count) * 1000) / Math.max(1, point.at - before.at);
  });
}

/** An empty curve. @param {string} label @param {string} [kind] */
export function spark(label, kind = "") {
  return s("svg", { class: `spark ${kind}`, viewBox: "0 0 100 24", preserveAspectRatio: "none", role: "img", "aria-label": label },
    s("path", { class: "area" }), s("path", { class: "line", "vector-effect": "non-scaling-stroke" }));
}

/** Draws a counter's rates into a curve. @param {Element} curve @param {string} name */
export function draw(curve, name) {
  const values = rates(name);
  const most = Math.max(1, ...values);
  const step = 100 / (KEPT - 2);
  const begin = 100 - step * Math.max(0, values.length - 1);
  const points = values.map((value, at) => `${(begin + at * step).toFixed(1)},${(22.5 - (21 * Math.max(0, value)) / most).toFixed(1)}`);
  const line = points.length > 1 ? `M${points.join("L")}` : "M0,22.5L100,22.5";
  put(curve.children[1], "d", line);
  put(curve.children[0], "d", points.length > 1 ? `${line}L100,24L${begin.toFixed(1)},24Z` : "M0,24");
}
