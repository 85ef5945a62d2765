// SPDX-FileCopyrightText: diskwise.vm contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Numbers and moments as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function size(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return "size unknown";
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** Always UTC: the page is read anywhere. */
export function moment(seconds: number | null, short = false): string {
  if (seconds === null) return "time unknown";
  const text = new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
  return short ? text.slice(5) : text;
}

export function age(seconds: number | null, now: number): string {
  if (seconds === null) return "";
  const hours = Math.max(0, now - seconds) / 3600;
  if (hours < 1) return `${Math.round(hours * 60)} min back`;
  return hours < 48 ? `${Math.round(hours)} h back` : `${Math.round(hours / 24)} d back`;
}

export function many(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}

export function list(items: readonly string[], most = 5): string {
  return items.length <= most + 1 ? items.join(", ") : `${items.slice(0, most).join(", ")} and ${items.length - most} more`;
}
