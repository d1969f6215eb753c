"""The receivers of docs/receivers.md are those of docs/examples, and each of them does its work."""

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from relay.model.messages import Delivery, EndpointKey, Message, Source
from relay.simulator import Simulator
from relay.webhook.courier import Courier, Destination
from relay.webhook.envelope import Envelopes, build_envelope
from relay.webhook.exchange import Target
from relay.webhook.signature import Signer, new_secret
from tests.acceptance.receiver import hold_port, port_of
from tests.docs.pages import ROOT, page
from tests.docs.typescript import without_types
from tests.drivers.sender_adapters import AnySender, Conditions

GUIDE = page("docs/receivers.md")

FOLDER = ROOT / "docs" / "examples"
RECEIVERS = sorted(FOLDER.glob("receiver*"))
EXAMPLES = [*RECEIVERS, FOLDER / "reply.py"]
LANGUAGES = {".py": "python", ".mts": "typescript", ".go": "go"}
ENDPOINT = EndpointKey("support", "crm")
SECRET, OLD_SECRET, WRONG_SECRET = (new_secret(bytes([number] * 32)) for number in range(3))
TOO_OLD = 600.0
STRIPS_TYPES = (22, 18)
"""The first Node that runs TypeScript as it is."""


# --- The examples as programs ---------------------------------------------------------------------


def python(source: Path, _folder: Path) -> list[str]:
    return [sys.executable, str(source)]


def node(source: Path, folder: Path) -> list[str]:
    """Run TypeScript by a Node that can, and what is left without its types by any other."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    if _version(program) < STRIPS_TYPES:
        script = folder / "receiver.mjs"
        script.write_text(without_types(source.read_text(encoding="utf-8")), encoding="utf-8")
        return [program, str(script)]
    return [program, "--disable-warning=ExperimentalWarning", str(source)]


def _version(program: str) -> tuple[int, ...]:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return tuple(int(number) for number in re.findall(r"\d+", answer.stdout)[:2])


def go(source: Path, folder: Path) -> list[str]:
    program = shutil.which("go")
    if program is None:
        pytest.skip("go is not installed")
    binary = folder / "receiver"
    subprocess.run([program, "build", "-o", str(binary), str(source)], check=True)
    return [str(binary)]


Program = Callable[[Path, Path], list[str]]
PROGRAMS: dict[str, Program] = {".py": python, ".mts": node, ".go": go}


@dataclass(frozen=True, slots=True)
class Running:
    """An example that runs."""

    url: str
    said: asyncio.StreamReader

    async def says(self, sort: str) -> str:
        """Wait for the next line of a sort that it prints."""
        async for line in self.said:
            if sort in (text := line.decode().strip()):
                return text
        pytest.fail("it has ended")


@asynccontextmanager
async def running(command: list[str], folder: Path) -> AsyncIterator[Running]:
    """Run an example until the end of the block."""
    with closing(hold_port()) as held:
        port = port_of(held)
        changes = {"WEBHOOK_SECRET": SECRET, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | changes, cwd=folder, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        example = Running(f"http://127.0.0.1:{port}/hooks/mixin", process.stdout)
        try:
            await example.says(str(port))
            yield example
        finally:
            process.terminate()
            await process.communicate()


# --- Who posts ------------------------------------------------------------------------------------


def deliveries(*texts: str) -> list[Delivery]:
    """Make a message of each text, which is base64, and owe it to the example."""
    return [
        Delivery(number, ENDPOINT, "c", _message(text))
        for number, text in enumerate(texts, start=1)
    ]


def _message(text: str) -> Message:
    frame = f'{{"data":{{"category":"PLAIN_TEXT","user_id":"alice","data":"{text}"}}}}'.encode()
    return Message(
        "support", str(uuid4()), "c", "alice", "PLAIN_TEXT", Source.LIVE, frame, time.time()
    )


@asynccontextmanager
async def courier(url: str, *, secrets: str = SECRET, age: float = 0.0) -> AsyncIterator[Courier]:
    """Make the relay's own courier, which signs as if it were so many seconds ago."""
    target, sender = Target.parse(url), AnySender(Conditions())
    destination = Destination(ENDPOINT, target, Signer.parse(secrets))
    build = partial(build_envelope, bot_name="support", app_id="app", decrypt=lambda _: b"")
    yield Courier(
        destination,
        sender.to(target),
        Envelopes(build),
        app_id="app",
        version="1",
        clock=lambda: time.time() - age,
    )
    await sender.close()


async def answer(receiver: Running, delivery: Delivery, **how: Any) -> int | None:
    """Post a message and give the status that the example answers with."""
    async with courier(receiver.url, **how) as posting:
        return (await posting.attempt(delivery)).status


# --- What is promised -----------------------------------------------------------------------------


@pytest.mark.parametrize("example", RECEIVERS, ids=lambda path: path.name)
async def test_each_receiver_verifies_deduplicates_and_answers(
    example: Path, tmp_path: Path
) -> None:
    """What is signed now is taken, once, also over a restart; what is not is refused."""
    command = PROGRAMS[example.suffix](example, tmp_path)
    first, second, third = deliveries("aGk", "eW8", "b2s")
    async with running(command, tmp_path) as receiver:
        async with courier(receiver.url) as posting:
            assert 204 == (await posting.send_test()).status
        assert 401 == await answer(receiver, first, secrets=WRONG_SECRET)
        assert 401 == await answer(receiver, first, age=TOO_OLD)
        assert 401 == await answer(receiver, first, age=-TOO_OLD)
        assert 204 == await answer(receiver, first)
        assert "alice: hi" == await receiver.says("alice")
        assert 204 == await answer(receiver, first)
        assert 204 == await answer(receiver, second, secrets=f"{OLD_SECRET} {SECRET}")
        assert "alice: yo" == await receiver.says("alice")
    async with running(command, tmp_path) as receiver:
        assert 204 == await answer(receiver, first)
        assert 204 == await answer(receiver, third)
        assert "alice: ok" == await receiver.says("alice")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_guide_quotes_each_example_whole(example: Path) -> None:
    """What a reader copies is what was tested."""
    text = example.read_text(encoding="utf-8")
    assert f"```{LANGUAGES[example.suffix]}\n{text}```\n" in GUIDE


async def test_a_user_is_answered_once(tmp_path: Path) -> None:
    """The reply goes to the conversation it answers; done again, it is the same message."""
    async with Simulator() as simulator:
        (tmp_path / "keystore.json").write_text(simulator.keystore_json(), encoding="utf-8")
        changes = {"KEYSTORE": "keystore.json", "MIXIN_API_URL": simulator.api_url}
        data = {name: str(uuid4()) for name in ("conversation_id", "user_id", "message_id")}
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(FOLDER / "reply.py"), "Hi, Älice!"),
                env=os.environ | changes,
                cwd=tmp_path,
                stdin=asyncio.subprocess.PIPE,
            )
            await process.communicate(json.dumps({"data": data}).encode())
            assert 0 == process.returncode
        (sent,) = simulator.journal.sent
        assert [] == simulator.journal.violations
    said = base64.urlsafe_b64decode(sent["data_base64"] + "==").decode()
    assert ("Hi, Älice!", data["conversation_id"], data["user_id"]) == (
        said,
        sent["conversation_id"],
        sent["recipient_id"],
    )
