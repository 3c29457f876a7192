// Asks for the figures that are not sent over the WebSocket.

import { get } from "./api.js";
import { MOST_SAMPLES, change, state } from "./store.js";

const EVERY_MS = 2000;
// The mesh and the configuration change rarely: asked for every so many rounds.
const RELAYS_EVERY = 3;
const CONFIG_EVERY = 15;
// Several events at once cause one request.
const TIMINGS_AFTER_MS = 150;

let round = 0;
let timer;
let timingsDue = false;

// Starts, or asks at once.
export async function poll() {
  clearTimeout(timer);
  if (!document.hidden && !state.needsToken) await ask();
  clearTimeout(timer);
  timer = setTimeout(poll, EVERY_MS);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && timer) poll(); });

async function ask() {
  const wanted = [read("/health", health), read("/metrics", metrics), read("/timings", (s, a) => { s.timings = a; })];
  if (round % RELAYS_EVERY === 0) wanted.push(read("/relays?limit=100", (s, a) => { s.relays = a; }));
  if (round % RELAYS_EVERY === 1 && isAdmin()) wanted.push(read("/webhooks", (s, a) => { s.webhooks = a; }));
  if (round % CONFIG_EVERY === 0 || !state.config) wanted.push(read("/config", (s, a) => { s.config = a; }));
  if (state.log.open) wanted.push(askLog());
  const answered = await Promise.all(wanted);
  // After an outage everything is asked for again.
  round = answered.includes(0) ? 0 : round + 1;
}

// Whether the relay shows what only an administrator may read.
const isAdmin = () => Boolean(state.metrics && state.metrics.relay_metrics.watches !== undefined);

// The status of the answer; 0 if there was none.
async function read(path, apply) {
  try {
    const answer = await get(path);
    change((s) => apply(s, answer));
    return 200;
  } catch (problem) {
    if (problem.status === 401) change((s) => { s.needsToken = true; });
    return problem.status;
  }
}

function health(s, answer) {
  s.health = answer;
  const { index } = answer;
  if (!index || index.height === null) return;
  s.index.push({ at: Date.now(), height: index.height });
  if (s.index.length > MOST_SAMPLES) s.index.shift();
}

function metrics(s, answer) {
  const before = s.samples[s.samples.length - 1];
  const at = Date.now();
  const scanned = answer.relay_metrics.transactions_scanned;
  const seconds = before && (at - before.at) / 1000;
  // A restart begins again at 0.
  const rate = before && scanned >= before.scanned && seconds > 0 ? (scanned - before.scanned) / seconds : null;
  s.samples.push({
    at, scanned, rate,
    mempool: answer.bitcoin_metrics.mempool_size,
    memory: answer.system_metrics.memory_bytes,
    cpu: answer.system_metrics.cpu_percent,
    clients: answer.system_metrics.active_connections,
  });
  if (s.samples.length > MOST_SAMPLES) s.samples.shift();
  s.metrics = answer;
}

// The stages of the newest events, soon.
export function askTimings() {
  if (timingsDue) return;
  timingsDue = true;
  setTimeout(() => {
    timingsDue = false;
    if (!state.needsToken) read("/timings", (s, a) => { s.timings = a; });
  }, TIMINGS_AFTER_MS);
}

export async function askRelays() {
  if (!state.needsToken) await read("/relays?limit=100", (s, a) => { s.relays = a; });
}

export async function askLog() {
  const { level, search } = state.log;
  const query = new URLSearchParams({ level, limit: "100" });
  if (search) query.set("search", search);
  try {
    const answer = await get(`/logs?${query}`);
    change((s) => { Object.assign(s.log, { answer, problem: undefined }); });
    return 200;
  } catch (problem) {
    change((s) => { Object.assign(s.log, { answer: undefined, problem }); });
    return problem.status === 401 || problem.status === 403 ? 200 : problem.status;
  }
}
