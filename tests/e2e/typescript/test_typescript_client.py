"""The TypeScript client: checked, built, and tried against a real server from Node and in Chromium.

Where Node, npm or Chromium are missing the tests are skipped, unless `REIFYDB_TYPESCRIPT_TESTS` is
`required`, as `.ci/run` says.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from aiohttp import web

import reifydb
from reifydb.cli.main import main
from reifydb.engine.catalog import Column, Table, Transition, Type
from reifydb.gateway.serve import serving
from reifydb.gateway.server import Settings
from reifydb.generate import generate_typescript
from sdk.build import build_guest

ROOT = Path(__file__).resolve().parents[3]
CLIENT = ROOT / "sdk" / "typescript-client"
SCHEMA = CLIENT / "test" / "e2e" / "schema.sql"
BANK = ROOT / "examples" / "wasm" / "bank" / "bank.zig"

REQUIRED = os.environ.get("REIFYDB_TYPESCRIPT_TESTS") == "required"
STEP_S = 120

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>ReifyDB</title>
<script type="importmap">
{"imports": {"@reifydb/client": "/dist/index.js",
             "@msgpack/msgpack": "/node_modules/@msgpack/msgpack/dist.esm/index.mjs"}}
</script>
<script type="module" src="/build/test/e2e/page.js"></script>
"""


def needs(*names: str) -> str:
    """The path of the first of these programs that there is; else the test is skipped."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    return cannot(f"{' or '.join(names)} is not installed")


def cannot(why: str) -> NoReturn:
    """Something is missing: the test is skipped where it may be."""
    if REQUIRED:
        pytest.fail(why)
    pytest.skip(why)


def run(*command: str, env: dict[str, str] | None = None) -> str:
    """What a program of the client's prints; it must succeed."""
    done = subprocess.run(
        command,
        cwd=CLIENT,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=STEP_S,
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bank's module, named after itself."""
    path = tmp_path_factory.mktemp("bank") / "bank.wasm"
    path.write_bytes(build_guest(BANK).read_bytes())
    return path


@pytest.fixture(scope="module")
def built() -> Path:
    """The client and its tests, compiled."""
    node, npm = needs("node"), needs("npm")
    major = int(run(node, "--version").lstrip("v").split(".")[0])
    if major < 20:
        cannot(f"Node {major}: 20 or newer is needed")
    wanted = (CLIENT / "package-lock.json").read_text()
    stamp = CLIENT / "node_modules" / ".wanted"
    if not stamp.exists() or stamp.read_text() != wanted:
        command = (npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        try:
            run(*command)
        except AssertionError as error:
            cannot(f"the client's tools could not be installed: {error}")
        stamp.write_text(wanted)
    for folder in ("dist", "build"):
        shutil.rmtree(CLIENT / folder, ignore_errors=True)
    run(npm, "run", "build")
    run(npm, "run", "build:test")
    return CLIENT


# ---------------------------------------------------------------- the ground


class Ground:
    """A database, its server, and what controls it: an HTTP server of another origin, which has the
    page, and stops and starts the server.
    """

    def __init__(self, folder: Path, bank: Path) -> None:
        self._folder, self._bank = folder, bank
        self._port = 0
        self._stack = AsyncExitStack()
        self.url = self.control = ""

    async def open(self) -> None:
        """Starts both."""
        app = web.Application()
        app.router.add_get("/", self._page)
        for part in ("dist", "build", "node_modules"):
            app.router.add_static(f"/{part}", CLIENT / part)
        app.router.add_post("/{what}", self._told)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.control = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        with reifydb.open(self._folder) as db:
            db.execute(SCHEMA.read_text())
            db.install(self._bank)
        await self._start()

    async def close(self) -> None:
        """Stops both."""
        await self._stack.aclose()
        await self._runner.cleanup()

    async def _start(self) -> None:
        self._db = db = self._stack.enter_context(reifydb.open(self._folder))
        settings = Settings(origins=[self.control])
        server = serving(db, "127.0.0.1", self._port, settings)
        _, self.url = await self._stack.enter_async_context(server)
        self._port = int(self.url.rsplit(":", 1)[1])

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _told(self, request: web.Request) -> web.Response:
        match request.match_info["what"]:
            case "stop":
                await self._stack.aclose()
            case "start":
                await self._start()
            case "deposit":  # what happens while no client is connected
                with reifydb.open(self._folder) as db:
                    db.call("bank.deposit", int(request.query["account"]), 1000)
            case "execute":
                await asyncio.to_thread(self._db.execute, request.query["sql"])
        return web.Response()


@contextmanager
def standing(folder: Path, bank: Path) -> Iterator[Ground]:
    """The ground, in an event loop on a thread of its own."""
    ground = Ground(folder, bank)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(ground.open(), loop).result(30)
        yield ground
    finally:
        asyncio.run_coroutine_threadsafe(ground.close(), loop).result(30)
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# ---------------------------------------------------------------- tests


def test_the_protocol_without_io(built: Path) -> None:
    said = run(needs("node"), "--test", "build/test/unit/")
    assert int(re.findall(r"^# pass (\d+)$", said, re.MULTILINE)[0]) > 20, said


def test_from_node(built: Path, tmp_path: Path, bank: Path) -> None:
    with standing(tmp_path / "db", bank) as ground:
        env = {"REIFYDB_URL": ground.url, "REIFYDB_CONTROL": ground.control}
        said = run(needs("node"), "--test", "build/test/e2e/node.test.js", env=env)
    assert re.findall(r"^# pass (\d+)$", said, re.MULTILINE) == ["20"], said


def test_in_chromium(built: Path, tmp_path: Path, bank: Path) -> None:
    chromium = needs("chromium", "chromium-browser", "google-chrome")
    with standing(tmp_path / "db", bank) as ground:
        page = f"{ground.control}/?server={ground.url}"
        outcome = json.loads(run(needs("node"), "build/test/e2e/browser.js", page, chromium))
    assert len(outcome) == 20
    assert [one for one in outcome if one["error"] is not None] == []


NAMES = """class constructor __proto__ prototype default int string schema timestamp decimal object
    array promise uint8_array symbol any never record _ __ a_b a__b await arguments new delete null
    true this function let row account account_row account_insert""".split()


def hostile() -> str:
    """Tables, columns, modules and parameters of every type, with names there is trouble with."""
    kinds = [kind for kind in Type if kind is not Type.DECIMAL]
    every = [Column(f"c_{kind.sql}", kind, nullable=False) for kind in kinds]
    every += [Column(f"n_{kind.sql}", kind) for kind in kinds]
    every += [Column("c_decimal", Type.DECIMAL, nullable=False, precision=9, scale=2)]
    columns = (*every, *(Column(name, Type.INT, nullable=False) for name in NAMES))
    tables = [Table(name, columns, (0, len(columns) - 1 - i)) for i, name in enumerate(NAMES)]
    tables += [Table("shown", columns[9:12], (0, 3), derived=True, hidden=columns[:1])]
    transitions = [
        Transition(name, columns[i : i + 9], columns[i : i + 1 + i % 3], result_is_row=i % 3 > 0)
        for i, name in enumerate(NAMES)
    ]
    modules = dict.fromkeys(NAMES, transitions)
    return generate_typescript(tables, modules)


def test_type_checkers_accept_whatever_is_generated(built: Path) -> None:
    folder = built / "build" / "generated"
    folder.mkdir()
    options = {"rootDir": ".", "noEmit": True}
    config = {"extends": "../../tsconfig.json", "compilerOptions": options, "include": ["."]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    for name, text in {"hostile": hostile(), "nothing": generate_typescript([])}.items():
        (folder / f"{name}.ts").write_text(text)
        (folder / f"use_{name}.ts").write_text(
            'import { connect } from "@reifydb/client";\n'
            f'import type {{ Schema }} from "./{name}.js";\n'
            'export const db = connect<Schema>("");\n'
        )
    run(needs("node"), "node_modules/typescript/bin/tsc", "-p", str(folder))


def test_the_types_that_the_tests_use_are_those_generated_now(bank: Path) -> None:
    output = CLIENT / "test" / "e2e" / "schema.ts"
    arguments = ["--schema", str(SCHEMA), "--module", str(bank), "-o", str(output), "--check"]
    assert main(["generate", "typescript", *arguments]) == 0


def test_the_package_says_the_version_and_no_address() -> None:
    package = json.loads((CLIENT / "package.json").read_text())
    lock = (CLIENT / "package-lock.json").read_text()
    assert reifydb.__version__.startswith(package["version"])
    assert list(package["dependencies"]) == ["@msgpack/msgpack"]
    assert "resolved" not in lock
    assert "://" not in lock


def test_the_example_of_the_page_runs_and_prints_what_the_page_says(
    built: Path, tmp_path: Path, bank: Path
) -> None:
    page = (ROOT / "docs" / "clients-typescript.md").read_text()
    blocks = re.findall(r"^```ts\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    folder = built / "build" / "page"
    folder.mkdir()
    arguments = ["--module", str(bank), "-o", str(folder / "schema.ts")]
    assert main(["generate", "typescript", *arguments]) == 0
    options = {"rootDir": ".", "outDir": ".", "types": ["node"], "declaration": False}
    config = {
        "extends": "../../tsconfig.json",
        "compilerOptions": options,
        "include": ["."],
        "exclude": [],
    }
    (folder / "tsconfig.json").write_text(json.dumps(config))
    with standing(tmp_path / "db", bank) as ground:
        program = "".join(blocks).replace("http://localhost:8042", ground.url)
        (folder / "program.ts").write_text(program)
        run(needs("node"), "node_modules/typescript/bin/tsc", "-p", str(folder))
        said = run(needs("node"), str(folder / "program.js"))
    assert said.splitlines() == re.findall(r"console\.log\(.*\); // (.*)", program)
