// The page beside a relay that restarts, stops, has trouble, wants a token, or has very many events.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { NAME, faults, said, until, visit } from "./browser.js";
import { Relay, standalone } from "./relay.js";

// What a browser writes into its console about a relay that does not answer, or that answers with an error.
const NETWORK = /WebSocket connection|Failed to load resource|ERR_/;
const ADMIN = "dashboard-admin-token";
const READ = "dashboard-read-token";
const EVENTS = 10000;
// A commit to the disk for each of them, by a debug build on a busy machine.
const EVENTS_WITHIN_MS = 120000;
// Elements of the page, whatever happens: measured 460 with full lists.
const MOST_ELEMENTS = 1500;
const MOST_HEAP = 40e6;

describe("outages", () => {
  const relays = [];
  const start = async (relay, options) => { relays.push(relay); return relay.start(options); };
  after(async () => { await Promise.all(relays.map((relay) => relay.stop())); });

  test("a relay that stops is said to be unreachable, and shown again when it is back", async () => {
    const relay = await start(standalone());
    const page = await visit(relay.url);
    await until("live", async () => (await page.locator(".live").innerText()) === "live");
    await relay.post("/dev/mine", { blocks: 1 });
    await until("the block", async () => (await page.locator(".block").count()) > 1);
    await relay.stop();
    await until("the outage", async () => /does not answer/.test(await said(page)));
    assert.match(await page.locator("#state .advice").innerText(), /What you see is from/);
    assert.equal(await page.locator(".live").innerText(), "not live");
    await relay.start();
    await until("the relay", async () => /All is well/.test(await said(page)) && (await page.locator(".live").innerText()) === "live");
    const before = await page.locator(".block").count();
    await relay.post("/dev/mine", { blocks: 1 });
    await until("the next block", async () => (await page.locator(".block").count()) === before + 1);
    assert.deepEqual(faults(page, NETWORK), []);
    await page.context().close();
  });

  test("a relay in trouble says what to do, for each problem", async () => {
    const relay = new Relay({ NETWORK: "regtest", BITCOIN_CORE__URL: "http://127.0.0.1:1", BITCOIN_CORE__USER: "a", BITCOIN_CORE__PASSWORD: "b" });
    await start(relay, { ready: / listening / });
    const page = await visit(relay.url);
    await until("the trouble", async () => /cannot serve/.test(await said(page)));
    const { problems } = await relay.get("/health");
    assert.ok(problems.length > 0);
    await until("each problem", async () => (await page.locator("#problems li").count()) === problems.length);
    assert.match(await page.locator("#problems li").first().innerText(), /What to do: start the node/);
    assert.match(await page.locator("#state .advice").innerText(), /^What to do: start the node/);
    assert.ok((await page.locator("#state").getAttribute("class")).includes("bad"));
    assert.deepEqual(faults(page, NETWORK), []);
    await page.context().close();
  });

  test("a relay with tokens asks for them, and a wrong one opens nothing", async () => {
    const relay = await start(standalone({ AUTH__ADMIN_TOKEN: ADMIN, AUTH__READ_TOKEN: READ }));
    const page = await visit(relay.url);
    await until("the question", async () => /wants a token/.test(await said(page)));
    const enter = async (token, form = "form.token") => {
      await page.fill(`${form} input`, token);
      await page.click(`${form} button`);
    };
    await enter("a-wrong-token-of-length");
    await until("the question again", async () => (await page.locator("form.token").count()) === 1 && /wants a token/.test(await said(page)));
    await enter(READ);
    await until("the figures", async () => /All is well/.test(await said(page)) && (await page.locator(".live").innerText()) === "live");
    // A reader is no administrator.
    assert.equal(await page.locator("#clients .figure", { hasText: "watches" }).count(), 0);
    await page.click("#log header button");
    await until("the question for the other token", async () => (await page.locator("#log form.token").count()) === 1);
    await enter(ADMIN, "#log form.token");
    await until("the log", async () => (await page.locator("#log .log li").count()) > 0);
    const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie + location.href + document.body.innerHTML);
    assert.ok(!stored.includes(ADMIN) && !stored.includes(READ));
    await page.reload();
    await until("the question after a reload", async () => /wants a token/.test(await said(page)));
    assert.deepEqual(faults(page, NETWORK), []);
    await page.context().close();
  });

  test("under a name that the relay does not know, the page says how to allow it", async () => {
    const relay = await start(standalone());
    const page = await visit(relay.url.replace("127.0.0.1", NAME));
    await until("the refusal", async () => /refuses live connections/.test(await said(page)));
    assert.match(await page.locator("#state .advice").innerText(), new RegExp(`If ${NAME} is a name of this relay, add it to http.hosts`));
    // Over plain HTTP, others could read keys.
    assert.match(await page.locator("#watch").innerText(), /over HTTPS or on localhost/);
    assert.equal(await page.locator("#watch textarea").count(), 0);
    assert.deepEqual(faults(page, NETWORK), []);
    await page.context().close();

    const known = await start(standalone({ HTTP__HOSTS: NAME }));
    const other = await visit(known.url.replace("127.0.0.1", NAME));
    await until("live", async () => (await other.locator(".live").innerText()) === "live");
    assert.deepEqual(faults(other, NETWORK), []);
    await other.context().close();
  });

  test(`${EVENTS} events leave a page that is no larger`, async () => {
    const relay = await start(standalone({ LOG__LEVEL: "warn" }), { ready: /WebSocket API/ });
    const page = await visit(relay.url);
    await until("live", async () => (await page.locator(".live").innerText()) === "live");
    let height;
    for (let mined = 0; mined < EVENTS; mined += 1000) ({ height } = await relay.post("/dev/mine", { blocks: 1000 }));
    const newest = page.locator(".block strong").nth(1);
    await until("the last block", async () => Number((await newest.innerText()).replace(/\D/g, "")) === height, EVENTS_WITHIN_MS);
    assert.equal(await page.locator(".block").count(), 21);
    const elements = await page.evaluate(() => document.querySelectorAll("*").length);
    assert.ok(elements < MOST_ELEMENTS, `${elements} elements`);
    const session = await page.context().newCDPSession(page);
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    assert.ok(usedSize < MOST_HEAP, `${usedSize} bytes`);
    assert.deepEqual(faults(page, NETWORK), []);
    await page.context().close();
  });
});
