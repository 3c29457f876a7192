// The two languages of the page.

import en from "./en.js";
import fr from "./fr.js";
import { number, setLocale } from "./format.js";

const LANGUAGES = { en, fr };
export const NAMES = { en: "English", fr: "Français" };

let words = en;
let plural = new Intl.PluralRules("en");

// The first language of the browser that the page has.
export function preferred() {
  const tags = navigator.languages || [navigator.language];
  return tags.map((tag) => tag.slice(0, 2)).find((tag) => LANGUAGES[tag]) || "en";
}

export function setLanguage(language) {
  words = LANGUAGES[language];
  plural = new Intl.PluralRules(language);
  setLocale(language, words.units);
  document.documentElement.lang = language;
}

// The text of a key, with `{name}` replaced, numbers as the language writes them. A text with forms (`one`, `other`) takes that of `values.n`.
export function t(key, values = {}) {
  const text = key.split(".").reduce((at, part) => at && at[part], words);
  if (text === undefined) return key;
  const form = typeof text === "string" ? text : text[plural.select(values.n)] || text.other;
  return form.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? number(value) : value;
  });
}
