"""Messages, threads, drafts and history as the Gmail API answers them.

Every function takes the account, the typed parameters and the JSON body, and returns the JSON answer (None = 204).
Knows nothing of HTTP, tokens, quota or faults.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from email.utils import formatdate, make_msgid, parsedate_to_datetime
from typing import Any

from tests.doubles import gmail_mail as mail
from tests.doubles.gmail_account import Account
from tests.doubles.gmail_errors import JSON, DoubleError, invalid, not_found
from tests.doubles.gmail_query import compile_query
from tests.doubles.gmail_state import StoredMessage

_MAX_RESULTS = 500
_HISTORY_KEYS = {
    "messageAdded": "messagesAdded",
    "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded",
    "labelRemoved": "labelsRemoved",
}


def messages_list(account: Account, params: JSON, _: JSON) -> JSON:
    found = _found(account, params)
    page, more = _page(found, params, lambda message: (message.internal_ms, message.id))
    return _listing("messages", [_names(message) for message in page], more) | {"resultSizeEstimate": len(found)}


def messages_get(account: Account, params: JSON, _: JSON) -> JSON:
    return _shown(account.mailbox.message(params["id"]), params)


def messages_insert(account: Account, params: JSON, body: JSON) -> JSON:
    return _brief(_inserted(account, params, body, "receivedTime"))


def messages_import(account: Account, params: JSON, body: JSON) -> JSON:
    return _brief(_inserted(account, params, body, "dateHeader"))


def messages_send(account: Account, params: JSON, body: JSON) -> JSON:
    return _brief(_sent(account, _checked_raw(body), body.get("threadId")))


def messages_modify(account: Account, params: JSON, body: JSON) -> JSON:
    message = account.mailbox.message(params["id"])
    account.mailbox.change_labels(message, *_label_change(account, body))
    return _brief(message)


def messages_batch_modify(account: Account, params: JSON, body: JSON) -> None:
    change = _label_change(account, body)
    for message in _many(account, body):
        account.mailbox.change_labels(message, *change)


def messages_batch_delete(account: Account, params: JSON, body: JSON) -> None:
    for message in _many(account, body):
        account.mailbox.delete(message)


def messages_delete(account: Account, params: JSON, _: JSON) -> None:
    account.mailbox.delete(account.mailbox.message(params["id"]))


def messages_trash(account: Account, params: JSON, _: JSON) -> JSON:
    message = account.mailbox.message(params["id"])
    account.mailbox.change_labels(message, ["TRASH"], ["INBOX"])
    return _brief(message)


def messages_untrash(account: Account, params: JSON, _: JSON) -> JSON:
    message = account.mailbox.message(params["id"])
    account.mailbox.change_labels(message, [], ["TRASH"])
    return _brief(message)


def attachments_get(account: Account, params: JSON, _: JSON) -> JSON:
    message = account.mailbox.message(params["messageId"])
    content = mail.attachment(message.raw, message.id, params["id"])
    if content is None:
        raise invalid("Invalid attachment token")
    return {"size": len(content), "data": mail.base64url(content)}


def threads_list(account: Account, params: JSON, _: JSON) -> JSON:
    newest: dict[str, StoredMessage] = {}
    for message in _found(account, params):
        newest.setdefault(message.thread_id, message)
    page, more = _page(list(newest.values()), params, lambda message: (message.internal_ms, message.id))
    rows = [
        {"id": message.thread_id, "snippet": mail.snippet(message.raw), "historyId": str(message.history_id)}
        for message in page
    ]
    return _listing("threads", rows, more) | {"resultSizeEstimate": len(newest)}


def threads_get(account: Account, params: JSON, _: JSON) -> JSON:
    members = account.mailbox.thread(params["id"])
    latest = max(message.history_id for message in members)
    shown = [_shown(message, params) for message in members]
    return {"id": members[0].thread_id, "historyId": str(latest), "messages": shown}


def threads_modify(account: Account, params: JSON, body: JSON) -> JSON:
    members = account.mailbox.thread(params["id"])
    change = _label_change(account, body)
    for message in members:
        account.mailbox.change_labels(message, *change)
    return {"id": members[0].thread_id, "messages": [_brief(message) for message in members]}


def drafts_create(account: Account, params: JSON, body: JSON) -> JSON:
    message = _drafted(account, body)
    account.mailbox.serial += 1
    draft_id = f"r{account.mailbox.serial:019d}"
    account.mailbox.drafts[draft_id] = message.id
    return {"id": draft_id, "message": _brief(message)}


def drafts_update(account: Account, params: JSON, body: JSON) -> JSON:
    old = _draft(account, params["id"])
    message = _drafted(account, body)
    account.mailbox.drafts[params["id"]] = message.id
    account.mailbox.delete(old)
    return {"id": params["id"], "message": _brief(message)}


def drafts_get(account: Account, params: JSON, _: JSON) -> JSON:
    return {"id": params["id"], "message": _shown(_draft(account, params["id"]), params)}


def drafts_list(account: Account, params: JSON, _: JSON) -> JSON:
    by_message = {message_id: draft_id for draft_id, message_id in account.mailbox.drafts.items()}
    found = [message for message in _found(account, params) if message.id in by_message]
    page, more = _page(found, params, lambda message: (message.internal_ms, message.id))
    rows = [{"id": by_message[message.id], "message": _names(message)} for message in page]
    return _listing("drafts", rows, more) | {"resultSizeEstimate": len(found)}


def drafts_delete(account: Account, params: JSON, _: JSON) -> None:
    account.mailbox.delete(_draft(account, params["id"]))


def drafts_send(account: Account, params: JSON, body: JSON) -> JSON:
    draft = _draft(account, body.get("id", ""))
    account.mailbox.delete(draft)
    kept = draft.thread_id if draft.thread_id in account.mailbox.threads else None
    return _brief(_sent(account, draft.raw, kept))


def history_list(account: Account, params: JSON, _: JSON) -> JSON:
    mailbox = account.mailbox
    if "startHistoryId" not in params:
        raise invalid("Missing required parameter: startHistoryId")
    start = int(params["startHistoryId"])
    if not mailbox.history_floor <= start <= mailbox.history_id:
        raise not_found()
    kinds = [_HISTORY_KEYS[kind] for kind in params.get("historyTypes", [])] or list(_HISTORY_KEYS.values())
    found = [
        record
        for record in mailbox.history
        if record["id"] > max(start, _page_start(params))
        and any(kind in record for kind in kinds)
        and _has_label(account, record, params.get("labelId"))
    ]
    page = found[: _limit(params)]
    more = len(page) < len(found) or (account.phantom_history_page and bool(page))
    answer = _listing("history", [record | {"id": str(record["id"])} for record in page], None)
    if more:
        answer["nextPageToken"] = str(page[-1]["id"])
    return answer | {"historyId": str(mailbox.history_id)}


def _inserted(account: Account, params: JSON, body: JSON, default_source: str) -> StoredMessage:
    if params.get("deleted"):
        raise DoubleError("insert or import with deleted=true (Vault) is not part of the double")
    raw = _checked_raw(body)
    labels = _known_labels(account, body.get("labelIds", []), refused={"DRAFT"})
    parsed = mail.read_headers(raw)
    if account.insert_deduplicates and (own_id := mail.message_id(parsed)):
        for stored in account.mailbox.messages.values():
            if stored.view.message_id == own_id:
                return stored
    if account.mailbox.address in mail.addresses_in(parsed, "From"):
        labels = [*labels, "SENT"]
    by_header = params.get("internalDateSource", default_source) == "dateHeader"
    return _stored(account, raw, labels, body.get("threadId"), _header_ms(raw) if by_header else None)


def _sent(account: Account, raw: bytes, thread_id: str | None) -> StoredMessage:
    parsed = mail.read_headers(raw)
    if not any(mail.addresses_in(parsed, header) for header in ("To", "Cc", "Bcc")):
        raise invalid("Recipient address required")
    if mail.message_id(parsed) is None:
        raw = f"Message-ID: {make_msgid(domain='mail.gmail.com')}\r\n".encode() + raw
    if "Date" not in parsed:
        raw = f"Date: {formatdate(account.clock.now())}\r\n".encode() + raw
    message = _stored(account, raw, ["SENT"], thread_id)
    account.mailbox.sent.append(message.id)
    return message


def _drafted(account: Account, body: JSON) -> StoredMessage:
    given = body.get("message", {})
    return _stored(account, _decoded_raw(given), ["DRAFT"], given.get("threadId"))


def _stored(
    account: Account, raw: bytes, labels: list[str], wanted: str | None, internal_ms: int | None = None
) -> StoredMessage:
    """File a mail in the wanted thread where it may join, else where it belongs by itself, else in a new thread."""
    mailbox = account.mailbox
    if wanted:
        named = mailbox.thread(wanted)[0].thread_id
        thread_id = named if mailbox.joins(named, raw) else None
    else:
        thread_id = mailbox.thread_for(raw)
    return mailbox.add(raw, labels, account.clock.now(), thread_id=thread_id, internal_ms=internal_ms)


def _checked_raw(body: JSON) -> bytes:
    """The mail of an insert or send: base64url with exactly one From (GAM-team/got-your-back #77, #358)."""
    raw = _decoded_raw(body)
    senders = mail.read_headers(raw).get_all("From", [])
    if len(senders) > 1:
        raise invalid("Expected a single 'From' header")
    if not senders or "@" not in str(senders[0]):
        raise invalid("Invalid From header")
    return raw


def _decoded_raw(body: JSON) -> bytes:
    if not body.get("raw"):
        raise invalid("'raw' RFC822 payload message string or uploading message via /upload/* URL required")
    given = str(body["raw"])
    try:
        return base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid(
            f"Invalid value at 'message.raw' (TYPE_BYTES), Base64 decoding failed for \"{given[:40]}\""
        ) from None


def _header_ms(raw: bytes) -> int | None:
    try:
        return int(parsedate_to_datetime(mail.read_headers(raw)["Date"] or "").timestamp() * 1000)
    except ValueError:
        return None


def _label_change(account: Account, body: JSON) -> tuple[list[str], list[str]]:
    add, remove = body.get("addLabelIds", []), body.get("removeLabelIds", [])
    if not add and not remove:
        raise invalid("No label add or removes specified")
    if len(add) > 100 or len(remove) > 100:
        raise invalid("Number of labels cannot exceed 100")  # wording not seen in public
    if set(add) & set(remove):
        raise invalid("Cannot both add and remove the same label")
    return tuple(_known_labels(account, ids, refused={"SENT", "DRAFT"}) for ids in (add, remove))  # type: ignore[return-value]


def _known_labels(account: Account, label_ids: Iterable[str], refused: set[str]) -> list[str]:
    for label_id in label_ids:
        if label_id in refused:
            raise invalid(f"Invalid label: {label_id}")  # googleapis/google-api-php-client #1254
        if label_id not in account.mailbox.labels:
            raise invalid("labelId not found")
    return list(label_ids)


def _many(account: Account, body: JSON) -> list[StoredMessage]:
    ids = body.get("ids", [])
    if not ids:
        raise invalid("No message ids specified")
    if len(ids) > 1000:
        raise invalid("Number of ids cannot exceed 1000")
    return [account.mailbox.message(given) for given in ids]


def _draft(account: Account, draft_id: str) -> StoredMessage:
    if draft_id not in account.mailbox.drafts:
        raise not_found()
    return account.mailbox.messages[account.mailbox.drafts[draft_id]]


def _found(account: Account, params: JSON) -> list[StoredMessage]:
    """All messages a list call means, newest first."""
    mailbox, now = account.mailbox, account.clock.now()
    names = {label["name"]: label["id"] for label in mailbox.labels.values()}
    query = compile_query(params.get("q", ""), now=now, address=mailbox.address, label_ids=names)
    wanted = set(_known_labels(account, params.get("labelIds", []), refused=set()))
    hidden = {"SPAM", "TRASH"} - wanted
    if params.get("includeSpamTrash") or query.opens_spam_and_trash:
        hidden = set()
    indexed_before = now - account.search_lag if params.get("q") else now
    found = [
        message
        for message in mailbox.messages.values()
        if hidden.isdisjoint(message.labels)
        and wanted.issubset(message.labels)
        and message.arrived_at <= indexed_before
        and query.matches(message)
    ]
    return sorted(found, key=lambda message: (message.internal_ms, message.id), reverse=True)


def _page(
    found: list[StoredMessage], params: JSON, key: Callable[[StoredMessage], tuple[int, str]]
) -> tuple[list[StoredMessage], str | None]:
    """One page and the token of the next. The token names the last item: mail arriving between pages shifts nothing."""
    token = params.get("pageToken")
    if token:
        try:
            date, _, last_id = base64.urlsafe_b64decode(token).decode().partition(" ")
            last = (int(date), last_id)
        except ValueError:
            raise invalid("Invalid pageToken") from None
        found = [message for message in found if key(message) < last]
    page = found[: _limit(params)]
    if len(page) == len(found):
        return page, None
    date_ms, message_id = key(page[-1])
    return page, mail.base64url(f"{date_ms} {message_id}".encode())


def _limit(params: JSON) -> int:
    return max(1, min(int(params.get("maxResults", 100)), _MAX_RESULTS))


def _page_start(params: JSON) -> int:
    token = params.get("pageToken", "0")
    if not token.isdigit():
        raise invalid("Invalid pageToken")
    return int(token)


def _has_label(account: Account, record: JSON, label_id: str | None) -> bool:
    """Whether the record's message carries the label now (believed: domain/gmail.md 10); a deleted one does not."""
    message = account.mailbox.messages.get(record["messages"][0]["id"])
    return label_id is None or (message is not None and label_id in message.labels)


def _listing(key: str, rows: list[JSON], token: str | None) -> JSON:
    """An empty list is an absent key, as at Gmail."""
    answer: JSON = {key: rows} if rows else {}
    return answer | ({"nextPageToken": token} if token else {})


def _names(message: StoredMessage) -> JSON:
    return {"id": message.id, "threadId": message.thread_id}


def _brief(message: StoredMessage) -> JSON:
    return _names(message) | ({"labelIds": list(message.labels)} if message.labels else {})


def _shown(message: StoredMessage, params: JSON) -> JSON:
    shown: dict[str, Any] = _brief(message) | {
        "snippet": mail.snippet(message.raw),
        "sizeEstimate": len(message.raw),
        "historyId": str(message.history_id),
        "internalDate": str(message.internal_ms),
    }
    match params.get("format", "full").lower():
        case "raw":
            shown["raw"] = mail.base64url(message.raw)
        case "full":
            shown["payload"] = mail.payload(message.raw, message.id)
        case "metadata":
            shown["payload"] = mail.headers_only(message.raw, params.get("metadataHeaders", []))
    return shown
