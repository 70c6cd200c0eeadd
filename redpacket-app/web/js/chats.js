/**
 * Chats: the overview, a room in which packets appear, people, and how one gets into a room.
 *
 * Must never: ask again and again whether there is something new. The news say when to look.
 */
import { get, post } from "./api.js";
import { avatar, button, el, field, icon, list, match, say, when } from "./dom.js";
import { offer } from "./envelope.js";
import { go } from "./main.js";
import { me, newId, news } from "./state.js";
import { reason, t } from "./words.js";

/** Milliseconds until what could not be seen is looked for again. */
const LOOK_AGAIN_MS = 2000;

/** What a packet says of itself in one line. */
const headline = (packet) => packet.greeting || t("greeting_default");

/** Packets of the news that this user has a share of. */
const mine = () => new Set(news().received.map((item) => item.packet));

function row(address, face, name, line, time) {
  const text = el("span", { class: "row-text" }, el("span", { class: "row-name", text: name }), el("span", { class: "row-line", text: line }));
  return el("li", {}, el("a", { class: "row", href: `#${address}` }, face, text, time ? el("time", { text: time }) : null));
}

function chatRow(chat) {
  const line = chat.newest ? `[${t("red_packet")}] ${headline(chat.newest)}` : t("members", chat.members);
  return row(`chat/${chat.chat}`, avatar(chat.chat, chat.name), chat.name, line, chat.newest ? when(chat.newest.created_ms) : "");
}

/** All chats; those with the newest packets first. */
export async function overview() {
  const first = news().chats.length > 0 ? news().chats : (await get("/api/chats")).chats;
  const body = el("div");
  const fill = (chats) => {
    const sorted = [...chats].sort((one, other) => (other.newest?.created_ms ?? 0) - (one.newest?.created_ms ?? 0));
    const rows = sorted.map(chatRow);
    const [own] = news().offered;
    if (own) rows.unshift(row("to-me", el("span", { class: "avatar gift", "aria-hidden": "true" }, icon("packets")), t("to_me"), `[${t("red_packet")}] ${headline(own)}`, when(own.created_ms)));
    body.replaceChildren(list(rows, t("no_chats"), t("chats")));
  };
  fill(first);
  return {
    title: t("chats"), tab: "chats", nodes: [body], live: (state) => fill(state.chats),
    action: { icon: "add", text: t("new_chat"), press: () => go("new-chat") },
  };
}

/** A packet as it lies in a room. */
function bubble(packet) {
  const isOwn = packet.sender === me().user;
  const has = packet.hasShare;
  const state = has ? "mine" : packet.state;
  const word = state === "live" ? (isOwn ? t("live") : t("take")) : t(state);
  const card = el("button", { type: "button", class: `card cover-${packet.cover || "red"} ${state === "live" ? "" : "faded"}`, on: { click: () => (has ? go(`packet/${packet.packet}`) : offer(packet)) } },
    el("span", { class: "card-top" }, el("span", { class: "card-icon", "aria-hidden": "true" }),
      el("span", { class: "card-text" }, el("span", { class: "card-greeting", text: headline(packet) }), el("span", { class: "card-state", text: word }))),
    el("span", { class: "card-foot", text: `${t(packet.kind)}${packet.has_password ? ` · ${t("password")}` : ""}` }));
  return el("li", { class: isOwn ? "bubble own" : "bubble" }, avatar(packet.sender, packet.sender_name),
    el("div", { class: "bubble-body" }, el("span", { class: "bubble-name" }, packet.sender_name, " ", el("time", { text: when(packet.created_ms) })), card));
}

/** A log of packets that follows the news; `load` reads the newest, newest first. */
function packetLog(label, load) {
  const log = el("ol", { class: "log", role: "log", "aria-label": label, tabindex: "0" });
  const empty = el("p", { class: "empty", text: t("no_packets") });
  const scroll = () => {
    const view = document.getElementById("view");
    view.scrollTop = view.scrollHeight;
  };
  const fill = async () => {
    const taken = mine();
    const packets = (await load()).map((packet) => ({ ...packet, hasShare: taken.has(packet.packet) }));
    const before = log.children.length;
    match(log, packets.reverse(), (packet) => packet.packet, bubble);
    empty.hidden = packets.length > 0;
    if (log.children.length > before) scroll();
  };
  // One look at a time; what comes meanwhile is seen by the next.
  let looking = null;
  let again = false;
  const live = () => {
    if (looking) {
      again = true;
      return;
    }
    looking = fill().then(() => true, () => false).then((isSeen) => {
      looking = null;
      // What could not be seen is looked for again: its news does not come twice.
      if (!isSeen) again = true;
      if (again && log.isConnected) {
        again = false;
        setTimeout(live, isSeen ? 0 : LOOK_AGAIN_MS);
      }
    });
  };
  return { nodes: [empty, log], fill, live, scroll };
}

/** The room of a chat. */
export async function room(id) {
  const known = news().chats.find((chat) => chat.chat === id) ?? (await get("/api/chats")).chats.find((chat) => chat.chat === id);
  const name = known?.name ?? t("chats");
  const log = packetLog(t("packets_of", name), async () => (await get("/api/shown", { chat: id, limit: 30 })).packets);
  await log.fill();
  const copy = async () => {
    await navigator.clipboard?.writeText(id).catch(() => {});
    say(t("copied"));
  };
  const code = el("p", { class: "code" }, `${t("invite")} `, el("code", { text: id }), " ", button(t("copy"), copy, { class: "link" }));
  const foot = el("div", { class: "foot" }, el("a", { class: "do", href: `#send/${id}` }, icon("send"), t("send")));
  return {
    title: known ? `${name} (${known.members})` : name, back: "chats", nodes: [code, ...log.nodes, foot], live: log.live,
    ready: () => { log.scroll(); document.getElementById("title").focus({ preventScroll: true }); },
  };
}

/** Packets for this user alone. */
export async function toMe() {
  const log = packetLog(t("to_me"), async () => (await get("/api/offered", { limit: 30 })).packets);
  await log.fill();
  return { title: t("to_me"), back: "chats", nodes: log.nodes, live: log.live };
}

/** People of all chats of this user. */
export async function contacts() {
  const { chats } = await get("/api/chats");
  const all = await Promise.all(chats.map((chat) => get("/api/members", { chat: chat.chat })));
  const people = new Map(all.flatMap(({ members }) => members).map((member) => [member.user, member.name]));
  people.delete(me().user);
  const sorted = [...people].sort(([, one], [, other]) => one.localeCompare(other));
  const rows = sorted.map(([user, name]) => row(`send-to/${user}/${encodeURIComponent(name)}`, avatar(user, name), name, t("send"), ""));
  return { title: t("contacts"), tab: "contacts", nodes: [list(rows, t("no_people"), t("contacts"))] };
}

/** Makes a chat, or joins one. */
export async function enter() {
  const id = newId();
  const name = field(t("chat_name"), { maxlength: 20, required: true });
  const code = field(t("chat_code"), { maxlength: 32, required: true, spellcheck: "false" });
  const wrong = el("p", { class: "wrong", role: "alert" });
  const form = (title, input, press, act) => el("form", { class: "panel", on: { submit: async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    try {
      await act();
    } catch (failed) {
      wrong.textContent = reason(failed);
      input.input.focus();
    }
  } } }, el("h2", { text: title }), input.field, el("button", { class: "do", text: press }));
  const create = async () => {
    await post("/api/chats", { chat: id, name: name.input.value.trim() });
    go(`chat/${id}`);
  };
  const join = async () => {
    const chat = code.input.value.trim().toLowerCase();
    await post("/api/join", { chat });
    go(`chat/${chat}`);
  };
  return {
    title: t("new_chat"), back: "chats",
    nodes: [form(t("new_chat"), name, t("create"), create), form(t("join_chat"), code, t("join"), join), wrong],
    ready: () => name.input.focus(),
  };
}

