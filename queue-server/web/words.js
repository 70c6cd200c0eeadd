/**
 * Numbers and times as people read them.
 */

const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const RATE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const DAY = new Intl.DateTimeFormat("en-GB", { year: "numeric", month: "short", day: "numeric" });

/** @param {number} count */
export const number = (count) => (Math.abs(count) >= 1_000_000 ? SHORT : COUNT).format(count);

/** Per second. @param {number} rate */
export const perSecond = (rate) => (rate >= 10_000 ? SHORT : RATE).format(rate);

/** @param {number} ms */
export function span(ms) {
  if (ms < 0) return "0 s";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${RATE.format(seconds)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 120) return `${Math.floor(minutes)} min`;
  const hours = minutes / 60;
  return hours < 48 ? `${Math.floor(hours)} h` : `${Math.floor(hours / 24)} days`;
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (bytes >= 1024 && at < units.length - 1) { bytes /= 1024; at += 1; }
  return `${bytes < 10 && at > 0 ? RATE.format(bytes) : Math.round(bytes)} ${units[at]}`;
}

/** An instant of machine time. @param {number} ms 0 = none */
export const clock = (ms) => (ms ? CLOCK.format(new Date(ms)) : "–");

/** With its day. @param {number} ms 0 = none */
export const instant = (ms) => (ms ? `${DAY.format(new Date(ms))}, ${CLOCK.format(new Date(ms))}` : "–");

/** How long ago. @param {number} now @param {number} then 0 = never */
export const ago = (now, then) => (then ? `${span(now - then)} ago` : "–");

/** One, or several. @param {number} count @param {string} one @param {string} [several] */
export const some = (count, one, several = `${one}s`) => `${number(count)} ${count === 1 ? one : several}`;

/** Money, from fen. @param {number} fen */
export const yuan = (fen) => `¥${(fen / 100).toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
