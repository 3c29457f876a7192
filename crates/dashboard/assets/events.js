// What an event changes in the state of the page: no requests, no drawing.

import { MOST_BLOCKS, MOST_PAYMENTS, MOST_WATCHED, bounded } from "./store.js";

export function apply(s, { notification_type: type, data, event_id: id }, isLive) {
  const at = isLive ? Date.now() : undefined;
  if (type === "payment_detected" || type === "payment_reverted") {
    const isOwn = !data.watch_id;
    if (!isOwn && data.watch_id !== s.watch.id) return;
    const list = isOwn ? s.payments : s.watch.payments;
    remember(list, { ...data, id, at, reverted: type === "payment_reverted" }, isOwn ? MOST_PAYMENTS : MOST_WATCHED);
  } else if (type === "block_mined") {
    s.blocks = s.blocks.filter((block) => block.height < data.block_height);
    s.blocks.unshift({
      height: data.block_height, hash: data.block_hash, transactions: data.transactions, size: data.size,
      time: data.timestamp, id, at,
    });
    bounded(s.blocks, MOST_BLOCKS);
  } else if (type === "block_disconnected") {
    for (const block of s.blocks) {
      if (block.hash === data.block_hash) block.gone = true;
    }
  }
  if (!isLive || id === null) return;
  s.events += 1;
  s.newest = { id, type, at };
}

// One entry for an output: the newest report replaces the earlier one, and goes to the front.
function remember(list, payment, most) {
  const isSame = (other) => other.txid === payment.txid && other.vout === payment.vout;
  const known = list.findIndex(isSame);
  if (known >= 0) list.splice(known, 1);
  list.unshift(payment);
  bounded(list, most);
}

// The events are of another log.
export function forget(s) {
  s.blocks = [];
  s.payments = [];
  s.newest = undefined;
}
