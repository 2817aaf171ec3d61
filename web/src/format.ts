/** Numbers as people read them, in their language. */

import { computed } from "@preact/signals";
import { language } from "./i18n";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
const STEP = 1000; // a megabyte has a million bytes; what has 1,048,576 is a mebibyte, and nobody says that

const units = computed(() =>
  UNITS.map(
    (unit, power) =>
      new Intl.NumberFormat(language.value, {
        style: "unit",
        unit,
        unitDisplay: power === 0 ? "long" : "short",
        maximumFractionDigits: power === 0 ? 0 : 1,
      }),
  ),
);
const counts = computed(() => new Intl.NumberFormat(language.value));
const percents = computed(() => new Intl.NumberFormat(language.value, { style: "percent" }));
const days = computed(() => new Intl.DateTimeFormat(language.value, { dateStyle: "medium" }));
const moments = computed(() => new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }));
const times = computed(() => new Intl.DateTimeFormat(language.value, { timeStyle: "short" }));
const durations = computed(() =>
  (["second", "minute", "hour", "day"] as const).map(
    (unit) =>
      new Intl.NumberFormat(language.value, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 0 }),
  ),
);
const SECONDS = [1, 60, 3_600, 86_400];

/** `8.4 MB`: three digits are enough to tell files apart. */
export function bytes(count: number): string {
  let power = 0;
  let value = count;
  // 999,950 bytes would be 1,000 kB once they are rounded.
  while (power < UNITS.length - 1 && value >= (power === 0 ? STEP : STEP - 0.05)) {
    value /= STEP;
    power++;
  }
  return units.value[power]?.format(value) ?? "";
}

/** `8,388,608` */
export function number(value: number): string {
  return counts.value.format(value);
}

/** Of a whole. All of it only when nothing is left, and all of nothing. */
export function percent(part: number, whole: number): string {
  return percents.value.format(fraction(part, whole));
}

/** In hundredths, from 0 to 1; 1 only when nothing is left. */
export function fraction(part: number, whole: number): number {
  return whole === 0 ? 1 : Math.floor((100 * Math.min(part, whole)) / whole) / 100;
}

/** `3 min`: rounded up, so that it is never nothing. */
export function duration(seconds: number): string {
  const index = Math.max(
    0,
    SECONDS.findLastIndex((unit) => seconds > unit * 1.5),
  );
  return durations.value[index]?.format(Math.max(1, Math.ceil(seconds / (SECONDS[index] ?? 1)))) ?? "";
}

export function day(rfc3339: string): string {
  return days.value.format(new Date(rfc3339));
}

export function moment(rfc3339: string): string {
  return moments.value.format(new Date(rfc3339));
}

/** The time where it was today, else the day. */
export function when(rfc3339: string, now = new Date()): string {
  const then = new Date(rfc3339);
  return (then.toDateString() === now.toDateString() ? times : days).value.format(then);
}
