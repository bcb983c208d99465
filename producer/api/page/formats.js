// Numbers, times and names as people read them. Pure.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const zoned = new Intl.DateTimeFormat("en", { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short" });

/** A count. */
export const count = (n) => whole.format(n);

/** A count with its noun. */
export const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** A share (0 to 1). */
export function percent(share) {
  if (share === null || share === undefined) return "–";
  const value = share * 100;
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

/** A value of a trait, with the unit of its scale. */
export function traitValue(value, trait) {
  if (value === null || value === undefined) return "–";
  if (trait.type === "date") return `${short.format(value)} d`;
  if (trait.scale === "probability") return percent(value);
  if (trait.scale === "percent") return `${short.format(value)} %`;
  const text = Math.abs(value) >= 1000 ? whole.format(Math.round(value)) : short.format(value);
  return trait.currency ? `${trait.currency} ${text}` : text;
}

/** An ISO time in the reader's time zone. */
export const time = (iso) => (iso ? moment.format(new Date(iso)) : "–");

/** The same with the name of the zone, beside times of another zone. */
export const zonedTime = (iso) => (iso ? zoned.format(new Date(iso)) : "–");

/** Seconds. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A difference, with its sign. */
export const signed = (value, digits = 1) => (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(digits);

/** A field of a persona as one text. */
export function fieldValue(value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value, null, 1) : String(value);
}

/** The fields of an object as [name, value]; those of inner objects as `outer.inner`. */
export function flatten(fields, prefix = "") {
  return Object.entries(fields).flatMap(([name, value]) =>
    value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0
      ? flatten(value, `${prefix}${name}.`)
      : [[prefix + name, value]]);
}

export const STATES = ["queued", "fetching", "finalizing", "completed", "planned", "failed", "cancelled"];

const STATE_TEXTS = {
  queued: "Queued",
  fetching: "Reading",
  finalizing: "Finalizing",
  completed: "Completed",
  planned: "Plan ready",
  failed: "Failed",
  cancelled: "Cancelled",
  unreadable: "Unreadable",
};

/** A state in words. */
export const stateText = (state) => STATE_TEXTS[state] ?? state;

/** Whether a sync runs. */
export const runs = (sync) => ["queued", "fetching", "finalizing"].includes(sync.status);
