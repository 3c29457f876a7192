// Numbers with their units, in the language of the page.

let locale = "en";
let units = {};

export const currentLocale = () => locale;

// The browser's own variant of the language, if it has one: `en-GB` writes dates and times otherwise than `en`.
export function setLocale(language, words) {
  locale = (navigator.languages || []).find((tag) => tag.startsWith(language)) || language;
  units = words;
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);
}

export function percent(share, digits = 0) {
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: digits }).format(share);
}

// Milliseconds: three digits are enough for any of them.
export function ms(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1000) return `${number(value / 1000, value >= 10000 ? 0 : 1)}\u00a0s`;
  return `${number(value, value >= 10 ? 0 : value >= 1 ? 1 : 2)}\u00a0ms`;
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const steps = [[1e9, units.gigabyte], [1e6, units.megabyte], [1e3, units.kilobyte], [0, units.byte]];
  const [step, unit] = steps.find(([least]) => value >= least);
  const amount = step ? value / step : value;
  return `${number(amount, amount < 10 && step ? 1 : 0)}\u00a0${unit}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const steps = [[86400, units.day], [3600, units.hour], [60, units.minute], [1, units.second]];
  const at = Math.max(0, steps.findIndex(([length]) => seconds >= length));
  const [length, unit] = seconds < 1 ? steps[3] : steps[at];
  const whole = Math.floor(seconds / length);
  const next = seconds >= 60 && steps[at + 1];
  const rest = next ? Math.floor((seconds % length) / next[0]) : 0;
  return `${number(whole)}\u00a0${unit}${rest ? ` ${number(rest)}\u00a0${next[1]}` : ""}`;
}

export function time(at) {
  return new Intl.DateTimeFormat(locale, { timeStyle: "medium" }).format(at);
}

export function dateTime(at) {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }).format(at);
}

export function btc(sats) {
  const amount = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 8 }).format(sats / 1e8);
  return `${amount}\u00a0BTC`;
}

export function short(hex, ends = 6) {
  return hex && hex.length > 2 * ends + 1 ? `${hex.slice(0, ends)}…${hex.slice(-ends)}` : hex;
}
