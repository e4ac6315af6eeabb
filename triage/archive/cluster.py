"""A Dask cluster as the workers (https://distributed.dask.org): queueing, sending, trying again, showing are Dask's.

A worker that dies costs no part: Dask gives its work to another one, and gives up what has ended several of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from triage.archive.extra import need_extra
from triage.errors import ConfigError, TriageError, TryLater, UsageError, why_failed

if TYPE_CHECKING:
    from concurrent.futures import Executor

LOCAL = "local"
TRIES_AGAIN = 2
"""After an error, such as a store of objects that does not answer."""
CLUSTER_WAIT_SECONDS = 30
_AGAIN = "Run the same command again: the parts that are done are kept."


class Cluster(NamedTuple):
    """Workers somewhere."""

    executor: Executor
    dashboard: str
    """Where Dask shows what is done."""


@contextmanager
def dask_workers(address: str, jobs: int) -> Iterator[Cluster]:
    """The workers of the scheduler at this address, or, for `local`, a cluster of `jobs` processes on this computer.

    Raises TryLater where it is not there, or goes away, ConfigError where a library or a worker does not fit.
    """
    need_extra("distributed", "--cluster")
    from concurrent.futures import CancelledError

    from distributed import Client, KilledWorker, LocalCluster

    if address != LOCAL and "://" not in address:
        raise UsageError(f"{address} is no address of a scheduler.", "Write tcp://HOST:8786, tls://HOST:8786 or local.")
    with ExitStack() as stack:
        try:
            where = address
            if address == LOCAL:
                where = stack.enter_context(
                    LocalCluster(
                        n_workers=jobs, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
                    )
                )
            client = stack.enter_context(Client(where, timeout=CLUSTER_WAIT_SECONDS))
            client.wait_for_workers(1, timeout=CLUSTER_WAIT_SECONDS)
        except (OSError, ValueError) as error:
            raise TryLater(
                f"No worker answers at {address}: {why_failed(error)}",
                f"Start them: dask scheduler; dask worker {address if '://' in address else 'tcp://HOST:8786'}",
            ) from None
        try:
            yield Cluster(client.get_executor(pure=False, retries=TRIES_AGAIN), client.dashboard_link)
        except TriageError:
            raise
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"A worker of the cluster lacks {error.name}.",
                "Install bounce-triage[cluster] on every worker, in the version you have here.",
            ) from None
        except KilledWorker as error:
            raise TriageError(f"A part has ended several workers: {why_failed(error)}", _AGAIN) from None
        except (CancelledError, OSError) as error:
            raise TryLater(f"The scheduler went away: {why_failed(error)}", _AGAIN) from None
