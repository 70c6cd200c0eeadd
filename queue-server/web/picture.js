/**
 * The picture of the cluster: nodes as discs; around each disc an arc a group, thick where the node leads it; threads from
 * each leader to its followers, on which light runs while entries do.
 *
 * It is drawn anew when the shape changes (a node, a leader, a death), and else only touched.
 */

import { put, s, say } from "./dom.js";
import { number, some, span } from "./words.js";

const HEIGHT = 470;
/** A screen that is narrower than this many pixels gets the nodes closer together, so that the words stay readable. */
const NARROW_PX = 520;
const RADIUS = 62;
const RING = 76;
/** A node that is further behind than this is drawn as lagging. */
const LAG_SHOWN = 16;

/** The room that so many nodes take: its width, and how far they stand from its middle. @param {number} count */
function room(count) {
  if (innerWidth < NARROW_PX) return count > 3 ? { width: 560, across: 195, down: 145 } : { width: 420, across: 128, down: 142 };
  return { width: 760, across: count > 3 ? 285 : 245, down: count > 3 ? 138 : 142 };
}

/** @param {number} at @param {number} count */
function place(at, count) {
  const { width, across, down } = room(count);
  const turn = (2 * Math.PI * at) / count - Math.PI / 2;
  const [x, y] = count === 1 ? [0, 0] : [Math.cos(turn), Math.sin(turn)];
  return { x: width / 2 + x * across, y: HEIGHT / 2 + (count === 3 ? 34 : 0) + y * down };
}

/** A part of the ring. @param {{x: number, y: number}} centre @param {number} at @param {number} count */
function arc(centre, at, count) {
  const gap = count > 1 ? 0.09 : 0.001;
  const [from, to] = [at, at + 1].map((edge) => (2 * Math.PI * edge) / count - Math.PI / 2);
  const point = (turn) => `${(centre.x + RING * Math.cos(turn)).toFixed(1)},${(centre.y + RING * Math.sin(turn)).toFixed(1)}`;
  return `M${point(from + gap)}A${RING},${RING} 0 ${to - from - 2 * gap > Math.PI ? 1 : 0} 1 ${point(to - gap)}`;
}

/** A thread that bends a little, each group's by its own measure. */
function thread(from, to, at, count) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  const bend = (at - (count - 1) / 2) * 26;
  const edge = RING + 10;
  const middle = [from.x + dx / 2 - uy * bend, from.y + dy / 2 + ux * bend];
  return `M${from.x + ux * edge},${from.y + uy * edge}Q${middle[0]},${middle[1]} ${to.x - ux * edge},${to.y - uy * edge}`;
}

/** The colour of a group. @param {number} group */
export const hue = (group) => `hue-${group === 0 ? 0 : ((group - 1) % 6) + 1}`;

/** What has a shape: who is there, who is up, who leads, who holds what. */
const shape = (look) => JSON.stringify([
  room(look.nodes.length),
  look.nodes.map((node) => [node.node, node.is_up]),
  look.groups.map((group) => [group.group, group.leader, group.replicas.map((replica) => [replica.node, replica.role])]),
]);

/** The picture in words. */
function described(look) {
  const up = look.nodes.filter((node) => node.is_up).length;
  const leads = look.groups.map((group) => (group.leader ? `node ${group.leader} leads group ${group.group}` : `group ${group.group} has no leader`));
  return `${up} of ${some(look.nodes.length, "node")} up; ${leads.join("; ")}`;
}

/** A picture that follows the looks. */
export function picture() {
  const root = s("svg", { class: "picture", role: "img" });
  let drawn = "";
  /** @type {Map<string, Element>} */
  let parts = new Map();
  /** @type {Map<number, number>} */
  let committed = new Map();

  const build = (look) => {
    parts = new Map();
    put(root, "viewBox", `0 0 ${room(look.nodes.length).width} ${HEIGHT}`);
    const keep = (name, element) => { parts.set(name, element); return element; };
    const centres = new Map(look.nodes.map((node, at) => [node.node, place(at, look.nodes.length)]));
    const ups = new Set(look.nodes.filter((node) => node.is_up).map((node) => node.node));
    const count = look.groups.length;
    const threads = look.groups.flatMap((group, at) => {
      const from = centres.get(group.leader);
      if (!from || !ups.has(group.leader)) return [];
      return group.replicas.filter((replica) => replica.node !== group.leader && ups.has(replica.node)).flatMap((replica) => {
        const d = thread(from, centres.get(replica.node), at, count);
        return [s("path", { class: `link hued ${hue(group.group)}`, d }),
          keep(`flow ${group.group} ${replica.node}`, s("path", { class: `flow hued ${hue(group.group)}`, d }))];
      });
    });
    const discs = look.nodes.map((node) => {
      const centre = centres.get(node.node);
      const arcs = !node.is_up ? [] : look.groups.map((group, at) => {
        const replica = group.replicas.find((one) => one.node === node.node);
        const leads = group.leader === node.node ? "leads" : "";
        return replica && keep(`arc ${group.group} ${node.node}`, s("path", { class: `arc hued ${hue(group.group)} ${leads}`, d: arc(centre, at, count) }));
      });
      const text = (name, y, kind) => keep(`${name} ${node.node}`, s("text", { class: kind, x: centre.x, y: centre.y + y }));
      return s("g", { class: `node ${node.is_up ? "up" : "down"}`, "data-node": node.node, "data-up": String(node.is_up) },
        s("circle", { class: "disc", cx: centre.x, cy: centre.y, r: RADIUS }), ...arcs,
        text("number", 2, "number"), text("first", 22, "small"), text("second", 38, "small"));
    });
    root.replaceChildren(...threads, ...discs);
  };

  const update = (look) => {
    const now = shape(look);
    if (now !== drawn) { build(look); drawn = now; put(root, "aria-label", described(look)); }
    for (const node of look.nodes) {
      const part = (name) => parts.get(`${name} ${node.node}`);
      const leads = look.groups.filter((group) => group.leader === node.node).length;
      say(part("number"), node.node);
      say(part("first"), !node.is_up ? "down" : leads ? `leads ${leads} of ${look.groups.length}` : "follows");
      say(part("second"), node.is_up ? `fsync ${span(node.fsync.p50_us / 1000)}` : "");
    }
    for (const group of look.groups) {
      const grew = group.committed > (committed.get(group.group) ?? group.committed);
      committed.set(group.group, group.committed);
      for (const replica of group.replicas) {
        parts.get(`flow ${group.group} ${replica.node}`)?.classList.toggle("runs", grew);
        parts.get(`arc ${group.group} ${replica.node}`)?.classList.toggle("lags", (replica.lag ?? 0) > LAG_SHOWN);
      }
    }
  };
  return { element: root, update };
}

/** How far a replica is behind, in words. @param {number | null | undefined} lag */
export const lagWords = (lag) => (lag === null || lag === undefined ? "no leader" : lag === 0 ? "level" : `${number(lag)} behind`);
