"""The database file: one thread that writes, one that reads, migrations.

Callers hand over a function of the connection and get a future. Everything that waits at one moment is run in
ONE transaction (group commit): an fsync costs the same for one change as for a hundred. A future resolves only
after the COMMIT, so whatever is acknowledged is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from stablenew_api.clock import Clock
from stablenew_kernel.store.errors import StoreError, os_error, sqlite_error

T = TypeVar("T")
log = logging.getLogger(__name__)

SQLITE_VERSION = sqlite3.sqlite_version
"""Of the library in use; `stablenew doctor` tells what it means."""

Connection = sqlite3.Connection
"""What the functions handed to :class:`Database` get; for annotations outside the store, which never import
sqlite3."""

APPLICATION_ID = 0x534E4557
"""``SNEW`` in the file's header: tells our file from any other SQLite database."""

PRAGMAS: tuple[tuple[str, str, str], ...] = (
    ("journal_mode", "wal", "readers never wait for the writer, and a commit is one append and one fsync"),
    ("synchronous", "full", "an ack means on disk: NORMAL may lose the last commits on power loss"),
    ("foreign_keys", "on", "an output without its job is a bug that should fail at once"),
    ("busy_timeout", "5000", "milliseconds to wait for a backup tool or a browser that holds the file"),
    ("temp_store", "memory", "a sort must not fail because another disk is full"),
    ("cache_size", "-16384", "KiB: keeps the hot ends of the indexes in memory with a million jobs queued"),
    ("journal_size_limit", "67108864", "bytes: shrinks the write-ahead log after a huge submit"),
    ("trusted_schema", "off", "nothing in the file may run functions behind our back"),
)
"""Set on every connection: (name, value, reason)."""

READER_PRAGMAS: tuple[tuple[str, str, str], ...] = (
    # The WAL-reset bug: SQLite 3.7.0 to 3.51.2 can lose or corrupt commits when one connection checkpoints
    # while another one commits. We have a single connection that both commits and checkpoints, so there is
    # no such pair; the reader must never become one.
    ("wal_autocheckpoint", "0", "only the writer checkpoints"),
    ("query_only", "on", "a read that writes is a bug and fails"),
)
"""Set on the reading connection, after PRAGMAS."""

MAX_GROUP = 512
"""Functions in one transaction at most: bounds how long the first of them waits for its commit."""


@dataclass(slots=True)
class _Call:
    """A function that waits for its turn, and how to tell its caller."""

    function: Callable[[sqlite3.Connection], Any]
    future: Future[Any] | asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop | None = None
    patience: float = 0.0
    result: Any = None
    error: BaseException | None = None


class Database:
    """The open database. Thread-safe. Close it: that drains what waits."""

    def __init__(self, path: Path, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        """Use :meth:`open`."""
        self.path = path
        self.commits = 0
        """Transactions committed since the start."""
        self.writes = 0
        """Functions whose changes were committed since the start; never fewer than ``commits``."""
        self._writer = _Worker("stablenew-writer", writer, self._run_writes)
        self._reader = _Worker("stablenew-reader", reader, self._run_reads)

    @staticmethod
    def open(path: Path, clock: Clock) -> Database:
        """Open ``path``, making or migrating it as needed.

        ``clock`` dates the file itself (``meta`` key ``created_at``). Raises StoreError: not writable, damaged,
        no database of ours, or made by a newer StableNew.
        """
        connections: list[sqlite3.Connection] = []
        try:
            writer = _connect(path, PRAGMAS)
            connections.append(writer)
            migrate(writer, path, clock)
            connections.append(_connect(path, PRAGMAS + READER_PRAGMAS))
            return Database(path, *connections)
        except BaseException as error:
            for connection in connections:
                connection.close()
            if isinstance(error, sqlite3.Error):
                raise sqlite_error(error, path) or StoreError(f"{path}: {error}") from error
            raise

    def write(self, function: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run ``function`` on the writer thread, in a transaction shared with whatever else waits.

        ``function`` must not begin or end a transaction. If it raises, its changes alone are undone and the
        future gets that exception (StoreError in place of an sqlite3 error when the disk or the file is to
        blame). If BEGIN or COMMIT fails, every future of the group gets StoreError and nothing changed.
        """
        future: Future[T] = Future()
        self._writer.put(_Call(function, future))
        return future

    def write_async(
        self, function: Callable[[sqlite3.Connection], T], *, begin: bool = True, patience: float = 0.0
    ) -> asyncio.Future[T]:
        """:meth:`write` for coroutines: call it on the running loop, await the result.

        The call is queued at once, before the first await, so order is kept. The loop is woken once a group,
        not once a future. Unless ``begin``, the writer is not woken for it: call :meth:`begin` soon. Two
        threads share one interpreter, so a caller with something to do in this very moment lets that go first.
        ``patience``: seconds that the commit may wait, with the function's work done, for somebody else's; if
        the group has only such calls, it waits for the shortest patience among them.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writer.put(_Call(function, future, loop, patience), begin=begin)
        return future

    def begin(self) -> None:
        """Let the writer begin with what was queued without waking it. Any other write does so, too."""
        self._writer.begin()

    def read(self, function: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run ``function`` on the reader thread, on one snapshot of what is committed. It cannot write.

        It may lag behind a write whose future has not resolved, never behind one that has.
        """
        future: Future[T] = Future()
        self._reader.put(_Call(function, future))
        return future

    def read_async(self, function: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """:meth:`read` for coroutines."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._reader.put(_Call(function, future, loop))
        return future

    def close(self) -> None:
        """Run and commit what waits, then close the file. Later calls get StoreError. Idempotent; blocks."""
        # The reader goes first: the last connection to close checkpoints, and only the writer may do that.
        self._reader.close()
        self._writer.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_writes(self, connection: sqlite3.Connection, calls: list[_Call]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            patience = min(call.patience for call in calls)
            alone = len(calls) == 1 and patience <= 0
            for call in calls:
                self._run_one(connection, call, alone=alone)
            if patience > 0 and len(calls) < MAX_GROUP:
                more = self._writer.take(MAX_GROUP - len(calls), patience)
                calls.extend(more)  # before they are run: whatever happens, they are told
                for call in more:
                    self._run_one(connection, call, alone=False)
            connection.execute("COMMIT")
        except (sqlite3.Error, _GroupLost) as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            cause = error.cause if isinstance(error, _GroupLost) else error
            reason = self._store_error(cause)
            log.error("a group of %d changes was undone: %s", len(calls), reason)
            for call in calls:
                # Each its own exception object: a traceback grows on an exception wherever it is raised.
                call.error = StoreError(str(reason))
                call.error.__cause__ = cause
            return
        self.commits += 1
        self.writes += sum(call.error is None for call in calls)

    def _run_one(self, connection: sqlite3.Connection, call: _Call, *, alone: bool) -> None:
        """Run one function in a savepoint; raise :class:`_GroupLost` if the transaction went with it. One that
        is ``alone`` needs none: to undo it is to undo all."""
        if not alone:
            connection.execute("SAVEPOINT one")
        try:
            call.result = call.function(connection)
            if not alone:
                connection.execute("RELEASE one")
        except BaseException as error:
            # On a full disk or an I/O error SQLite may undo the whole transaction by itself, and with it what
            # the functions before this one did (https://sqlite.org/lang_transaction.html, section 3).
            if not connection.in_transaction:
                raise _GroupLost(error) from error
            if alone:
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
            else:
                connection.execute("ROLLBACK TO one")
                connection.execute("RELEASE one")
            call.error = error
            if isinstance(error, sqlite3.Error):
                call.error = sqlite_error(error, self.path) or error

    def _run_reads(self, connection: sqlite3.Connection, calls: list[_Call]) -> None:
        for call in calls:
            try:
                connection.execute("BEGIN")  # one snapshot for all statements of the function
                try:
                    call.result = call.function(connection)
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except BaseException as error:
                call.error = error
                if isinstance(error, sqlite3.Error):
                    call.error = sqlite_error(error, self.path) or error

    def _store_error(self, error: BaseException) -> StoreError:
        known = sqlite_error(error, self.path) if isinstance(error, sqlite3.Error) else None
        return known or StoreError(f"{self.path}: the change could not be committed: {error}")


class _GroupLost(Exception):
    """The transaction ended inside a function, so nothing of the group can be relied on."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Worker:
    """A thread, its connection and its queue."""

    def __init__(
        self,
        name: str,
        connection: sqlite3.Connection,
        run: Callable[[sqlite3.Connection, list[_Call]], None],
    ) -> None:
        self._connection = connection
        self._run = run
        self._queue: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._held: list[_Call] = []
        """Queued, but the thread is not to be woken for them."""
        self._lock = threading.Lock()
        self._closed = False
        self._ending = False
        # A daemon only so that a kernel that dies of something else is not kept alive; close() joins it.
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def put(self, call: _Call, *, begin: bool = True) -> None:
        with self._lock:  # no call may land behind the None that ends the thread: it would never resolve
            if not self._closed:
                self._held.append(call)
                if begin:
                    self._release()
                return
        call.error = StoreError("the database is closed; the kernel is stopping")
        _resolve([call])

    def begin(self) -> None:
        with self._lock:
            self._release()

    def _release(self) -> None:
        for call in self._held:
            self._queue.put(call)
        self._held.clear()

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._release()
                self._queue.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def take(self, limit: int, timeout: float | None = None) -> list[_Call]:
        """Wait for a call; return it and those behind it, ``limit`` at most. None after ``timeout`` seconds, or
        when the thread is to end. On the thread."""
        calls: list[_Call] = []
        try:
            call = self._queue.get(timeout=timeout)
            while True:
                if call is None:
                    self._ending = True
                    break
                if call.loop is not None or call.future.set_running_or_notify_cancel():  # type: ignore[union-attr]
                    calls.append(call)
                if len(calls) >= limit:
                    break
                call = self._queue.get_nowait()
        except queue.Empty:
            pass
        return calls

    def _loop(self) -> None:
        while not self._ending:
            calls = self.take(MAX_GROUP)
            if calls:
                try:
                    self._run(self._connection, calls)
                except BaseException as error:  # a bug here must fail its callers, not hang them and all others
                    log.exception("the database thread failed")
                    for waiting in calls:
                        waiting.error = error
                _resolve(calls)
        self._connection.close()


def _resolve(calls: list[_Call]) -> None:
    """Tell the callers. Each event loop is woken once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Call]] = {}
    for call in calls:
        if call.loop is None:
            _set(call)
        else:
            by_loop.setdefault(call.loop, []).append(call)
    for loop, group in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody is left to be told
            loop.call_soon_threadsafe(_set_all, group)


def _set_all(calls: list[_Call]) -> None:
    for call in calls:
        if not call.future.done():  # the awaiting task may have been cancelled meanwhile
            _set(call)


def _set(call: _Call) -> None:
    if call.error is not None:
        call.future.set_exception(call.error)
    else:
        call.future.set_result(call.result)


def _connect(path: Path, pragmas: tuple[tuple[str, str, str], ...]) -> sqlite3.Connection:
    # isolation_level None: no implicit BEGIN; transactions are begun and ended in one place, above.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        for name, value, _reason in pragmas:
            connection.execute(f"PRAGMA {name} = {value}").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of each file ``migrations/NNNN_name.sql``, in order. Numbers run from 1 without a gap."""
    folder = resources.files("stablenew_kernel.store").joinpath("migrations")
    found = sorted(
        (int(entry.name[:4]), entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    )
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise StoreError(
            f"the migrations of this installation have gaps: {[n for n, _ in found]}; reinstall StableNew"
        )
    return found


def migrate(
    connection: sqlite3.Connection, path: Path, clock: Clock, steps: list[tuple[int, str]] | None = None
) -> None:
    """Bring the open database to the newest schema, each step in one transaction with its ``user_version``.

    A database that holds anything is copied to ``<name>.v<old>.bak`` first. ``steps`` replaces
    :func:`migrations` in tests. Raises StoreError: newer than this program, not ours, or not writable.
    """
    steps = migrations() if steps is None else steps
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (version or tables):
        raise StoreError(
            f"{path}: a database of another program; move it away or choose another data folder with --data"
        )
    if version > len(steps):
        raise StoreError(
            f"{path}: made by a newer StableNew (schema {version}, this one knows {len(steps)}); "
            "upgrade StableNew or choose another data folder with --data"
        )
    todo = [(number, sql) for number, sql in steps if number > version]
    if todo and version:
        _back_up(connection, path, path.with_name(f"{path.name}.v{version}.bak"))
    for number, sql in todo:
        created = clock.now().isoformat(timespec="milliseconds")
        script = (
            f"BEGIN IMMEDIATE;\n{sql}\n;PRAGMA user_version = {number};\n"
            f"PRAGMA application_id = {APPLICATION_ID};\n"
            f"INSERT OR IGNORE INTO meta (key, value) VALUES ('created_at', '{created}');\nCOMMIT;"
        )
        try:
            connection.executescript(script)
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise sqlite_error(error, path) or StoreError(
                f"{path}: upgrading the database to schema {number} failed ({error}); nothing was changed"
            ) from error


def _back_up(connection: sqlite3.Connection, path: Path, copy: Path) -> None:
    """A consistent copy of the database, write-ahead log included. Replaces a copy of the same version, which
    is left of an upgrade that failed: the database has not been older since."""
    partial = copy.with_name(copy.name + ".part")
    try:
        partial.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(partial)) as target:
            connection.backup(target)
        partial.replace(copy)
    except OSError as error:
        raise os_error(error, copy) from error
    except sqlite3.Error as error:
        raise sqlite_error(error, copy) or StoreError(
            f"{path}: no backup copy could be made: {error}"
        ) from error
