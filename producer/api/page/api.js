// Requests to the API of this server. The token, if one is needed, is kept for this tab only.

const TOKEN = "segment-personas-token";

/** A problem document (RFC 9457) that a request was answered with. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? `The server answered ${status}.`);
    this.status = status;
    this.document = { code: `http_${status}`, detail: this.message, ...document };
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? "",
  set: (value) => sessionStorage.setItem(TOKEN, value),
  clear: () => sessionStorage.removeItem(TOKEN),
};

async function send(path, options = {}) {
  const headers = { ...options.headers };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const hint = "Check that the server runs and that this machine can reach it.";
    throw new Problem(0, { code: "unreachable", detail: "The server does not answer.", hint });
  }
  if (response.ok) return response;
  throw new Problem(response.status, await response.json().catch(() => ({})));
}

/** The JSON of a GET. */
export async function get(path, signal) {
  return (await send(path, { signal })).json();
}

/** The JSON of a POST. */
export async function post(path, body = {}, headers = {}) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
  return (await send(path, options)).json();
}

/** A DELETE. */
export async function remove(path) {
  await send(path, { method: "DELETE" });
}

export const syncPath = (id, action = "") => `/v1/syncs/${encodeURIComponent(id)}${action && `/${action}`}`;

/** Resolves after some milliseconds, or at once when the signal aborts. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

/** The events of one stream. EventSource cannot send a token, so the format is read here. */
async function* streamEvents(path, lastId, signal) {
  const response = await send(path, { signal, headers: lastId ? { "Last-Event-ID": lastId } : {} });
  if (response.status === 204) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const event = { id: "", name: "", data: [] };
      for (const line of block.split("\n")) {
        if (line.startsWith("id: ")) event.id = line.slice(4);
        else if (line.startsWith("event: ")) event.name = line.slice(7);
        else if (line.startsWith("data: ")) event.data.push(line.slice(6));
      }
      if (event.data.length > 0) yield { ...event, data: event.data.join("\n") };
    }
  }
}

const BETWEEN_STREAMS_MS = 2000;
const AFTER_THE_END_MS = 5000;

/** Follows a sync until the signal aborts, also when it continues after its end (applied, resumed) or the server restarts.
 * onSync: gets each state of it. onTrouble: gets a Problem while the server cannot be asked, and null afterwards. */
export async function follow(id, signal, onSync, onTrouble) {
  let lastId = "";
  while (!signal.aborted) {
    let wait = BETWEEN_STREAMS_MS;
    try {
      for await (const event of streamEvents(syncPath(id, "events"), lastId, signal)) {
        lastId = event.id;
        onTrouble(null);
        onSync(JSON.parse(event.data));
        if (event.name === "end") wait = AFTER_THE_END_MS;
      }
      onTrouble(null);
      if (lastId && wait === BETWEEN_STREAMS_MS) wait = AFTER_THE_END_MS;
    } catch (error) {
      if (signal.aborted) return;
      onTrouble(error instanceof Problem ? error : new Problem(0, { code: "connection_lost", detail: "The connection was lost." }));
      if (error.status === 401 || error.status === 404) return;
    }
    await pause(wait, signal);
  }
}
