"""What an agent asks of its node, against the real one."""

from datetime import timedelta

import pytest
from conftest import StartNode

from openmesh_sdk import Rejected, Retention


async def test_agents_with_and_without_a_key_are_shown(start_node: StartNode) -> None:
    node = await start_node()
    async with await node.agent("alice") as alice:
        shown = await alice.agent("alice")
        assert (shown["agent"], shown["keyless"], shown["custodial_keys"]) == (alice.id, False, [])
        carol, token = await alice.register_keyless(
            "carol", ["send", "inbox"], expires_in=timedelta(hours=1), admin_token=node.admin_token
        )
        assert token.startswith("omt_")
        shown = await alice.agent(carol)
        assert (shown["name"], shown["keyless"]) == ("carol", True)
        assert carol in str(shown["custodial_keys"])
        with pytest.raises(Rejected) as refused:
            await alice.register_keyless("carol", ["send"], expires_in=timedelta(hours=1), admin_token=node.admin_token)
        assert refused.value.problem.code == "name.taken"
        with pytest.raises(Rejected):
            await alice.agent("nobody")


async def test_a_topic_is_shown_as_it_is_kept_and_with_what_is_there(start_node: StartNode) -> None:
    node = await start_node("--pin", "market/**")
    async with await node.agent("alice") as alice:
        for name in ("tea", "rice"):
            await alice.publish(f"market/{name}", {"price": 3})
        retention = Retention(messages=10)
        await alice.set_topic("market/**", pinned=True, retention=retention, token=node.admin_token)
        setting, *there = await alice.topics("market/**")
        assert setting["pinned"] is True
        assert [topic["topic"] for topic in there] == ["market/rice", "market/tea"]
        _, *rest = await alice.topics("market/**", after="market/rice")
        assert [topic["topic"] for topic in rest] == ["market/tea"]
