/**
 * The wallet: balance, what is on its way, the bill; and who the phone belongs to.
 *
 * Must never: add up a balance of its own. It shows what the ledger says.
 */
import { get, post } from "./api.js";
import { amount, button, el, field, list, older, say, when, yuan } from "./dom.js";
import { go, speakOther } from "./main.js";
import { restart } from "./news.js";
import { joiningId, me, setMe } from "./state.js";
import { reason, t } from "./words.js";

/** What a new wallet holds where wallets are funded. */
const FIRST_FEN = 100_000;
const FUNDING_CLOSED = 20_005;
const PAGE = 30;

function billRow(line) {
  const text = el("span", { class: "row-text" }, el("span", { class: "row-name", text: t(line.kind) }), el("span", { class: "row-line", text: `${when(line.booked_ms)} · ${t("balance_then", yuan(line.balance_fen))}` }));
  const sign = line.amount_fen > 0 ? "+" : "";
  const fen = el("span", { class: `row-fen ${line.amount_fen > 0 ? "in" : "out"}`, text: `${sign}${amount(line.amount_fen)}` });
  const inside = [text, fen];
  return el("li", {}, line.packet ? el("a", { class: "row", href: `#packet/${line.packet}` }, ...inside) : el("span", { class: "row" }, ...inside));
}

function purse(balance) {
  const way = balance.pending_fen > 0 ? el("p", { class: "purse-way", text: t("on_its_way", yuan(balance.pending_fen), balance.pending_credits) }) : null;
  return el("div", { class: "purse" }, el("p", { class: "purse-label", text: t("balance") }),
    el("p", { class: "purse-fen", id: "balance" }, el("span", { "aria-hidden": "true", text: "¥" }), el("strong", { text: amount(balance.balance_fen) })), way,
    el("p", { class: "purse-ways" }, el("a", { href: "#top-up", text: t("top_up") }), el("a", { href: "#take-out", text: t("take_out") })));
}

/** Balance and bill. */
export async function overview() {
  const top = el("section", { "aria-live": "polite", "aria-label": t("balance") });
  const bill = el("div");
  let pages = 1;
  const read = async () => {
    top.replaceChildren(purse(await get("/api/balance")));
    const lines = [];
    let cursor = 0;
    for (let page = 0; page < pages; page += 1) {
      const reply = await get("/api/bill", { limit: PAGE, ...(cursor ? { cursor } : {}) });
      lines.push(...reply.lines);
      cursor = reply.next;
      if (!cursor) break;
    }
    const more = cursor ? older(async () => { pages += 1; await read(); }) : "";
    bill.replaceChildren(el("h2", { text: t("bill") }), list(lines.map(billRow), t("no_bill"), t("bill")), more);
  };
  await read();
  const who = el("p", { class: "who" }, me().name, " ", button(t("sign_out"), () => { leave(); say(t("signed_out")); }, { class: "link" }));
  return { title: t("wallet"), tab: "wallet", nodes: [top, who, bill], live: () => read().catch(() => {}), action: other() };
}

const other = () => ({ text: t("other_language"), press: speakOther });

/** The phone belongs to nobody any more. */
export function leave() {
  setMe(null);
  restart();
  go("");
}

async function register(name) {
  const user = joiningId();
  const open = (fund_fen) => post("/api/register", { user, name, fund_fen });
  const { token } = await open(FIRST_FEN).catch((failed) => {
    if (failed.refusal === FUNDING_CLOSED) return open(0);
    throw failed;
  });
  setMe({ user, name, token });
}

/** Somebody new. */
export async function welcome() {
  const name = field(t("your_name"), { maxlength: 16, required: true, autocomplete: "nickname" });
  const wrong = el("p", { class: "wrong", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    try {
      await register(name.input.value.trim());
      restart();
      go("chats");
    } catch (failed) {
      wrong.textContent = reason(failed);
      name.input.focus();
    }
  };
  const form = el("form", { class: "welcome", on: { submit } }, el("div", { class: "welcome-art", "aria-hidden": "true" }),
    el("h2", { text: t("welcome") }), el("p", { text: t("welcome_text") }), name.field, wrong, el("button", { class: "do", text: t("enter") }));
  return { title: t("app"), look: "welcome", nodes: [form], ready: () => name.input.focus(), action: other() };
}
