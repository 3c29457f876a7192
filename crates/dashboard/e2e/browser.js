// The browser, and pages that remember everything that went wrong in them.

import { chromium } from "playwright-core";

// A busy machine, and a debug build of the relay.
export const WITHIN_MS = 30000;

// A name of this machine that is not `localhost`: as of a relay in a network.
export const NAME = "relay.example";

let browser;

export async function open() {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_EXE, headless: true,
    // The sandbox of the browser needs rights that a container may not give; the page is our own.
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--host-resolver-rules=MAP ${NAME} 127.0.0.1`],
  });
}

export async function close() {
  await browser?.close();
}

// A page of the relay at `url`. `faults` gets what the console and the content security policy reported.
export async function visit(url, { path = "/", locale = "en-GB", size = { width: 1280, height: 900 }, scheme = "light", motion = "no-preference" } = {}) {
  const context = await browser.newContext({ locale, viewport: size, colorScheme: scheme, reducedMotion: motion, timezoneId: "UTC" });
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN_MS);
  page.faults = [];
  page.on("console", (message) => { if (message.type() === "error") page.faults.push(message.text()); });
  page.on("pageerror", (error) => page.faults.push(String(error)));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url + path, { waitUntil: "load" });
  return page;
}

// Until `condition` (run here) holds.
export async function until(what, condition, within = WITHIN_MS) {
  const deadline = Date.now() + within;
  for (;;) {
    const seen = await condition();
    if (seen) return seen;
    if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

export const said = (page) => page.locator("#state .said").innerText();

// Faults that are not those of a relay that was stopped on purpose.
export function faults(page, expected = /$^/) {
  return page.faults.filter((fault) => !expected.test(fault));
}
