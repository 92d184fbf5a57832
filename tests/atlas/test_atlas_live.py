"""The demo on a socket: its streams through grpcio, its files through ranges, its chain through itself."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, empty_pb2, message_factory

from atlas.services.chain import DEADLINE_S, A, B, C, CallRequest, Link
from atlas.services.files import Files
from atlas.services.hello import Greeter
from atlas.services.users import UserService
from atlas.services.weather import WeatherService
from atlas.store import UserStore
from polywire import App, connect
from polywire.contract.descriptors import file_descriptors
from polywire.errors import Code, RpcError
from polywire.protocols.site import Site
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings
from tests.atlas.talk import left_behind, until

SERVICES = (Greeter, WeatherService, UserService, Files)


class Grpc:
    """grpcio and Google's protobuf, made from the contract that the demo tells. Its calls block: they go to threads."""

    def __init__(self, port: int) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._pool = descriptor_pool.DescriptorPool()
        self._pool.AddSerializedFile(empty_pb2.DESCRIPTOR.serialized_pb)
        for file in file_descriptors([service.__polywire__ for service in SERVICES]):
            assert isinstance(file, descriptor_pb2.FileDescriptorProto)
            self._pool.Add(file)

    def message(self, name: str, /, **fields: Any) -> Any:
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(name))(**fields)

    def method(self, name: str) -> Any:
        service, _, method = name.partition("/")
        found = self._pool.FindServiceByName(service).methods_by_name[method]
        kind = f"{'stream' if found.client_streaming else 'unary'}_{'stream' if found.server_streaming else 'unary'}"
        output = message_factory.GetMessageClass(found.output_type)
        return getattr(self.channel, kind)(
            f"/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=output.FromString,
        )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    store = UserStore(f"sqlite:///{tmp_path / 'atlas.db'}")
    store.open()
    files = Files(tmp_path / "files")
    files.open()
    link = Link("")
    app = App(Greeter(0), WeatherService(0), UserService(store), files, A(link), B(link, 0.4), C())
    app.files("/v1/files", files.directory)
    server = Server(Site(app), ServerSettings(port=0, tick_s=0.05))
    await server.start()
    link.url = f"http://127.0.0.1:{server.port}"
    await link.open()
    yield server
    await until(lambda: server.site.open_calls == 0 and not left_behind())
    await link.close()
    await server.abort()
    store.close()


@pytest.fixture
def stubs(server: Server) -> Iterator[Grpc]:
    stubs = Grpc(server.port)
    yield stubs
    stubs.channel.close()


async def test_server_streams(stubs: Grpc) -> None:
    def calls() -> tuple[list[str], str, int]:
        hello = stubs.method("hello.Greeter/SayHelloStream")(
            stubs.message("hello.HelloRequest", name="Bob"), timeout=10
        )
        weather = stubs.method("weather.WeatherService/SubscribeWeather")(
            stubs.message("weather.GetWeatherRequest", city_code="SYD"), timeout=10
        )
        first = next(weather).description
        weather.cancel()
        users = stubs.method("user.UserService/ListUsers")(stubs.message("user.ListUsersRequest"), timeout=10)
        return [reply.message for reply in hello], first, len(list(users))

    greetings, weather, users = await asyncio.to_thread(calls)
    assert greetings == [f"Hey Bob, message {number} of 5" for number in range(1, 6)]
    assert (weather, users) == ("sunny", 100)


async def test_client_streams(stubs: Grpc) -> None:
    def calls() -> tuple[float, int]:
        reports = [stubs.message("weather.WeatherResponse", temperature=t) for t in (10.0, 20.0)]
        users = [stubs.message("user.CreateUserRequest", name="B", email=f"b{n}@example.com") for n in range(3)]
        average = stubs.method("weather.WeatherService/ReportBatch")(iter(reports), timeout=10)
        summary = stubs.method("user.UserService/UploadUsers")(iter(users), timeout=10)
        return average.temperature, summary.created

    assert await asyncio.to_thread(calls) == (15.0, 3)


async def test_a_chat_of_two(stubs: Grpc, server: Server) -> None:
    service = server.site.app.services[2].instance  # type: ignore[attr-defined]
    loop = asyncio.get_running_loop()

    def both_are_here() -> None:
        asyncio.run_coroutine_threadsafe(until(lambda: len(service.room.members) == 2), loop).result(10)

    def calls() -> list[list[tuple[str, str]]]:
        def say(user: str) -> Iterator[Any]:
            both_are_here()
            for number in range(50):
                yield stubs.message("user.ChatMessage", user=user, text=str(number))
            done.acquire()

        done = threading.Semaphore(0)
        method = stubs.method("user.UserService/Chat")
        calls = [method(say(user), timeout=20) for user in ("Alice", "Bob")]
        heard = [[next(call) for _ in range(100)] for call in calls]
        done.release(2)
        assert [list(call) for call in calls] == [[], []]
        return [[(message.user, message.text) for message in one] for one in heard]

    first, second = await asyncio.to_thread(calls)
    assert first == second
    assert [text for user, text in first if user == "Bob"] == [str(number) for number in range(50)]


async def test_a_file_by_grpc_and_by_range(stubs: Grpc, server: Server) -> None:
    data = bytes(range(256)) * 2000

    def calls() -> tuple[Any, bytes]:
        chunks = (stubs.message("files.UploadChunk", data=data[at : at + 50_000]) for at in range(0, len(data), 50_000))
        result = stubs.method("files.Files/Upload")(chunks, timeout=10)
        parts = stubs.method("files.Files/Download")(
            stubs.message("files.DownloadRequest", name=result.name), timeout=10
        )
        return result, b"".join(part.data for part in parts)

    result, downloaded = await asyncio.to_thread(calls)
    assert (result.size, downloaded) == (len(data), data)
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--noproxy", "*", "--max-time", "10", "-r", "100-199"),
        f"http://127.0.0.1:{server.port}/v1/files/{result.name}",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert out == data[100:200]


async def test_an_upload_that_is_cancelled_leaves_nothing(stubs: Grpc, tmp_path: Path) -> None:
    directory = tmp_path / "files"

    def call() -> grpc.StatusCode:
        def chunks() -> Iterator[Any]:
            while True:
                yield stubs.message("files.UploadChunk", data=bytes(50_000))
                time.sleep(0.001)  # so that a slow machine does not reach the limit of a file

        upload = stubs.method("files.Files/Upload").future(chunks(), timeout=10)
        while not any(path.stat().st_size for path in directory.glob(".upload-*")):
            time.sleep(0.001)
        upload.cancel()
        code: grpc.StatusCode = upload.code()
        return code

    assert await asyncio.to_thread(call) is grpc.StatusCode.CANCELLED
    await until(lambda: not any(directory.iterdir()))


async def test_one_deadline_for_the_chain(server: Server) -> None:
    async with connect(f"http://127.0.0.1:{server.port}") as channel:
        hops = (await channel.client(A).call(CallRequest())).hops
    assert [hop.service for hop in hops] == ["A", "B", "C"]
    a, b, c = (hop.remaining_s or 0.0 for hop in hops)
    assert DEADLINE_S >= a >= b >= c + 0.4 > 0.4


async def test_the_chain_stops_as_a_whole(server: Server) -> None:
    async with connect(f"http://127.0.0.1:{server.port}") as channel:
        with pytest.raises(RpcError) as caught:
            await channel.client(A, timeout_s=0.1).call(CallRequest())
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    await until(lambda: server.site.open_calls == 0)


@pytest.mark.slow
async def test_the_chain_as_it_is_promised(tmp_path: Path) -> None:
    """B takes 4 s of the 5, and C sees 1."""
    link = Link("")
    server = Server(Site(App(A(link), B(link), C())), ServerSettings(port=0))
    await server.start()
    link.url = f"http://127.0.0.1:{server.port}"
    await link.open()
    async with connect(link.url) as channel:
        hops = (await channel.client(A).call(CallRequest())).hops
    await link.close()
    await server.abort()
    a, b, c = (hop.remaining_s or 0.0 for hop in hops)
    assert a > 4.5
    assert b > 4.5
    assert 0 < c <= 1.0
