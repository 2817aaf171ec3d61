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
  "chooser.folder": "Choose a folder",
  "chooser.hint": "or drop files anywhere on this page",
  "chooser.drop": "Drop to send",
  "chooser.litter": {
    one: "{names} was left out: a file that systems leave behind.",
    other: "{count} files that systems leave behind were left out: {names}.",
  },
  "chooser.unreadable": {
    one: "{names} cannot be read and was left out.",
    other: "{count} files or folders cannot be read and were left out: {names}.",
  },
  "chooser.hidden_title": { one: "Send the hidden file too?", other: "Send {count} hidden files too?" },
  "chooser.hidden": "Names that begin with a dot are usually settings, and sometimes passwords: {names}.",
  "chooser.hidden_yes": "Send them too",
  "chooser.hidden_no": "Leave them out",
  "chooser.none": "There is no file in what you chose.",
  "list.few": { one: "{names} and 1 more", other: "{names} and {count} more" },
  "sending.title": "Sending",
  "sending.progress": "{files} of {count} files",
  "sending.one": "1 file",
  "sending.bytes": "{sent} of {bytes}",
  "sending.rate": "{rate}/s",
  "sending.left": "{time} left",
  "sending.paused": "Paused",
  "sending.offline": "You are offline. Sending waits, and goes on by itself when you are back.",
  "sending.pause_all": "Pause all",
  "sending.resume_all": "Resume all",
  "sending.cancel_all": "Cancel all",
  "sending.retry_all": "Try again",
  "sending.failed": {
    one: "1 file was not sent. Its row says why.",
    other: "{count} files were not sent. Their rows say why.",
  },
  "sending.spoilt": {
    one: "1 file failed its check. Its row says why.",
    other: "{count} files failed their check. Their rows say why.",
  },
  "sending.verifying": {
    one: "1 file received. It is being verified.",
    other: "{count} files received. They are being verified: {left} to go.",
  },
  "sending.verified": { one: "1 file received and verified.", other: "{count} files received and verified." },
  "sending.hashed": {
    one: "1 file received and hashed, not verified.",
    other: "{count} files received and hashed, not verified.",
  },
  "sending.said_begin": { one: "Sending 1 file, {bytes}.", other: "Sending {count} files, {bytes}." },
  "sending.said_percent": "{percent} sent.",
  "sending.double": {
    one: "{names} is here or on its way already. It is not sent again.",
    other: "{count} files are here or on their way already. They are not sent again: {names}.",
  },
  "sending.known": {
    one: "A file named {names} with the same size is here already. It is sent again.",
    other: "Files with the same names and sizes are here already. These {count} are sent again: {names}.",
  },
  "sending.withdrawn": {
    one: "{names} was cancelled elsewhere.",
    other: "{count} uploads were cancelled elsewhere: {names}.",
  },
  "sending.no_digests":
    "This page was not opened over HTTPS, so the browser cannot compute digests. What you send is hashed when it arrives but cannot be verified, and after a reload an upload begins anew.",
  "sending.dismiss": "Dismiss",
  "sending.cancel_title": { one: "Cancel the upload?", other: "Cancel {count} uploads?" },
  "sending.cancel_detail": "{sent} have been sent already. They are deleted.",
  "sending.cancel_yes": { one: "Cancel the upload", other: "Cancel {count} uploads" },
  "sending.cancel_no": "Go on sending",
  "sending.leave_title": { one: "1 file has not been sent", other: "{count} files have not been sent" },
  "sending.leave_detail":
    "If you leave now, sending stops; {left} are missing. What has arrived is kept: choose the same files again to go on.",
  "sending.leave_yes": "Leave",
  "sending.leave_no": "Stay",
  "problem.busy": "The server is busy. Try again in a moment.",
  "problem.page_stale": "This page is out of date. Load it again; what has arrived is kept.",
  "problem.link_broken": "This link is not complete. Open it again exactly as it was given to you.",
  "problem.link_expired": "This link has expired. Ask the person who gave it to you for a new one.",
  "problem.link_ended": "This link has ended. Ask the person who gave it to you for a new one.",
  "problem.owner_only": "This link does not allow that.",
  "problem.wrong_password": "That is not the password of this link. Ask the person who gave it to you.",
  "problem.too_many_tries": "Too many wrong passwords. Try again in a quarter of an hour.",
  "problem.share_used_up":
    "The files of this link were downloaded as often as it allows. Ask the person who gave it to you for a new one.",
  "problem.share_gone": "This share has ended.",
  "problem.drop_gone": "This drop has ended.",
  "problem.drop_full": "This link takes no more files. Ask the person who gave it to you for a new one.",
  "problem.drop_full_of": {
    one: "This link takes 1 file, and it has been sent. Ask the person who gave it to you for a new one.",
    other: "This link takes {count} files, and they have been sent. Ask the person who gave it to you for a new one.",
  },
  "problem.archive_gone": "This archive is not there any more. Ask for it again.",
  "problem.archive_not_ready": "The archive is not ready. Try again in a moment, or download the files one by one.",
  "problem.nothing_ready": "No file here is ready yet. Wait until they are verified.",
  "problem.too_many_files": "These are too many files at once. Choose fewer.",
  "problem.file_gone": "This file was deleted.",
  "problem.parts_differ": "What arrived is not what was sent. Try again; what arrived unharmed is kept.",
  "problem.digests_differ": "What arrived before belongs to other bytes. Cancel this upload and send the file again.",
  "problem.not_ready": "This file is not ready yet. Try again in a moment.",
  "problem.wrong_state": "This file has changed its state meanwhile. Load the page again to see what became of it.",
  "problem.conflict": "Somebody else changed this at the same moment. Try again.",
  "problem.object_missing": "S3 does not have the bytes of this file any more. Delete it, and send it again.",
  "problem.object_missing_guest": "The server cannot read this file any more. Tell the person who gave you the link.",
  "problem.object_forbidden": "S3 does not let the server read this file. Ask your administrator.",
  "problem.invalid_filename":
    "This name cannot be kept: it is too long, or has characters that are not allowed. Rename the file and choose it again.",
  "problem.invalid_folder": "This folder's name cannot be kept. Rename the folder and choose it again.",
  "problem.file_too_large": "Files may be at most {limit}; this one is {size}.",
  "problem.file_too_large_unknown": "Files may be at most {limit}; this one is larger.",
  "problem.too_large": "This is more than the server takes at once.",
  "problem.content_type": "Only these are accepted: {allowed}. This file is: {type}.",
  "problem.quota_guest": "The person who gave you this link has no storage left. Tell them, then try again.",
  "problem.quota_bytes": "Your storage is full: {used} of {limit} are used. Delete files, then try again.",
  "problem.quota_uploads":
    "You have {used} unfinished uploads, and {limit} are allowed. Finish or cancel some, then try again.",
  "problem.altered":
    "The connection alters what is sent: S3 received other bytes than this page sent, {times} times in a row. Nothing of that was kept. Try again over another network; a proxy or a security program may be the cause.",
  "problem.refused": "S3 refused the bytes ({answer}). Try again.",
  "problem.changed":
    "This file was changed, moved or deleted after you chose it. Choose it again to send it as it is now.",
  "problem.withdrawn": "This upload was cancelled elsewhere.",
  "problem.broken": "The part of this page that sends files does not run. Load the page again.",
  "problem.unknown": "Something went wrong in this page ({message}). Try again, or load the page again.",
  "problem.other": "The server says: {detail}",
  "kind.images": "images",
  "kind.videos": "videos",
  "kind.audio": "audio",
  "kind.text": "text",
  "kind.plain_text": "plain text",
  "kind.pdf": "PDF",
  "kind.zip": "ZIP",
  "kind.unknown": "of an unknown type",
} satisfies Record<string, Message>;

export type MessageName = keyof typeof en;
export type Messages = Record<MessageName, Message>;
