/** Passwords that can be read out over a telephone. */

const LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"; // without those that look like others: 31, so 4.95 bits each
const GROUPS = 4;
const GROUP = 4; // 16 characters have 79 bits

/** `hk7p-w2xm-...`: the same chance for each. */
export function suggest(): string {
  const groups = Array.from({ length: GROUPS }, () => Array.from({ length: GROUP }, letter).join(""));
  return groups.join("-");
}

function letter(): string {
  const whole = 256 - (256 % LETTERS.length); // beyond it some letters would come more often
  for (;;) {
    const [byte = 255] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < whole) return LETTERS.charAt(byte % LETTERS.length);
  }
}
