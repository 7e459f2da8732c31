/**
 * Dates as MailerLite writes them. The store keeps whole seconds since 1970
 * because every stamp of the API has a resolution of one second (mailerlite
 * recordings: REST dates equal the HTTP `Date` header to the second, UTC).
 *
 * @module
 */

const SECONDS_A_DAY = 86_400;
const days = new Map<number, string>();

function two(value: number): string {
  return value < 10 ? `0${value}` : `${value}`;
}

function dayText(day: number): string {
  let text = days.get(day);
  if (text === undefined) {
    text = new Date(day * SECONDS_A_DAY * 1000).toISOString().slice(0, 10);
    days.set(day, text);
  }
  return text;
}

function clockText(second: number): string {
  return `${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${
    two(second % 60)
  }`;
}

let lastSeconds = Number.NaN;
let lastText = "";

/** Seconds since 1970 as the REST form, `YYYY-MM-DD HH:MM:SS`, in UTC. */
export function restDate(seconds: number): string {
  // Most rows carry the same stamp three times over.
  if (seconds === lastSeconds) return lastText;
  const day = Math.floor(seconds / SECONDS_A_DAY);
  lastSeconds = seconds;
  lastText = `${dayText(day)} ${clockText(seconds - day * SECONDS_A_DAY)}`;
  return lastText;
}

/** Seconds since 1970 as webhooks and imports write it, `YYYY-MM-DDTHH:MM:SS.000000Z`. */
export function isoDate(seconds: number): string {
  const day = Math.floor(seconds / SECONDS_A_DAY);
  return `${dayText(day)}T${clockText(seconds - day * SECONDS_A_DAY)}.000000Z`;
}

const REST_DATE = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/;

/** Reads the REST form back into seconds since 1970; undefined when it is no such date. */
export function parseRestDate(text: string): number | undefined {
  if (!REST_DATE.test(text)) return undefined;
  const ms = Date.parse(`${text.replace(" ", "T")}Z`);
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000);
}
