// Requests to the relay that serves this page.

import { change, state } from "./store.js";

// The relay itself answers within 60 s, or says that it cannot. A page that waits longer for figures shows old ones.
const WITHIN_MS = 15000;

// The answer was not what was asked for: the relay says why.
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function get(path) {
  return request("GET", path);
}

export async function request(method, path, body) {
  const headers = { Accept: "application/json" };
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method, headers, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(WITHIN_MS),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    change((s) => { s.reachable = false; });
    throw new Problem(0, error.message);
  }
  const answer = await response.json().catch(() => undefined);
  // `/health` of a relay that is critical is a 503 with its whole answer.
  const isAnswer = response.ok || (answer && answer.services);
  // A proxy answers in the place of a relay that does not run.
  const isRelay = isAnswer || (answer && answer.title);
  change((s) => {
    s.reachable = Boolean(isRelay);
    if (isRelay) s.lastAnswer = Date.now();
  });
  if (!isAnswer || !answer) throw new Problem(response.status, (answer && answer.detail) || `HTTP ${response.status}`);
  return answer;
}
