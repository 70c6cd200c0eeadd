/**
 * The push channel: how everything stands, told whenever it has changed.
 *
 * Why not EventSource: it cannot show a session's token. What it does beside that is done here: it reconnects, and says
 * by Last-Event-ID what it knows.
 *
 * Must never: take silence for no news. A line that says nothing for long is cut and made again.
 */
import { headers } from "./api.js";
import { me, setNews } from "./state.js";

/** The server says something every 15 s. */
const SILENCE_MS = 40_000;
const PAUSE_FIRST_MS = 300;
const PAUSE_MAX_MS = 5000;

let lastId = "";
let line = null;
let wake = () => {};

/**
 * Parses server-sent events as they come.
 * @param {(event: {id: string, name: string, data: string}) => void} each
 * @returns {(text: string) => void} takes the next piece of text
 */
export function parser(each) {
  let rest = "";
  let event = { id: "", name: "", data: "" };
  return (text) => {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop();
    for (const said of lines) {
      const [, key, value] = /^([^:]*):? ?(.*)$/.exec(said);
      if (said === "") {
        if (event.name) each(event);
        event = { id: "", name: "", data: "" };
      } else if (key === "id") event.id = value;
      else if (key === "event") event.name = value;
      else if (key === "data") event.data += value;
    }
  };
}

async function listen(onLine) {
  line = new AbortController();
  let silence = setTimeout(() => line.abort(), SILENCE_MS);
  try {
    const sent = { ...headers(), accept: "text/event-stream", ...(lastId ? { "last-event-id": lastId } : {}) };
    const url = `/api/news?${new URLSearchParams({ user: me().user })}`;
    const reply = await fetch(url, { headers: sent, signal: line.signal, cache: "no-store" });
    if (!reply.ok) return false;
    onLine(true);
    const take = parser(({ id, data }) => {
      lastId = id;
      setNews(JSON.parse(data));
    });
    const words = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await words.read();
      if (done) return true;
      clearTimeout(silence);
      silence = setTimeout(() => line.abort(), SILENCE_MS);
      take(value);
    }
  } catch {
    return false;
  } finally {
    clearTimeout(silence);
  }
}

/**
 * Listens for as long as the page lives.
 * @param {(isConnected: boolean) => void} onLine
 */
export async function start(onLine) {
  addEventListener("online", () => wake());
  addEventListener("offline", () => line?.abort());
  document.addEventListener("visibilitychange", () => document.hidden || wake());
  for (let pause = PAUSE_FIRST_MS; ; pause = Math.min(2 * pause, PAUSE_MAX_MS)) {
    if (me()) {
      const began = performance.now();
      if (!(await listen(onLine))) onLine(false);
      if (performance.now() - began > PAUSE_MAX_MS) pause = PAUSE_FIRST_MS;
    }
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, pause / 2 + (Math.random() * pause) / 2);
    });
  }
}

/** Begins anew at once: somebody else uses the phone now. */
export function restart() {
  lastId = "";
  line?.abort();
  wake();
}
