"""What tells a bounce, and what tells an automatic reply, from other mail: senders, subjects, sentences, as data.

Patterns are searched case-insensitively; sentences are lower case and searched in the bounce's own words.
"""

from __future__ import annotations

# Local parts that only mail systems use, at the beginning of an address.
DAEMONS = (
    r"(?:mailer[._-]?daemon|mail[._-]?daemon|post[._-]?master|mail[._-]delivery[._-](?:sub)?system|mdaemon|maildeliver\w*"
    r"|mail-?system|delivery[._-]?(?:failure|status|report)\w*|bounces?|ndr|non-?delivery|undeliver\w*|dsn|mta-?\w*)"
    r"(?:[+._-][^@]*)?@"
)
# Names a mail system gives itself in From.
DAEMON_NAMES = (
    r"mailer[ -]?daemon",
    r"mail deliver(?:y|er) (?:sub)?system",
    r"mail delivery",
    r"delivery (?:sub)?system",
    r"system administrator",
    r"systemadministrator",
    r"post ?master",
    r"microsoft (?:exchange|outlook)",
    r"mail ?server",
    r"interscan",
    r"mail system",
    r"administrateur syst",
)
# Subjects of bounces. Searched for anywhere, so none may be an everyday phrase.
BOUNCE_SUBJECTS = (
    r"undeliver(?:able|ed)",
    r"un-?deliverable",
    r"deliver(?:y|ing)? (?:status|failure|failed|problem|error|notification|delayed|report|has failed|unsuccessful)",
    r"(?:mail|message|delivery) (?:delivery )?(?:failed|failure|system error|could not be|not delivered|delayed)",
    r"(?:message|mail) delivery has failed",
    r"failed? (?:delivery|to deliver|mail|recipient)",
    r"failure (?:notice|delivery)",
    r"returned (?:mail|e-?mail|message|to sender)",
    r"return(?:ing|ed) (?:message )?to sender",
    r"non-?deliver(?:y|able)",
    r"not delivered",
    r"(?:could not|couldn't|cannot|can't) (?:be )?(?:deliver|send|sent)",
    r"error sending your mail",
    r"bounced? (?:mail|message)|mail bounce",
    r"warning: (?:message|could not|mail)",
    r"loop alert",
    r"unzustellbar",
    r"nicht zugestellt|zustellung.{0,20}(?:fehl|nicht)",
    r"onbestelbaar|niet bezorgd",
    r"non remis|non distribu|échec de (?:la )?remise|échec de la distribution|retour de courrier",
    r"non recapitabile|mancato recapito|mancata consegna",
    r"não entregue|falha na entrega",
    r"no se puede entregar|no entregado|error de entrega|devuelto",
    r"olevererbart|kan inte levereras|ikke leveret|kan ikke leveres",
    r"niedostarcz|не доставлен|недоставлен|не удалось доставить",
    r"配信不能|配信エラー|配信に失敗|配信できません|送信エラー|送信できません|エラーメール|宛先不明|不達|届け",
    r"退信|投递失败|无法(?:投递|送达|传递)|系统退信|無法傳遞",
    r"배달(?:되지| 실패)|반송",
)
# Sentences of failure in the words of a bounce, lower case. Only such as no letter of a person opens with.
BOUNCE_WORDS = (
    "could not be delivered to",
    "couldn't be delivered to",
    "couldn't be delivered.",
    "cannot be delivered to",
    "was not delivered to",
    "not be delivered to one or more",
    "delivery to the following recipient",
    "delivery has failed to these recipients",
    "did not reach the following recipient",
    "unable to deliver your message",
    "unable to deliver message to",
    "wasn't able to deliver your message",
    "error delivering your mail",
    "had permanent fatal errors",
    "had transient non-fatal errors",
    "had delivery problems",
    "had delivery errors",
    "transcript of session follows",
    "this is the qmail-send program",
    "this message was created automatically by mail delivery",
    "automatically generated delivery status notification",
    "this is a delivery failure notification",
    "undeliverable mail",
    "remote host said:",
    "unknown user:",
    "user unknown",
    "final-recipient:",
    "duplicated message-id in",
    "送信できませんでした",
    "配信できませんでした",
    "お届けできませんでした",
    "konnte nicht zugestellt werden",
    "n'a pas pu être remis",
    "n'a pas pu être distribué",
    "no se pudo entregar",
    "non è stato possibile recapitare",
    "não pôde ser entregue",
    "kon niet worden bezorgd",
    "не может быть доставлено",
    "не было доставлено",
)
# How automatic replies begin their subject.
AWAY_SUBJECTS = (
    r"auto(?:matic|mated)?[ -]?(?:reply|response|respond|answer)",
    r"auto\s?:",
    r"(?:re: ?)?out[ -]of[ -](?:the[ -])?office",
    r"ooo\b",
    r"(?:i am |i'm )?away (?:from|until)",
    r"(?:on )?vacation (?:reply|message|notice|response)|on vacation|on (?:annual )?leave\b|on holiday\b",
    r"\[?auto-?reply",
    r"automatische (?:antwort|abwesenheit)|abwesenheit|abwesend|außer haus",
    r"réponse automatique|absence d(?:u|e) bureau|absen(?:t|ce)\b|message d'absence",
    r"respuesta automática|fuera de (?:la )?oficina|ausencia",
    r"resposta automática|fora d[oe] escritório|ausência",
    r"risposta automatica|fuori (?:sede|ufficio)|assenza|assente",
    r"automatisch antwoord|afwezig",
    r"auto(?:matiskt? )?svar|frånvaro|fravær|ikke til ?stede",
    r"automaattinen vastaus|poissa",
    r"odpowiedź automatyczna|automatyczna odpowiedź|autoodpowiedź|nieobecność",
    r"automatická odpověď|automatická odpoveď|automatikus válasz|răspuns automat",
    r"автоответ|автоматический ответ|автоматична відповідь",
    r"otomatik yanıt|αυτόματη απάντηση",
    r"自動応答|自動返信|【自動|不在(?:通知|の)|休暇",
    r"自动答复|自动回复|自動回覆|自動回复",
    r"자동 ?(?:회신|응답)|부재중",
    r"תשובה אוטומטית|رد تلقائي|ตอบกลับอัตโนมัติ|trả lời tự động",
)
