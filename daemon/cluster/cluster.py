"""This host's membership of a swarm: init, join, leave, and coming back after a restart.

State is `inactive` or `active`. A `Membership` on disk makes a host a member; GossipNode, Overlays and, on a manager,
the Door at port 2377 are what it runs then. Roles are rows: a host that sees its own change fetches what it needs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from daemon.cluster import addresses, spec
from daemon.cluster.authority import NotOurs
from daemon.cluster.founding import found
from daemon.cluster.gossip_keys import GossipKeys
from daemon.cluster.identity import Membership, NodeStorage, UnreadableMembership
from daemon.cluster.joining import CLUSTER_PORT, Door, Visitor, issuing
from daemon.cluster.lock import LOCKED, Lock
from daemon.cluster.network_rows import DefaultSubnets
from daemon.cluster.nodes import Nodes
from daemon.cluster.overlay_keys import overlay_keys
from daemon.cluster.renewal import Renewal
from daemon.cluster.rotation import Rotation
from daemon.cluster.rpc import Refused
from daemon.cluster.standing import Standing
from daemon.cluster.swarm import SwarmObject
from daemon.cluster.tokens import BadToken, parse_token
from daemon.engine.documents import JsonObject
from daemon.errors import ApiError, BadParameter, NotImplementedYet, ServerError, Unavailable
from daemon.store import DiskRefused
from gossip.node import GossipNode, Identity
from gossip.numbers.errors import SpaceInDispute
from gossip.swim.member import EventKind, MemberEvent

if TYPE_CHECKING:
    from daemon.engine.engine import Engine

log = structlog.get_logger("cluster")

GOSSIP_PORT = 7946
_GOSSIP_KEY = 32  # bytes: AES-256
_JOINED = 5.0  # seconds for the first exchange with a member
_DEFAULT_SUBNETS = DefaultSubnets(("10.0.0.0/8",), 24)
_LEAVE = 1.0  # seconds for saying good-bye
_ALONE = 3.0  # seconds between questions to managers while no member answers
_RETRY = 1.0  # seconds between attempts to follow a change of role
_IN_A_SWARM = 'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'
_NOT_IN_A_SWARM = "This node is not part of a swarm"
_INACTIVE = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
_WORKER = (
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this "
    "command on a manager node or promote the current node to a manager."
)
_LEAVING_MANAGER = "You are attempting to leave the swarm on a node that is participating as a manager. "
_LAST_MANAGER = (
    "Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. "
)
_OTHER_MANAGERS = "The other managers keep the swarm. Demote it first, or use `--force` to suppress this message."


class Cluster:
    """One host in (or out of) a swarm."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._membership: Membership | None = None
        self._door: Door | None = None
        self._busy = asyncio.Lock()
        self._member_callbacks: list[Callable[[MemberEvent], None]] = []
        self.gossip: GossipNode | None = None
        self.overlays = engine.control_plane.overlays(engine, self)
        self.nodes = Nodes(engine, self)
        self.swarm = SwarmObject(engine, self)
        self._standing = Standing(engine, self)
        self.keys = GossipKeys(engine, self)
        self._renewal = Renewal(engine, self, self._standing)
        self.rotation = Rotation(engine, self)
        self._lock = Lock(engine, self)
        self.ready = False
        self.error = ""

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        return self._membership is not None

    @property
    def state(self) -> str:
        """Docker's LocalNodeState."""
        if self._lock.address:
            return "locked"
        return "active" if self.active else "error" if self.error else "inactive"

    @property
    def is_manager(self) -> bool:
        return self._membership is not None and self._membership.is_manager

    @property
    def membership(self) -> Membership | None:
        return self._membership

    @property
    def node_id(self) -> str:
        return self._membership.node_id if self._membership is not None else ""

    @property
    def cluster_id(self) -> str:
        return self._membership.cluster_id if self._membership is not None else ""

    @property
    def default_subnets(self) -> DefaultSubnets:
        """What overlays get that wish no subnet."""
        membership = self._membership
        return DefaultSubnets(membership.pools, membership.subnet_size) if membership else _DEFAULT_SUBNETS

    def no_manager_text(self) -> str:
        return LOCKED if self._lock.address else _WORKER if self.active else _INACTIVE

    def manage(self) -> tuple[GossipNode, Membership]:
        """For operations that only a manager does. Raises Unavailable with Docker's text."""
        if self.gossip is None or self._membership is None or not self._membership.is_manager:
            raise Unavailable(self.no_manager_text())
        return self.gossip, self._membership

    # -- init, join, leave --------------------------------------------------------------------------------------

    async def init(self, body: JsonObject) -> str:
        """`docker swarm init`; the node's id."""
        async with self._busy:
            if self.active or self._lock.address:
                raise Unavailable(_IN_A_SWARM)
            address = self._own_address(body)
            pools, size = addresses.default_pools(body)
            addresses.check_data_path_port(body)
            wished = spec.completed(body.get("Spec"))
            wished["EncryptionConfig"]["AutoLockManagers"] |= bool(body.get("AutoLockManagers"))
            if (refusal := spec.refused_ca(wished)) is not None:
                raise refusal
            if wished["CAConfig"].get("SigningCACert"):
                raise NotImplementedYet("a swarm begins with a CA of its own; docker swarm ca --rotate brings yours")
            world = self._engine.world
            membership = found(world, address, pools=pools, subnet_size=size, use_tls=self._engine.config.cluster_tls)
            node_id = membership.node_id
            self._engine.store.settle()  # a new id has told nobody anything
            try:
                gossip = await self._begin(membership)
                gossip.roster.admit(node_id, self._engine.config.hostname, "manager", address)
                secrets = spec.new_secrets(world.entropy, locks=spec.locks(wished))
                sealed = spec.seal(secrets, membership.ca_key, membership.cluster_id, world.entropy)
                row = spec.first_row(wished, sealed, world.wall())
                gossip.write(spec.SWARM_TABLE, spec.SWARM_KEY, row)
                self.nodes.admit(node_id, "manager", availability=body.get("Availability") or "active")
                await self.overlays.life.create_ingress()
                self.overlays.join_ingress()
                self._lock.save_new(membership, secrets.unlock)
            except BaseException:
                await self._end(say_goodbye=False)
                raise
            self.ready, self.error = True, ""
            return node_id

    async def join(self, body: JsonObject) -> None:
        """`docker swarm join`."""
        async with self._busy:
            if self.active or self._lock.address:
                raise Unavailable(_IN_A_SWARM)
            address = self._own_address(body)
            try:
                token = parse_token(body.get("JoinToken") or "")
            except BadToken as error:
                raise ServerError(str(error)) from error
            managers = [addresses.remote(text, CLUSTER_PORT) for text in body.get("RemoteAddrs") or []]
            if not managers:
                raise BadParameter("at least 1 RemoteAddr is required to join")
            failure: ApiError | None = None
            for manager in managers:
                try:
                    admission = await self.visitor().join(manager, token, address)
                    break
                except Refused as error:
                    raise ServerError(str(error)) from error
                except NotOurs as error:
                    raise ServerError(str(error)) from error
                except (OSError, TimeoutError, ssl.SSLError) as error:
                    failure = addresses.unreachable(manager, error)
            else:
                assert failure is not None
                raise failure
            self._engine.store.settle()  # a new id has told nobody anything that an older disk could have forgotten
            membership = admission.membership
            try:
                gossip = await self._begin(membership, admission.roster)
                await gossip.join([(seed, GOSSIP_PORT) for seed in membership.seeds])
                await gossip.synced(_JOINED)
                self.overlays.join_ingress()
                self._lock.save(membership)
            except BaseException:
                await self._end(say_goodbye=True)
                raise
            self.ready, self.error = True, ""
            log.info("joined a swarm", cluster=membership.cluster_id, node=membership.node_id, role=membership.role)

    async def leave(self, force: bool) -> None:
        """`docker swarm leave`: its containers lose their overlays, its ranges go to a peer, its id is spent."""
        async with self._busy:
            if self._lock.given_up(force=force):
                return
            if not self.active:
                raise Unavailable(_NOT_IN_A_SWARM)
            if self.is_manager and not force:
                last = len(self.nodes.managers()) < 2
                raise Unavailable(_LEAVING_MANAGER + (_LAST_MANAGER if last else _OTHER_MANAGERS))
            self._lock.forget()  # if the disk refuses that, nothing has happened
            await self._end(say_goodbye=True)
            self.error = ""

    async def resume(self) -> None:
        """At the daemon's start: the same node again. Members that cannot be reached now are tried for ever."""
        try:
            membership = self._lock.load()
        except UnreadableMembership as error:
            self.error = f"the stored membership cannot be read: {error}"
            log.error("not resuming the swarm", error=self.error)
            return
        if membership is not None:
            await self._resume_as(membership)
        elif self._lock.address:
            log.warning("the swarm is locked: it waits for `docker swarm unlock`")

    async def unlock(self, text: str) -> None:
        """`docker swarm unlock`: what resume could not do without the key. The containers whose networks were missing
        are tried again by their restart policies."""
        async with self._busy:
            membership = self._lock.opened(text)
            await self._resume_as(membership)
            self._lock.address = ""
            self.boot_complete()
            log.info("unlocked", node=membership.node_id)

    async def _resume_as(self, membership: Membership) -> None:
        gossip = await self._begin(membership)
        self.ready = True
        self._lock.follow()
        self.overlays.join_ingress()
        self._engine.tasks.spawn(self._rejoin(gossip, membership), "rejoin the swarm")

    async def _rejoin(self, gossip: GossipNode, membership: Membership) -> None:
        """Whom the roster names now is better than whom it named when this node joined."""
        known = [*self.nodes.seeds(), *membership.seeds]
        seeds = [(seed, GOSSIP_PORT) for seed in dict.fromkeys(known) if seed != membership.address]
        if seeds:
            await gossip.join(seeds)
        await gossip.synced(_JOINED)
        if self.gossip is gossip:
            self._standing.doubt()
            self._standing.look()
            self.overlays.join_ingress()

    def boot_complete(self) -> None:
        """The containers that start by themselves have started: rows of earlier boots are forgotten by all."""
        if self.gossip is not None:
            self.gossip.snapshot_complete()

    async def stop(self) -> None:
        """The daemon ends; the membership stays. Saying good-bye spares the others the detection."""
        async with self._busy:
            gossip = self.gossip
            if gossip is None:
                return
            await self._close_door()
            try:
                async with asyncio.timeout(_LEAVE):
                    await gossip.members.leave()
            except (TimeoutError, OSError):
                pass
            await self._end(say_goodbye=False)

    # -- what runs while it is a member -------------------------------------------------------------------------

    async def _begin(self, membership: Membership, admitted_with: Sequence[bytes] = ()) -> GossipNode:
        engine = self._engine
        self._membership = membership
        seeds = tuple((seed, GOSSIP_PORT) for seed in membership.seeds)
        gossip = engine.control_plane.gossip(
            Identity(membership.node_id, engine.config.hostname, membership.cluster_id, membership.address),
            keys=membership.gossip_keys,
            role=membership.role,
            underlay=engine.underlay,
            storage=NodeStorage(engine.store, membership.node_id),
            random=engine.world.random,
            entropy=engine.world.entropy,
            config=lambda config: replace(config, seeds=seeds),
            admitted_with=admitted_with,
        )
        self.gossip = gossip
        engine.host_network.encrypt_with(overlay_keys(membership.gossip_keys, membership.cluster_id))
        gossip.members.subscribe(self._member_event)
        try:
            await gossip.start()
        except BaseException:
            self.gossip = self._membership = None  # it never ran: there is nothing to say good-bye to
            raise
        engine.networks.gateway_bridge()
        self.overlays.start(gossip)
        gossip.watch(self._standing.changed)
        gossip.watch(self.keys.changed)
        gossip.watch(self._lock.changed)
        gossip.watch(self.rotation.changed)
        self.keys.begin(gossip)
        self._renewal.begin(gossip)
        self.rotation.begin(gossip)
        self.nodes.describe_self()
        if membership.is_manager:
            await self._open_door()
        return gossip

    async def _end(self, *, say_goodbye: bool) -> None:
        gossip = self.gossip
        self.ready = False
        await self._close_door()
        if gossip is not None:
            await self.overlays.withdraw()
            if say_goodbye:
                try:
                    async with asyncio.timeout(_LEAVE):
                        await gossip.leave()
                except (TimeoutError, OSError):
                    log.warning("nobody heard that this node leaves")
        self.overlays.stop()
        self._engine.host_network.encrypt_with(())
        self.gossip = self._membership = None
        if gossip is not None:
            await gossip.stop()

    async def _open_door(self) -> None:
        engine, membership = self._engine, self._membership
        assert membership is not None
        use_tls = engine.config.cluster_tls
        self._door = Door(
            underlay=engine.underlay,
            folder=engine.config.state_dir / "swarm",
            authority=issuing(membership, engine),
            membership=membership,
            wall=engine.world.wall,
            new_id=engine.world.swarm_id,
            secrets=self.swarm.secrets,
            seeds=self.nodes.seeds,
            admit=self._admit,
            roster=self._roster,
            role_of=self.nodes.role_of,
            keys=self.keys.known,
            compare=self.keys.compare,
            removed=self._is_removed,
            introduce=self._introduce,
            life=self.swarm.certificate_life,
            use_tls=use_tls,
        )
        await self._door.open()

    async def _close_door(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            await door.close()

    def visitor(self) -> Visitor:
        """What asks managers for things."""
        engine = self._engine
        return Visitor(
            underlay=engine.underlay,
            folder=engine.config.state_dir / "swarm",
            entropy=engine.world.entropy,
            hostname=engine.config.hostname,
            use_tls=engine.config.cluster_tls,
            admission=lambda: b"" if self.gossip is None else self.gossip.roster.admission(self.node_id),
        )

    def keep_keys(self, keys: tuple[bytes, ...]) -> None:
        """The gossip keys are others now. Raises OSError when the disk refuses."""
        assert self._membership is not None
        self.keep(replace(self._membership, gossip_keys=keys))

    def keep(self, membership: Membership) -> None:
        """The membership is this now, and its role as before. Raises OSError when the disk refuses."""
        if self.ready:
            self._lock.save(membership)
        self._membership = membership

    def _is_removed(self, node_id: str) -> bool:
        return self.gossip is not None and self.gossip.roster.removed(node_id)

    def _introduce(self, node_id: str, role: str, admission: bytes) -> None:
        gossip, _ = self.manage()
        gossip.roster.introduce(node_id, role, admission)

    def _admit(self, node_id: str, hostname: str, role: str, address: str) -> None:
        gossip, _ = self.manage()
        gossip.roster.admit(node_id, hostname, role, address)
        self.nodes.admit(node_id, role)
        # Who forgot whom it admitted would take itself for the only one.
        self._engine.store.sync()

    def _roster(self) -> list[bytes]:
        """What a newcomer begins with; nothing while this host's disk, and so its roster, may be an older one."""
        gossip, _ = self.manage()
        return [] if gossip.in_doubt else gossip.roster.packed()

    async def adopt(self, before: Membership, renewed: Membership) -> None:
        """Act with a new certificate, in the role that it gives; nothing if the membership has changed meanwhile.
        Raises OSError when the disk refuses."""
        async with self._busy:
            if self._membership is not before or self.gossip is None:
                return
            self._membership = renewed
            try:
                self._lock.save(renewed)
            except DiskRefused:
                self._membership = before
                raise
            self.gossip.role = renewed.role
            self.nodes.describe_self()
            await self._close_door()
            if renewed.is_manager:
                await self._open_door()

    async def expelled(self, node_id: str) -> None:
        """Somebody ran `docker node rm` on this node: it is out, and must join under a new id."""
        async with self._busy:
            if self.node_id != node_id:
                return
            log.warning("this node was removed from the swarm", node=node_id)
            await self._end(say_goodbye=False)
            self._engine.tasks.insist(self._forget_membership, "the removal of this node")
            self.error = "this node was removed from the swarm; join again"

    def _forget_membership(self) -> None:
        if self._membership is None:
            self._lock.forget()

    def _own_address(self, body: JsonObject) -> str:
        config = self._engine.config
        own = [config.address, *config.extra_addresses]
        addresses.own_address(body.get("ListenAddr") or "", own, config.address, listening=True)
        return addresses.own_address(body.get("AdvertiseAddr") or "", own, config.address)

    def info(self) -> JsonObject:
        """The Swarm part of `docker info`."""
        managers = [{"NodeID": node, "Addr": f"{a}:{CLUSTER_PORT}"} for a, node in self.nodes.managers().items()]
        document: JsonObject = {
            "NodeID": self.node_id,
            "NodeAddr": self._membership.address if self._membership is not None else self._lock.address,
            "LocalNodeState": self.state,
            "ControlAvailable": self.is_manager,
            "Error": LOCKED if self._lock.address else self.error or self._alarm(),
            "RemoteManagers": managers or None,
        }
        if self.is_manager and self.gossip is not None:
            document["Nodes"] = len(self.gossip.roster.members())
            document["Managers"] = len(managers)
            document["Cluster"] = self.swarm.document()
        return document

    def _alarm(self) -> str:
        """A rule was broken that nothing here can mend; "" for none."""
        disputed = self.gossip.numbers.disputed() if self.gossip is not None else []
        return str(SpaceInDispute(disputed[0])) if disputed else ""

    # -- what observers see -------------------------------------------------------------------------------------

    def subscribe_members(self, callback: Callable[[MemberEvent], None]) -> None:
        """Changes of members in this host's eyes, in this swarm and in later ones."""
        self._member_callbacks.append(callback)

    def _member_event(self, event: MemberEvent) -> None:
        if event.kind is EventKind.FAILED:
            self._standing.doubt()
        elif event.kind in (EventKind.JOINED, EventKind.RECOVERED) and self.ready:
            self.overlays.join_ingress()  # what a cut has kept from it may be had now
        for callback in self._member_callbacks:
            callback(event)

    def members_view(self) -> list[dict[str, object]]:
        """Each member as this host sees it, itself included, by name."""
        if self.gossip is None:
            return []
        view: list[dict[str, object]] = []
        for member in self.gossip.members.members():
            hostname, _, node = member.name.rpartition("-")
            view.append(
                {
                    "name": member.name,
                    "hostname": hostname,
                    "node_id": node,
                    "address": member.address,
                    "state": member.state.name.lower(),
                    "incarnation": member.incarnation,
                    "since": member.since,
                    "role": self.nodes.role_of(node) or "",
                }
            )
        return view

    def gossip_counters(self) -> dict[str, int]:
        if self.gossip is None:
            return {}
        counters = self.gossip.members.counters + self.gossip.counters
        if self._door is not None:
            counters += self._door.counters
        return dict(sorted(counters.items()))
