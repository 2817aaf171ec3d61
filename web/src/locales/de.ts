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
  "chooser.folder": "Ordner auswählen",
  "chooser.hint": "oder zieh Dateien irgendwo auf diese Seite",
  "chooser.drop": "Loslassen zum Senden",
  "chooser.litter": {
    one: "{names} wurde weggelassen: eine Datei, die Systeme hinterlassen.",
    other: "{count} Dateien, die Systeme hinterlassen, wurden weggelassen: {names}.",
  },
  "chooser.unreadable": {
    one: "{names} ist nicht lesbar und wurde weggelassen.",
    other: "{count} Dateien oder Ordner sind nicht lesbar und wurden weggelassen: {names}.",
  },
  "chooser.hidden_title": {
    one: "Auch die versteckte Datei senden?",
    other: "Auch {count} versteckte Dateien senden?",
  },
  "chooser.hidden": "Namen, die mit einem Punkt beginnen, sind meist Einstellungen und manchmal Passwörter: {names}.",
  "chooser.hidden_yes": "Mitsenden",
  "chooser.hidden_no": "Weglassen",
  "chooser.none": "In dem, was du gewählt hast, ist keine Datei.",
  "list.few": { one: "{names} und 1 weitere", other: "{names} und {count} weitere" },
  "sending.title": "Senden",
  "sending.progress": "{files} von {count} Dateien",
  "sending.one": "1 Datei",
  "sending.bytes": "{sent} von {bytes}",
  "sending.rate": "{rate}/s",
  "sending.left": "noch {time}",
  "sending.paused": "Angehalten",
  "sending.offline": "Du bist offline. Das Senden wartet und geht von selbst weiter, sobald du zurück bist.",
  "sending.pause_all": "Alle anhalten",
  "sending.resume_all": "Alle fortsetzen",
  "sending.cancel_all": "Alle abbrechen",
  "sending.retry_all": "Noch einmal versuchen",
  "sending.failed": {
    one: "1 Datei wurde nicht gesendet. In ihrer Zeile steht, warum.",
    other: "{count} Dateien wurden nicht gesendet. In ihren Zeilen steht, warum.",
  },
  "sending.spoilt": {
    one: "1 Datei hat die Prüfung nicht bestanden. In ihrer Zeile steht, warum.",
    other: "{count} Dateien haben die Prüfung nicht bestanden. In ihren Zeilen steht, warum.",
  },
  "sending.verifying": {
    one: "1 Datei angekommen. Sie wird geprüft.",
    other: "{count} Dateien angekommen. Sie werden geprüft: noch {left}.",
  },
  "sending.verified": { one: "1 Datei angekommen und geprüft.", other: "{count} Dateien angekommen und geprüft." },
  "sending.hashed": {
    one: "1 Datei angekommen und gehasht, nicht geprüft.",
    other: "{count} Dateien angekommen und gehasht, nicht geprüft.",
  },
  "sending.said_begin": { one: "1 Datei wird gesendet, {bytes}.", other: "{count} Dateien werden gesendet, {bytes}." },
  "sending.said_percent": "{percent} gesendet.",
  "sending.double": {
    one: "{names} ist schon hier oder unterwegs und wird nicht noch einmal gesendet.",
    other: "{count} Dateien sind schon hier oder unterwegs und werden nicht noch einmal gesendet: {names}.",
  },
  "sending.known": {
    one: "Eine Datei mit dem Namen {names} und derselben Größe ist schon hier. Sie wird noch einmal gesendet.",
    other:
      "Dateien mit denselben Namen und Größen sind schon hier. Diese {count} werden noch einmal gesendet: {names}.",
  },
  "sending.withdrawn": {
    one: "{names} wurde anderswo abgebrochen.",
    other: "{count} Uploads wurden anderswo abgebrochen: {names}.",
  },
  "sending.no_digests":
    "Diese Seite wurde nicht über HTTPS geöffnet, darum kann der Browser keine Prüfsummen berechnen. Was du sendest, wird nach der Ankunft gehasht, kann aber nicht geprüft werden; nach einem Neuladen beginnt ein Upload von vorn.",
  "sending.dismiss": "Schließen",
  "sending.cancel_title": { one: "Upload abbrechen?", other: "{count} Uploads abbrechen?" },
  "sending.cancel_detail": "{sent} sind schon gesendet. Sie werden gelöscht.",
  "sending.cancel_yes": { one: "Upload abbrechen", other: "{count} Uploads abbrechen" },
  "sending.cancel_no": "Weiter senden",
  "sending.leave_title": { one: "1 Datei ist noch nicht gesendet", other: "{count} Dateien sind noch nicht gesendet" },
  "sending.leave_detail":
    "Wenn du jetzt gehst, endet das Senden; {left} fehlen noch. Was angekommen ist, bleibt: Wähle dieselben Dateien noch einmal, dann geht es weiter.",
  "sending.leave_yes": "Gehen",
  "sending.leave_no": "Bleiben",
  "problem.busy": "Der Server ist ausgelastet. Versuche es gleich noch einmal.",
  "problem.page_stale": "Diese Seite ist veraltet. Lade sie neu; was angekommen ist, bleibt.",
  "problem.link_broken": "Dieser Link ist nicht vollständig. Öffne ihn genau so, wie du ihn bekommen hast.",
  "problem.link_expired": "Dieser Link ist abgelaufen. Bitte die Person, von der du ihn hast, um einen neuen.",
  "problem.link_ended": "Dieser Link ist beendet. Bitte die Person, von der du ihn hast, um einen neuen.",
  "problem.owner_only": "Dieser Link erlaubt das nicht.",
  "problem.wrong_password": "Das ist nicht das Passwort dieses Links. Frag die Person, von der du ihn hast.",
  "problem.too_many_tries": "Zu viele falsche Passwörter. Versuche es in einer Viertelstunde wieder.",
  "problem.share_used_up":
    "Die Dateien dieses Links wurden so oft heruntergeladen, wie er es erlaubt. Bitte die Person, von der du ihn hast, um einen neuen.",
  "problem.share_gone": "Diese Freigabe ist beendet.",
  "problem.drop_gone": "Diese Ablage ist beendet.",
  "problem.drop_full":
    "Dieser Link nimmt keine Dateien mehr an. Bitte die Person, von der du ihn hast, um einen neuen.",
  "problem.drop_full_of": {
    one: "Dieser Link nimmt 1 Datei an, und die ist da. Bitte die Person, von der du ihn hast, um einen neuen.",
    other:
      "Dieser Link nimmt {count} Dateien an, und die sind da. Bitte die Person, von der du ihn hast, um einen neuen.",
  },
  "problem.archive_gone": "Dieses Archiv gibt es nicht mehr. Fordere es noch einmal an.",
  "problem.archive_not_ready":
    "Das Archiv ist noch nicht fertig. Versuche es gleich noch einmal, oder lade die Dateien einzeln herunter.",
  "problem.nothing_ready": "Hier ist noch keine Datei fertig. Warte, bis sie geprüft sind.",
  "problem.too_many_files": "Das sind zu viele Dateien auf einmal. Wähle weniger.",
  "problem.file_gone": "Diese Datei wurde gelöscht.",
  "problem.parts_differ":
    "Angekommen ist nicht, was gesendet wurde. Versuche es noch einmal; was heil angekommen ist, bleibt.",
  "problem.digests_differ":
    "Was schon angekommen ist, gehört zu anderen Bytes. Brich diesen Upload ab und sende die Datei neu.",
  "problem.not_ready": "Diese Datei ist noch nicht fertig. Versuche es gleich noch einmal.",
  "problem.wrong_state":
    "Der Zustand dieser Datei hat sich inzwischen geändert. Lade die Seite neu, um zu sehen, was aus ihr geworden ist.",
  "problem.conflict": "Jemand anders hat das im selben Moment geändert. Versuche es noch einmal.",
  "problem.object_missing": "S3 hat die Bytes dieser Datei nicht mehr. Lösche sie und sende sie noch einmal.",
  "problem.object_missing_guest":
    "Der Server kann diese Datei nicht mehr lesen. Sag es der Person, von der du den Link hast.",
  "problem.object_forbidden": "S3 lässt den Server diese Datei nicht lesen. Frag deine Administration.",
  "problem.invalid_filename":
    "Dieser Name geht nicht: Er ist zu lang oder enthält Zeichen, die nicht erlaubt sind. Benenne die Datei um und wähle sie noch einmal.",
  "problem.invalid_folder": "Der Name dieses Ordners geht nicht. Benenne ihn um und wähle ihn noch einmal.",
  "problem.file_too_large": "Dateien dürfen höchstens {limit} groß sein; diese hat {size}.",
  "problem.file_too_large_unknown": "Dateien dürfen höchstens {limit} groß sein; diese ist größer.",
  "problem.too_large": "Das ist mehr, als der Server auf einmal annimmt.",
  "problem.content_type": "Angenommen werden nur: {allowed}. Diese Datei ist: {type}.",
  "problem.quota_guest":
    "Die Person, von der du den Link hast, hat keinen Speicherplatz mehr. Sag ihr Bescheid und versuche es dann noch einmal.",
  "problem.quota_bytes":
    "Dein Speicherplatz ist voll: {used} von {limit} sind belegt. Lösche Dateien und versuche es dann noch einmal.",
  "problem.quota_uploads":
    "Du hast {used} unfertige Uploads, erlaubt sind {limit}. Beende welche oder brich sie ab, und versuche es dann noch einmal.",
  "problem.altered":
    "Die Verbindung verändert, was gesendet wird: S3 bekam {times} Mal hintereinander andere Bytes, als diese Seite gesendet hat. Nichts davon wurde behalten. Versuche es über ein anderes Netz; ein Proxy oder ein Sicherheitsprogramm kann die Ursache sein.",
  "problem.refused": "S3 hat die Bytes abgelehnt ({answer}). Versuche es noch einmal.",
  "problem.changed":
    "Diese Datei wurde geändert, verschoben oder gelöscht, nachdem du sie gewählt hast. Wähle sie noch einmal, um sie so zu senden, wie sie jetzt ist.",
  "problem.withdrawn": "Dieser Upload wurde anderswo abgebrochen.",
  "problem.broken": "Der Teil dieser Seite, der Dateien sendet, läuft nicht. Lade die Seite neu.",
  "problem.unknown":
    "Auf dieser Seite ist etwas schiefgegangen ({message}). Versuche es noch einmal, oder lade die Seite neu.",
  "problem.other": "Der Server sagt: {detail}",
  "kind.images": "Bilder",
  "kind.videos": "Videos",
  "kind.audio": "Audio",
  "kind.text": "Text",
  "kind.plain_text": "reiner Text",
  "kind.pdf": "PDF",
  "kind.zip": "ZIP",
  "kind.unknown": "von unbekanntem Typ",
};

export default de;
