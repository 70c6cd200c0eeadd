/**
 * Sending: a sheet for a packet, and payments whose end is not known yet.
 *
 * Must never: keep a payment password; or pay twice. A sheet has one order, which is remembered before it is asked for and asked for until its end
 * is known, over reloads too.
 */
import { get, post } from "./api.js";
import { avatar, el, fen, field, say, yuan } from "./dom.js";
import { go } from "./main.js";
import { PASSWORD_NEEDED, withSecret } from "./pay.js";
import { forget, me, newId, outbox, remember } from "./state.js";
import { reason, t } from "./words.js";

const COVERS = ["red", "gold", "night", "spring"];
const SHARE_FEN_MAX = 20_000;
const SHARES_MAX = 100;
const PAY_MS = 40_000;
const ASK_AGAIN_MS = 10_000;

/** A choice of one of several, as a row of radio buttons. */
function choice(legend, name, options, look, chosen) {
  const radios = options.map(([value, text]) => {
    const input = el("input", { type: "radio", name, value, checked: value === chosen });
    return el("label", { class: `${look} ${look}-${value}` }, input, el("span", { text }));
  });
  const set = el("fieldset", { class: `${look}s` }, el("legend", { text: legend }), ...radios);
  return { set, value: () => set.querySelector("input:checked")?.value ?? "" };
}

/** Pays until the end is known; asks for the payment password where the server does. */
async function pay(fields) {
  const { user, ...rest } = fields;
  const attempt = (password) => post("/api/send", password ? { ...rest, pay_password: password } : rest, PAY_MS);
  try {
    const reply = await attempt("").catch((failed) => {
      if (failed.refusal !== PASSWORD_NEEDED) throw failed;
      return withSecret(t("secret_for", yuan(fields.total_fen)), attempt);
    });
    forget(fields.order);
    return reply;
  } catch (failed) {
    if (failed.outcome === "refused") forget(fields.order);
    throw failed;
  }
}

/** Whether a payment was made after all: one that was tried with a password may be given up without knowing. */
async function isPaid(order) {
  const { state } = await get("/api/order", { order });
  return state === "paid" || state === "sent";
}

/** Asks again for payments of former visits. */
export async function resume() {
  for (const fields of Object.values(outbox())) {
    if (fields.user !== me()?.user) continue;
    try {
      await pay(fields);
      say(t("sent"));
    } catch (failed) {
      if (failed.refusal === PASSWORD_NEEDED) say((await isPaid(fields.order).catch(() => false)) ? t("sent") : reason(failed));
      else if (failed.outcome === "refused") say(reason(failed));
      else setTimeout(resume, ASK_AGAIN_MS);
    }
  }
}

/** What is wrong with a packet, in words; nothing if nothing is. */
function fault(total, shares, each) {
  if (!Number.isInteger(shares) || shares < 1 || shares > SHARES_MAX) return t("bad_shares");
  if (!Number.isInteger(total) || !Number.isInteger(each) || total <= 0) return t("bad_amount");
  if (total < shares) return t("share_small");
  if (total > shares * SHARE_FEN_MAX) return t("share_large");
  return "";
}

/** The sheet: `audience` says for whom, `done` where to go afterwards. */
function sheet(title, back, audience) {
  const order = newId();
  const kind = choice(t("kind"), "kind", audience.kinds.map((name) => [name, t(name)]), "kind", audience.kinds[0]);
  const shares = field(t("shares"), { type: "number", inputmode: "numeric", min: 1, max: SHARES_MAX, value: audience.shares ?? 3 }, t("shares_unit"));
  const money = field(t("total"), { inputmode: "decimal", placeholder: "0.00", required: true }, t("yuan_unit"));
  const greeting = field(t("greeting"), { maxlength: 25, placeholder: t("greeting_default") });
  const cover = choice(t("cover"), "cover", COVERS.map((name) => [name, t(`cover_${name}`)]), "cover", "red");
  const password = field(t("password_optional"), { maxlength: 20, placeholder: t("password_hint") });
  const people = el("fieldset", { class: "people" }, el("legend", { text: t("for_whom") }), ...(audience.people ?? []).map(({ user, name }) =>
    el("label", { class: "person" }, el("input", { type: "checkbox", value: user }), avatar(user, name), el("span", { text: name }))));
  const sum = el("output", { class: "sum", "aria-live": "polite", text: yuan(0) });
  const wrong = el("p", { class: "wrong", role: "alert", id: "wrong" });
  const press = el("button", { class: "do", text: t("put_money") });

  const chosen = () => [...people.querySelectorAll("input:checked")].map((input) => input.value);
  const reckon = () => {
    const name = kind.value();
    const count = name === "direct" ? 1 : name === "exclusive" ? chosen().length : Number(shares.input.value);
    const said = fen(money.input.value);
    const total = name === "lucky" || name === "direct" ? said : said * count;
    return { name, count, said, total };
  };
  const update = () => {
    const { name, total } = reckon();
    shares.field.hidden = name === "direct" || name === "exclusive";
    people.hidden = name !== "exclusive";
    money.field.querySelector(".label").textContent = name === "lucky" || name === "direct" ? t("total") : t("each");
    sum.textContent = yuan(Number.isFinite(total) ? total : 0);
  };
  const submit = async (event) => {
    event.preventDefault();
    const { name, count, said, total } = reckon();
    wrong.textContent = name === "exclusive" && count === 0 ? t("choose") : fault(total, count, said);
    money.input.setAttribute("aria-invalid", String(wrong.textContent !== ""));
    if (wrong.textContent) return money.input.focus();
    const fields = {
      user: me().user, order, kind: name, total_fen: total, shares: count, greeting: greeting.input.value.trim(),
      cover: cover.value(), password: password.input.value, ...audience.to,
      ...(name === "exclusive" ? { recipients: chosen() } : {}),
    };
    [press.disabled, press.textContent] = [true, t("sending")];
    remember(fields);
    try {
      const reply = await pay(fields);
      say(t(reply.is_sent ? "sent" : "paid"));
      go(back);
    } catch (failed) {
      wrong.textContent = failed.outcome === "refused" ? reason(failed) : t("pay_unknown");
      // A refused order changed nothing: it may be asked for again, with other terms too.
      if (failed.outcome === "refused") money.input.focus();
      else setTimeout(resume, ASK_AGAIN_MS);
    } finally {
      [press.disabled, press.textContent] = [false, t("put_money")];
    }
  };
  const form = el("form", { class: "sheet", novalidate: true, on: { submit, input: update, change: update } }, kind.set, people, shares.field, money.field,
    greeting.field, password.field, cover.set, sum, wrong, press, el("p", { class: "hint", text: t("expires") }));
  update();
  return { title, back, nodes: [form], ready: () => money.input.focus({ preventScroll: true }) };
}

/** A packet for a chat. */
export async function toChat(chat) {
  const { members } = await get("/api/members", { chat });
  return sheet(t("send"), `chat/${chat}`, { kinds: ["lucky", "equal", "exclusive"], people: members, shares: Math.min(members.length, SHARES_MAX), to: { chat } });
}

/** A packet for one person. */
export async function toPerson(user, name) {
  return sheet(t("send_to", name ?? ""), "contacts", { kinds: ["direct"], to: { recipients: [user] } });
}
