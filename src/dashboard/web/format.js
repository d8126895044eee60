// Figures as people read them. English, as the page is.

const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const short = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 3});

export const count = number => whole.format(number);
export const compact = number => (Math.abs(number) < 10000 ? whole.format(number) : short.format(number));
export const percent = (share, digits = 1) => (100 * share).toFixed(digits) + " %";

// Cents, or as many digits as a small amount needs.
export function money(usd) {
  const size = Math.abs(usd);
  const digits = size === 0 || size >= 1 ? 2 : size >= 0.01 ? 3 : size >= 0.0001 ? 5 : 6;
  const text = size.toLocaleString("en", {minimumFractionDigits: digits, maximumFractionDigits: digits});
  return (usd < 0 ? "−$" : "$") + text;
}

export function took(ms) {
  if (ms < 0.1) return (1000 * ms).toFixed(0) + " µs";
  if (ms < 10) return ms.toFixed(2) + " ms";
  if (ms < 1000) return ms.toFixed(0) + " ms";
  return ms < 60000 ? (ms / 1000).toFixed(1) + " s" : (ms / 60000).toFixed(1) + " min";
}

export function span(seconds) {
  if (seconds < 0) return "over";
  for (const [unit, size] of [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
  ])
    if (seconds >= 2 * size) return Math.floor(seconds / size) + " " + unit;
  return seconds + " s";
}

export function size(bytes) {
  if (bytes < 1024) return bytes + " B";
  for (const unit of ["KiB", "MiB", "GiB"]) {
    bytes /= 1024;
    if (bytes < 1024) return (bytes < 10 ? bytes.toFixed(1) : bytes.toFixed(0)) + " " + unit;
  }
  return (bytes / 1024).toFixed(1) + " TiB";
}

const clockFormat = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const minuteFormat = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit"});
export const clock = ms => clockFormat.format(ms);
export const minute = ms => minuteFormat.format(ms);

// The end of an id tells more than its beginning, which all have.
export const shortScope = scope => (scope.length > 12 ? scope.slice(0, 10) + "…" : scope);
export const shortKey = key => {
  const hash = key.slice(key.lastIndexOf(":") + 1);
  return hash.length > 12 ? hash.slice(0, 12) + "…" : hash;
};
