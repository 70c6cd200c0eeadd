/**
 * What the phone remembers: who it belongs to, which payments it has not heard the end of, and the last news.
 *
 * Must never: forget a payment before its end is known. It is asked again under its own number.
 */

/** @typedef {{user: string, name: string, token: string}} Me */

/**
 * @typedef {Object} News how everything stands, as /api/news tells it
 * @property {?{balance_fen: number, held_fen: number, pending_fen: number, pending_credits: number}} balance
 * @property {Array<Object>} received
 * @property {Array<Object>} sent
 * @property {Array<Object>} offered
 * @property {Array<Object>} chats
 */

const read = (key) => {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
};
const write = (key, value) => localStorage.setItem(key, JSON.stringify(value));

/** A new number of 128 bits. */
export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @returns {?Me} */
export const me = () => read("me");

/** @param {?Me} who */
export function setMe(who) {
  if (who) write("me", who);
  else ["me", "outbox", "joining"].forEach((key) => localStorage.removeItem(key));
}

/** The number under which somebody registers: the same however often it is tried. */
export function joiningId() {
  const id = read("joining") ?? newId();
  write("joining", id);
  return id;
}

/** Payments whose end is not known, by order. */
export const outbox = () => read("outbox") ?? {};

/**
 * Remembers a payment before it is asked for.
 * @param {Object} fields of /api/send
 */
export function remember(fields) {
  write("outbox", { ...outbox(), [fields.order]: fields });
}

/** Forgets a payment whose end is known. */
export function forget(order) {
  const rest = outbox();
  delete rest[order];
  write("outbox", rest);
}

/** @type {News} */
let known = { balance: null, received: [], sent: [], offered: [], chats: [] };
const listeners = new Set();

/** @returns {News} */
export const news = () => known;

/** @param {News} state */
export function setNews(state) {
  known = state;
  for (const listener of [...listeners]) listener(state);
}

/**
 * Calls `listener` with all news from now on. Answers how to stop that.
 * @param {(state: News) => void} listener
 */
export function onNews(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
