"""Joining a swarm, both sides of it (port 2377).

The joiner fetches the CA's certificate over a connection that proves nothing, checks it against the token's digest,
and only then tells the secret to a peer that this CA vouches for as a manager. The manager admits it to the roster and
answers with its identity, the gossip keys and whom to talk to; a new manager gets the CA's key as well.
"""

from __future__ import annotations

import asyncio
import hmac
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cluster import rpc, tls
from daemon.cluster.authority import (
    NODE_LIFE,
    Authority,
    NodeName,
    NotOurs,
    StandIn,
    X509Authority,
    name_in,
    new_key,
    public_part,
    vouched,
)
from daemon.cluster.identity import Membership
from daemon.cluster.tokens import JoinToken
from daemon.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.engine.engine import Engine
    from daemon.underlay.contract import Address, Listener, Underlay

CLUSTER_PORT = 2377
REMOVED = "NotFound"  # the code by which a node learns that its id is spent


@dataclass(frozen=True, slots=True)
class Admission:
    """What a manager tells a node that it has admitted. roster: as packed records; () from one that has to hear the
    others first."""

    membership: Membership
    roster: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KeysKnown:
    """A member's gossip keys, the one that seals first, and how new the row is by which it holds them: the row's
    Lamport time and its sealing key's digest (0 and "" where no key was ever replaced)."""

    keys: tuple[bytes, ...]
    version: tuple[int, str]

    def said(self) -> rpc.Message:
        return {"gossip_keys": list(self.keys), "version": list(self.version)}

    @classmethod
    def heard(cls, message: rpc.Message) -> KeysKnown:
        """Raises BadMessage."""
        keys, version = rpc.field(message, "gossip_keys", list), rpc.field(message, "version", list)
        if not keys or not all(isinstance(key, bytes) and len(key) in (16, 24, 32) for key in keys):
            raise rpc.BadMessage("no gossip keys")
        if list(map(type, version)) != [int, str]:
            raise rpc.BadMessage("version is a time and a digest")
        return cls(tuple(keys), (version[0], version[1]))


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of the two tokens, and the key of locked managers (b"": they are not locked)."""

    worker: str
    manager: str
    unlock: bytes = b""


class Door:
    """A manager's side. `secrets` and `seeds` are asked for at each join; `admit(id, hostname, role, address)` notes
    the newcomer in the swarm's tables, `roster` is what it begins with; `role_of(id)` is what these say of a member,
    None for a stranger; `removed(id)`: was it a member, and removed for good?; `introduce(id, role, admission)`: a
    member that is a stranger here shows how it was admitted; `keys`: this host's gossip keys; `compare(keys)` hears a
    member's; `life`: of certificates, in seconds."""

    def __init__(
        self,
        *,
        underlay: Underlay,
        folder: Path,
        authority: Authority,
        membership: Membership,
        wall: Callable[[], float],
        new_id: Callable[[], str],
        secrets: Callable[[], Secrets],
        seeds: Callable[[], list[str]],
        admit: Callable[[str, str, str, str], None],
        roster: Callable[[], list[bytes]],
        role_of: Callable[[str], str | None],
        keys: Callable[[], KeysKnown],
        compare: Callable[[KeysKnown], object],
        removed: Callable[[str], bool],
        introduce: Callable[[str, str, bytes], None],
        life: Callable[[], float] = lambda: NODE_LIFE,
        use_tls: bool,
    ) -> None:
        self._underlay = underlay
        self._folder = folder
        self._authority = authority
        self._membership = membership
        self._wall = wall
        self._new_id = new_id
        self._secrets = secrets
        self._seeds = seeds
        self._admit = admit
        self._roster = roster
        self._role_of = role_of
        self._keys = keys
        self._compare = compare
        self._removed = removed
        self._introduce = introduce
        self._life = life
        self._use_tls = use_tls
        self._listener: Listener | None = None
        self.counters: Counter[str] = Counter()

    async def open(self) -> None:
        """Raises OSError when the port is taken."""
        context = None
        if self._use_tls:
            context = tls.server_context(self._folder, self._membership)
        self._listener = await self._underlay.listen(CLUSTER_PORT, self._accept, tls=context)

    async def close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
        try:
            async with asyncio.timeout(rpc.DEADLINE):
                request = await rpc.receive(reader)
                try:
                    answer = self._answer(request, writer)
                except rpc.Refused as refusal:
                    self.counters[f"refused_{refusal.code}"] += 1
                    answer = {"code": refusal.code, "reason": refusal.reason}
                except ValueError as error:
                    self.counters["refused_InvalidArgument"] += 1
                    answer = {"code": "InvalidArgument", "reason": str(error)}
                except ApiError as error:
                    # A manager that has only just come back may not have all of the swarm's rows yet.
                    self.counters["refused_Unavailable"] += 1
                    answer = {"code": "Unavailable", "reason": error.message}
                await rpc.send(writer, answer)
        except (OSError, EOFError, TimeoutError, ssl.SSLError):
            self.counters["bad_requests"] += 1

    def _answer(self, request: rpc.Message, writer: asyncio.StreamWriter) -> rpc.Message:
        operation = request.get("operation")
        self.counters[f"asked_{operation}" if operation in ("ca", "join", "role", "keys") else "asked_unknown"] += 1
        if operation == "ca":
            return {"ca": self._membership.ca}
        if operation == "join":
            return self._join(request)
        if operation == "role":
            return self._new_role(request, writer)
        if operation == "keys":
            self._member(request, writer)
            answer = self._keys().said()
            self._compare(KeysKnown.heard(request))
            return answer
        raise rpc.Refused("Unimplemented", "unknown operation")

    def _join(self, request: rpc.Message) -> rpc.Message:
        secret, secrets = str(request.get("secret")).encode(), self._secrets()
        if hmac.compare_digest(secret, secrets.manager.encode()):
            role = "manager"
        elif hmac.compare_digest(secret, secrets.worker.encode()):
            role = "worker"
        else:
            raise rpc.Refused("InvalidArgument", "A valid join token is necessary to join this cluster")
        hostname, address = rpc.field(request, "hostname", str), rpc.field(request, "address", str)
        node_id = self._new_id()
        # Seeds first: the newcomer is not one of its own.
        seeds = self._seeds()
        answer = self._credentials(request, node_id, role)
        self._admit(node_id, hostname, role, address)
        return answer | {
            "node_id": node_id,
            "cluster_id": self._membership.cluster_id,
            "gossip_keys": list(self._keys().keys),
            "seeds": seeds,
            "pools": list(self._membership.pools),
            "subnet_size": self._membership.subnet_size,
            "roster": self._roster(),
        }

    def _new_role(self, request: rpc.Message, writer: asyncio.StreamWriter) -> rpc.Message:
        """A member asks for a certificate of the role that it has by now."""
        return self._credentials(request, *self._member(request, writer))

    def _member(self, request: rpc.Message, writer: asyncio.StreamWriter) -> tuple[str, str]:
        """Id and role of who asks. Raises Refused for who is no member, or none any more."""
        name = self._who(request, writer)
        node_id, admission = name.node_id, request.get("admission")
        if self._role_of(node_id) is None and isinstance(admission, bytes) and admission:
            # It may have been admitted by a manager who was removed unheard: the record decides.
            self._introduce(node_id, name.role, admission)
        if self._removed(node_id):
            raise rpc.Refused(REMOVED, f"node {node_id} was removed from this swarm")
        role = self._role_of(node_id)
        if role is None:
            raise rpc.Refused("PermissionDenied", f"node {node_id} is not a member of this swarm")
        return node_id, role

    def _who(self, request: rpc.Message, writer: asyncio.StreamWriter) -> NodeName:
        """Proved by the TLS handshake; a simulation's stand-in proves nothing and only says."""
        connection = writer.get_extra_info("ssl_object")
        if connection is None:
            if self._use_tls:
                raise rpc.Refused("PermissionDenied", "no TLS")
            return NodeName(str(request.get("node_id")), "manager", self._membership.cluster_id)
        certificate = connection.getpeercert(binary_form=True)
        if certificate is None:
            raise rpc.Refused("PermissionDenied", "a member's certificate is needed")
        try:
            name = name_in(certificate)  # the handshake has proved that it is the swarm's
        except NotOurs as error:
            raise rpc.Refused("PermissionDenied", str(error)) from error
        if name.cluster_id != self._membership.cluster_id:
            raise rpc.Refused("PermissionDenied", f"a certificate of cluster {name.cluster_id}")
        return name

    def _credentials(self, request: rpc.Message, node_id: str, role: str) -> rpc.Message:
        name = NodeName(node_id, role, self._membership.cluster_id)
        try:
            certificate = self._authority.issue(rpc.field(request, "key", bytes), name, self._wall(), self._life())
        except NotOurs as error:
            raise rpc.Refused("InvalidArgument", str(error)) from error
        me = self._membership
        answer: rpc.Message = {
            "role": role, "certificate": certificate, "ca": me.ca, "next_ca": me.next_ca, "cross": me.cross
        }  # fmt: skip
        if role == "manager":
            answer |= {"ca_key": me.ca_key, "next_ca_key": me.next_ca_key}
        return answer


class Visitor:
    """A node's side. `admission`: the record of its own, for a manager that does not know it."""

    def __init__(
        self,
        *,
        underlay: Underlay,
        folder: Path,
        entropy: Callable[[int], bytes],
        hostname: str,
        use_tls: bool,
        admission: Callable[[], bytes] = lambda: b"",
    ) -> None:
        self._underlay = underlay
        self._folder = folder
        self._entropy = entropy
        self._hostname = hostname
        self._use_tls = use_tls
        self._admission = admission

    async def join(self, manager: Address, token: JoinToken, address: str) -> Admission:
        """Raises Refused, NotOurs (the CA is not the token's), OSError, TimeoutError."""
        first = tls.first_contact() if self._use_tls else None
        answer = await self._ask(manager, first, {"operation": "ca"})
        ca: bytes = rpc.field(answer, "ca", bytes)
        if not token.fits(ca):
            raise NotOurs(f"remote CA does not match fingerprint. Expected: {token.digest}")
        key = new_key(self._entropy) if self._use_tls else self._entropy(32)
        request = {
            "operation": "join",
            "secret": token.secret,
            "hostname": self._hostname,
            "address": address,
            "key": public_part(key) if self._use_tls else key,
        }
        context = tls.client_context(ca) if self._use_tls else None
        answer = await self._ask(manager, context, request)
        joined = Membership(
            node_id=rpc.field(answer, "node_id", str),
            cluster_id=rpc.field(answer, "cluster_id", str),
            role="",
            address=address,
            ca=ca,
            certificate=b"",
            key=key,
            gossip_keys=tuple(rpc.field(answer, "gossip_keys", list)),
            seeds=tuple(rpc.field(answer, "seeds", list)),
            pools=tuple(rpc.field(answer, "pools", list)),
            subnet_size=rpc.field(answer, "subnet_size", int),
        )
        roster = rpc.field(answer, "roster", list) if "roster" in answer else []
        return Admission(_credited(joined, answer), tuple(roster))

    async def renew(self, manager: Address, me: Membership) -> Membership:
        """A certificate (and, for a manager, the CA's key) for the role that the swarm says this node has now.
        Raises Refused, NotOurs, OSError, TimeoutError."""
        request = {
            "operation": "role",
            "node_id": me.node_id,
            "admission": self._admission(),
            "key": public_part(me.key) if self._use_tls else me.key,
        }
        return _credited(me, await self._ask(manager, self._as_member(me), request))

    async def keys(self, manager: Address, me: Membership, own: KeysKnown) -> KeysKnown:
        """The manager's gossip keys; it hears this node's, which may be the newer ones. Raises as renew."""
        request = {"operation": "keys", "node_id": me.node_id, "admission": self._admission()} | own.said()
        return KeysKnown.heard(await self._ask(manager, self._as_member(me), request))

    def _as_member(self, me: Membership) -> ssl.SSLContext | None:
        if not self._use_tls:
            return None
        return tls.member_context(self._folder, me)

    async def _ask(self, manager: Address, context: ssl.SSLContext | None, request: rpc.Message) -> rpc.Message:
        async with asyncio.timeout(rpc.DEADLINE), self._stream(manager, context) as (reader, writer):
            if context is not None and context.verify_mode is ssl.CERT_REQUIRED:
                connection = writer.get_extra_info("ssl_object")
                if name_in(connection.getpeercert(binary_form=True)).role != "manager":
                    raise NotOurs("the node that answers is not a manager")
            await rpc.send(writer, request)
            try:
                answer = await rpc.receive(reader)
            except EOFError as error:
                raise rpc.BadMessage("the manager closed the connection") from error
        if "code" in answer:
            raise rpc.Refused(str(answer["code"]), str(answer.get("reason")))
        return answer

    @asynccontextmanager
    async def _stream(
        self, to: Address, context: ssl.SSLContext | None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await self._underlay.connect(to, deadline=rpc.DEADLINE, tls=context)
        try:
            yield reader, writer
        finally:
            writer.close()


def _credited(me: Membership, answer: rpc.Message) -> Membership:
    """A membership with what a manager has answered: role, certificate, and where the swarm is between two root CAs.
    Raises NotOurs for a root that this node has no reason to trust."""
    ca: bytes = rpc.field(answer, "ca", bytes)
    following, cross = answer.get("next_ca") or b"", answer.get("cross") or b""
    role = rpc.field(answer, "role", str)
    if ca not in me.roots or (following and not vouched(cross, following, ca)):
        raise NotOurs("the manager's root CA is none that this node trusts")
    keys = (answer.get("ca_key") or b"", answer.get("next_ca_key") or b"") if role == "manager" else (b"", b"")
    if ca == me.ca and following in (b"", me.next_ca):  # the manager may not have come as far as this node
        following, cross = me.next_ca, me.cross
        keys = keys[0], keys[1] or (me.next_ca_key if role == "manager" else b"")
    return replace(
        me, role=role, certificate=rpc.field(answer, "certificate", bytes), ca=ca, ca_key=keys[0],
        next_ca=following, next_ca_key=keys[1], cross=cross,
    )  # fmt: skip


def authority_of(membership: Membership, entropy: Callable[[int], bytes], *, use_tls: bool) -> Authority:
    """The CA as a manager holds it; the next one when it can sign as that."""
    certificate, key = membership.ca, membership.ca_key
    if membership.next_ca_key:
        certificate, key = membership.next_ca, membership.next_ca_key
    return X509Authority(certificate, key, entropy) if use_tls else StandIn(certificate, key)


def issuing(membership: Membership, engine: Engine) -> Authority:
    """As authority_of, with what this host takes from outside."""
    return authority_of(membership, engine.world.entropy, use_tls=engine.config.cluster_tls)


def own_certificate(membership: Membership, engine: Engine, life: float) -> Membership:
    """A manager signs for itself."""
    name = NodeName(membership.node_id, membership.role, membership.cluster_id)
    request = public_part(membership.key) if engine.config.cluster_tls else membership.key
    certificate = issuing(membership, engine).issue(request, name, engine.world.wall(), life)
    return replace(membership, certificate=certificate)
