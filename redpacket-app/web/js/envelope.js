/**
 * The envelope: a packet that can be opened, and its opening.
 *
 * ```
 *  grab ─> nothing left, or not for this user: said on the envelope
 *    └───> the coin ─> open, asked again under the same ids until there is an answer ─> the packet's page
 * ```
 *
 * Must never: show an amount before the server has said it.
 */
import { post } from "./api.js";
import { avatar, button, el } from "./dom.js";
import { go } from "./main.js";
import { me } from "./state.js";
import { keep } from "./packet.js";
import { reason, t } from "./words.js";

/** An open is asked for this long; its claim is safe meanwhile. */
const OPEN_MS = 60_000;
const FLIGHT_MS = 650;

const dialog = () => document.getElementById("envelope");
const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** What the envelope says of itself. */
function face(packet, ...below) {
  const from = el("h2", { id: "envelope-from", class: "envelope-from" }, avatar(packet.sender, packet.sender_name), el("span", { text: t("from", packet.sender_name) }));
  const close = button("×", () => dialog().close(), { class: "envelope-close", "aria-label": t("close") });
  const cover = el("div", { class: `envelope-cover cover-${packet.cover || "red"}` }, el("div", { class: "envelope-flap", "aria-hidden": "true" }),
    from, el("p", { class: "envelope-greeting", text: packet.greeting || t("greeting_default") }), ...below);
  return [cover, close];
}

function details(packet) {
  dialog().close();
  go(`packet/${packet.packet}`);
}

const seeOthers = (packet) => button(t("see_others"), () => details(packet), { class: "envelope-link" });

function over(packet, text) {
  const isListed = packet.sender === me().user || packet.state !== "live";
  dialog().replaceChildren(...face(packet, el("p", { class: "envelope-over", role: "alert", text }), isListed || packet.chat ? seeOthers(packet) : null));
}

/** The envelope with its coin. */
function closed(packet, hasPassword) {
  const wrong = el("p", { class: "envelope-wrong", role: "alert" });
  const password = hasPassword ? el("input", { class: "envelope-password", "aria-label": t("need_password"), placeholder: t("need_password"), maxlength: 64, autocomplete: "off" }) : null;
  const coin = el("button", { class: "coin", "aria-label": t("open_label") }, el("span", { class: "coin-face", "aria-hidden": "true", text: t("open") }));
  const status = el("p", { class: "envelope-status", role: "status" });
  const open = async (event) => {
    event.preventDefault();
    if (coin.disabled) return;
    [coin.disabled, wrong.textContent, status.textContent] = [true, "", t("opening")];
    dialog().classList.add("opening");
    try {
      const { claim } = await post("/api/open", { packet: packet.packet, password: password?.value ?? "" }, OPEN_MS);
      keep(packet, claim);
      dialog().classList.add("opened");
      if (!isCalm()) await new Promise((resolve) => setTimeout(resolve, FLIGHT_MS));
      details(packet);
    } catch (failed) {
      if (failed.refusal === 20) return over({ ...packet, state: "sold-out" }, t("sold_out_long"));
      if (failed.refusal === 21) return over({ ...packet, state: "expired" }, t("expired_long"));
      [coin.disabled, wrong.textContent, status.textContent] = [false, reason(failed), ""];
      (password ?? coin).focus();
    } finally {
      dialog().classList.remove("opening");
    }
  };
  const form = el("form", { class: "envelope-form", on: { submit: open } }, password, wrong, coin, status);
  dialog().replaceChildren(...face(packet, form, packet.chat ? seeOthers(packet) : null));
  (password ?? coin).focus();
}

/**
 * Shows a packet to who may open it.
 * @param {Object} packet as a list tells it
 */
export async function offer(packet) {
  const words = { 18: "not_yours_long", 20: "sold_out_long", 21: "expired_long" };
  const back = document.activeElement;
  dialog().className = "";
  dialog().onclose = () => back?.isConnected && back.focus();
  dialog().replaceChildren(...face(packet, el("p", { class: "envelope-status", role: "status", text: "…" })));
  dialog().showModal();
  try {
    const grabbed = await post("/api/grab", { packet: packet.packet });
    if (grabbed.claim) details(packet);
    else closed(packet, grabbed.has_password);
  } catch (failed) {
    if (packet.sender === me().user) return details(packet);
    over(packet, words[failed.refusal] ? t(words[failed.refusal]) : reason(failed));
  }
}
