"""The methods of the Gmail API our client calls, and those an outbox would: what each answers.

Every method takes the account, the parameters and the JSON body, and returns the JSON answer (None = 204). Sending is
not among them, nor is anything else nobody uses: asking for it is a complaint of the double. Knows nothing of HTTP,
tokens, quota or faults.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from email import message_from_bytes
from typing import NamedTuple

from tests.doubles.gmail.account import JSON, SYSTEM_LABELS, Account, StoredMessage
from tests.doubles.gmail.errors import ApiError, delegation_required, invalid, label_conflict, not_found
from tests.doubles.gmail.query import compile_query
from tests.doubles.loopback import DoubleError

_RESERVED_NAMES = {label.casefold() for label in SYSTEM_LABELS} | {"muted"}
"""Real ones are localized (GAM-team/got-your-back #82, #95, #135)."""


class Method(NamedTuple):
    """A method with the parameters and the members of the body it was taught; others are a complaint."""

    answer: Callable[[Account, JSON, JSON], JSON | None]
    parameters: str = ""
    body: str = ""


# -- messages and threads ---------------------------------------------------------------------------------------


def _messages_list(account: Account, params: JSON, _: JSON) -> JSON:
    page, more = _page(_found(account, params), params)
    return _listing("messages", [_names(message) for message in page], more)


def _messages_get(account: Account, params: JSON, _: JSON) -> JSON:
    return _shown(account.message(params["id"]), params)


def _messages_insert(account: Account, params: JSON, body: JSON) -> JSON:
    raw, labels = _decoded(body), body.get("labelIds", [])
    _check_labels(account, labels, refused={"DRAFT"})
    sender = str(message_from_bytes(raw)["From"])
    if "@" not in sender:
        raise invalid("Invalid From header")  # GAM-team/got-your-back #77
    if account.address in sender.lower():
        labels = [*labels, "SENT"]
    return _brief(account.add(raw, labels, wanted=_thread_id(account, body)))


def _messages_trash(account: Account, params: JSON, _: JSON) -> JSON:
    message = account.message(params["id"])
    account.change_labels(message, ["TRASH"], ["INBOX"])
    return _brief(message)


def _messages_untrash(account: Account, params: JSON, _: JSON) -> JSON:
    message = account.message(params["id"])
    account.change_labels(message, [], ["TRASH"])
    return _brief(message)


def _threads_get(account: Account, params: JSON, _: JSON) -> JSON:
    members = account.thread(params["id"])
    return {"id": members[0].thread_id, "messages": [_shown(message, params) for message in members]}


def _messages_modify(account: Account, params: JSON, body: JSON) -> JSON:
    message = account.message(params["id"])
    _change_labels(account, [message], body)
    return _brief(message)


def _threads_modify(account: Account, params: JSON, body: JSON) -> JSON:
    members = account.thread(params["id"])
    _change_labels(account, members, body)
    return {"id": members[0].thread_id, "messages": [_brief(message) for message in members]}


def _change_labels(account: Account, members: Sequence[StoredMessage], body: JSON) -> None:
    add, remove = (body.get(name, []) for name in ("addLabelIds", "removeLabelIds"))
    if not add and not remove:
        raise invalid("No label add or removes specified")
    _check_labels(account, [*add, *remove], refused={"SENT", "DRAFT"})
    for message in members:
        account.change_labels(message, add, remove)


# -- drafts -----------------------------------------------------------------------------------------------------


def _drafts_create(account: Account, params: JSON, body: JSON) -> JSON:
    given = body.get("message", {})
    message = account.add(_decoded(given), ["DRAFT"], wanted=_thread_id(account, given))
    draft_id = f"r{account.new_id():019d}"
    account.drafts[draft_id] = message.id
    return {"id": draft_id, "message": _brief(message)}


def _drafts_list(account: Account, params: JSON, _: JSON) -> JSON:
    by_message = {message_id: draft_id for draft_id, message_id in account.drafts.items()}
    page, more = _page([message for message in _found(account, params) if message.id in by_message], params)
    return _listing("drafts", [{"id": by_message[one.id], "message": _names(one)} for one in page], more)


def _drafts_get(account: Account, params: JSON, _: JSON) -> JSON:
    return {"id": params["id"], "message": _shown(_draft(account, params), params)}


def _drafts_delete(account: Account, params: JSON, _: JSON) -> None:
    account.delete(_draft(account, params))


# -- labels, aliases, profile -----------------------------------------------------------------------------------


def _labels_list(account: Account, params: JSON, _: JSON) -> JSON:
    return {"labels": list(account.labels.values())}


def _labels_create(account: Account, params: JSON, body: JSON) -> JSON:
    name = body["name"]
    levels = name.split("/")
    if name.casefold() in _RESERVED_NAMES or len(name) > 225 or any(one != one.strip() or not one for one in levels):
        raise invalid("Invalid label name")
    if account.label_named(name):
        raise label_conflict()
    return account.add_label(**body)


def _labels_delete(account: Account, params: JSON, _: JSON) -> None:
    if params["id"] not in account.labels:
        raise not_found()
    account.delete_label(params["id"])


def _send_as_list(account: Account, params: JSON, _: JSON) -> JSON:
    return {"sendAs": list(account.send_as.values())}


def _send_as_get(account: Account, params: JSON, _: JSON) -> JSON:
    address = params["sendAsEmail"].lower()
    if address not in account.send_as:
        raise ApiError(404, f"Requested entity was not found: {address}", "notFound")
    return account.send_as[address]


def _send_as_patch(account: Account, params: JSON, body: JSON) -> JSON:
    """Change an alias; SMTP user name and password are taken in and never given out."""
    alias = _send_as_get(account, params, {})
    if not account.delegation:
        raise delegation_required()
    msa = dict(body["smtpMsa"])
    account.alias_logins[alias["sendAsEmail"]] = (msa.pop("username"), msa.pop("password"))
    alias["smtpMsa"] = msa
    return alias


def _profile(account: Account, params: JSON, _: JSON) -> JSON:
    return {"emailAddress": account.address, "messagesTotal": len(account.messages)}


_LISTING = "q includeSpamTrash maxResults pageToken"
_SHOWING = "id format metadataHeaders"
METHODS = {
    "drafts.create": Method(_drafts_create, body="message"),
    "drafts.delete": Method(_drafts_delete, "id"),
    "drafts.get": Method(_drafts_get, "id format"),
    "drafts.list": Method(_drafts_list, _LISTING),
    "getProfile": Method(_profile),
    "labels.create": Method(_labels_create, body="name labelListVisibility messageListVisibility"),
    "labels.delete": Method(_labels_delete, "id"),
    "labels.list": Method(_labels_list),
    "messages.get": Method(_messages_get, _SHOWING),
    "messages.insert": Method(_messages_insert, body="raw labelIds threadId"),
    "messages.list": Method(_messages_list, f"{_LISTING} labelIds"),
    "messages.modify": Method(_messages_modify, "id", "addLabelIds removeLabelIds"),
    "messages.trash": Method(_messages_trash, "id"),
    "messages.untrash": Method(_messages_untrash, "id"),
    "sendAs.get": Method(_send_as_get, "sendAsEmail"),
    "sendAs.list": Method(_send_as_list),
    "sendAs.patch": Method(_send_as_patch, "sendAsEmail", "smtpMsa"),
    "threads.get": Method(_threads_get, _SHOWING),
    "threads.modify": Method(_threads_modify, "id", "addLabelIds removeLabelIds"),
}


# -- what they share --------------------------------------------------------------------------------------------


def _decoded(body: JSON) -> bytes:
    if not body.get("raw"):
        raise invalid("'raw' RFC822 payload message string or uploading message via /upload/* URL required")
    return base64.b64decode(body["raw"], altchars=b"-_", validate=True)


def _thread_id(account: Account, body: JSON) -> str | None:
    return account.thread(body["threadId"])[0].thread_id if "threadId" in body else None


def _check_labels(account: Account, label_ids: Iterable[str], refused: set[str]) -> None:
    for label_id in label_ids:
        if label_id in refused:
            raise invalid(f"Invalid label: {label_id}")  # googleapis/google-api-php-client #1254
        if label_id not in account.labels:
            raise invalid("labelId not found")


def _draft(account: Account, params: JSON) -> StoredMessage:
    if params["id"] not in account.drafts:
        raise not_found()
    return account.messages[account.drafts[params["id"]]]


def _found(account: Account, params: JSON) -> list[StoredMessage]:
    """All messages a list call means, newest first."""
    matches = compile_query(params.get("q", ""))
    hidden = set() if params.get("includeSpamTrash") == "true" else {"SPAM", "TRASH"}
    wanted = set(params.get("labelIds", []))
    _check_labels(account, wanted, refused=set())
    indexed_before = account.clock.now() - (account.search_lag if params.get("q") else 0)
    found = [
        message
        for message in account.messages.values()
        if hidden.isdisjoint(message.labels)
        and wanted <= set(message.labels)
        and message.arrived_at <= indexed_before
        and matches(message)
    ]
    return sorted(found, key=_place, reverse=True)


def _page(found: list[StoredMessage], params: JSON) -> tuple[list[StoredMessage], str | None]:
    """One page and the token of the next. The token names the last item: mail arriving between pages shifts nothing."""
    if "pageToken" in params:
        found = [message for message in found if _place(message) < params["pageToken"]]
    page = found[: min(int(params.get("maxResults", 100)), 500)]
    return page, _place(page[-1]) if len(page) < len(found) else None


def _place(message: StoredMessage) -> str:
    return f"{message.internal_ms:015d}-{message.id}"


def _listing(key: str, rows: list[JSON], token: str | None) -> JSON:
    """An empty list is an absent key, as at Gmail."""
    return ({key: rows} if rows else {}) | ({"nextPageToken": token} if token else {})


def _names(message: StoredMessage) -> JSON:
    return {"id": message.id, "threadId": message.thread_id}


def _brief(message: StoredMessage) -> JSON:
    return _names(message) | ({"labelIds": list(message.labels)} if message.labels else {})


def _shown(message: StoredMessage, params: JSON) -> JSON:
    """A message in the format asked for; of `full`, Gmail's default, nothing is known here."""
    shown = _brief(message) | {"sizeEstimate": len(message.raw), "internalDate": str(message.internal_ms)}
    match params.get("format"):
        case "minimal":
            return shown
        case "raw":
            return shown | {"raw": base64.urlsafe_b64encode(message.raw).decode()}
        case "metadata":
            wanted = {name.lower() for name in params.get("metadataHeaders", [])}
            headers = [
                {"name": name, "value": "".join(str(value).splitlines())}
                for name, value in message.headers.items()
                if not wanted or name.lower() in wanted
            ]
            return shown | {"payload": {"headers": headers}, "snippet": message.snippet}
    raise DoubleError(f"the Gmail double was not taught format={params.get('format')}")
