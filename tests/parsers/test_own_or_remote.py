"""The promise of the project: what failed on our side is never blamed on a recipient, and never the other way round.

A table by hand over mails of tests/bounces, then every answer of a relay in every wording of Gmail's notice. Which rule
decides is not looked at here; see test_bounces.py for the whole records.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parsers import parse
from parsers.text import domain_part
from triage.judging.verdict import classify

FOLDER = Path(__file__).parents[1] / "bounces"

# mail of tests/bounces, category, cause, actor. Own side: the mail never left us.
OWN = """
gmail-alias-ses-535                    smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-ses-535-second             smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-ses-535-cc                 smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-no-auth-offered            smtp-credentials  alias-auth-not-offered       mailbox-owner
gmail-alias-wording-without-or-alias   smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-google-5.7.8               smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-app-password               smtp-credentials  alias-app-password-required  mailbox-owner
gmail-alias-too-many-auth-failures     smtp-credentials  alias-relay-blocked          mailbox-owner
gmail-alias-privateemail-login         smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-hourly-limit               smtp-credentials  alias-relay-throttled        mailbox-owner
gmail-alias-certificate-name           smtp-credentials  alias-tls-failed             mailbox-owner
gmail-alias-m365-basic-auth            smtp-credentials  alias-smtp-auth-disabled     mailbox-owner
gmail-alias-m365-tenant                smtp-credentials  alias-smtp-auth-disabled     mailbox-owner
gmail-alias-m365-send-as               smtp-credentials  alias-sender-not-allowed     mailbox-owner
gmail-alias-postfix-not-owned          smtp-credentials  alias-sender-not-allowed     mailbox-owner
gmail-alias-ses-not-verified           ses-refused       ses-identity-not-verified    aws-admin
gmail-alias-ses-sandbox                ses-refused       ses-sandbox                  aws-admin
gmail-alias-ses-iam-denied             ses-refused       ses-access-denied            aws-admin
gmail-alias-ses-paused                 ses-refused       ses-sending-paused           aws-admin
gmail-alias-ses-daily-quota            ses-refused       ses-daily-quota              aws-admin
gmail-alias-ses-sigv2-rate             ses-refused       ses-rate-exceeded            aws-admin
gmail-alias-ses-temporary-auth         ses-refused       ses-temporary-failure        nobody
gmail-alias-ses-530                    smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-ses-not-subscribed         ses-refused       ses-not-subscribed           aws-admin
gmail-alias-zoho-unusual               smtp-credentials  alias-relay-blocked          mailbox-owner
gmail-alias-zoho-blocked               smtp-credentials  alias-relay-blocked          mailbox-owner
gmail-alias-relay-suppression          smtp-credentials  alias-recipient-suppressed   mailbox-owner
gmail-alias-name-unknown               smtp-credentials  alias-relay-unreachable      mailbox-owner
gmail-alias-retired                    smtp-credentials  alias-feature-retired        mailbox-owner
gmail-alias-dutch                      smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-swedish-no-token           smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-japanese                   smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-encoded-failed-recipients  smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-no-response                smtp-credentials  alias-misconfigured          mailbox-owner
gmail-alias-unheard-of-answer          smtp-credentials  alias-misconfigured          mailbox-owner
gmail-relay-unlabelled-535             smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-relay-the-relay-for-the-domain   smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-relay-timed-out                  smtp-credentials  alias-relay-unreachable      mailbox-owner
gmail-relay-ses-unverified-unlabelled  ses-refused       ses-identity-not-verified    aws-admin
gmail-own-sending-limit                gmail-refused     sending-limit-reached        mailbox-owner
gmail-own-outbound-filter              gmail-refused     gmail-outbound-blocked       sender
gmail-old-relay-rejected               smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-old-state-8                      smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-old-state-12                     smtp-credentials  alias-auth-not-offered       mailbox-owner
gmail-old-state-6                      smtp-credentials  alias-tls-failed             mailbox-owner
gmail-alias-reply-line-ends-in-colon   smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-self-signed                smtp-credentials  alias-tls-failed             mailbox-owner
gmail-alias-m365-credentials           smtp-credentials  alias-credentials-rejected   mailbox-owner
gmail-alias-connection-closed          smtp-credentials  alias-relay-unreachable      mailbox-owner
sns-bounce-account-suppression         ses-refused       ses-suppressed               aws-admin
forwarded-as-attachment                smtp-credentials  alias-credentials-rejected   mailbox-owner
real-postfix-relay-name-not-found smtp-credentials alias-relay-unreachable mailbox-owner
real-sendmail-relay-no-common-mechanism smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-courier-mailgun-535 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-courier-postmark-inactive smtp-credentials alias-recipient-suppressed mailbox-owner
own-relay-dragonfly-fastmail-header smtp-credentials alias-sender-not-allowed mailbox-owner
own-relay-dragonfly-login smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-dragonfly-sparkpost-domain smtp-credentials alias-sender-not-allowed mailbox-owner
own-relay-exchange-m365-530 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-exchange-sendgrid-unauthenticated              smtp-credentials   alias-credentials-rejected  mailbox-owner
own-relay-exchange-ses-suspended                         ses-refused        ses-sending-paused          aws-admin
own-relay-exim-godaddy-auth smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-exim-google-530 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-exim-m365-tenant-attribution smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-exim-mailgun-relaying smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-exim-no-auth-offered smtp-credentials alias-auth-not-offered mailbox-owner
own-relay-exim-plain-gmx-not-allowed smtp-credentials alias-sender-not-allowed mailbox-owner
own-relay-exim-plain-mailjet-suspended smtp-credentials alias-relay-blocked mailbox-owner
own-relay-exim-postmark-signature smtp-credentials alias-sender-not-allowed mailbox-owner
own-relay-exim-ses-535 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-exim-zoho-disallowed smtp-credentials alias-sender-not-allowed mailbox-owner
own-relay-nullmailer-gmail-logins smtp-credentials alias-relay-blocked mailbox-owner
own-relay-nullmailer-migadu-535 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-nullmailer-smtp2go-sender smtp-credentials alias-sender-not-allowed mailbox-owner
own-relay-opensmtpd-auth-not-advertised smtp-credentials alias-auth-not-offered mailbox-owner
own-relay-opensmtpd-auth-rejected smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-postfix-brevo-525 smtp-credentials alias-relay-blocked mailbox-owner
own-relay-postfix-certificate smtp-credentials alias-tls-failed mailbox-owner
own-relay-postfix-fastmail-535 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-postfix-google-app-password smtp-credentials alias-app-password-required mailbox-owner
own-relay-postfix-google-limit smtp-credentials alias-relay-throttled mailbox-owner
own-relay-postfix-icloud-from smtp-credentials alias-sender-not-allowed mailbox-owner
own-relay-postfix-m365-530 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-postfix-m365-auth-disabled smtp-credentials alias-smtp-auth-disabled mailbox-owner
own-relay-postfix-m365-send-as smtp-credentials alias-sender-not-allowed mailbox-owner
own-relay-postfix-no-mechanism smtp-credentials alias-auth-not-offered mailbox-owner
own-relay-postfix-no-tls smtp-credentials alias-tls-failed mailbox-owner
own-relay-postfix-refused-587 smtp-credentials alias-relay-unreachable mailbox-owner
own-relay-postfix-sendgrid-535 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-postfix-sendgrid-credits smtp-credentials alias-relay-throttled mailbox-owner
own-relay-postfix-sendgrid-identity smtp-credentials alias-sender-not-allowed mailbox-owner
own-relay-postfix-ses-530 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-postfix-ses-535 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-postfix-ses-not-verified                       ses-refused        ses-identity-not-verified   aws-admin
own-relay-postfix-ses-suspended                          ses-refused        ses-sending-paused          aws-admin
own-relay-qmail-elastic-530 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-qmail-mandrill-relay smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-sendmail-brevo-530 smtp-credentials alias-tls-failed mailbox-owner
own-relay-sendmail-sendgrid-535 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-sendmail-ses-quota                             ses-refused        ses-daily-quota             aws-admin
own-relay-sendmail-unknown-relay-535 smtp-credentials alias-credentials-rejected mailbox-owner
own-relay-sendmail-yahoo-limit smtp-credentials alias-relay-throttled mailbox-owner
ses-itself-account-list                                  ses-refused        ses-suppressed              aws-admin
ses-itself-identity                                      ses-refused        ses-identity-not-verified   aws-admin
ses-itself-suppressed                                    ses-refused        ses-suppressed              aws-admin
ses-itself-suspended                                     ses-refused        ses-sending-paused          aws-admin
sns-bounce-tenant-suppression                            ses-refused        ses-suppressed-for-tenant   aws-admin
sns-bounce-validation                                    ses-refused        ses-validation-failed       aws-admin
sns-complaint-never-sent                                 ses-refused        ses-suppressed              aws-admin
"""

# No server is named: a relay and an MX in the very same words. Real pairs beside each other.
UNNAMED = """
own-relay-opensmtpd-auth-rejected-said-by-mx unknown relay-denied mailbox-owner
real-exim-relay-login-refused-expired unknown delivery-expired mailbox-owner
real-exim-connection-refused unknown delivery-expired mailbox-owner
real-opensmtpd-relay-login-refused-delayed delayed connection-failed mailbox-owner
real-opensmtpd-connection-refused-delayed delayed connection-failed mailbox-owner
real-postfix-relay-certificate-unproven-delayed delayed tls-required mailbox-owner
real-sendmail-relay-certificate-expired unknown tls-required mailbox-owner
real-sendmail-relay-certificate-expired-said-by-mx unknown tls-required mailbox-owner
"""

# The mail left us and the other side said no. Some of these use words that relays use too.
REMOTE = """
gmail-old-state-9                                        remote-rejection   tls-required                recipient-admin
gmail-old-state-14-user-unknown                          remote-rejection   recipient-unknown           sender
exchange-online-recipient-not-found-via-ses    exchange-rejection  recipient-unknown           sender
exchange-online-recipient-not-found-us-east-1  exchange-rejection  recipient-unknown           sender
exchange-online-mailbox-full                   exchange-rejection  mailbox-full                recipient
exchange-online-group-internal-only            exchange-rejection  group-restricted            recipient-admin
exchange-online-mailbox-internal-only          exchange-rejection  group-restricted            recipient-admin
exchange-online-sender-not-allowed             exchange-rejection  group-restricted            recipient-admin
exchange-online-transport-rule                 exchange-rejection  transport-rule-rejected     recipient-admin
exchange-online-size-limit                     exchange-rejection  message-too-large           sender
exchange-online-wrapped-user-unknown           remote-rejection    recipient-unknown           sender
exchange-online-routing-loop                   exchange-rejection  mail-loop                   recipient-admin
exchange-online-storedrv-exception             exchange-rejection  remote-misconfigured        recipient-admin
ses-dsn-exchange-online-dbeb                   exchange-rejection  recipient-access-denied     sender
ses-dsn-outlook-mailbox-unavailable            exchange-rejection  recipient-unknown           sender
ses-dsn-outlook-s3150                          exchange-rejection  sender-blocklisted          aws-admin
ses-dsn-outlook-authentication-level           exchange-rejection  sender-unauthenticated      dns-admin
ses-dsn-exchange-online-dmarc                  exchange-rejection  dmarc-rejected              dns-admin
ses-dsn-exchange-online-banned-ip              exchange-rejection  sender-blocklisted          aws-admin
ses-dsn-tenant-attribution                     exchange-rejection  tenant-misrouted            recipient-admin
ses-dsn-google-no-such-user                    remote-rejection    recipient-unknown           sender
ses-dsn-google-dmarc                           remote-rejection    dmarc-rejected              dns-admin
ses-dsn-expired-inner-421                      remote-rejection    connection-failed           recipient-admin
ses-dsn-invalid-domain                         remote-rejection    domain-not-found            sender
ses-dsn-yahoo-no-account                       remote-rejection    recipient-unknown           sender
ses-dsn-eu-central-1-relay-denied              remote-rejection    relay-denied                recipient-admin
gmail-address-not-found                        remote-rejection    recipient-unknown           sender
gmail-inbox-full                               remote-rejection    mailbox-full                recipient
gmail-inbox-full-title-lies                    remote-rejection    recipient-unknown           sender
gmail-title-says-address-text-says-sender      remote-rejection    sender-domain-unresolvable  dns-admin
gmail-blocked-exchange-dbeb                    exchange-rejection  recipient-access-denied     sender
gmail-blocked-mimecast                         remote-rejection    policy-rejected             recipient-admin
gmail-no-answer-final                          remote-rejection    connection-failed           recipient-admin
gmail-crazydomains-turn-on-auth                remote-rejection    relay-denied                recipient-admin
gmail-workspace-rule                           remote-rejection    policy-rejected             recipient-admin
ses-dsn-google-over-quota                      remote-rejection    mailbox-full                recipient
ses-dsn-google-disabled                        remote-rejection    recipient-disabled          recipient
ses-dsn-google-unsolicited                     remote-rejection    spam-rejected               sender
ses-dsn-yahoo-tss04-expired                    remote-rejection    reputation-low              aws-admin
ses-dsn-yahoo-policy-ph01                      remote-rejection    content-rejected            sender
ses-dsn-icloud-over-quota                      remote-rejection    mailbox-full                recipient
ses-dsn-icloud-local-policy                    remote-rejection    policy-rejected             recipient-admin
ses-dsn-proofpoint-blocked                     remote-rejection    sender-blocklisted          aws-admin
ses-dsn-mimecast-spf                           remote-rejection    spf-rejected                dns-admin
ses-dsn-barracuda-reputation                   remote-rejection    sender-blocklisted          aws-admin
ses-dsn-messagelabs-invalid                    remote-rejection    recipient-unknown           sender
ses-dsn-cloudflare-routing                     remote-rejection    recipient-unknown           sender
ses-dsn-zoho-user                              remote-rejection    recipient-unknown           sender
ses-dsn-godaddy-ib                             remote-rejection    reputation-low              aws-admin
ses-dsn-spectrum-sender-rejected               remote-rejection    rate-limited                nobody
ses-dsn-comcast-closed                         remote-rejection    recipient-disabled          recipient
ses-dsn-cisco-reputation                       remote-rejection    reputation-low              aws-admin
ses-dsn-greylist-expired                       remote-rejection    greylisted                  nobody
ses-dsn-through-alias                          remote-rejection    recipient-unknown           sender
sns-alias-both-ids                             exchange-rejection  transport-rule-rejected     recipient-admin
exchange2007-recipient-not-found               exchange-rejection  recipient-unknown           sender
exchange2010-text-only-auth-required           exchange-rejection  group-restricted            recipient-admin
exchange2013-queue-expired-retry-lines         exchange-rejection  delivery-expired            recipient-admin
exchange2003-unknown-recipient                 exchange-rejection  recipient-unknown           sender
exchange55-msexch-ims                          exchange-rejection  recipient-unknown           sender
hotmail-legacy-mailbox-unavailable             exchange-rejection  recipient-unknown           sender
exchange-french-text-only                      exchange-rejection  recipient-unknown           sender
exchange-italian-mailbox-full                  exchange-rejection  mailbox-full                recipient
exchange-dutch-size                            exchange-rejection  message-too-large           sender
exchange-portuguese-restricted                 exchange-rejection  group-restricted            recipient-admin
report-forwarded-original-recipient            remote-rejection    spf-rejected                dns-admin
messagelabs-relay-without-auth                 remote-rejection    relay-denied                recipient-admin
exchange-online-through-alias                  exchange-rejection  recipient-unknown           sender
exchange-online-domain-does-not-exist          exchange-rejection  domain-not-found            sender
exchange-online-expired-connection-refused     remote-rejection    connection-failed           recipient-admin
exchange-online-external-forwarding            exchange-rejection  forwarding-blocked          recipient
exchange-online-shared-quota-sender            exchange-rejection  recipient-rate-exceeded     nobody
ses-dsn-exchange-online-server-busy            exchange-rejection  rate-limited                nobody
ses-dsn-outlook-rate-limited                   exchange-rejection  reputation-low              aws-admin
ses-dsn-customer-block-list                    exchange-rejection  host-refused                recipient-admin
ses-dsn-google-ptr                             remote-rejection    ptr-missing                 aws-admin
ses-dsn-google-attachment                      remote-rejection    content-rejected            sender
ses-dsn-virus                                  remote-rejection    virus-detected              sender
ses-dsn-facebook-preferences                   remote-rejection    recipient-filtered          recipient
ses-dsn-mimecast-header-spoofing               remote-rejection    policy-rejected             recipient-admin
exchange-online-html-only                      exchange-rejection  recipient-unknown           sender
gmail-old-server-for-the-domain-535                      remote-rejection   relay-denied                recipient-admin
gmail-old-state-13-relay-denied                          remote-rejection   relay-denied                recipient-admin
gmail-old-state-8-user-unknown                           remote-rejection   recipient-unknown           sender
gmail-old-state-9-block-list                             remote-rejection   sender-blocklisted          aws-admin
gmail-server-for-the-domain-530                          remote-rejection   relay-denied                recipient-admin
gmail-server-for-the-domain-534                          remote-rejection   policy-rejected             recipient-admin
gmail-server-for-the-domain-535                          remote-rejection   relay-denied                recipient-admin
gmail-server-for-the-domain-538                          remote-rejection   tls-required                recipient-admin
own-relay-courier-mailgun-535-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-dragonfly-fastmail-header-said-by-mx           remote-rejection   sender-refused              recipient-admin
own-relay-dragonfly-sparkpost-domain-said-by-mx remote-rejection policy-rejected recipient-admin
own-relay-exchange-m365-530-said-by-mx exchange-rejection relay-denied recipient-admin
own-relay-exchange-sendgrid-unauthenticated-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-exim-godaddy-auth-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-exim-google-530-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-exim-m365-tenant-attribution-said-by-mx        exchange-rejection tenant-misrouted            recipient-admin
own-relay-exim-mailgun-relaying-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-exim-no-auth-offered-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-exim-plain-gmx-not-allowed-said-by-mx remote-rejection sender-refused recipient-admin
own-relay-exim-plain-mailjet-suspended-said-by-mx remote-rejection policy-rejected recipient-admin
own-relay-exim-postmark-signature-said-by-mx             remote-rejection   sender-refused              recipient-admin
own-relay-exim-ses-535-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-exim-zoho-disallowed-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-nullmailer-gmail-logins-said-by-mx             remote-rejection   rate-limited                nobody
own-relay-nullmailer-migadu-535-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-nullmailer-smtp2go-sender-said-by-mx           remote-rejection   sender-refused              recipient-admin
real-postfix-relay-name-not-found-said-by-mx remote-rejection domain-not-found sender
own-relay-postfix-brevo-525-said-by-mx remote-rejection policy-rejected recipient-admin
own-relay-postfix-certificate-said-by-mx remote-rejection tls-required recipient-admin
own-relay-postfix-fastmail-535-said-by-mx remote-rejection sender-refused recipient-admin
own-relay-postfix-google-app-password-said-by-mx remote-rejection sender-refused recipient-admin
own-relay-postfix-google-limit-said-by-mx                remote-rejection   rate-limited                nobody
own-relay-postfix-icloud-from-said-by-mx remote-rejection sender-refused recipient-admin
own-relay-postfix-m365-530-said-by-mx exchange-rejection relay-denied recipient-admin
own-relay-postfix-m365-auth-disabled-said-by-mx exchange-rejection sender-refused recipient-admin
own-relay-postfix-m365-send-as-said-by-mx exchange-rejection sender-refused recipient-admin
own-relay-postfix-no-mechanism-said-by-mx remote-rejection sender-refused recipient-admin
own-relay-postfix-no-tls-said-by-mx remote-rejection tls-required recipient-admin
own-relay-postfix-refused-587-said-by-mx remote-rejection connection-failed recipient-admin
own-relay-postfix-sendgrid-535-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-postfix-sendgrid-credits-said-by-mx            remote-rejection   rate-limited                nobody
own-relay-postfix-ses-530-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-postfix-ses-535-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-qmail-elastic-530-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-qmail-mandrill-relay-said-by-mx                remote-rejection   relay-denied                recipient-admin
own-relay-sendmail-brevo-530-said-by-mx remote-rejection tls-required recipient-admin
own-relay-sendmail-sendgrid-535-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-sendmail-ses-quota-said-by-mx                  remote-rejection   rate-limited                nobody
own-relay-sendmail-unknown-relay-535-said-by-mx remote-rejection relay-denied recipient-admin
own-relay-sendmail-yahoo-limit-said-by-mx                remote-rejection   rate-limited                nobody
ses-itself-account-list-said-by-mx                       remote-rejection   recipient-unknown           sender
ses-itself-identity-said-by-mx                           remote-rejection   recipient-unknown           sender
ses-itself-suppressed-said-by-mx                         remote-rejection   recipient-unknown           sender
ses-itself-suspended-said-by-mx                          remote-rejection   recipient-unknown           sender
"""


def _table(text: str, side: str) -> list[tuple[str, str, str, str, str]]:
    return [
        (name, category, cause, side, actor) for name, category, cause, actor in map(str.split, text.split("\n")[1:-1])
    ]


TABLE = _table(OWN, "own") + _table(REMOTE, "remote") + _table(UNNAMED, "unknown")


def test_the_table_is_long_enough() -> None:
    """A table somebody shortened proves less."""
    for side in ("own", "remote"):
        names = [row[0] for row in TABLE if row[3] == side]
        assert len(names) >= 100
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "category", "cause", "side", "actor"), TABLE, ids=[row[0] for row in TABLE])
def test_judged_as_in_the_table(name: str, category: str, cause: str, side: str, actor: str) -> None:
    record = _only((FOLDER / f"{name}.eml").read_bytes())
    assert (record["category"], record["cause"], record["side"], record["actor"]) == (category, cause, side, actor)


# How Gmail says that a relay failed: title, sentence, link, words before the answer. The last one is a language nobody
# taught us: only the empty report beside it tells.
NOTICES = {
    "2023": (
        "Message not delivered",
        "You're sending this from a different address or alias using the 'Send mail as' feature. The settings for your"
        " 'Send mail as' account are misconfigured or out of date. Check those settings and try resending.",
        "https://support.google.com/mail/?p=CustomFromDenied",
        "The response was:",
    ),
    "without-alias": (
        "Message not delivered",
        "You're sending this message from a different address using the 'Send mail as' feature. The settings for your"
        " 'Send mail as' account are misconfigured or out of date. Check those settings and try resending.",
        "https://support.google.com/mail/?p=CustomFromDenied",
        "The response from the remote server was:",
    ),
    "dutch": (
        "Bericht niet bezorgd",
        "Je verzendt dit bericht vanaf een ander adres of een alias met de functie 'Mail sturen als'. De instellingen"
        " voor het account dat je gebruikt voor 'Mail sturen als' zijn niet correct of zijn verouderd.",
        "https://support.google.com/mail/?p=CustomFromDenied",
        "De reactie was:",
    ),
    "only-the-token": (
        "Iletiniz teslim edilmedi",
        "Bu iletiyi farkli bir adresten gönderiyorsunuz.",
        "https://support.google.com/mail/?p=CustomFromDenied",
        "Yanit:",
    ),
    "only-the-empty-report": (
        "Viesti ei mennyt perille",
        "Lahetysosoitteen asetukset ovat virheelliset.",
        "",
        "Vastaus oli:",
    ),
}

# What relays answer, with the cause it proves. Each of these is also said by servers of recipients, or looks like it.
ANSWERS = {
    "535 Authentication Credentials Invalid": "alias-credentials-rejected",
    "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6": "alias-credentials-rejected",
    "535 Incorrect authentication data": "alias-credentials-rejected",
    "535 5.7.3 Authentication unsuccessful": "alias-credentials-rejected",
    "530 Authentication required": "alias-credentials-rejected",
    "534 5.7.9 Application-specific password required": "alias-app-password-required",
    "535 5.7.0 Too many authentication failures": "alias-relay-blocked",
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the"
    " Mailbox.": "alias-smtp-auth-disabled",
    "Unspecified Error (SENT_SECOND_EHLO): Smtp server does not advertise AUTH capability": "alias-auth-not-offered",
    "TLS Negotiation failed, the certificate doesn't match the host.": "alias-tls-failed",
    "554 5.7.1 too many messages from sender in last 60 minutes": "alias-relay-throttled",
    "550 5.7.60 SMTP; Client does not have permissions to send as this sender": "alias-sender-not-allowed",
    "554 5.2.252 SendAsDenied; jada@x.example not allowed to send as admin@example.org": "alias-sender-not-allowed",
    "550 5.4.6 Unusual sending activity detected. Please try after sometime.": "alias-relay-blocked",
    "550 5.2.1 Not sending to previously bounced email": "alias-recipient-suppressed",
    "554 Message rejected: Email address is not verified. The following identities failed the check in region"
    " US-EAST-1: admin@queenofsandiego.com": "ses-identity-not-verified",
    "554 Access denied: User `arn:aws:iam::111122223333:user/u' is not authorized to perform `ses:SendRawEmail' on"
    " resource `arn:aws:ses:us-east-1:111122223333:identity/queenofsandiego.com'": "ses-access-denied",
    "554 Message rejected: Sending paused for this account.": "ses-sending-paused",
    "454 Throttling failure: Daily message quota exceeded": "ses-daily-quota",
    "454 Throttling failure: Maximum sending rate exceeded": "ses-rate-exceeded",
    "535 Account not subscribed to SES": "ses-not-subscribed",
    # Words that would be the recipient's, had a recipient's server said them: nothing of it was ever asked.
    "550 5.1.1 User unknown": None,
    "552 5.2.2 Mailbox full": None,
    "550 5.7.26 Unauthenticated email is not accepted due to domain's DMARC policy.": None,
    "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)": None,
}


@pytest.mark.parametrize("answer", ANSWERS, ids=[answer[:40] for answer in ANSWERS])
@pytest.mark.parametrize("wording", NOTICES)
def test_an_alias_notice_never_blames_a_recipient(wording: str, answer: str) -> None:
    record = _only(_alias_notice(*NOTICES[wording], answer))
    assert record["side"] == "own"
    assert record["category"] in ("smtp-credentials", "ses-refused")
    assert record["actor"] not in ("recipient", "recipient-admin")
    assert record["recipient"] == "pat@client.example"
    if ANSWERS[answer] is not None:
        assert record["cause"] == ANSWERS[answer]


# What servers of recipients say though it sounds like our login, our relay or our limits.
REFUSALS = (
    "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required",
    "550 5.7.1 Client was not authenticated",
    "550 Please turn on SMTP Authentication in your mail client. [192.0.2.1] may not relay through this server.",
    "554 5.7.1 <pat@client.example>: Relay access denied",
    "550 5.7.64 TenantAttribution; Relay Access Denied",
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "550 5.7.509 Access denied, sending domain [QUEENOFSANDIEGO.COM] does not pass DMARC verification",
    "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
    "452 4.2.2 The recipient's inbox is out of storage space",
    "550 5.7.124 Sender not in allowed-senders list",
    "553 5.7.1 <admin@queenofsandiego.com>: Sender address rejected: not logged in",
    "550 5.2.121 Recipient's per hour message receive limit from specific sender exceeded.",
    "421 4.7.0 Too many connections from your host",
    "554 5.7.5 TLS required by the recipient's policy",
)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_by_the_recipients_server_is_never_our_relay(refusal: str) -> None:
    record = _only(_refused_by_mx(refusal))
    assert record["side"] != "own"
    assert record["category"] in ("remote-rejection", "exchange-rejection")
    assert not record["cause"].startswith(("alias-", "ses-"))


def _only(data: bytes) -> dict[str, Any]:
    (verdict,) = classify(parse(data), "test")
    return verdict.as_dict()


_HEADERS = """Return-Path: <>
Authentication-Results: mx.google.com; dkim=pass header.i=@googlemail.com header.s=20251104;
       dmarc=pass (p=QUARANTINE sp=QUARANTINE dis=NONE) header.from=googlemail.com
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
To: jadasailing@gmail.com
Subject: Delivery Status Notification (Failure)
Auto-Submitted: auto-replied
X-Failed-Recipients: pat@client.example
Date: Tue, 17 Nov 2026 08:40:16 -0800
Message-ID: <6a3c1f20.050a0220.1b2c3.4d5e.GMR@mx.google.com>
MIME-Version: 1.0
Content-Type: multipart/report; boundary="b"; report-type=delivery-status
"""

_RETURNED = """X-Gm-Message-State: AOJu0Yx
From: Queen of San Diego <admin@queenofsandiego.com>
Date: Tue, 17 Nov 2026 08:40:12 -0800
Message-ID: <CAx1@mail.gmail.com>
Subject: Final headcount
To: pat@client.example
"""


def _alias_notice(title: str, sentence: str, link: str, label: str, answer: str) -> bytes:
    learn = f"Learn more here: {link}\n\n" if link else ""
    text = f"\n** {title} **\n\n{sentence}\n\n{learn}{label}\n\n{answer}\n"
    return _mail(text, "")


def _refused_by_mx(refusal: str) -> bytes:
    text = (
        "\n** Message blocked **\n\nYour message to pat@client.example has been blocked. See technical details below"
        f" for more information.\n\nThe response from the remote server was:\n\n{refusal}\n"
    )
    report = (
        "Reporting-MTA: dns; googlemail.com\nArrival-Date: Tue, 17 Nov 2026 08:40:12 -0800 (PST)\n\n"
        "Final-Recipient: rfc822; pat@client.example\nAction: failed\nStatus: 5.0.0\n"
        "Remote-MTA: dns; mx.client.example. (203.0.113.25, the server for the domain client.example.)\n"
        f"Diagnostic-Code: smtp; {refusal}\n"
    )
    return _mail(text, report)


def _mail(text: str, report: str) -> bytes:
    return (
        f"{_HEADERS}\n--b\nContent-Type: text/plain; charset=UTF-8\n\n{text}\n"
        f"--b\nContent-Type: message/delivery-status\n\n{report}\n"
        f"--b\nContent-Type: text/rfc822-headers\n\n{_RETURNED}\n--b--\n"
    ).encode()


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("Jo@Client.Example", "client.example"),
        (" jo@client.example. ", "client.example"),
        ('"a@b"@client.example', "client.example"),
        ("client.example", None),
        ("jo@", None),
        ("", None),
        (None, None),
    ],
)
def test_the_domain_of_an_address_is_told_one_way(address: str | None, domain: str | None) -> None:
    assert domain_part(address) == domain
