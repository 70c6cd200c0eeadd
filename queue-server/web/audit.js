/**
 * The audit: are the replicas of every group the same, and does the money add up?
 */

import { ask } from "./api.js";
import { facts, h, say, sheet } from "./dom.js";
import { hue } from "./picture.js";
import { clock, number, span, yuan } from "./words.js";

const AUDIT_MAX_MS = 70_000;
const FINDINGS = {
  agree: ["good", "equal", "All replicas stand at one entry and have the same rows."],
  differ: ["bad", "different", "Two replicas stand at one entry and differ. That must never happen: keep all data and report it."],
  unsure: ["warn", "not compared", "Not all replicas answered or stood at one entry. Ask again when less is written."],
};

/** @param {any} group */
function compared(group) {
  const [kind, word, sentence] = FINDINGS[group.finding];
  const hash = (replica) => h("li", {}, `node ${replica.node}: `, replica.hash ? h("code", {}, `${replica.hash.slice(0, 16)}… at entry ${number(replica.index)}`) : "no answer");
  return h("div", {},
    h("p", {}, h("span", { class: `dot ${hue(group.group)}`, "aria-hidden": "true" }), h("b", {}, `Group ${group.group} `), h("span", { class: `badge ${kind}` }, word)),
    h("p", { class: "soft" }, sentence), h("ul", {}, ...group.replicas.map(hash)));
}

/** @param {any} money */
function booked(money) {
  if (!money) return [h("p", { class: "soft" }, "This queue node was told of no payment app (its option --app), so there is no money to audit.")];
  if (money.why) return [h("p", { class: "note bad" }, `No audit was given: ${money.why}`)];
  const items = money.items.map((item) => h("li", { class: item.is_ok ? "good" : "bad" }, `${item.name}${item.is_ok ? "" : `: ${item.detail}`}`));
  return [
    h("p", { class: `note ${money.is_ok ? "good" : "bad"}` }, money.is_ok ? `All ${money.items.length} invariants hold.` : "The money does not add up."),
    facts([["Packets", number(money.packets)], ["Paid in", yuan(money.fen_in)], ["Went out", yuan(money.fen_out)], ["Credits at once", number(money.credits_now)], ["Credits by queue", number(money.credits_queued)], ["Longest wait", span(money.longest_wait_ms)]]),
    h("h2", {}, "Invariants"), h("ul", { class: "reasons" }, ...items),
  ];
}

/** @param {HTMLElement} root */
export function auditView(root) {
  const said = h("p", { class: "soft", role: "status" }, "Hashes every row of every replica, and asks the ledger to add up.");
  const reasons = h("ul", { class: "reasons" });
  const found = h("div", { class: "columns" });
  const run = h("button", { type: "button", class: "main", onclick: async () => {
    /** @type {HTMLButtonElement} */ (run).disabled = true;
    say(said, "Auditing …");
    try {
      const audit = await ask("audit", {}, AUDIT_MAX_MS);
      found.replaceChildren(sheet("Money", ...booked(audit.money)), sheet("Replicas", ...audit.groups.map(compared)));
      say(said, `Audited at ${clock(audit.now_ms)}.`);
    } catch (fault) {
      say(said, fault.sentence ?? fault.message);
    }
    /** @type {HTMLButtonElement} */ (run).disabled = false;
  } }, "Audit now");
  root.append(h("div", { class: "head" }, h("h1", { class: "grow" }, "Audit"), said, run), sheet("Verdict", reasons), found);
  const look = (look) => {
    const lines = look.reasons.length ? look.reasons : ["Every member is up and has what the leaders have."];
    if (reasons.dataset.text === lines.join("\n")) return;
    reasons.dataset.text = lines.join("\n");
    reasons.replaceChildren(...lines.map((line) => h("li", { class: look.verdict === "healthy" ? "good" : look.verdict === "degraded" ? "" : "bad" }, line)));
  };
  return { look };
}
