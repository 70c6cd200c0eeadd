/**
 * Calls to the node that serves this page. It asks the other nodes itself.
 */

/** Why a call failed: "refused", "not-applied", "unknown", or "lost" when the node did not answer at all. */
export class Fault extends Error {
  /** @param {string} outcome @param {string} text */
  constructor(outcome, text) {
    super(text);
    this.outcome = outcome;
  }

  /** A sentence for people. */
  get sentence() {
    if (this.outcome === "refused") return `Refused: ${this.message}`;
    if (this.outcome === "not-applied") return `Nothing was changed: ${this.message}`;
    if (this.outcome === "unknown") return `It may have happened: ${this.message}`;
    return `The node does not answer: ${this.message}`;
  }
}

/** @param {Response} response */
async function read(response) {
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Fault(response.ok ? "lost" : "refused", text.slice(0, 200) || `status ${response.status}`);
  }
  if (response.ok) return answer;
  throw new Fault(answer.error?.outcome ?? "unknown", answer.error?.text ?? `status ${response.status}`);
}

/** @param {string} path @param {RequestInit} init @param {number} ms how long to wait */
async function call(path, init, ms) {
  let response;
  try {
    response = await fetch(path, { ...init, signal: AbortSignal.timeout(ms), credentials: "same-origin" });
  } catch (error) {
    throw new Fault(init.method === "POST" ? "unknown" : "lost", String(error?.message ?? error));
  }
  return read(response);
}

/**
 * Looks. What is empty is not asked for.
 * @param {string} what @param {Record<string, string | number>} [wanted] @param {number} [ms]
 */
export function ask(what, wanted = {}, ms = 4000) {
  const given = Object.entries(wanted).filter(([, value]) => value !== "" && value !== 0);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return call(`/console/api/${what}${query.size ? `?${query}` : ""}`, {}, ms);
}

/** Acts. @param {string} what @param {object} order */
export function act(what, order) {
  const headers = { "content-type": "application/json" };
  return call(`/console/api/${what}`, { method: "POST", headers, body: JSON.stringify(order) }, 8000);
}

/**
 * Takes a turn again and again, so many milliseconds from one beginning to the next, one at a time. Returns what ends it.
 * @param {number} ms @param {() => Promise<void>} turn
 */
export function every(ms, turn) {
  let isOver = false;
  let timer = 0;
  const next = async () => {
    const begun = performance.now();
    await turn();
    if (!isOver) timer = setTimeout(next, Math.max(20, ms - (performance.now() - begun)));
  };
  next();
  return () => { isOver = true; clearTimeout(timer); };
}
