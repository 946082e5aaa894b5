"""An address on an overlay that a container chose is its own again each time its policy starts it."""

from __future__ import annotations

from scenarios.sim.swarm import SimulatedSwarm, simulate


def test_nobody_is_given_the_chosen_address_of_who_is_about_to_start_again() -> None:
    async def main() -> None:
        async with SimulatedSwarm(1, 1) as swarm:
            await swarm.form()
            subnet = {"Subnet": "10.5.0.0/24"}
            overlay = {"Name": "ov", "Driver": "overlay", "Attachable": True, "IPAM": {"Config": [subnet]}}
            await swarm.api("h1", "POST", "/networks/create", overlay)

            async def address(name: str) -> str:
                found = await swarm.api("h1", "GET", f"/containers/{name}/json")
                return str(found["NetworkSettings"]["Networks"]["ov"]["IPAddress"])  # type: ignore[index]

            await swarm.run("h1", "first", ["sleep", "1000"], network="ov")
            await swarm.run("h1", "probe", ["sleep", "1000"], network="ov")
            next_free = await address("probe")
            await swarm.api("h1", "DELETE", "/containers/probe?force=1")
            body = {
                "Image": "alpine", "Cmd": ["sleep", "1"],
                "HostConfig": {"NetworkMode": "ov", "RestartPolicy": {"Name": "always"}},
                "NetworkingConfig": {"EndpointsConfig": {"ov": {"IPAMConfig": {"IPv4Address": next_free}}}},
            }  # fmt: skip
            await swarm.api("h1", "POST", "/containers/create?name=chosen", body)
            await swarm.api("h1", "POST", "/containers/chosen/start")

            def status() -> str:
                return swarm.hosts["h1"].engine.containers.find("chosen").state.status

            await swarm.until(lambda: status() == "restarting", 5, step=0.001)
            await swarm.run("h1", "other", ["sleep", "1000"], network="ov")
            assert status() == "restarting", "or nothing is staged"
            assert await address("other") != next_free
            await swarm.until(lambda: status() == "running", 5)
            assert await address("chosen") == next_free
            await swarm.api("h1", "DELETE", "/containers/chosen?force=1")
            await swarm.run("h1", "heir", ["sleep", "1000"], network="ov")
            assert await address("heir") == next_free, "who does not come back needs it no more"

    simulate(main(), limit=100)
