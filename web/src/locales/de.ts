import type { Messages } from "./en";

const de: Messages = {
  "app.files": "Dateien",
  "app.drops": "Ablagen",
  "app.shares": "Freigaben",
  "app.sign_out": "Abmelden",
  "app.language": "Sprache",
  "chooser.files": "Dateien auswählen",
  "dialog.keep": "Behalten",
  "door.title": "Anmelden",
  "door.token": "Zugangsschlüssel",
  "door.help": "Frag deine Administration nach einem Zugangsschlüssel. Er bleibt in diesem Tab, bis du ihn schließt.",
  "door.enter": "Anmelden",
  "problem.unauthorized": "Dieser Zugangsschlüssel gilt nicht oder nicht mehr. Melde dich mit einem anderen an.",
  "problem.server":
    "Auf dem Server ist ein Fehler aufgetreten ({status}). Versuche es noch einmal; der Fehler ist protokolliert.",
  "problem.unreachable":
    "Der Server ist nicht erreichbar. Prüfe deine Verbindung und versuche es noch einmal; was angekommen ist, bleibt.",
  "problem.offline": "Du bist offline. Versuche es wieder, wenn du zurück bist; was angekommen ist, bleibt.",
  "app.skip": "Zum Inhalt springen",
  "app.views": "Bereiche der Seite",
  "door.welcome": "Sende Dateien jeder Größe. Jede wird beim Ankommen geprüft.",
  "door.opening": "Deine Dateien werden geöffnet …",
  "door.retry": "Noch einmal versuchen",
  "door.again": "Neu anmelden",
  "door.again_help":
    "Dein Zugangsschlüssel gilt nicht mehr. Die Seite bleibt, wie sie ist, und Uploads gehen weiter, sobald du dich angemeldet hast.",
  "leave.title": "Abmelden?",
  "leave.detail": {
    one: "{count} Datei ist noch nicht ganz gesendet. Du kannst später weitermachen: melde dich an und wähle sie noch einmal aus.",
    other:
      "{count} Dateien sind noch nicht ganz gesendet. Du kannst später weitermachen: melde dich an und wähle sie noch einmal aus.",
  },
  "leave.stay": "Bleiben",
  "live.on": "Live",
  "live.on_help": "Was andere senden, herunterladen oder löschen, erscheint hier von selbst.",
  "live.connecting": "Verbinde …",
  "live.connecting_help": "Neues erscheint hier, sobald die Verbindung steht.",
  "live.gone": "Keine Verbindung",
  "live.gone_help":
    "Die Verbindung ist unterbrochen. Die Liste ist vielleicht nicht auf dem neuesten Stand, bis die Seite wieder verbunden ist.",
  "live.back": "Die Verbindung ist wieder da.",
  "download.going": "Wird heruntergeladen, {percent}",
  "download.complete": "Gerade heruntergeladen",
  "download.broken": "Ein Download ist abgebrochen",
  "download.redirected": "Wird heruntergeladen",
};

export default de;
