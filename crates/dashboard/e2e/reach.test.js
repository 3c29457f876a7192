// Everybody can use the page: assistive technology, the keyboard, a phone, and both languages.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";

import en from "../assets/en.js";
import fr from "../assets/fr.js";
import { faults, said, until, visit } from "./browser.js";
import { standalone } from "./relay.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ASSETS = new URL("../assets/", import.meta.url);

// `{a: {b: "x"}}` as `{"a.b": "x"}`; forms of a plural stay together.
function flat(words, prefix = "") {
  return Object.entries(words).reduce((all, [key, value]) => ({
    ...all, ...(typeof value === "string" || value.other ? { [prefix + key]: value } : flat(value, `${prefix}${key}.`)),
  }), {});
}

describe("languages", () => {
  const [english, french] = [flat(en), flat(fr)];
  const placeholders = (text) => [...new Set(JSON.stringify(text).match(/\{\w+\}/g))].sort();

  test("every text is in both, with the same values and forms", () => {
    assert.deepEqual(Object.keys(french).sort(), Object.keys(english).sort());
    for (const [key, text] of Object.entries(english)) {
      const other = french[key];
      assert.equal(typeof other, typeof text, key);
      if (typeof text !== "string") assert.deepEqual(Object.keys(other), Object.keys(text), key);
      const unlike = placeholders(text).filter((name) => !placeholders(other).includes(name));
      assert.deepEqual(unlike.filter((name) => name !== "{n}"), [], key);
    }
  });

  test("every text that the page names exists, and every text is named", () => {
    const sources = readdirSync(ASSETS).filter((name) => name.endsWith(".js") && !/^(en|fr)\.js$/.test(name))
      .map((name) => readFileSync(new URL(name, ASSETS), "utf8")).join("\n");
    const named = [...sources.matchAll(/\bt\("([\w.]+)"/g)].map(([, key]) => key);
    for (const key of named) assert.ok(key in english, key);
    for (const key of Object.keys(english)) {
      const [group, name] = key.split(".");
      // Keys that are put together: `advice.${…}`, `way.${name}About`, a key in a conditional.
      const isUsed = sources.includes(`"${key}"`) || sources.includes(`${group}.\${`) || (group === "units" && sources.includes(`units.${name}`));
      assert.ok(isUsed, key);
    }
  });

  test("French has no space that a line may break at before its punctuation", () => {
    for (const [key, text] of Object.entries(french)) assert.ok(!/ [:;?!»%]/.test(JSON.stringify(text)), key);
  });
});

describe("reach", () => {
  let relay;

  before(async () => {
    relay = await standalone().start();
    const { silent_payment_address: address } = await relay.get("/config");
    await relay.post("/dev/pay", { address, amount: "0.001" });
    await relay.post("/dev/mine", { blocks: 3 });
  });

  after(async () => { await relay.stop(); });

  const ready = async (page) => {
    await until("the page", async () => (await page.locator("#way tbody tr").count()) > 0 && (await page.locator("#memory canvas").count()) > 0);
  };

  for (const scheme of ["light", "dark"]) {
    test(`axe finds nothing (${scheme})`, async () => {
      const page = await visit(relay.url, { scheme, motion: "reduce" });
      await ready(page);
      await page.click("#log header button");
      await page.locator("#log .log li").first().waitFor();
      // As the text of a script element, it would be refused by the policy of the page.
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }));
      assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes.map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`), []);
      await page.context().close();
    });
  }

  test("the keyboard reaches everything, in the order of the page", async () => {
    const page = await visit(relay.url);
    await ready(page);
    const path = [];
    for (let steps = 0; steps < 40; steps++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const { tagName, name, id, href, type } = document.activeElement;
        const style = getComputedStyle(document.activeElement);
        return { what: [tagName, name || id || type || href || ""].join(" ").trim(), outline: style.outlineStyle, y: document.activeElement.getBoundingClientRect().y + scrollY };
      });
      if (at.what === "BODY") break;
      path.push(at);
    }
    const whats = path.map((at) => at.what);
    assert.match(whats[0], /#main/);
    for (const wanted of ["INPUT amount", "BUTTON submit", "TEXTAREA keys", "BUTTON button"]) assert.ok(whats.includes(wanted), `${wanted}: ${whats}`);
    assert.ok(path.every((at) => at.outline !== "none"), JSON.stringify(path.filter((at) => at.outline === "none")));
    const main = path.slice(whats.indexOf("INPUT amount")).map((at) => Math.round(at.y / 50));
    assert.deepEqual(main.filter((y, at) => at && y < main[at - 1] - 1), []);
    // Enter on a button that has the focus.
    await page.focus("#log header button");
    await page.keyboard.press("Enter");
    await page.locator("#log .log li").first().waitFor();
    await page.context().close();
  });

  for (const width of [360, 768, 1920]) {
    test(`nothing is wider than the screen (${width} px)`, async () => {
      const page = await visit(relay.url, { size: { width, height: 800 } });
      await ready(page);
      await page.click("#log header button");
      await page.locator("#log .log li").first().waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0);
      await page.context().close();
    });
  }

  test("the language is that of the browser, and can be changed and is remembered", async () => {
    const page = await visit(relay.url, { locale: "fr-FR" });
    await until("French", async () => /Tout va bien/.test(await said(page)));
    assert.equal(await page.getAttribute("html", "lang"), "fr");
    await ready(page);
    const text = await page.locator("main").innerText();
    for (const english of ["Nothing to do", "Waiting", "Detection", "Blocks", "transactions scanned"]) assert.ok(!text.includes(english), english);
    await page.selectOption(".top select >> nth=0", "en");
    await until("English", async () => /All is well/.test(await said(page)));
    await page.reload();
    await until("English again", async () => /All is well/.test(await said(page)));
    assert.deepEqual(faults(page), []);
    await page.context().close();
  });

  test("the theme follows the system, until it is chosen", async () => {
    const page = await visit(relay.url, { scheme: "dark" });
    await ready(page);
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await background();
    await page.selectOption(".top select >> nth=1", "light");
    assert.notEqual(await background(), dark);
    await page.reload();
    await ready(page);
    assert.notEqual(await background(), dark);
    await page.context().close();
  });

  test("nothing moves where the system asks for it", async () => {
    const page = await visit(relay.url, { motion: "reduce" });
    await ready(page);
    await relay.post("/dev/mine", { blocks: 1 });
    await until("the block", async () => (await page.locator(".block.new").count()) > 0);
    assert.deepEqual(await page.evaluate(() => document.getAnimations().map((one) => one.animationName || "transition")), []);
    await page.context().close();
  });
});
