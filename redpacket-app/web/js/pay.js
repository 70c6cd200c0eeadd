/**
 * Paying: the sheet for a merchant's order, and money brought in and taken out, each with the payment password.
 *
 * Must never: keep a password, or send the same top-up under two numbers.
 */
import { Failed, get, post } from "./api.js";
import { amount, button, el, fen, field, say, yuan } from "./dom.js";
import { go } from "./main.js";
import { newId } from "./state.js";
import { reason, t } from "./words.js";

const PAY_MS = 40_000;
const PASSWORD_MISSING = 20_024;
const PASSWORD_WRONG = 20_025;
const LOCKED_OUT = 20_023;
/** The server asks for the payment password. */
export const PASSWORD_NEEDED = 20_029;

/** Six digits that nobody beside sees. */
function secret(label) {
  return field(label, { type: "password", inputmode: "numeric", maxlength: 6, pattern: "[0-9]{6}", required: true, autocomplete: "off" });
}

/**
 * A form that says what went wrong and can be sent again.
 * @param {Array<Node|null>} inside
 * @param {string} words on the button
 * @param {() => ?string} fault what is not filled in right
 * @param {() => Promise<void>} send
 */
function form(inside, words, fault, send) {
  const wrong = el("p", { class: "wrong", role: "alert", id: "wrong" });
  const press = el("button", { class: "do", text: words });
  const submit = async (event) => {
    event.preventDefault();
    wrong.textContent = fault() ?? "";
    if (wrong.textContent) return;
    [press.disabled, press.textContent] = [true, t("sending")];
    try {
      await send();
    } catch (failed) {
      wrong.textContent = failed.outcome === "refused" ? reason(failed) : t("pay_unknown");
    } finally {
      [press.disabled, press.textContent] = [false, words];
    }
  };
  return el("form", { class: "sheet", novalidate: true, on: { submit } }, ...inside, wrong, press);
}

const isSecret = (text) => /^\d{6}$/.test(text);

/**
 * Asks for the payment password in a dialog and tries with it until it is right, or given up.
 * @param {string} words what it is for
 * @param {(password: string) => Promise<*>} attempt
 * @returns {Promise<*>} what the attempt has answered
 * @throws {Failed} as the attempt; `PASSWORD_NEEDED`, given up
 */
export function withSecret(words, attempt) {
  const dialog = document.getElementById("secret");
  const input = secret(t("pay_password"));
  const wrong = el("p", { class: "wrong", role: "alert" });
  const press = el("button", { class: "do", text: t("confirm") });
  return new Promise((resolve, reject) => {
    let end = () => reject(new Failed("refused", PASSWORD_NEEDED, "given up", null));
    const submit = async (event) => {
      event.preventDefault();
      if (press.disabled) return;
      wrong.textContent = isSecret(input.input.value) ? "" : t("six_digits");
      if (wrong.textContent) return input.input.focus();
      [press.disabled, press.textContent] = [true, t("sending")];
      try {
        const answer = await attempt(input.input.value);
        end = () => resolve(answer);
        dialog.close();
      } catch (failed) {
        if (failed.refusal === PASSWORD_WRONG || failed.refusal === LOCKED_OUT) {
          [wrong.textContent, input.input.value] = [reason(failed), ""];
          input.input.focus();
          return;
        }
        end = () => reject(failed);
        dialog.close();
      } finally {
        [press.disabled, press.textContent] = [false, t("confirm")];
      }
    };
    // While it is tried nobody knows how it ends, so it cannot be given up. (A handler that answers false gives up nothing, too.)
    dialog.oncancel = (event) => {
      if (press.disabled) event.preventDefault();
    };
    dialog.onclose = () => end();
    const give = button(t("cancel"), () => !press.disabled && dialog.close(), { class: "quiet" });
    dialog.replaceChildren(el("form", { class: "secret", novalidate: true, on: { submit } }, el("h2", { id: "secret-title", text: t("secret_title") }),
      el("p", { id: "secret-for", text: words }), input.field, wrong, press, give));
    dialog.showModal();
    input.input.focus();
  });
}

/** The payment password, set for the first time: then `next`. */
function firstPassword(title, back, next) {
  const [one, two] = [secret(t("pay_password_new")), secret(t("pay_password_again"))];
  const fault = () => (!isSecret(one.input.value) ? t("six_digits") : one.input.value === two.input.value ? null : t("not_the_same"));
  const send = async () => {
    await post("/api/pay-password", { password: one.input.value });
    say(t("pay_password_set"));
    next();
  };
  const sheet = form([el("p", { class: "hint", text: t("pay_password_why") }), one.field, two.field], t("save"), fault, send);
  return { title, back, nodes: [sheet], ready: () => one.input.focus() };
}

/** The sheet for an order. */
export async function order(id) {
  const title = t("pay");
  const { order: asked, has_password: hasPassword } = await get("/api/pay", { order: id });
  const bill = el("section", { class: "totals" }, el("p", { class: "total-label", text: asked.subject || asked.number }),
    el("p", { class: "total-fen" }, el("span", { "aria-hidden": "true", text: "¥" }), el("strong", { id: "to-pay", text: amount(asked.amount_fen) })),
    el("p", { class: "total-facts", text: t("order_number", asked.number) }));
  if (asked.state !== "open") {
    const words = asked.state === "closed" ? t("order_closed") : asked.is_mine ? t("order_paid_mine") : t("order_paid_other");
    const back = asked.refunded_fen > 0 ? el("p", { class: "hint", text: t("order_went_back", yuan(asked.refunded_fen)) }) : null;
    return { title, back: "wallet", nodes: [bill, el("p", { class: "empty", role: "status", text: words }), ...(back ? [back] : [])] };
  }
  if (!hasPassword) return firstPassword(title, "wallet", () => go(`pay/${id}`));
  const password = secret(t("pay_password"));
  const send = async () => {
    const { is_arrived: isArrived } = await post("/api/pay", { order: id, password: password.input.value }, PAY_MS);
    say(t(isArrived ? "pay_done" : "pay_under_way"));
    go("wallet");
  };
  const sheet = form([password.field], t("pay_now", yuan(asked.amount_fen)), () => (isSecret(password.input.value) ? null : t("six_digits")), send);
  return { title, back: "wallet", nodes: [bill, sheet], ready: () => password.input.focus() };
}

function money() {
  return field(t("amount"), { inputmode: "decimal", placeholder: "0.00", required: true }, t("yuan_unit"));
}

/** Money brought in. */
export async function topUp() {
  const id = newId();
  const sum = money();
  const fault = () => (fen(sum.input.value) > 0 ? null : t("bad_amount"));
  const send = async () => {
    await post("/api/top-up", { id, amount_fen: fen(sum.input.value) }, PAY_MS);
    say(t("top_up_done", yuan(fen(sum.input.value))));
    go("wallet");
  };
  return { title: t("top_up"), back: "wallet", nodes: [form([sum.field], t("top_up"), fault, send)], ready: () => sum.input.focus() };
}

/** Money taken out. */
export async function takeOut() {
  const id = newId();
  const [sum, password] = [money(), secret(t("pay_password"))];
  const fault = () => (!(fen(sum.input.value) > 0) ? t("bad_amount") : isSecret(password.input.value) ? null : t("six_digits"));
  const send = async () => {
    try {
      await post("/api/take-out", { id, amount_fen: fen(sum.input.value), password: password.input.value }, PAY_MS);
    } catch (failed) {
      if (failed.refusal === PASSWORD_MISSING) return go("pay-password");
      throw failed;
    }
    say(t("take_out_done", yuan(fen(sum.input.value))));
    go("wallet");
  };
  return { title: t("take_out"), back: "wallet", nodes: [form([sum.field, password.field], t("take_out"), fault, send)], ready: () => sum.input.focus() };
}

/** The payment password, for somebody who has none. */
export async function password() {
  return firstPassword(t("pay_password"), "wallet", () => go("take-out"));
}
