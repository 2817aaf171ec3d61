/** When a link or a token ends, as people choose it. */

const DAY_SECONDS = 86_400;
export const MOST_DAYS = 366; // docs/api.md: of drops, shares and tokens

export const CHOICES = ["day", "week", "month", "date"] as const;
export type Choice = (typeof CHOICES)[number];

const DAYS = { day: 1, week: 7, month: 30 };

/** Seconds from `now` on. A date, as `2026-12-06`, is meant to its end, where the person is. */
export function secondsUntil(choice: Choice, date: string, now: Date): number {
  if (choice !== "date") return DAYS[choice] * DAY_SECONDS;
  const [year = 0, month = 1, day = 1] = date.split("-").map(Number);
  const end = new Date(year, month - 1, day + 1).getTime() / 1000;
  const seconds = Math.floor(end - now.getTime() / 1000);
  return Math.max(1, Math.min(seconds, MOST_DAYS * DAY_SECONDS));
}

/** `2026-12-06`, where the person is. */
export function dateAfter(days: number, now: Date): string {
  const then = new Date(now.getFullYear(), now.getMonth(), now.getDate() + days);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`;
}
