/**
 * Everything that the page says, in English. `{name}` is a value. A message with forms for numbers (`one`, `other`, ...:
 * https://cldr.unicode.org/index/cldr-spec/plural-rules) is chosen by the value `count`.
 *
 * Another language is a file beside this one, named by its code (`de.ts`), with the same names.
 */

export type Message = string | (Partial<Record<Intl.LDMLPluralRule, string>> & { other: string });

export const en = {
  "app.files": "Files",
  "app.drops": "Drops",
  "app.shares": "Shares",
  "app.sign_out": "Sign out",
  "app.language": "Language",
  "chooser.files": "Choose files",
  "dialog.keep": "Keep it",
  "door.title": "Sign in",
  "door.token": "Access token",
  "door.help": "Ask your administrator for an access token. It stays in this tab until you close it.",
  "door.enter": "Sign in",
  "problem.unauthorized": "This access token is not valid, or not any more. Sign in with another one.",
  "problem.server": "The server failed ({status}). Try again; the failure was logged.",
  "problem.unreachable": "The server cannot be reached. Check your connection and try again; what has arrived is kept.",
  "problem.offline": "You are offline. Try again when you are back; what has arrived is kept.",
} satisfies Record<string, Message>;

export type MessageName = keyof typeof en;
export type Messages = Record<MessageName, Message>;
