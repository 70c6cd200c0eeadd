/**
 * Calls to the server. A call that may have happened is asked again with the same ids, so it happens once.
 *
 * Must never: make an id of its own, or repeat a call that was refused.
 */
import { me } from "./state.js";

/** One attempt may take this long: the server's own time-outs are shorter. */
const ATTEMPT_MS = 12_000;
const PAUSE_FIRST_MS = 250;
const PAUSE_MAX_MS = 4000;

/** Repeats that all calls of this page share; it fills up by one a second. */
const budget = { left: 20, most: 20, at: performance.now() };

/** Why a call has no answer. */
export class Failed extends Error {
  /**
   * @param {"refused"|"not-applied"|"unknown"} outcome
   * @param {?number} refusal
   * @param {string} text
   * @param {?number} afterMs
   */
  constructor(outcome, refusal, text, afterMs) {
    super(text);
    Object.assign(this, { outcome, refusal, afterMs });
  }
}

/** Whether a repeat may be made now. */
function mayRepeat() {
  const now = performance.now();
  budget.left = Math.min(budget.most, budget.left + (now - budget.at) / 1000);
  budget.at = now;
  if (budget.left < 1) return false;
  budget.left -= 1;
  return true;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Headers of a request of this user. */
export function headers() {
  const token = me()?.token;
  return token ? { authorization: `Bearer ${token}` } : {};
}

async function attempt(method, path, fields, withinMs) {
  const user = me()?.user;
  const all = user ? { user, ...fields } : fields;
  const url = method === "GET" ? `${path}?${new URLSearchParams(all)}` : path;
  const body = method === "GET" ? undefined : JSON.stringify(all);
  const sent = { ...headers(), ...(body ? { "content-type": "application/json" } : {}) };
  let reply;
  try {
    reply = await fetch(url, { method, headers: sent, body, signal: AbortSignal.timeout(withinMs) });
  } catch {
    throw new Failed("unknown", null, "no answer", null);
  }
  const said = await reply.json().catch(() => null);
  if (reply.ok && said) return said;
  throw new Failed(said?.outcome ?? "unknown", said?.refusal ?? null, said?.text ?? "", said?.retry_after_ms ?? null);
}

/**
 * Asks until there is an answer, a refusal, or the time is over.
 * @param {"GET"|"POST"} method
 * @param {string} path
 * @param {Object<string, *>} [fields]
 * @param {number} [withinMs] how long it is tried
 * @returns {Promise<Object>}
 * @throws {Failed}
 */
export async function call(method, path, fields = {}, withinMs = 15_000) {
  const until = performance.now() + withinMs;
  for (let pause = PAUSE_FIRST_MS; ; pause = Math.min(2 * pause, PAUSE_MAX_MS)) {
    try {
      return await attempt(method, path, fields, Math.min(ATTEMPT_MS, Math.max(1000, until - performance.now())));
    } catch (failed) {
      const rest = failed.afterMs ?? pause;
      // Half of the pause is chance, so that phones that failed together do not come back together.
      const wait = rest / 2 + (Math.random() * rest) / 2;
      const isOver = performance.now() + wait > until;
      if (!(failed instanceof Failed) || failed.outcome === "refused" || isOver) throw failed;
      await sleep(wait);
      while (!mayRepeat()) await sleep(500);
    }
  }
}

/** Asks for something that changes nothing. */
export const get = (path, fields, withinMs) => call("GET", path, fields, withinMs);

/** Does something. */
export const post = (path, fields, withinMs) => call("POST", path, fields, withinMs);
