// Keys as wallets export them: a scan private key and a spend public key in hex, or a descriptor of BIP 392 with
// `spscan`, which has the same two keys, and annotations of BIP 393 after it.

import { decode } from "./bech32m.js";

const SCAN = /^t?spscan1/;
const SPEND = /^t?spspend1/;
// As in `limits.labels_per_watch`; a relay with a lower limit refuses the watch with the reason.
const MOST_LABELS = 100;

const hex = (bytes) => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");

// `{scan, spend, labels, from}`, or `{error}` with the key of a text.
export function parseKeys(text) {
  const given = text.trim();
  if (!given) return { error: "errorEmpty" };
  const pair = given.match(/^([0-9a-f]{64})[\s,;]+(0[23][0-9a-f]{64})$/i);
  if (pair) return { scan: pair[1].toLowerCase(), spend: pair[2].toLowerCase(), labels: [] };
  // `sp([origin]spscan1…)?bh=1&ml=2#checksum`
  const descriptor = given.match(/^(?:sp\()?(?:\[[^\]]*\])?(t?sp(?:scan|spend)1[a-z0-9]+)\)?(?:\?([^#]*))?(?:#[a-z0-9]{8})?$/i);
  if (!descriptor) return { error: /spspend1/i.test(given) ? "errorSpend" : "errorForm" };
  const key = descriptor[1].toLowerCase();
  if (SPEND.test(key)) return { error: "errorSpend" };
  if (!SCAN.test(key)) return { error: "errorForm" };
  const bytes = decode(key);
  if (!bytes) return { error: "errorChecksum" };
  // Version 0: the scan private key, then the spend public key.
  if (bytes.version !== 0 || bytes.data.length !== 65 || ![2, 3].includes(bytes.data[32])) return { error: "errorForm" };
  const notes = new URLSearchParams(descriptor[2] || "");
  const most = Number(notes.get("ml") || 0);
  const from = Number(notes.get("bh") || NaN);
  if (!Number.isInteger(most) || most < 0 || most > MOST_LABELS) return { error: "errorLabels" };
  return {
    scan: hex(bytes.data.slice(0, 32)), spend: hex(bytes.data.slice(32)),
    labels: Array.from({ length: most }, (_, at) => at + 1), from: Number.isInteger(from) ? from : undefined,
  };
}
