"""What tells mails about other matters than a failed mail: held mail, figures, recalls, quotations; as data.

Everything is lower case. Words are looked for in a mail's own text, patterns in its subject or text.
"""

from __future__ import annotations

# Subjects of mails that tell their reader what was kept from him, and of figures for an administrator; patterns.
HELD_SUBJECTS = (
    r"quarantin|quarantän|quarantain|cuarentena|quarentena|quarantena|kwarantann|karant[ée]n|карантин|隔離|隔离|격리"
    r"|(?:spam|junk|user|daily|weekly)[ -](?:mail[ -])?(?:digest|report|summary|bericht|rapport)|spamrapport"
    r"|spam-?(?:bericht|zusammenfassung)|(?:messages?|mails?|nachrichten) (?:on hold|held|zurückgehalten)"
    r"|(?:new|\d{1,5}) (?:held|on-hold|quarantined) (?:messages?|e-?mails?)"
    r"|digest\b|resumen de spam|resumo de spam|riepilogo (?:dello )?spam"
    r"|\b(?:blocked|filtered) (?:messages|mails|e-?mails)\b|(?:blockierte|gesperrte) (?:nachrichten|e-?mails)"
    r"|(?:messages|e-?mails|courriels) bloqués|(?:mensajes|correos) (?:bloqueados|retenidos)"
    r"|mensagens (?:bloqueadas|retidas)|messaggi (?:bloccati|trattenuti)|geblokkeerde berichten"
    r"|zablokowane wiadomości|blockerade meddelanden|заблокированные (?:письма|сообщения)"
)
SUMMARY_SUBJECTS = (
    r"pflogsumm|logwatch|logcheck|eximstats|log summar|mailgraph"
    r"|\b(?:daily|weekly|monthly|hourly|security|usage)\b[\w ]{0,20} (?:report|summary|statistics|stats)\b"
    # A report of one error is none of figures.
    r"|\b(?:mail|server)\b(?![\w ]{0,20}\b(?:error|fail|deliver|bounce))[\w ]{0,20}"
    r" (?:report|summary|statistics|stats)\b"
    r"|statisti[ckq]|\bcron <"
    r"|^\W{0,2}(?:problem|critical|alert|recovery|warning|down|up)\W{1,3}(?:service|host|smtp|mail)[ \w]{0,30}\W"
    # Prometheus and Grafana, CloudWatch, and tools that send to many and count what came back.
    r"|^\[(?:firing|resolved|alerting|ok|no ?data|pending)(?::\d{1,5})?\]|^(?:alarm|insufficient_data): \""
    r"|\bcampaign\b[^\n]{0,80}\bbounce|\b\d{1,6} (?:hard |soft )?(?:bounces|complaints)\b"
    r"|\b(?:bounce|delivery) rate\b"
)
# Outlook's answer to "Recall This Message": what failed is the taking back; the mail itself has arrived. Patterns.
RECALL_SUBJECTS = (
    r"(?:message )?recall (?:failure|success|report)|message recall(?: report)?:|recall: "
    r"|(?:fehler beim )?nachrichtenrückruf|(?:échec|réussite) du rappel|rapport de rappel"
)
# What a gateway writes to its reader about a mail that came in for him.
INCOMING = (
    "message sent to you",
    "messages sent to you",
    "mail sent to you",
    "mails sent to you",
    "message to you from",
    "mail to you from",
    "message addressed to you",
    "mail addressed to you",
    "an sie gesendete",
    "an sie gerichtete",
    "nachricht an sie von",
    "message qui vous était adressé",
    "message qui vous était destiné",
    "mensaje dirigido a usted",
    "mensagem enviada para você",
    "messaggio a lei indirizzato",
    "messaggio a lei destinato",
    "aan u gerichte",
)
# How a person introduces what a machine told him, at the end of a line: below it he quotes. Patterns, lower case.
INTRODUCED = (
    r"\b(?:i (?:keep getting|keep receiving|am getting|get|got|receive|received|have received|see|saw)"
    r"|ich (?:bekomme|bekam|erhalte|erhielt|habe)|je reçois|j'ai reçu|j'obtiens|me (?:sale|llega|aparece)|recib[oí]"
    r"|he recibido|ricevo|ho ricevuto|receb[oi]|estou recebendo|ik (?:krijg|kreeg|ontving)|jag (?:får|fick)"
    r"|jeg (?:får|fik|fikk)|dostaję|dostał[ae]m|dostal jsem|dostávám|получаю|получила?|мне пришло)\b"
    r"[^\n:]{0,80}:[ \t]*$"
)
