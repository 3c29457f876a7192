// The connection to the WebSocket API: events of the log as they happen, and the payments of keys that the user gave.

import { askRelays, askTimings } from "./poll.js";
import { apply, forget } from "./events.js";
import { change, state } from "./store.js";

// Events of before the page was opened, so that it is not empty: some blocks and payments.
const LOOK_BACK = 400;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
// Close codes of the relay: a token is missing or wrong; the handshake was refused.
const NOT_AUTHORIZED = 1008;

let socket;
let timer;
// The last event of the log that was received, and the one that was the newest when the connection began.
let last;
let newestAtStart = 0;
const handlers = new Map();

// Calls `handler` with each message of this type.
export function on(type, handler) {
  handlers.set(type, handler);
}

// Sends a message; false without a connection.
export function send(message) {
  if (state.socket.status !== "open") return false;
  socket.send(JSON.stringify(message));
  return true;
}

export function connect() {
  clearTimeout(timer);
  if (state.needsToken) return;
  if (last === undefined) {
    // The first connection begins a little before the newest event, which the metrics name.
    if (!state.metrics) {
      timer = setTimeout(connect, 100);
      return;
    }
    last = Math.max(0, state.metrics.relay_metrics.last_event_id - LOOK_BACK);
  }
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const current = new WebSocket(`${scheme}://${location.host}/ws`);
  socket = current;
  change((s) => { s.socket.status = "connecting"; });
  current.onopen = () => current.send(JSON.stringify({
    type: "handshake", client_id: "dashboard", version: "1.0.0", capabilities: ["notifications", "sync", "watch"],
    resume_from: last, ...(state.token ? { token: state.token } : {}),
  }));
  current.onmessage = ({ data }) => receive(JSON.parse(data));
  current.onclose = ({ code, reason }) => { if (current === socket) closed(code, reason); };
}

function closed(code, reason) {
  if (code === NOT_AUTHORIZED) change((s) => { s.needsToken = true; });
  const failures = state.socket.failures + 1;
  change((s) => { s.socket = { status: "waiting", failures, reason: reason || "" }; });
  handlers.get("closed")?.();
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1));
  timer = setTimeout(connect, wait / 2 + Math.random() * wait / 2);
}

function receive(message) {
  if (message.type === "handshake_response") return welcome(message);
  if (message.type === "notification") return notify(message);
  handlers.get(message.type)?.(message);
}

function welcome(message) {
  if (message.status !== "accepted") {
    change((s) => { s.socket.reason = message.reason || ""; });
    return;
  }
  // Another log, or one without these events: what is shown of the old one may be wrong.
  const isOther = message.resume === "gap" && last > message.last_event_id;
  newestAtStart = message.last_event_id;
  if (isOther) last = message.last_event_id;
  change((s) => {
    if (isOther) forget(s);
    s.socket = { status: "open", failures: 0, reason: "" };
    s.relay = message;
  });
  handlers.get("open")?.();
}

function notify(message) {
  const { event_id: id, notification_type: type } = message;
  if (id !== null) last = id;
  const isLive = id === null || id > newestAtStart;
  change((s) => apply(s, message, isLive));
  if (!isLive) return;
  if (type.startsWith("relay_")) askRelays();
  else askTimings();
}

// With a new token, or when the user asks: at once.
export function reconnect() {
  const old = socket;
  socket = undefined;
  old?.close();
  change((s) => { s.socket = { status: "connecting", failures: 0, reason: "" }; });
  connect();
}
