"""One kernel a data folder."""

from __future__ import annotations

from types import TracebackType

from filelock import FileLock, Timeout

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_kernel.store.errors import os_error


class KernelRunning(UserError):
    """Another kernel holds this data folder."""


class KernelLock:
    """The lock of a data folder: held by the system for as long as the process lives, so a killed kernel leaves
    none behind."""

    def __init__(self, data: DataFolder) -> None:
        """Does no I/O."""
        self._data = data
        # One object, one holder: a second acquire in this very process is refused like one in another.
        self._lock = FileLock(data.lock, is_singleton=False, thread_local=False)

    def acquire(self) -> None:
        """Take it at once. Raises KernelRunning, naming the other kernel's process and address if it left word;
        StoreError if the lock file cannot be written."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            info = self._data.read_kernel()
            who = f"process {info.pid} at {info.address}" if info else "which has not said where it listens yet"
            raise KernelRunning(
                f"a kernel already runs on {self._data.root} ({who}); use it, stop it with"
                " `stablenew kernel stop`, or choose another folder with --data"
            ) from None
        except OSError as error:
            raise os_error(error, self._data.lock) from error

    def release(self) -> None:
        """Give it back. Idempotent."""
        self._lock.release()

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._lock.is_locked

    def __enter__(self) -> KernelLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
