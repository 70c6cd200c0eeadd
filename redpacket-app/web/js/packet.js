/**
 * A packet's page: what this user got, *waiting* that turns into *arrived* by itself, and who else got what.
 *
 * Must never: say "arrived" before the server says so, or let "waiting" stand after it.
 */
import { get, post } from "./api.js";
import { amount, avatar, el, icon, when } from "./dom.js";
import { me } from "./state.js";
import { t } from "./words.js";

/** While a share waits it is looked at this often, should the news be late. */
const LOOK_MS = 5000;

/** The claim that was opened just now: it is shown before the page has read anything. */
let fresh = { packet: "", claim: null };

/** Keeps a claim for the page that shows it next. */
export function keep(packet, claim) {
  fresh = { packet: packet.packet, claim };
}

function standing(credit) {
  const drawing = credit === "arrived" ? "done" : "clock";
  return el("p", { class: `standing ${credit}`, role: "status", id: "standing" }, icon(drawing), el("span", { text: t(credit) }));
}

function own(claim) {
  return el("div", { class: "won" }, el("p", { class: "won-label", text: t("you_got") }),
    el("p", { class: "won-fen" }, el("strong", { text: amount(claim.fen) }), " ", el("span", { text: t("yuan_word") })), standing(claim.credit));
}

function line(claim, luckiest) {
  const crown = claim.share === luckiest ? el("span", { class: "crown" }, icon("crown"), t("luckiest")) : null;
  return el("li", { class: "row" }, avatar(claim.user, claim.name),
    el("span", { class: "row-text" }, el("span", { class: "row-name", text: claim.name }), el("time", { text: when(claim.claimed_ms) })),
    el("span", { class: "row-end" }, el("span", { class: "row-fen", text: `${amount(claim.fen)} ${t("yuan_word")}` }), crown));
}

function summary(packet, claims) {
  const taken = t("taken_of", claims.length, packet.shares);
  const got = amount(claims.reduce((sum, claim) => sum + claim.fen, 0));
  const sums = packet.sender === me().user || packet.state !== "live" ? t("in_all", got, amount(packet.total_fen)) : "";
  const end = packet.state === "live" ? "" : ` · ${t(packet.state)}`;
  return el("h2", { class: "summary", text: `${taken}${sums}${end}` });
}

/**
 * The page of a packet.
 * @param {string} id
 */
export async function details(id) {
  const head = el("div", { class: "packet-own" });
  const others = el("div");
  const top = el("div", { class: "packet-top" });
  let last = "";

  const fill = ({ packet, claims, luckiest_share: luckiest }) => {
    const mine = claims.find((claim) => claim.user === me().user);
    const said = JSON.stringify([packet, claims, luckiest]);
    if (said === last) return mine;
    last = said;
    top.className = `packet-top cover-${packet.cover || "red"}`;
    top.replaceChildren(el("div", { class: "packet-curve", "aria-hidden": "true" }));
    const before = head.querySelector("#standing");
    const name = el("p", { class: "packet-from" }, avatar(packet.sender, packet.sender_name), el("span", { text: t("from", packet.sender_name) }));
    if (before && mine) {
      // The words change in place, so that a screen reader says them.
      before.className = `standing ${mine.credit}`;
      before.replaceChildren(icon(mine.credit === "arrived" ? "done" : "clock"), el("span", { text: t(mine.credit) }));
    } else {
      head.replaceChildren(name, el("p", { class: "packet-greeting", text: packet.greeting || t("greeting_default") }), mine ? own(mine) : "");
    }
    others.replaceChildren(summary(packet, claims), el("ul", { class: "list", "aria-label": t("see_others") }, ...claims.map((claim) => line(claim, luckiest))));
    return mine;
  };

  const look = async () => {
    const shown = await get("/api/packet", { packet: id });
    if (fresh.packet === id && fresh.claim) {
      const mine = shown.claims.find((claim) => claim.user === me().user);
      // The ledger may have said "arrived" before the packet's group has marked it.
      if (mine && mine.credit !== "arrived" && fresh.claim.credit === "arrived") mine.credit = "arrived";
    }
    const mine = fill(shown);
    if (mine?.credit === "unknown") await post("/api/open", { packet: id });
    return !mine || mine.credit === "arrived";
  };

  let isSettled = await look();
  let looking = false;
  const live = async () => {
    if (looking) return;
    looking = true;
    isSettled = await look().catch(() => false);
    looking = false;
  };
  const timer = setInterval(() => isSettled || live(), LOOK_MS);
  return { title: t("red_packet"), back: "chats", look: "packet", nodes: [top, head, others], live, end: () => clearInterval(timer) };
}
