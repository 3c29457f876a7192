// The state of the page, and its changes. Every list is bounded: the page may stay open for months.

export const MOST_BLOCKS = 20;
export const MOST_PAYMENTS = 30;
export const MOST_WATCHED = 200;
// At one sample every two seconds: ten minutes.
export const MOST_SAMPLES = 300;

export const state = {
  // Kept in memory only: a token in the browser's storage could be read by whoever uses the browser next.
  token: "",
  needsToken: false,
  // Whether the last request got an answer, and when the last one did.
  reachable: undefined,
  lastAnswer: undefined,
  // `connecting`, `open`, `waiting` (for the next attempt).
  socket: { status: "connecting", failures: 0, reason: "" },
  relay: undefined,
  health: undefined,
  metrics: undefined,
  relays: undefined,
  webhooks: undefined,
  config: undefined,
  timings: undefined,
  log: { open: false, level: "info", search: "", answer: undefined, problem: undefined },
  blocks: [],
  payments: [],
  // Events since the page was opened, without those of before.
  events: 0,
  newest: undefined,
  samples: [],
  index: [],
  watch: { status: "none" },
  dev: { amount: "0.001", busy: false, note: undefined, failed: false },
  theme: "auto",
  language: "en",
};

let listener;
let scheduled = false;

export function onChange(callback) {
  listener = callback;
}

// Changes the state. The page is drawn once for all changes of a frame.
export function change(how) {
  how(state);
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    listener(state);
  });
}

export function bounded(list, most) {
  if (list.length > most) list.length = most;
  return list;
}
