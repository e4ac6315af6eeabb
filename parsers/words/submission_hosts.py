"""Where people hand mail in with a login: the submission hosts of relays and mailbox providers, and their ports.

A host stands here only if it takes mail *from its customers* and is no MX of anybody: `smtp.office365.com`, never
`*.mail.protection.outlook.com`; `smtp.gmail.com`, never `aspmx.l.google.com`; `smtpout.secureserver.net`, never
`smtp.secureserver.net`, which is an MX. A wrong row would blame the owner for what a recipient's server said.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Service(NamedTuple):
    """A service that takes mail from its customers."""

    name: str
    hosts: tuple[str, ...]
    """Lower case; `*` stands for exactly one label."""
    source: str
    """The provider's own page that tells its customers to use these hosts."""


SERVICES = (
    Service(
        "Amazon SES",
        (
            "email-smtp.*.amazonaws.com",
            "email-smtp-fips.*.amazonaws.com",
            "email-smtp.*.amazonaws.com.cn",
            "*.email-smtp.*.vpce.amazonaws.com",
        ),
        "https://docs.aws.amazon.com/general/latest/gr/ses.html",
    ),
    Service(
        "Amazon WorkMail",
        ("smtp.mail.*.awsapps.com",),
        "https://docs.aws.amazon.com/workmail/latest/userguide/using_IMAP.html",
    ),
    Service(
        "Google",
        ("smtp.gmail.com", "smtp.googlemail.com", "smtp-relay.gmail.com"),
        "https://support.google.com/a/answer/176600",
    ),
    Service(
        "Microsoft 365",
        (
            "smtp.office365.com",
            "smtp-legacy.office365.com",
            "smtp.outlook.office365.com",
            "smtp.office365.us",
            "smtp.partner.outlook.cn",
        ),
        "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission",
    ),
    Service(
        "Outlook.com",
        ("smtp-mail.outlook.com", "smtp.live.com"),
        "https://support.microsoft.com/office/d088b986-291d-42b8-9564-9c414e2aa040",
    ),
    Service(
        "Azure Communication Services",
        ("smtp.azurecomm.net",),
        "https://learn.microsoft.com/azure/communication-services/quickstarts/email/send-email-smtp/smtp-authentication",
    ),
    Service(
        "Oracle Email Delivery",
        ("smtp.email.*.oci.oraclecloud.com",),
        "https://docs.oracle.com/iaas/Content/Email/Tasks/configuresmtpconnection.htm",
    ),
    Service(
        "Twilio SendGrid",
        ("smtp.sendgrid.net", "smtp.eu.sendgrid.net"),
        "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
    ),
    Service(
        "Postmark",
        ("smtp.postmarkapp.com", "smtp-broadcasts.postmarkapp.com"),
        "https://postmarkapp.com/developer/user-guide/send-email-with-smtp",
    ),
    Service(
        "Mailgun",
        ("smtp.mailgun.org", "smtp.eu.mailgun.org"),
        "https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
    ),
    Service(
        "Brevo",
        ("smtp-relay.brevo.com", "smtp-relay.sendinblue.com", "smtp-relay.mailin.fr"),
        "https://developers.brevo.com/docs/smtp-integration",
    ),
    Service("Mailjet", ("in-v3.mailjet.com", "in.mailjet.com"), "https://dev.mailjet.com/smtp-relay/configuration/"),
    Service(
        "SparkPost",
        ("smtp.sparkpostmail.com", "smtp.eu.sparkpostmail.com"),
        "https://developers.sparkpost.com/api/smtp/",
    ),
    Service(
        "Mailchimp Transactional",
        ("smtp.mandrillapp.com", "smtp.us-east-1.mandrillapp.com"),
        "https://mailchimp.com/developer/transactional/docs/smtp-integration/",
    ),
    Service(
        "SMTP2GO",
        ("mail.smtp2go.com", "mail-us.smtp2go.com", "mail-eu.smtp2go.com", "mail-au.smtp2go.com"),
        "https://developers.smtp2go.com/docs/smtp-relay",
    ),
    Service(
        "Elastic Email",
        ("smtp.elasticemail.com", "smtp25.elasticemail.com"),
        "https://help.elasticemail.com/en/articles/4803409-smtp-settings",
    ),
    Service("MailerSend", ("smtp.mailersend.net",), "https://www.mailersend.com/help/smtp-relay"),
    Service("Resend", ("smtp.resend.com",), "https://resend.com/docs/send-with-smtp"),
    Service(
        "ZeptoMail",
        ("smtp.zeptomail.com", "smtp.zeptomail.eu", "smtp.zeptomail.in"),
        "https://www.zoho.com/zeptomail/help/smtp-home.html",
    ),
    Service(
        "Mailtrap",
        ("live.smtp.mailtrap.io", "bulk.smtp.mailtrap.io"),
        "https://docs.mailtrap.io/email-api-smtp/setup/smtp-integration",
    ),
    Service(
        "Scaleway",
        ("smtp.tem.scaleway.com", "smtp.tem.scw.cloud"),
        "https://www.scaleway.com/en/docs/transactional-email/reference-content/smtp-configuration/",
    ),
    Service("SocketLabs", ("smtp.socketlabs.com",), "https://www.socketlabs.com/docs/smtp/"),
    Service("MailChannels", ("smtp.mailchannels.net",), "https://docs.mailchannels.net/outbound-filtering/"),
    Service("DuoCircle", ("outbound.mailhop.org",), "https://support.duocircle.com/support/home"),
    Service("TurboSMTP", ("pro.turbo-smtp.com", "pro.eu.turbo-smtp.com"), "https://serversmtp.com/smtp-configuration/"),
    Service(
        "Alibaba Cloud",
        ("smtpdm.aliyun.com", "smtp.qiye.aliyun.com", "smtp.aliyun.com"),
        "https://www.alibabacloud.com/help/en/direct-mail/smtp-endpoints",
    ),
    Service(
        "Fastmail",
        ("smtp.fastmail.com", "smtp.messagingengine.com"),
        "https://www.fastmail.help/hc/en-us/articles/1500000278342",
    ),
    Service(
        "Zoho Mail",
        (
            *(f"smtp.zoho.{top}" for top in ("com", "eu", "in", "com.au", "jp", "com.cn", "sa")),
            *(f"smtppro.zoho.{top}" for top in ("com", "eu", "in", "com.au", "jp", "com.cn", "sa")),
            "smtp.zohocloud.ca",
        ),
        "https://www.zoho.com/mail/help/zoho-smtp.html",
    ),
    Service("Migadu", ("smtp.migadu.com",), "https://www.migadu.com/guides/"),
    Service("iCloud Mail", ("smtp.mail.me.com", "smtp.me.com"), "https://support.apple.com/102525"),
    Service(
        "Yahoo and AOL",
        ("smtp.mail.yahoo.com", "smtp.bizmail.yahoo.com", "smtp.aol.com", "smtp.mail.att.net", "smtp.verizon.net"),
        "https://help.yahoo.com/kb/SLN4724.html",
    ),
    Service("Yahoo Japan", ("smtp.mail.yahoo.co.jp",), "https://support.yahoo-net.jp/PccMail/s/article/H000007321"),
    Service(
        "GMX and WEB.DE",
        ("mail.gmx.net", "mail.gmx.com", "smtp.gmx.net", "smtp.gmx.com", "smtp.web.de"),
        "https://hilfe.gmx.net/pop-imap/imap/imap-serverdaten.html",
    ),
    Service(
        "T-Online", ("securesmtp.t-online.de", "smtpmail.t-online.de"), "https://www.telekom.de/hilfe/e-mail-server"
    ),
    Service("mailbox.org", ("smtp.mailbox.org",), "https://kb.mailbox.org/en/private/e-mail/"),
    Service("Proton", ("smtp.protonmail.ch",), "https://proton.me/support/smtp-submission"),
    Service("Purelymail", ("smtp.purelymail.com",), "https://purelymail.com/docs/clientSetup"),
    Service(
        "Yandex", ("smtp.yandex.com", "smtp.yandex.ru", "smtp.ya.ru"), "https://yandex.com/support/mail/mail-clients/"
    ),
    Service("Mail.ru", ("smtp.mail.ru",), "https://help.mail.ru/mail/mailer/popsmtp"),
    Service("Tencent", ("smtp.qq.com", "smtp.exmail.qq.com"), "https://service.mail.qq.com/"),
    Service("NetEase", ("smtp.163.com", "smtp.126.com", "smtp.qiye.163.com"), "https://help.mail.163.com/"),
    Service(
        "IONOS",
        (
            *(f"smtp.ionos.{top}" for top in ("com", "de", "co.uk", "fr", "es", "it", "mx", "ca")),
            *("smtp.1and1.com", "smtp.1und1.de", "smtp.1and1.co.uk", "smtp.1and1.fr"),
        ),
        "https://www.ionos.com/help/email/general-topics/",
    ),
    Service("STRATO", ("smtp.strato.de", "smtp.strato.com"), "https://www.strato.de/faq/mail/"),
    Service("OVHcloud", ("ssl0.ovh.net", "smtp.mail.ovh.net", "smtp.mail.ovh.ca"), "https://help.ovhcloud.com/"),
    Service("Gandi", ("mail.gandi.net",), "https://docs.gandi.net/en/gandimail/"),
    Service(
        "Infomaniak", ("mail.infomaniak.com", "mail.infomaniak.ch"), "https://www.infomaniak.com/en/support/faq/2427"
    ),
    Service("Hostpoint", ("asmtp.mail.hostpoint.ch",), "https://support.hostpoint.ch/en/technical/email/"),
    Service(
        "Hostinger", ("smtp.hostinger.com", "smtp.titan.email"), "https://support.hostinger.com/en/articles/1575756"
    ),
    Service(
        "Namecheap", ("mail.privateemail.com",), "https://www.namecheap.com/support/knowledgebase/article.aspx/1179/"
    ),
    Service("DreamHost", ("smtp.dreamhost.com",), "https://help.dreamhost.com/hc/en-us/articles/214918038"),
    Service("Porkbun", ("smtp.porkbun.com",), "https://kb.porkbun.com/article/146-how-to-configure-your-email"),
    Service(
        "GoDaddy",
        ("smtpout.secureserver.net", "relay-hosting.secureserver.net"),
        "https://www.godaddy.com/help/server-and-port-settings-for-workspace-email-6949",
    ),
    Service(
        "Rackspace",
        ("secure.emailsrvr.com", "smtp.emailsrvr.com"),
        "https://docs.rackspace.com/docs/rackspace-email-settings",
    ),
    Service(
        "Comcast",
        ("smtp.comcast.net",),
        "https://www.xfinity.com/support/articles/email-client-programs-with-xfinity-email",
    ),
    Service("Orange", ("smtp.orange.fr",), "https://assistance.orange.fr/"),
    Service("Free", ("smtp.free.fr",), "https://assistance.free.fr/"),
    Service("La Poste", ("smtp.laposte.net",), "https://aide.laposte.net/"),
    Service("SFR", ("smtp.sfr.fr",), "https://assistance.sfr.fr/"),
)

PORTS = frozenset({465, 587, 588, 2465, 2525, 2587, 8025})
"""Ports on which mail is handed in, and never passed to an MX, which listens on 25 (RFC 5321 4.5.4.2).

465 and 587: RFC 8314 3.3, RFC 6409 3.1. 2465 and 2587: SES. 2525: SendGrid, Mailgun, Postmark, Brevo and others. 588:
Mailjet. 8025: SMTP2GO.
"""

_NAMES = frozenset(host for service in SERVICES for host in service.hosts if "*" not in host)
_PATTERN = re.compile(
    "|".join(
        re.escape(host).replace(r"\*", r"[a-z0-9-]{1,63}")
        for service in SERVICES
        for host in service.hosts
        if "*" in host
    )
)


def is_submission_host(host: str) -> bool:
    """Whether a host takes mail from its customers only, by its name in lower case without a dot at the end."""
    return host in _NAMES or (len(host) <= 253 and _PATTERN.fullmatch(host) is not None)
