"""What tells a bounce, and what tells an automatic reply, from other mail: senders, subjects, sentences, as data.

Everything is lower case, as the words it is looked for in; what is written as a pattern says so.
"""

from __future__ import annotations

# Local parts that only mail systems use, at the beginning of an address, as one pattern.
DAEMONS = (
    r"(?:mailer[._-]?daemon|mail[._-]?daemon|post[._-]?master|mail[._-]delivery[._-](?:sub)?system|mdaemon|maildeliver\w*"
    r"|mail-?system|delivery[._-]?(?:failure|status|report)\w*|bounces?|ndr|non-?delivery|undeliver\w*|dsn|mta-?\w*)"
    r"(?:[+._-][^@]*)?@"
)
# Names a mail system gives itself in From, lower case.
DAEMON_NAMES = (
    "mailer-daemon",
    "mailer daemon",
    "mailerdaemon",
    "mail delivery",
    "mail deliverer s",
    "delivery system",
    "delivery subsystem",
    "system administrator",
    "systemadministrator",
    "postmaster",
    "post master",
    "microsoft exchange",
    "microsoft outlook",
    "mail server",
    "mailserver",
    "interscan",
    "mail system",
    "administrateur syst",
    "mail administrator",
    "e-mail admin",
    "email admin",
    "mail robot",
    "mail router",
)
# Subjects of bounces: a piece that all alternatives of a row share, lower case, and the pattern, searched anywhere
# in the lower-case subject, so that none may be an everyday phrase.
BOUNCE_SUBJECTS: tuple[tuple[str, str], ...] = (
    (
        "deliver",
        r"undeliver(?:able|ed)|un-?deliverable|non-?deliver(?:y|able)|not delivered"
        r"|deliver(?:y|ing)? (?:status|failure|failed|problem|error|notification|delayed|report|has failed"
        r"|unsuccessful)"
        r"|(?:mail|message|delivery) (?:delivery )?(?:failed|failure|system error|could not be|not delivered|delayed)"
        r"|(?:message|mail) delivery has failed"
        r"|(?:could not|couldn't|cannot|can't) (?:be )?deliver",
    ),
    (
        "fail",
        r"(?:mail|message) (?:failed|failure)|failed? (?:delivery|to deliver|mail|recipient)"
        r"|failure (?:notice|delivery)",
    ),
    ("system error", r"(?:mail|message) system error"),
    ("could not be", r"(?:mail|message) could not be"),
    ("delayed", r"(?:mail|message) delayed"),
    ("return", r"returned (?:mail|e-?mail|message|to sender)|return(?:ing|ed) (?:message )?to sender"),
    (" sen", r"(?:could not|couldn't|cannot|can't) (?:be )?(?:send|sent)|error sending your mail"),
    ("bounce", r"bounced? (?:mail|message)|mail bounce"),
    ("warning: ", r"warning: (?:message|could not|mail)"),
    ("loop alert", r"loop alert"),
    ("zustell", r"unzustellbar|zustellung.{0,20}(?:fehl|nicht)|zustell(?:fehler|ung fehlgeschlagen)"),
    ("nicht zugestellt", r"nicht zugestellt"),
    ("onbestelbaar", r"onbestelbaar"),
    ("niet bezorgd", r"niet bezorgd"),
    ("non ", r"non remis|non distribu|non recapitabile"),
    ("échec de la", r"échec de la (?:remise|distribution)"),
    ("échec de remise", r"échec de remise"),
    ("echec de", r"echec de (?:la )?(?:remise|distribution)"),
    ("erreur de ", r"erreur de (?:remise|distribution)"),
    ("errore di ", r"errore di (?:consegna|recapito)"),
    ("erro de ", r"erro de entrega"),
    ("retour de courrier", r"retour de courrier"),
    ("manca", r"mancato recapito|mancata consegna"),
    ("entreg", r"não entregue|falha na entrega|no se puede entregar|no entregado|error de entrega"),
    ("devuelto", r"devuelto"),
    ("lever", r"olevererbart|kan inte levereras|ikke leveret|kan ikke leveres"),
    ("niedostarcz", r"niedostarcz"),
    ("достав", r"не доставлен|недоставлен|не удалось доставить"),
    ("配信", r"配信不能|配信エラー|配信に失敗|配信できません"),
    ("送信", r"送信エラー|送信できません"),
    ("エラーメール", r"エラーメール"),
    ("宛先不明", r"宛先不明"),
    ("不達", r"不達"),
    ("届け", r"届け"),
    ("退信", r"退信"),
    ("投递", r"投递失败|无法投递"),
    ("无法", r"无法(?:送达|传递)"),
    ("無法傳遞", r"無法傳遞"),
    ("배달", r"배달(?:되지| 실패)"),
    ("반송", r"반송"),
)
# Sentences of failure in a bounce, lower case; only such as no letter of a person opens with. Under a piece
# that all of a group share: where that is missing, the group need not be read.
BOUNCE_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "deliver",
        (
            "could not be delivered to",
            "couldn't be delivered to",
            "couldn't be delivered.",
            "cannot be delivered to",
            "was not delivered to",
            "not be delivered to one or more",
            "delivery to the following recipient",
            "delivery has failed to these recipients",
            "unable to deliver your message",
            "unable to deliver message to",
            "wasn't able to deliver your message",
            "error delivering your mail",
            "had delivery problems",
            "had delivery errors",
            "this message was created automatically by mail delivery",
            "automatically generated delivery status notification",
            "this is a delivery failure notification",
            "undeliverable mail",
        ),
    ),
    ("did not reach", ("did not reach the following recipient",)),
    ("fatal errors", ("had permanent fatal errors", "had transient non-fatal errors")),
    ("transcript of", ("transcript of session follows",)),
    ("qmail-send", ("this is the qmail-send program",)),
    ("host said:", ("remote host said:",)),
    ("unknown", ("unknown user:", "user unknown")),
    ("final-recipient:", ("final-recipient:",)),
    ("duplicated message-id", ("duplicated message-id in",)),
    ("nicht zugestellt", ("konnte nicht zugestellt werden",)),
    ("pas pu être", ("n'a pas pu être remis", "n'a pas pu être distribué")),
    ("no se pudo", ("no se pudo entregar",)),
    ("possibile recapitare", ("non è stato possibile recapitare",)),
    ("não pôde ser", ("não pôde ser entregue",)),
    ("niet worden", ("kon niet worden bezorgd",)),
    ("доставлено", ("не может быть доставлено", "не было доставлено")),
    ("できませんでした", ("送信できませんでした", "配信できませんでした", "お届けできませんでした")),
)
# How automatic replies begin their subject, as patterns.
AWAY_SUBJECTS = (
    r"auto(?:matic|mated)?[ -]?(?:reply|replied \(vacation\)|response|respond|answer)",
    r"auto\s?:",
    r"(?:re: ?)?out[ -]of[ -](?:the[ -])?office",
    r"ooo\b",
    r"i(?:'m| am|'ll be| will be) (?:out of|away|on (?:vacation|holiday|leave))",
    r"ich bin (?:nicht (?:im|da|erreichbar)|derzeit|zurzeit|abwesend|im urlaub)|je (?:suis|serai) (?:absent|en congé)",
    r"estoy (?:fuera|de vacaciones|ausente)|sono (?:assente|in ferie|fuori)|estou (?:fora|de férias|ausente)",
    r"ik ben (?:afwezig|niet aanwezig|met vakantie)|jag är (?:inte på|borta|på semester)|jestem poza",
    r"no longer (?:with|works? (?:for|at|here)|employed)\b|left the (?:company|organi[sz]ation)\b",
    r"(?:i am |i'm )?away (?:from|until)",
    r"(?:on )?vacation (?:reply|message|notice|response)|on vacation|on (?:annual )?leave\b|on holiday\b",
    r"\[?auto-?reply",
    r"automatische (?:antwort|abwesenheit)|abwesenheit|abwesend|außer haus",
    r"nicht im (?:büro|haus)|im urlaub\b|urlaub(?:\s?[:(]| bis| vom|$)",
    r"réponse automatique|absence d(?:u|e) bureau|absen(?:t|ce)\b|message d'absence|en congés?(?:\s?[:(]| jusqu|$)",
    r"respuesta automática|fuera de (?:la )?oficina|ausencia|de vacaciones(?:\s?[:(]| hasta|$)",
    r"resposta automàtica|erantzun automatikoa",
    r"resposta automática|fora d[oe] escritório|ausência|de férias(?:\s?[:(]| até|$)",
    r"risposta automatica|fuori (?:sede|ufficio)|assenza|assente|in ferie(?:\s?[:(]| fino|$)",
    r"automatisch antwoord|afwezig|niet aanwezig|niet op kantoor",
    r"auto(?:matiskt? )?svar|frånvar|fravær|ikke til ?stede|ikke på kontoret|inte på kontoret|ej på kontoret",
    r"automaattinen vastaus|poissa|automaatvastus",
    r"odpowiedź automatyczna|automatyczna odpowiedź|autoodpowiedź|nieobecność|poza biurem",
    r"automatická odpověď|automatická odpoveď|automatikus válasz|răspuns automat",
    r"mimo kancelář|nepřítomnost|házon kívül",
    r"automatski odgovor|samodejni odgovor|automatinis atsakymas|automātiskā atbilde|автоматичен отговор",
    r"автоответ|автоматический ответ|автоматична відповідь|нет на работе|вне офиса|в отпуске\b",
    r"otomatik (?:yanıt|cevap)|ofis dışında|αυτόματη απάντηση|εκτός γραφείου|balasan otomatis|balasan automatik",
    r"自動応答|自動返信|【自動|不在(?:通知|の|です|連絡)|休暇|外出中",
    r"自动答复|自动回复|自動回覆|自動回复|自動答覆|外出\s?[:：]|不在办公室|不在辦公室|休假\s?[:：]",
    r"자동 ?(?:회신|응답)|부재 ?중",
    r"תשובה אוטומטית|رد تلقائي|پاسخ خودکار|ตอบกลับอัตโนมัติ|trả lời tự động",
)
# What automatic replies say in their text, where their header says that a machine sent them; patterns, lower case.
AWAY_WORDS = (
    r"out of (?:the |my )?office|(?:on|am on|on annual|on parental|on maternity|on sick) (?:leave|vacation|holidays?)\b"
    r"|away from (?:my|the) (?:desk|office|e-?mail)|(?:return|be back|back in the office) on\b"
    r"|limited access to (?:my )?e-?mail|no longer (?:with|works? (?:for|at|here)|employed)|left the (?:company|firm)"
    r"|automatische (?:antwort|nachricht)|réponse automatique|respuesta automática|risposta automatica"
    r"|resposta automática|automatisch antwoord|odpowiedź automatyczna|automatická odpověď"
    r"|autosvar|автоматический ответ|自動(?:返信|応答)|自动(?:回复|答复)|자동 ?(?:회신|응답)|otomatik (?:yanıt|cevap)"
    r"|received your (?:e-?mail|message|request|enquiry|inquiry)"
    r"|thank you for (?:contacting|your (?:e-?mail|message|mail))"
    r"|we will (?:get back|reply|respond|answer)|automat(?:ic|ed) (?:reply|response|answer)"
    r"|nicht im (?:büro|hause)|im urlaub|außer haus|abwesen|ausgeschieden|nicht mehr (?:bei|im unternehmen)"
    r"|ihre (?:nachricht|anfrage) (?:ist eingegangen|erhalten)|vielen dank für ihre"
    r"|absent|en congés?|de retour le|ne fait plus partie|avons bien reçu|accusons réception|merci pour votre"
    r"|fuera de (?:la )?oficina|de vacaciones|ya no trabaja|hemos recibido su|gracias por (?:su|tu|contact|escrib)"
    r"|fora do escritório|de férias|não trabalha mais|recebemos (?:a )?sua|obrigado (?:pelo|por)"
    r"|fuori (?:sede|ufficio)|in ferie|non lavora più|abbiamo ricevuto|grazie per (?:la|averci)"
    r"|afwezig|met vakantie|niet op kantoor|niet meer werkzaam|hebben uw|bedankt voor uw"
    r"|på semester|inte på kontoret|tack för ditt|på ferie|ikke på kontoret|tak for din|takk for din"
    r"|lomalla|kiitos vies"
    r"|na urlopie|poza biurem|nieobecn|dziękuj|na dovolené|mimo kancelář|děkujeme|szabadság|köszönjük|în concediu"
    r"|в отпуске|вне офиса|больше не работает|спасибо за (?:ваше|обращ)|у відпустці|дякуємо|izindeyim|ofis dışında"
    r"|不在にして|休暇|お問い合わせ(?:いただき|ありがとう)|受け付けました"
    r"|退職|休假|不在办公室|已收到您|感谢您|휴가|부재 중|퇴사|접수되었"
)
