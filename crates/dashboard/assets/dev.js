// Buttons of a development relay: a payment to its own wallet, and a block.

import { request } from "./api.js";
import { btc, number } from "./format.js";
import { t } from "./i18n.js";
import { change, state } from "./store.js";
import { html } from "./view.js";

async function act(how) {
  change((s) => { Object.assign(s.dev, { busy: true, note: undefined }); });
  try {
    const note = await how();
    change((s) => { Object.assign(s.dev, { busy: false, note, failed: false }); });
  } catch (problem) {
    if (problem.status === 401) change((s) => { s.needsToken = true; });
    change((s) => { Object.assign(s.dev, { busy: false, note: problem.message, failed: true }); });
  }
}

function pay(event) {
  event.preventDefault();
  const body = { address: state.config.silent_payment_address, amount: state.dev.amount };
  act(async () => t("dev.paid", { amount: btc((await request("POST", "/dev/pay", body)).amount_sats) }));
}

function mine() {
  act(async () => t("dev.mined", { height: number((await request("POST", "/dev/mine", { blocks: 1 })).height) }));
}

export function Dev({ s }) {
  const { amount, busy, note, failed } = s.dev;
  return html`<form class="dev" id="dev" onSubmit=${pay} aria-label=${t("dev.label")}>
    <label>${t("dev.amount")} <input name="amount" inputmode="decimal" pattern="[0-9]+(\\.[0-9]{1,8})?" required value=${amount}
      onInput=${(e) => { const { value } = e.currentTarget; change((st) => { st.dev.amount = value; }); }} /> BTC</label>
    <button type="submit" disabled=${busy}>${t("dev.pay")}</button>
    <button type="button" disabled=${busy} onClick=${mine}>${t("dev.mine")}</button>
    <span class=${`note ${failed ? "bad" : ""}`} role="status">${note || ""}</span>
  </form>`;
}
