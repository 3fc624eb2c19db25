"""The record of every part: one writer that commits in groups, and a journal that a killed process leaves behind.

A record is in the journal before it is reported, and in the database at most `GROUP_SECONDS` later, with a commit that
survives a power cut. What the journal holds when a store is opened is written first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Self, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError

from blemish.errors import BadInput, CannotWrite, MissingExtra
from blemish.files import JsonLines, alone_in, guard_write, json_lines
from blemish.serve.outbox import keep_letters_of, put_letters
from blemish.serve.queries import find_part
from blemish.serve.records import PartRecord
from blemish.serve.schema import STEPS, Step, migrate, parts
from blemish.serve.settings import StoreSettings

T = TypeVar("T")
Work = Callable[[Connection], T]
GROUP_SECONDS, GROUP_SIZE = 0.02, 200
JOURNAL_SIZE = 2**20
"""Bytes from which on the journal is emptied: a file is cut while the disk writes another, which takes its time."""
RETRY_SECONDS = 0.5
_STOP = object()


class _Waiting(NamedTuple):
    work: Work[Any]
    done: Future[Any]
    lasting: bool  # is tried until it is written
    apart: bool  # undone alone where it fails


class Store:
    """Open it by `with`; one process at a time writes a folder's store."""

    def __init__(self, settings: StoreSettings, *, steps: Sequence[Step] = STEPS) -> None:
        self.settings, self._steps = settings, steps
        self.alarm = ""  # why nothing can be written, while that is so
        self.engine = engine_of(settings)
        self._writer = self.engine.execution_options(begin="IMMEDIATE")
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._lock = threading.Lock()  # of the journal, and of how many records are in it alone
        self._is_file = not settings.url  # SQLite undoes a statement that fails alone, others the whole transaction
        self._pending = 0
        self._probe: Any = None  # of SQLite: the driver's own connection

    def __enter__(self) -> Self:
        self._alone = alone_in(self.settings.folder)
        self._alone.__enter__()
        try:
            with _reach(self.engine), self._writer.begin() as connection:
                migrate(connection, self._steps)
            self._journal = JsonLines(self.settings.folder / "journal.jsonl", way_out="make room").__enter__()
            self._replay()
        except BaseException:
            self._alone.__exit__(None, None, None)
            raise
        self._thread = threading.Thread(target=self._write, name="blemish-store", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(_STOP)
        self._thread.join()
        if not self._pending:
            self._journal.clear()
        self._journal.__exit__()
        if self._probe:
            self._probe.close()
        self.engine.dispose()
        self._alone.__exit__(None, None, None)

    def add(self, record: PartRecord) -> Future[None]:
        """Record a part, or what is now known of it; when this returns, the end of this process loses nothing.

        The future is done with the commit, which survives a power cut.
        """
        with self._lock:
            self._pending += 1
            try:
                self._journal.add(record.as_json())
            except CannotWrite as error:  # it waits in memory
                self.alarm = str(error)
        return self._put(lambda connection: self._record(connection, record), lasting=True, apart=not self._is_file)

    def change(self, work: Work[T]) -> Future[T]:
        """Do something to the database in the writer's thread, in order; the future has its result after the commit."""
        return self._put(work, lasting=False, apart=True)

    def note(self, work: Work[T]) -> Future[T]:
        """As `change`, and quicker, for what fails as a whole or not at all: there is no going back to before it."""
        return self._put(work, lasting=False, apart=not self._is_file)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """To look things up, from any thread."""
        with self.engine.connect() as connection:
            yield connection

    def lacks(self, station: str, part: str) -> bool:
        """Whether it has no record of a part, where that is known at once: in a file; always from the same thread."""
        if self.settings.url:
            return False
        if self._probe is None:
            self._probe = self.engine.raw_connection()
        asked = "SELECT 1 FROM parts WHERE station = ? AND part = ?"
        return self._probe.cursor().execute(asked, (station, part)).fetchone() is None

    @property
    def behind(self) -> int:
        """How much waits to be written."""
        return self._queue.qsize()

    def _put(self, work: Work[T], *, lasting: bool, apart: bool) -> Future[T]:
        done: Future[T] = Future()
        done.set_running_or_notify_cancel()  # whoever waits may go, and the work is done all the same
        self._queue.put(_Waiting(work, done, lasting, apart))
        return done

    def _record(self, connection: Connection, record: PartRecord) -> None:
        put_record(connection, record)
        put_letters(connection, self.settings.letters.get(record.station, ()), record)

    def _replay(self) -> None:
        """What the journal has and the database has not; the rest was committed, and perhaps handed on."""
        found = [PartRecord(**line) for line in json_lines(self._journal.path)]
        with self._writer.begin() as connection:
            for record in found:
                known = find_part(connection, record.station, record.part)
                if known is None or (record.judged and not known.judged):
                    self._record(connection, record)
            keep_letters_of(connection, {name for names in self.settings.letters.values() for name in names})
        self._journal.clear()

    def _write(self) -> None:
        left: list[_Waiting] = []
        going = True
        while going or left:
            group, going = self._group(left, going=going)
            left = self._commit(group)
            if left and not going:
                return  # the journal has what could be written
            if left:
                time.sleep(RETRY_SECONDS)

    def _group(self, left: list[_Waiting], *, going: bool) -> tuple[list[_Waiting], bool]:
        """What came in until the group is full or its time is over, and whether more will come."""
        group, until = list(left), 0.0
        while going and len(group) < GROUP_SIZE:
            try:
                wait = max(0.0, until - time.monotonic()) if until else 0.0
                found = self._queue.get(timeout=wait or None, block=wait > 0 or not group)
            except Empty:
                break
            going = found is not _STOP
            group += [found] if going else []
            until = until or time.monotonic() + GROUP_SECONDS
        return group, going

    def _commit(self, group: list[_Waiting]) -> list[_Waiting]:
        """Those that are to be tried again."""
        results: list[Callable[[], None]] = []
        try:
            with self._writer.begin() as connection:
                results = [_attempt(connection, each) for each in group]
        except OperationalError as error:  # the disk is full, or the database is gone
            self.alarm = f"records cannot be written ({_reason(error)}): make room, or start the database again"
            return _give_up(group, self.alarm)
        with self._lock:
            self._pending -= sum(each.lasting for each in group)
            if not self._pending and self._journal.size() > JOURNAL_SIZE:
                self._journal.clear()
        self.alarm = ""
        for tell in results:
            tell()
        return []


def put_record(connection: Connection, record: PartRecord) -> None:
    """Insert a part, or bring its row up to date; whether it waits for a person is decided once."""
    values = record.as_json()
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    waits = record.verdict == "review"
    insert = cast(Any, dialect).insert(parts).values(**values, waits=waits)
    keys = [parts.c.station, parts.c.part]
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=values))


def _attempt(connection: Connection, waiting: _Waiting) -> Callable[[], None]:
    """What to tell whoever waits once all is committed."""
    done = waiting.done
    try:
        with connection.begin_nested() if waiting.apart else nullcontext():
            result = waiting.work(connection)
    except OperationalError:
        raise
    except Exception as error:  # whatever it is, whoever waits is told, and the writer goes on
        refused = error
        return lambda: done.set_exception(refused)
    return lambda: done.set_result(result)


def _give_up(group: Sequence[_Waiting], why: str) -> list[_Waiting]:
    for each in group:
        if not each.lasting:
            each.done.set_exception(CannotWrite(why))
    return [each for each in group if each.lasting]


def _reason(error: BaseException) -> str:
    """In a line what went wrong first; on a full disk SQLite undoes all, and then misses what is to be undone."""
    while isinstance(error.__context__, OperationalError):
        error = error.__context__
    said = str(getattr(error, "orig", error)).strip()
    return said.splitlines()[0] if said else type(error).__name__


@contextmanager
def _reach(engine: Engine) -> Iterator[None]:
    """Raises CannotWrite for a database that does not answer."""
    try:
        yield
    except OperationalError as error:
        place = engine.url.render_as_string()  # without its password
        raise CannotWrite(f"{place} cannot be used ({_reason(error)}): start it, or correct [store]") from error


def _engine_by_url(url: str) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except ArgumentError as error:
        raise BadInput(f"store.url is no database ({error}): such as postgresql+psycopg://user@host/name") from error
    except ImportError as error:
        raise MissingExtra(
            f"{url.partition(':')[0]} needs its driver ({error}): pip install 'psycopg[binary]'"
        ) from error


@contextmanager
def edit_store(settings: StoreSettings) -> Iterator[Connection]:
    """One transaction beside a line that runs, for what people are made and asked; no records."""
    engine = engine_of(settings)
    try:
        with _reach(engine), engine.execution_options(begin="IMMEDIATE").begin() as connection:
            migrate(connection)
            yield connection
    finally:
        engine.dispose()


@contextmanager
def look_at_store(settings: StoreSettings) -> Iterator[Connection]:
    """As it is now, however long that takes; a line that runs writes meanwhile.

    Where none runs, what a killed one left in its journal is written first.
    """
    with suppress(CannotWrite), Store(settings):
        pass
    engine = engine_of(settings)
    try:
        with _reach(engine), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def engine_of(settings: StoreSettings) -> Engine:
    """Of SQLite in the folder, or of the database by its URL; raises BadInput and MissingExtra."""
    if settings.url:
        return _engine_by_url(settings.url)
    with guard_write(settings.folder):
        settings.folder.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{settings.folder / 'parts.sqlite'}")

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver would leave changes of tables out of the transaction
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', '')}")

    return engine
