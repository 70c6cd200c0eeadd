/**
 * The page: which view is shown, the bar above it and the tabs below it.
 *
 * A view is made by a function of the rest of the address behind `#`; it answers
 * `{title, nodes, back, tab, action, live, ready}`: what to show, where "back" leads, and what to do with news.
 *
 * Must never: know what a view is about.
 */
import * as chats from "./chats.js";
import { button, el, icon, say } from "./dom.js";
import { resume } from "./send.js";
import * as lists from "./lists.js";
import * as news from "./news.js";
import * as packet from "./packet.js";
import * as pay from "./pay.js";
import * as send from "./send.js";
import { me, news as known, onNews } from "./state.js";
import * as wallet from "./wallet.js";
import { language, reason, switchLanguage, t } from "./words.js";

const VIEWS = {
  chats: chats.overview,
  chat: chats.room,
  "to-me": chats.toMe,
  "new-chat": chats.enter,
  contacts: chats.contacts,
  send: send.toChat,
  "send-to": send.toPerson,
  packet: packet.details,
  records: lists.records,
  wallet: wallet.overview,
  pay: pay.order,
  "pay-password": pay.password,
  "top-up": pay.topUp,
  "take-out": pay.takeOut,
};
const TABS = [["chats", "chats"], ["contacts", "people"], ["records", "packets"], ["wallet", "wallet"]];

const part = (id) => document.getElementById(id);
let shown = { stop: () => {}, turn: 0 };

/** Goes to a view. */
export const go = (address) => {
  if (location.hash === `#${address}`) render();
  else location.hash = address;
};

function bar(view) {
  part("title").textContent = view.title;
  document.title = view.title;
  const back = part("back");
  back.hidden = !view.back;
  back.setAttribute("aria-label", t("back"));
  back.replaceChildren(icon("back"));
  back.onclick = () => go(view.back);
  const action = part("action");
  action.hidden = !view.action;
  if (view.action) {
    action.replaceChildren(view.action.icon ? icon(view.action.icon) : view.action.text);
    action.setAttribute("aria-label", view.action.text);
    action.onclick = view.action.press;
  }
  part("phone").dataset.look = view.look ?? "";
}

function tabs(current) {
  const nav = part("tabs");
  nav.hidden = !current;
  nav.setAttribute("aria-label", t("tabs"));
  nav.replaceChildren(...TABS.map(([name, drawing]) => {
    const facts = { href: `#${name}`, "aria-current": name === current ? "page" : null };
    return el("a", facts, icon(drawing), el("span", { text: t(name === "records" ? "red_packet" : name) }));
  }));
}

/** Shows what the address names. */
async function render() {
  const [name, ...rest] = decodeURIComponent(location.hash.slice(1)).split("/");
  const turn = shown.turn + 1;
  shown.stop();
  shown = { stop: () => {}, turn };
  document.documentElement.lang = language();
  const make = me() ? VIEWS[name] ?? VIEWS.chats : wallet.welcome;
  part("view").setAttribute("aria-busy", "true");
  // News that comes while the view is made may be newer than what it is made of, and comes only once.
  const before = known();
  let view;
  try {
    view = await make(...rest);
  } catch (failed) {
    if (!("outcome" in failed)) throw failed;
    if (failed.refusal === 20_004) return wallet.leave();
    view = { title: t("app"), back: "chats", nodes: [el("p", { class: "empty", role: "alert", text: reason(failed) }), button(t("older"), render, { class: "quiet" })] };
  }
  if (shown.turn !== turn) return;
  bar(view);
  tabs(view.tab);
  part("view").replaceChildren(...view.nodes);
  part("view").removeAttribute("aria-busy");
  if (view.live) {
    shown.stop = onNews(view.live);
    if (known() !== before) view.live(known());
  }
  if (view.end) {
    const stop = shown.stop;
    shown.stop = () => { stop(); view.end(); };
  }
  // Who cannot see learns from the heading where he is now.
  if (view.ready) view.ready();
  else part("title").focus({ preventScroll: true });
}

/** Shows everything in the other language. */
export function speakOther() {
  switchLanguage();
  render();
}

function onLine(isConnected) {
  const offline = part("offline");
  if (isConnected && !offline.hidden) say(t("connected"));
  offline.hidden = isConnected;
  offline.textContent = isConnected ? "" : t("offline");
}

/** Tells of money that arrives while another view is open. */
function announce() {
  let waiting = new Map();
  onNews((state) => {
    for (const { packet: id, claim } of state.received) {
      if (claim.credit === "arrived" && waiting.delete(id)) say(t("arrived_note", `¥${(claim.fen / 100).toFixed(2)}`));
      else if (claim.credit !== "arrived") waiting.set(id, claim.fen);
    }
  });
}

addEventListener("hashchange", render);
announce();
render();
resume();
news.start(onLine);
