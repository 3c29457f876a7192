// Language and theme, which the browser remembers. Nothing else of this page is stored.

import { preferred, setLanguage } from "./i18n.js";
import { change, state } from "./store.js";

const PREFIX = "sdk_relay.";

function stored(name, allowed) {
  try {
    const value = localStorage.getItem(PREFIX + name);
    return allowed.includes(value) ? value : undefined;
  } catch {
    // Storage may be forbidden: the page works without it.
    return undefined;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // As above.
  }
  show(name, value);
}

function show(name, value) {
  if (name === "language") setLanguage(value);
  else document.documentElement.dataset.theme = value;
  change((s) => { s[name] = value; });
}

export function restore() {
  show("language", stored("language", ["en", "fr"]) || preferred());
  show("theme", stored("theme", ["auto", "light", "dark"]) || state.theme);
}
