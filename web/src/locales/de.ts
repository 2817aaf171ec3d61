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
  "problem.server": "Der Server ist gescheitert ({status}). Versuche es noch einmal; der Fehler wurde protokolliert.",
  "problem.unreachable":
    "Der Server ist nicht erreichbar. Prüfe deine Verbindung und versuche es noch einmal; was angekommen ist, bleibt.",
  "problem.offline": "Du bist offline. Versuche es wieder, wenn du zurück bist; was angekommen ist, bleibt.",
};

export default de;
