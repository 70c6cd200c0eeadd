/**
 * The cluster: its picture, the verdict with its reasons, the nodes and the groups.
 */

import { h, put, say, sheet, table } from "./dom.js";
import { draw, note, rate, spark } from "./history.js";
import { hue, lagWords, picture } from "./picture.js";
import { number, perSecond, size, some, span } from "./words.js";

/** A cell that holds a mark. @param {HTMLElement} cell @param {string} kind @param {string} text */
function badge(cell, kind, text) {
  const found = cell.firstElementChild ?? cell.appendChild(h("span"));
  put(found, "class", `badge ${kind}`);
  say(found, text);
}

const NODES = [
  { title: "Node", show: (node) => `node ${node.node}` },
  { title: "State", show: (node, cell) => badge(cell, node.is_up ? (node.quarantined ? "warn" : "good") : "bad", node.is_up ? (node.quarantined ? "quarantined" : "up") : "down") },
  { title: "Address", kind: "mono", show: (node) => node.grpc },
  { title: "Up for", isNumber: true, show: (node) => (node.is_up ? span(node.uptime_ms) : "–") },
  { title: "fsync p50", isNumber: true, show: (node) => (node.is_up ? span(node.fsync.p50_us / 1000) : "–") },
  { title: "fsync p99", isNumber: true, show: (node) => (node.is_up ? span(node.fsync.p99_us / 1000) : "–") },
  { title: "Disk free", isNumber: true, show: (node) => (node.is_up && node.disk_bytes ? `${size(node.disk_free_bytes)} (${Math.round((100 * node.disk_free_bytes) / node.disk_bytes)} %)` : "–") },
  { title: "Version", show: (node) => node.version ?? "–" },
];

const GROUPS = [
  { title: "Group", show: (group, cell) => {
    if (!cell.firstElementChild) cell.append(h("span", { class: `dot ${hue(group.group)}`, "aria-hidden": "true" }), h("span"));
    say(cell.lastElementChild, `${group.group} ${group.kind}`);
  } },
  { title: "Leader", show: (group, cell) => badge(cell, group.leader ? "good" : "bad", group.leader ? `node ${group.leader}` : "none") },
  { title: "Term", isNumber: true, show: (group) => number(group.term) },
  { title: "Committed", isNumber: true, show: (group) => number(group.committed) },
];

/** The groups, with a column a node. @param {string[]} nodes */
function groupsTable(nodes) {
  const columns = nodes.map((node) => ({
    title: `node ${node}`,
    show: (group, cell) => {
      const replica = group.replicas.find((one) => one.node === node);
      const behind = (replica?.lag ?? 0) > 0;
      if (!replica) badge(cell, "bad", "gone");
      else badge(cell, replica.parked || replica.role === "stopped" ? "bad" : behind ? "warn" : "", replica.parked ? "parked" : `${replica.role}, ${lagWords(replica.lag)}`);
    },
  }));
  return table("Groups", [...GROUPS, ...columns], (group) => String(group.group));
}

/** How fast each group's log grows: a curve a group. */
function speeds() {
  const element = h("div", { class: "speed" });
  /** @type {Map<number, {text: Element, curve: Element}>} */
  const made = new Map();
  const update = (groups) => {
    for (const { group, committed } of groups) {
      const name = `entries ${group}`;
      let one = made.get(group);
      if (!one) {
        one = { text: h("span", { class: "soft" }), curve: spark(`Entries of group ${group}, lately`, `big ${hue(group)}`) };
        made.set(group, one);
        element.append(h("div", {}, h("span", {}, `Group ${group}`, one.text), one.curve));
      }
      if (committed) note(name, committed);
      draw(one.curve, name);
      say(one.text, `${perSecond(rate(name))} entries/s`);
    }
  };
  return { element, update };
}

/** @param {HTMLElement} root */
export function clusterView(root) {
  const drawn = picture();
  const reasons = h("ul", { class: "reasons" });
  const courier = h("p", { class: "soft" });
  const legend = h("p", { class: "soft" }, "A thick arc: the node leads that group. Light on a thread: entries are on their way.");
  const speed = speeds();
  const nodes = table("Nodes", NODES, (node) => node.node);
  const groups = h("div");
  /** @type {ReturnType<typeof table> | undefined} */
  let held;
  let members = "";
  const summary = h("p", { class: "soft" });
  root.append(
    h("div", { class: "head" }, h("h1", { class: "grow" }, "The cluster, now"), summary),
    h("div", { class: "columns" },
      h("section", { class: "sheet", "aria-label": "Picture" }, drawn.element, legend),
      h("div", { class: "stack" }, sheet("Verdict", reasons), sheet("Entries written", speed.element), sheet("Between the groups", courier))),
    sheet("Groups", groups),
    sheet("Nodes", nodes.element),
  );

  const look = (look) => {
    drawn.update(look);
    speed.update(look.groups);
    nodes.update(look.nodes);
    const now = look.nodes.map((node) => node.node).join(" ");
    if (now !== members || !held) { members = now; held = groupsTable(look.nodes.map((node) => node.node)); groups.replaceChildren(held.element); }
    // A dead node's replicas are unknown, whatever was heard of them before.
    const ups = new Set(look.nodes.filter((node) => node.is_up).map((node) => node.node));
    held.update(look.groups.map((group) => ({ ...group, replicas: group.replicas.filter((replica) => ups.has(replica.node)) })));
    say(summary, `${look.nodes.filter((node) => node.is_up).length} of ${some(look.nodes.length, "node")} up, ${some(look.groups.length, "group")}`);
    const kind = look.verdict === "healthy" ? "good" : look.verdict === "degraded" ? "" : "bad";
    const lines = look.reasons.length ? look.reasons : ["Every member is up and has what the leaders have."];
    const text = kind + lines.join("\n");
    if (reasons.dataset.text !== text) {
      reasons.dataset.text = text;
      reasons.replaceChildren(...lines.map((line) => h("li", { class: kind }, line)));
    }
    const waiting = look.courier.map((pair) => `${some(pair.waiting, "record")} from group ${pair.source} to ${pair.target === 4294967295 ? "outside" : `group ${pair.target}`}${pair.refused ? ` (${pair.refused})` : ""}`);
    say(courier, waiting.length ? waiting.join("; ") : "Nothing waits to cross from one group to another.");
  };
  return { look };
}
