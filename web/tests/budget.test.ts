import { expect, test } from "vitest";
import { Budget } from "../src/budget";

const never = new AbortController().signal;

/** Whether it is settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const later = Symbol();
  return (await Promise.race([promise, Promise.resolve(later)])) !== later;
}

test("no more is in memory than the budget, in the order of asking", async () => {
  const budget = new Budget(10);
  const giveBack = await budget.take(6, never);
  const second = budget.take(6, never);
  const third = budget.take(1, never); // would fit, and does not overtake
  expect([await settled(second), await settled(third)]).toEqual([false, false]);
  giveBack();
  await Promise.all([second, third]);
});

test("what is larger than the whole budget has its turn when nothing else is in memory", async () => {
  const budget = new Budget(10);
  const giveBack = await budget.take(1, never);
  const large = budget.take(100, never);
  expect(await settled(large)).toBe(false);
  giveBack();
  await large;
});

test("who leaves the queue lets the next one in", async () => {
  const budget = new Budget(10);
  await budget.take(5, never);
  const stop = new AbortController();
  const large = budget.take(10, stop.signal);
  const small = budget.take(5, never);
  stop.abort(new Error("paused"));
  await expect(large).rejects.toThrow("paused");
  await small;
});
