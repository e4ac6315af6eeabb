"""Labels, "Send mail as" aliases, profile and push as the Gmail API answers them.

Same shape as gmail_api: account, typed parameters, JSON body in; JSON out (None = 204).
"""

from __future__ import annotations

from tests.doubles.gmail_account import Account
from tests.doubles.gmail_errors import (
    JSON,
    ApiError,
    delegation_required,
    invalid,
    label_conflict,
    not_found,
)
from tests.doubles.gmail_routes import label_palette
from tests.doubles.gmail_state import SYSTEM_LABELS

_WATCH_DAYS = 7


def labels_list(account: Account, params: JSON, _: JSON) -> JSON:
    return {"labels": list(account.mailbox.labels.values())}


def labels_get(account: Account, params: JSON, _: JSON) -> JSON:
    """One label with its counters, which a list does not carry."""
    label = _label(account, params["id"])
    held = [message for message in account.mailbox.messages.values() if label["id"] in message.labels]
    unread = [message for message in held if "UNREAD" in message.labels]
    return label | {
        "messagesTotal": len(held),
        "messagesUnread": len(unread),
        "threadsTotal": len({message.thread_id for message in held}),
        "threadsUnread": len({message.thread_id for message in unread}),
    }


def labels_create(account: Account, params: JSON, body: JSON) -> JSON:
    if not body.get("name"):
        raise invalid("Label name required")  # wording not seen in public
    if len(account.mailbox.labels) >= 10_000:
        raise invalid("Label limit reached")  # wording not seen in public
    _check_name(account, body["name"])
    _check_color(body)
    return account.mailbox.add_label({name: value for name, value in body.items() if name not in ("id", "type")})


def labels_patch(account: Account, params: JSON, body: JSON) -> JSON:
    label = _user_label(account, params["id"])
    if "name" in body and body["name"].casefold() != label["name"].casefold():
        _check_name(account, body["name"])
    _check_color(body)
    label |= {name: value for name, value in body.items() if name not in ("id", "type")}
    return label


def labels_delete(account: Account, params: JSON, _: JSON) -> None:
    account.mailbox.delete_label(_user_label(account, params["id"])["id"])


def send_as_list(account: Account, params: JSON, _: JSON) -> JSON:
    return {"sendAs": list(account.mailbox.send_as.values())}


def send_as_get(account: Account, params: JSON, _: JSON) -> JSON:
    return _alias(account, params["sendAsEmail"])


def send_as_update(account: Account, params: JSON, body: JSON) -> JSON:
    """Change an alias; SMTP user name and password are taken in and never given out."""
    alias = _alias(account, params["sendAsEmail"])
    if not alias.get("isPrimary") and not account.delegation:
        raise delegation_required()
    msa = dict(body.get("smtpMsa", {}))
    login = [msa.pop("username", None), msa.pop("password", None)]
    if all(login):
        account.mailbox.alias_logins[alias["sendAsEmail"]] = login
    changed = {
        name: body[name] for name in ("displayName", "replyToAddress", "signature", "treatAsAlias") if name in body
    }
    alias |= changed | ({"smtpMsa": msa} if msa else {})
    return alias


def get_profile(account: Account, params: JSON, _: JSON) -> JSON:
    mailbox = account.mailbox
    return {
        "emailAddress": mailbox.address,
        "messagesTotal": len(mailbox.messages),
        "threadsTotal": len(mailbox.threads),
        "historyId": str(mailbox.history_id),
    }


def watch(account: Account, params: JSON, body: JSON) -> JSON:
    """Accepted, and nothing is ever published: nobody here reads Pub/Sub."""
    if not body.get("topicName"):
        raise invalid("topicName required")  # wording not seen in public
    expires_ms = int((account.clock.now() + _WATCH_DAYS * 86400) * 1000)
    return {"historyId": str(account.mailbox.history_id), "expiration": str(expires_ms)}


def stop(account: Account, params: JSON, body: JSON) -> None:
    return None


def _label(account: Account, label_id: str) -> JSON:
    if label_id not in account.mailbox.labels:
        raise not_found()
    return account.mailbox.labels[label_id]


def _user_label(account: Account, label_id: str) -> JSON:
    label = _label(account, label_id)
    if label["type"] == "system":
        raise invalid("Invalid update request")  # wording not seen in public
    return label


def _check_name(account: Account, name: str) -> None:
    levels = name.split("/")
    reserved = {label.casefold() for label in SYSTEM_LABELS} | account.reserved_label_names
    if name.casefold() in reserved or len(name) > 225 or any(level != level.strip() or not level for level in levels):
        raise invalid("Invalid label name")
    if account.mailbox.label_named(name):
        raise label_conflict()


def _check_color(body: JSON) -> None:
    color = body.get("color")
    if color is None:
        return
    for side in ("backgroundColor", "textColor"):
        if color.get(side) not in label_palette():
            # mbrt/gmailctl #130; upper case is refused too
            raise invalid(f"Label color {color.get(side)} is not on the allowed color palette")


def _alias(account: Account, address: str) -> JSON:
    if address.lower() not in account.mailbox.send_as:
        raise ApiError(404, f"Requested entity was not found: {address}", "notFound")
    return account.mailbox.send_as[address.lower()]
