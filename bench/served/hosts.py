"""Starts whoever is measured, with the bank in it, and stops it: our server, Redis, PostgreSQL.

Each lives in a folder of its own, on loopback or a socket in that folder, and ends with the block
that started it. Nothing that runs already is used, and nothing of it is stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import reifydb
from bench.bank import (
    OPENING_BALANCE,
    MoneyError,
    bank_wasm,
    check_bank,
    open_accounts,
    open_bank,
    owner,
)
from bench.measure import ROOT
from bench.served.tongues import resp

START_S = 30.0
"""Whoever has not started by then does not."""

PACKAGES = ("postgresql", "redis-server")
"""Debian's, for `--install-peers`."""


class Host(NamedTuple):
    """Someone who can be asked for transfers.

    Attributes:
        address: `host:port`, or the path of a socket.
        process: Whose processor time is theirs, with all that it starts.
    """

    address: str
    process: int


def install_peers() -> None:
    """Installs Debian's packages of the peers, without starting their services."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["install", "--yes", "--no-install-recommends", *PACKAGES]
    for arguments in (["update"], install):  # a fresh machine has no lists of packages
        subprocess.run(["apt-get", *arguments], check=True, env=environment, stdout=sys.stderr)


# ------------------------------------------------------------------ ReifyDB


@contextmanager
def reifydb_server(folder: Path, accounts: int, options: Sequence[str] = ()) -> Iterator[Host]:
    """`reifydb serve` on a database in `folder`, which is made with the accounts if need be."""
    if not folder.exists():
        with open_bank(folder) as db:
            open_accounts(db, range(accounts))
    command = [sys.executable, "-m", "reifydb", "serve", str(folder), "--port", "0", "--json"]
    with _running([*command, *options], folder.with_suffix(".log"), out=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start: {_end_of(folder.with_suffix('.log'))}")
        yield Host(json.loads(line)["url"].removeprefix("http://"), process.pid)


def check_reifydb(folder: Path, accounts: int, transfers: int) -> None:
    """Opens the database that a server has left: the money, the structures, and that exactly so
    many transfers were made.
    """
    with open_bank(folder) as db:
        check_bank(db, accounts)
        sold = sum(row["balance"] != OPENING_BALANCE for row in db.scan("account", limit=1000))
        made = db.lsn - _lsn_when_opened(accounts)
        if transfers and not sold:
            raise MoneyError("no balance has changed")
        if made != transfers:
            raise MoneyError(f"{made:,} transfers were made; {transfers:,} were answered")


def _lsn_when_opened(accounts: int) -> int:
    """One commit installs the bank, and one opens each account."""
    return accounts + 1


@contextmanager
def reifydb_in_memory(log: Path, accounts: int) -> Iterator[Host]:
    """`reifydb serve --memory`, with the accounts: without what a disk costs."""
    command = [sys.executable, "-m", "reifydb", "serve", "--memory", "--port", "0", "--json"]
    command += ["--install", str(bank_wasm()), "--apply-schema"]
    with _running(command, log, out=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start: {_end_of(log)}")
        url = json.loads(line)["url"]
        with reifydb.connect(url) as db:
            db.call_many("bank.open", [(i, owner(i), OPENING_BALANCE) for i in range(accounts)])
        yield Host(url.removeprefix("http://"), process.pid)


# ------------------------------------------------------------------ Redis


_FUNCTIONS = """#!lua name=bank
redis.register_function('transfer', function(keys, args)
  local amount = tonumber(args[1])
  if keys[1] == keys[2] then return redis.error_reply('same_account') end
  if amount <= 0 then return redis.error_reply('non_positive_amount') end
  local balances = redis.call('MGET', keys[1], keys[2])
  if not balances[1] or not balances[2] then return redis.error_reply('account_missing') end
  local left = tonumber(balances[1]) - amount
  if left < 0 then return redis.error_reply('insufficient_funds') end
  redis.call('MSET', keys[1], left, keys[2], tonumber(balances[2]) + amount)
  return left
end)
redis.register_function{
  function_name = 'total', flags = {'no-writes'},
  callback = function(keys, args)
    local sum, count = 0, tonumber(args[1])
    for i = 0, count - 1 do sum = sum + tonumber(redis.call('GET', i)) end
    return sum
  end
}
"""


def redis_program() -> str | None:
    """Where Redis is; None when it is not there."""
    return shutil.which("redis-server")


@contextmanager
def redis_server(folder: Path, accounts: int, appendfsync: str) -> Iterator[Host]:
    """Redis with an append-only file and no snapshots, on a socket: its fastest way to be asked."""
    folder.mkdir()
    at = folder / "redis.sock"
    settings = {
        "port": "0",
        "unixsocket": str(at),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": appendfsync,
        "daemonize": "no",
    }
    program = redis_program()
    assert program is not None
    command = [
        program,
        *(word for name, value in settings.items() for word in (f"--{name}", value)),
    ]
    with _running(command, folder / "log") as process:
        _wait_for(lambda: _redis(at, resp("PING")) == b"+PONG\r\n")
        loaded = _redis(at, resp("FUNCTION", "LOAD", _FUNCTIONS))
        if b"bank" not in loaded:
            raise RuntimeError(f"Redis refuses the functions: {loaded!r}")
        for start in range(0, accounts, 10_000):
            some = range(start, min(start + 10_000, accounts))
            words = [word for i in some for word in (str(i), str(OPENING_BALANCE))]
            _redis(at, resp("MSET", *words))
        yield Host(str(at), process.pid)


def check_redis(host: Host, accounts: int) -> None:
    """Raises unless the money is all there."""
    count = int(_redis(host.address, resp("DBSIZE"))[1:])
    total = int(_redis(host.address, resp("FCALL", "total", "0", str(accounts)))[1:])
    _check(count, total, accounts)


def _redis(at: Path | str, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(START_S)
        connection.connect(str(at))
        connection.sendall(command)
        data = b""
        while not data.endswith(b"\r\n"):
            more = connection.recv(65536)
            if not more:
                raise ConnectionError("Redis closed the connection")
            data += more
        return data


# ------------------------------------------------------------------ PostgreSQL


_SCHEMA = """
create table account (id bigint primary key, owner text not null, balance bigint not null)
  with (fillfactor = 80);
insert into account select i, 'owner ' || lpad(i::text, 6, '0'), {balance}
  from generate_series(0, {accounts} - 1) i;
create function transfer(source bigint, target bigint, amount bigint) returns bigint
language plpgsql as $$
declare rest bigint;
begin
  if source = target then raise exception 'same_account'; end if;
  if amount <= 0 then raise exception 'non_positive_amount'; end if;
  if source < target then -- always in the order of their ids: no deadlocks
    update account set balance = balance - amount where id = source returning balance into rest;
    if not found then raise exception 'account_missing'; end if;
    update account set balance = balance + amount where id = target;
    if not found then raise exception 'account_missing'; end if;
  else
    update account set balance = balance + amount where id = target;
    if not found then raise exception 'account_missing'; end if;
    update account set balance = balance - amount where id = source returning balance into rest;
    if not found then raise exception 'account_missing'; end if;
  end if;
  if rest < 0 then raise exception 'insufficient_funds'; end if;
  return rest;
end $$;
"""


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest; None when they are not there."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[4])
    )
    if found:
        return found[-1].parent
    program = shutil.which("postgres")
    return None if program is None else Path(program).parent


@contextmanager
def postgres_server(folder: Path, accounts: int, synchronous_commit: str) -> Iterator[Host]:
    """A cluster of its own, on a socket in `folder`."""
    programs = postgres_programs()
    assert programs is not None
    folder.mkdir()
    # It refuses to run as root; then it is the user that its package has made.
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
        folder.parent.chmod(0o711)
    data = folder / "data"
    make = [
        programs / "initdb",
        "-D",
        data,
        "-A",
        "trust",
        "-U",
        "bench",
        "--no-sync",
        "-E",
        "UTF8",
    ]
    subprocess.run(
        [*map(str, make), "--locale=C"], check=True, stdout=subprocess.DEVNULL, cwd="/", **user
    )
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "synchronous_commit": synchronous_commit,
        "max_connections": "200",
        "shared_buffers": "512MB",
        "max_wal_size": "4GB",
    }
    command = [str(programs / "postgres"), "-D", str(data)]
    command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with _running(command, folder.with_suffix(".log"), **user) as process:
        _wait_for(lambda: _psql(programs, folder, "select 1") == "1")
        _psql(programs, folder, _SCHEMA.format(balance=OPENING_BALANCE, accounts=accounts))
        _psql(programs, folder, "vacuum analyze account")
        yield Host(str(folder / ".s.PGSQL.5432"), process.pid)


def check_postgres(host: Host, accounts: int) -> None:
    """Raises unless the money is all there."""
    programs = postgres_programs()
    assert programs is not None
    said = _psql(programs, Path(host.address).parent, "select count(*), sum(balance) from account")
    _check(*map(int, said.split("|")), accounts)


def _psql(programs: Path, folder: Path, sql: str) -> str:
    command = [programs / "psql", "-X", "-q", "-A", "-t", "-h", folder, "-U", "bench", "postgres"]
    done = subprocess.run(
        [*map(str, command), "-v", "ON_ERROR_STOP=1", "-c", sql],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


# ------------------------------------------------------------------ the least there can be


@contextmanager
def echo_server(log: Path) -> Iterator[Host]:
    """A bare aiohttp server that sends each frame back."""
    with _running([sys.executable, "-m", "bench.served.echo"], log, out=True) as process:
        assert process.stdout is not None
        yield Host(process.stdout.readline().decode().strip(), process.pid)


# ------------------------------------------------------------------ processes


@contextmanager
def _running(
    command: Sequence[str], log: Path, *, out: bool = False, **user: Any
) -> Iterator[subprocess.Popen[Any]]:
    """A process while the block runs; then it is asked to end, and made to."""
    with log.open("wb") as file:
        stdout: int | IO[Any] = subprocess.PIPE if out else file
        cwd = "/" if user else ROOT
        process = subprocess.Popen(command, stdout=stdout, stderr=file, cwd=cwd, **user)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _wait_for(ready: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + START_S
    while True:
        try:
            if ready():
                return
        except (OSError, subprocess.CalledProcessError):
            pass
        if time.monotonic() > give_up_s:
            raise RuntimeError("it did not start")
        time.sleep(0.05)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _check(count: int, total: int, accounts: int) -> None:
    if (count, total) != (accounts, accounts * OPENING_BALANCE):
        raise MoneyError(f"{count:,} accounts hold {total:,}")
