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
  "app.skip": "Skip to the content",
  "app.views": "Parts of the page",
  "door.welcome": "Send files of any size, and see each one verified as it arrives.",
  "door.opening": "Opening your files …",
  "door.retry": "Try again",
  "door.again": "Sign in again",
  "door.again_help":
    "Your access token is no longer valid. The page stays as it is, and uploads go on once you have signed in.",
  "leave.title": "Sign out?",
  "leave.detail": {
    one: "{count} file has not been sent completely. You can go on with it later: sign in and choose it again.",
    other: "{count} files have not been sent completely. You can go on with them later: sign in and choose them again.",
  },
  "leave.stay": "Stay",
  "live.on": "Live",
  "live.on_help": "What others send, download or delete shows up here by itself.",
  "live.connecting": "Connecting …",
  "live.connecting_help": "What is new shows up here as soon as the connection is there.",
  "live.gone": "No connection",
  "live.gone_help": "The connection is lost, so the list may be out of date. The page keeps trying to get back.",
  "live.back": "The connection is back.",
  "download.going": "Being downloaded, {percent}",
  "download.complete": "Just downloaded",
  "download.broken": "A download broke off",
  "download.redirected": "Being downloaded",
} satisfies Record<string, Message>;

export type MessageName = keyof typeof en;
export type Messages = Record<MessageName, Message>;
