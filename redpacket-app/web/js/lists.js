/**
 * Lists: packets received and sent, with what each year came to.
 *
 * Must never: show an amount as arrived that waits.
 */
import { get } from "./api.js";
import { amount, avatar, el, icon, list, older, when } from "./dom.js";
import { me } from "./state.js";
import { t } from "./words.js";

const PAGE = 20;

function received(item) {
  const crown = item.is_luckiest ? el("span", { class: "crown" }, icon("crown"), t("luckiest")) : null;
  const waits = item.claim.credit === "arrived" ? null : el("span", { class: "waits" }, icon("clock"), t("credit_waiting"));
  return el("li", {}, el("a", { class: "row", href: `#packet/${item.packet}` }, avatar(item.sender, item.sender_name),
    el("span", { class: "row-text" }, el("span", { class: "row-name", text: item.sender_name }), el("span", { class: "row-line", text: `${t(item.kind)} · ${when(item.claim.claimed_ms)}` })),
    el("span", { class: "row-end" }, el("span", { class: "row-fen", text: amount(item.claim.fen) }), crown, waits)));
}

function sent(packet) {
  const taken = `${packet.shares - packet.shares_left}/${packet.shares}`;
  const state = packet.state === "live" ? "" : ` · ${t(packet.state)}`;
  return el("li", {}, el("a", { class: "row", href: `#packet/${packet.packet}` }, el("span", { class: `avatar gift cover-${packet.cover || "red"}`, "aria-hidden": "true" }, icon("packets")),
    el("span", { class: "row-text" }, el("span", { class: "row-name", text: t(packet.kind) }), el("span", { class: "row-line", text: `${when(packet.created_ms)}${state}` })),
    el("span", { class: "row-end" }, el("span", { class: "row-fen", text: amount(packet.total_fen) }), el("span", { class: "row-line", text: taken }))));
}

/** What a year came to. */
function totals(years, isSent) {
  const year = el("select", { "aria-label": t("year") }, ...years.map((view) => el("option", { value: view.year, text: t("year_of", view.year) })));
  const body = el("div", { "aria-live": "polite" });
  const fill = () => {
    const view = years.find((one) => String(one.year) === year.value) ?? { count: 0, fen: 0, luckiest: 0 };
    const facts = [t("count_packets", view.count), ...(isSent ? [] : [t("count_luckiest", view.luckiest)])];
    body.replaceChildren(el("p", { class: "total-label", text: t(isSent ? "sent_total" : "received_total") }),
      el("p", { class: "total-fen" }, el("strong", { text: amount(view.fen) }), " ", t("yuan_word")), el("p", { class: "total-facts", text: facts.join(" · ") }));
  };
  year.addEventListener("change", fill);
  fill();
  return el("section", { class: "totals" }, avatar(me().user, me().name), years.length > 0 ? year : null, body);
}

/**
 * Both lists behind two tabs.
 * @param {string} [which] "sent", or the other
 */
export async function records(which) {
  const isSent = which === "sent";
  const path = isSent ? "/api/sent" : "/api/received";
  const row = isSent ? sent : received;
  const body = el("div");
  let pages = 1;
  const read = async () => {
    const items = [];
    let years = [];
    let cursor = "";
    for (let page = 0; page < pages; page += 1) {
      const reply = await get(path, { limit: PAGE, ...(cursor ? { cursor } : {}) });
      items.push(...(isSent ? reply.packets : reply.received));
      if (page === 0) years = reply.years;
      cursor = reply.next;
      if (!cursor) break;
    }
    const empty = t(isSent ? "no_sent" : "no_received");
    const more = cursor ? older(async () => { pages += 1; await read(); }) : "";
    body.replaceChildren(totals(years, isSent), list(items.map(row), empty, t(isSent ? "sent_list" : "received")), more);
  };
  await read();
  const tab = (name, address, isOn) => el("a", { href: `#${address}`, "aria-current": isOn ? "true" : null, text: name });
  const tabs = el("nav", { class: "segments", "aria-label": t("records") }, tab(t("received"), "records", !isSent), tab(t("sent_list"), "records/sent", isSent));
  return { title: t("records"), tab: "records", nodes: [tabs, body], live: () => read().catch(() => {}) };
}
