// "Paste keys, see the payments": the keys of the relay's own wallet, which a development relay can be paid to.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { faults, until, visit } from "./browser.js";
import { decode } from "../assets/bech32m.js";
import { parseKeys } from "../assets/keys.js";
import { encode } from "./bech32m.js";
import { standalone } from "./relay.js";

// Keys of the test vectors of BIP 352.
const SCAN = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
const SPEND = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";
const bytes = (hex) => [...Buffer.from(hex, "hex")];

describe("keys", () => {
  const scan = encode("tspscan", 0, bytes(SCAN + SPEND));

  test("an address of the test vectors of BIP 352 is decoded", () => {
    const { version, data } = decode("sp1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexzk6murw56suy3e0rd2cgqvycxttddwsvgxe2usfpxumr70xc9pkqwv");
    assert.equal(version, 0);
    assert.equal(Buffer.from(data.slice(33)).toString("hex"), SPEND);
  });

  test("keys in hex and descriptors for scanning are read", () => {
    const plain = { scan: SCAN, spend: SPEND, labels: [] };
    for (const text of [`${SCAN} ${SPEND}`, `${SCAN}\n${SPEND}\n`, ` ${SCAN.toUpperCase()},${SPEND}`]) assert.deepEqual(parseKeys(text), plain);
    for (const text of [scan, `sp(${scan})`, `sp([deadbeef/352h/1h/0h]${scan})#abcdefgh`]) {
      assert.deepEqual(parseKeys(text), { ...plain, from: undefined });
    }
    assert.deepEqual(parseKeys(`sp(${scan})?bh=840000&ml=2#abcdefgh`), { ...plain, from: 840000, labels: [1, 2] });
  });

  test("everything else is refused with the reason, and a key that can spend most of all", () => {
    const spend = encode("spspend", 0, bytes(SCAN + SCAN));
    const refused = {
      "": "errorEmpty", hello: "errorForm", [SCAN]: "errorForm", [`${SCAN} ${SCAN}`]: "errorForm", [`sp(${spend})`]: "errorSpend",
      [spend]: "errorSpend", [`sp(x,${spend})`]: "errorSpend", [scan.replace(/.$/, (c) => (c === "q" ? "p" : "q"))]: "errorChecksum",
      [`sp(${scan})?ml=101`]: "errorLabels", [encode("spscan", 0, bytes(SCAN))]: "errorForm", [encode("spscan", 1, bytes(SCAN + SPEND))]: "errorForm",
    };
    for (const [text, error] of Object.entries(refused)) assert.deepEqual(parseKeys(text), { error }, text);
  });
});

describe("watch", () => {
  let relay;
  let page;
  let sent;

  before(async () => {
    relay = await standalone().start();
    page = await visit(relay.url);
    sent = [];
    page.on("request", (request) => sent.push(request.url() + (request.postData() || "")));
  });

  after(async () => {
    assert.deepEqual(faults(page), []);
    await page.context().close();
    await relay.stop();
  });

  test("a warning says where the keys go", async () => {
    assert.match(await page.locator("#watch .warning").innerText(), new RegExp(`sent to this relay \\(127.0.0.1:${relay.http}\\)`));
  });

  test("a key that can spend is not sent", async () => {
    await page.fill("#watch-keys", `sp(${encode("spspend", 0, bytes(SCAN + SCAN))})`);
    await page.click("#watch button[type=submit]");
    assert.match(await page.locator("#watch .error").innerText(), /It was not sent/);
  });

  test("payments to the keys appear, with their history, and a reconnect asks again", async () => {
    await page.fill("#watch-keys", `${SCAN} ${SPEND}`);
    await page.fill("#watch input[name=from]", "1");
    await page.click("#watch button[type=submit]");
    const code = page.locator("#watch code").first();
    await code.waitFor();
    const address = await code.getAttribute("title");
    assert.match(address, /^sprt1q/);
    await relay.post("/dev/pay", { address, amount: "0.005" });
    await page.locator("#watch tbody tr").first().waitFor();
    assert.match(await page.locator("#watch tbody .amount").innerText(), /0\.005.BTC/);
    await relay.post("/dev/mine", { blocks: 1 });
    await until("its block", async () => /^block/.test(await page.locator("#watch tbody .tag").innerText()));
    assert.match(await page.locator("#watch .line").nth(1).innerText(), /0\.005.BTC in 1 payment/);
    // No page of the relay's own wallet shows it.
    assert.equal(await page.locator("#way tbody tr").count(), 0);

    await fetch(`${relay.url}/restart`, { method: "POST" });
    await until("the payment again", async () => (await page.locator("#watch tbody tr").count()) === 1
      && /Address/.test(await page.locator("#watch .line").first().innerText()));
    page.faults = page.faults.filter((fault) => !/WebSocket|Failed to load|ERR_/.test(fault));
  });

  test("the keys are in no request, no storage, and nowhere on the page", async () => {
    const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage, cookie: document.cookie }) + document.body.innerHTML
      + [...document.querySelectorAll("input, textarea")].map((field) => field.value).join());
    assert.ok(!kept.includes(SCAN) && !sent.join().includes(SCAN));
    const log = readFileSync(join(relay.data, "relay.redb"));
    assert.ok(!log.includes(SCAN));
    await page.click("#watch .line > button");
    await page.locator("#watch-keys").waitFor();
  });
});
