"""What clients of older API versions are told: their versions' fields, parameters and rules."""

from __future__ import annotations

import aiohttp


async def _json(api: aiohttp.ClientSession, path: str) -> object:
    async with api.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_two_networks_of_one_name_before_1_44(api: aiohttp.ClientSession) -> None:
    async def create(version: str, **more: object) -> tuple[int, dict[str, str]]:
        async with api.post(f"/v{version}/networks/create", json={"Name": "twin", **more}) as answer:
            return answer.status, await answer.json()

    _, first = await create("1.41")
    assert (await create("1.41", CheckDuplicate=True))[0] == 409
    assert (await create("1.44", CheckDuplicate=False))[0] == 409
    status, second = await create("1.43")
    assert (status, second["Warning"]) == (201, f"Network with name twin (id : {first['Id']}) already exists")
    async with api.get("/v1.41/networks/twin") as answer:
        said = (await answer.json())["message"]
        assert (answer.status, said) == (400, "network twin is ambiguous (2 matches found based on name)")
    async with api.delete(f"/v1.41/networks/{first['Id']}") as answer:
        assert answer.status == 204
    found = await _json(api, "/v1.41/networks/twin")
    assert isinstance(found, dict) and found["Id"] == second["Id"]


async def test_a_list_of_networks_says_who_is_on_them_before_1_28(api: aiohttp.ClientSession) -> None:
    await api.post("/v1.41/containers/create?name=cc", json={"Image": "alpine", "Cmd": ["sleep", "600"]})
    await api.post("/v1.41/containers/cc/start")
    for version, names in (("1.27", ["cc"]), ("1.28", [])):
        listed = await _json(api, f'/v{version}/networks?filters={{"name":["bridge"]}}')
        assert isinstance(listed, list)
        assert [entry["Name"] for entry in listed[0]["Containers"].values()] == names


async def test_images_by_one_filter_before_1_41(api: aiohttp.ClientSession) -> None:
    for version, few in (("1.40", True), ("1.41", False)):
        listed = await _json(api, f"/v{version}/images/json?filter=nginx")
        assert isinstance(listed, list)
        assert all("nginx:latest" in entry["RepoTags"] for entry in listed) is few


async def test_a_committed_image_names_its_container(api: aiohttp.ClientSession) -> None:
    async with api.post("/v1.41/containers/create", json={"Image": "alpine:3.10", "Cmd": ["touch", "/t"]}) as answer:
        container = (await answer.json())["Id"]
    await api.post(f"/v1.41/commit?container={container}&repo=mine")
    for version in ("1.44", "1.47"):
        image = await _json(api, f"/v{version}/images/mine/json")
        assert isinstance(image, dict)
        assert (image["Container"], image["ContainerConfig"]["Image"]) == (container, "alpine:3.10")


async def test_a_mac_address_asked_of_a_network_is_shown_before_the_start(api: aiohttp.ClientSession) -> None:
    mac = "02:42:ac:11:00:99"
    await api.post("/v1.41/networks/create", json={"Name": "n"})
    await api.post("/v1.41/containers/create?name=cc", json={"Image": "alpine"})
    await api.post("/v1.41/networks/n/connect", json={"Container": "cc", "EndpointConfig": {"MacAddress": mac}})
    shown = await _json(api, "/v1.41/containers/cc/json")
    assert isinstance(shown, dict) and shown["NetworkSettings"]["Networks"]["n"]["MacAddress"] == mac


async def test_a_container_s_mac_address_is_its_main_network_s_also_when_it_is_put_back(
    api: aiohttp.ClientSession,
) -> None:
    """As docker-compose 1.29 does it: made, taken off its network and connected anew, then started."""
    mac = "02:42:00:11:22:33"
    for name in ("main", "other"):
        await api.post("/v1.41/networks/create", json={"Name": name})
    body = {"Image": "alpine", "Cmd": ["sleep", "9"], "MacAddress": mac, "HostConfig": {"NetworkMode": "main"}}
    await api.post("/v1.41/containers/create?name=cc", json=body)
    await api.post("/v1.41/networks/main/disconnect", json={"Container": "cc"})
    for name in ("main", "other"):
        await api.post(f"/v1.41/networks/{name}/connect", json={"Container": "cc"})
    await api.post("/v1.41/containers/cc/start")
    shown = await _json(api, "/v1.41/containers/cc/json")
    assert isinstance(shown, dict)
    networks = shown["NetworkSettings"]["Networks"]
    assert networks["main"]["MacAddress"] == mac != networks["other"]["MacAddress"]
