"""Queries of serf agents that a neighbour must answer, or the agents draw wrong conclusions.

``_serf_conflict``: an agent whose name is claimed elsewhere asks who it is, and shuts down without a majority.
``_serf_*-key``: ``serf keys`` changes the keyring of every member; one that kept silent would soon hear nothing more.
``_serf_ping`` and every query that asks for acknowledgement: ``serf reachability`` counts them.
"""

from __future__ import annotations

import base64

from gossip.serf.messages import Query, QueryResponse, SerfType
from gossip.swim.member import MemberState
from gossip.swim.table import MemberTable
from gossip.wire.dialect import Plain, address_to_bytes, pack, unpack_map, unpack_names
from gossip.wire.errors import WireError
from gossip.wire.seal import Keyring

_PREFIX = "_serf_"
_FILTER_NODE = 0


class Queries:
    def __init__(self, own: str, table: MemberTable, keyring: Keyring) -> None:
        self._own = own
        self._table = table
        self._keyring = keyring

    def answers(self, query: Query) -> list[QueryResponse]:
        """Raises WireError for a query that cannot be read."""
        if not self._concerns_us(query):
            return []
        responses = [QueryResponse(query, self._own, ack=True)] if query.flags & Query.ACK else []
        payload = self._answer(query)
        if payload is not None:
            responses.append(QueryResponse(query, self._own, payload))
        return responses

    def _concerns_us(self, query: Query) -> bool:
        """Filters by tags never fit: what tags we have are our own business."""
        for each in query.filters:
            if not each or each[0] != _FILTER_NODE or self._own not in unpack_names(memoryview(each)[1:]):
                return False
        return True

    def _answer(self, query: Query) -> bytes | None:
        match query.name.removeprefix(_PREFIX) if query.name.startswith(_PREFIX) else "":
            case "conflict":
                return self._member(query.payload)
            case "install-key" | "use-key" | "remove-key" as verb:
                return self._change_key(verb, query.payload)
            case "list-keys":
                return self._key_response(True, "", listed=True)
        return None

    def _member(self, name: bytes) -> bytes | None:
        """What we know of a member; nothing of ourselves: we are a party then."""
        record = self._table.get(name.decode(errors="replace"))
        if record is None or record.member.name == self._own:
            return None
        member = record.member
        versions = record.versions if len(record.versions) == 6 else bytes(6)
        names = ("ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax", "DelegateCur")
        status = {MemberState.ALIVE: 1, MemberState.SUSPECT: 1, MemberState.LEFT: 3, MemberState.DEAD: 4}
        return bytes((SerfType.CONFLICT_RESPONSE,)) + pack(
            {
                "Name": member.name,
                "Addr": address_to_bytes(member.address),
                "Port": member.port,
                "Status": status[member.state],
                **dict(zip(names, versions, strict=True)),
            }
        )

    def _change_key(self, verb: str, payload: bytes) -> bytes:
        if payload[:1] != bytes((SerfType.KEY_REQUEST,)):
            raise WireError("bad_serf_message", "no key request")
        key = unpack_map(memoryview(payload)[1:]).raw(b"Key", 64)
        if not self._keyring:
            return self._key_response(False, "No keyring to modify (encryption not enabled)")
        try:
            if verb == "install-key":
                self._keyring.add(key)
            elif verb == "use-key":
                self._keyring.use(key)
            else:
                self._keyring.remove(key)
        except (ValueError, KeyError) as error:
            return self._key_response(False, str(error) if isinstance(error, ValueError) else "no such key")
        return self._key_response(True, "")

    def _key_response(self, result: bool, message: str, *, listed: bool = False) -> bytes:
        ring = self._keyring.keys() if listed else []
        keys = [base64.b64encode(key).decode() for key in ring]
        if listed and not keys:
            result, message = False, "Keyring is empty (encryption not enabled)"
        primary = keys[0] if keys else ""
        fields: dict[str, Plain] = {"Result": result, "Message": message, "Keys": keys, "PrimaryKey": primary}
        return bytes((SerfType.KEY_RESPONSE,)) + pack(fields)


