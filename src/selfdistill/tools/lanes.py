"""How long jobs take that wait for each other and run a few at a time. Imports no torch."""

import heapq
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Job = TypeVar("Job", bound=Hashable)


def makespan(seconds: Mapping[Job, float], needs: Mapping[Job, Sequence[Job]], lanes: int) -> float:
    """Seconds from the start of the first job to the end of the last one, when so many run side by side.

    needs: the jobs that each one waits for; one that is not among `seconds` has ended already. A free lane takes the
    first job, in their order, that can start.
    """
    free, ended, waiting = [0.0] * max(1, lanes), {}, list(seconds)

    def start(job: Job) -> float:
        """When what a job waits for has ended."""
        return max((ended.get(need, float("inf")) for need in needs.get(job, ()) if need in seconds), default=0.0)

    while waiting:
        now = heapq.heappop(free)
        job = next((job for job in waiting if start(job) <= now), None)
        if job is None:  # the lane idles until something can start
            job = min(waiting, key=start)
            now = max(now, start(job))
        ended[job] = now + seconds[job]
        heapq.heappush(free, ended[job])
        waiting.remove(job)
    return max(ended.values(), default=0.0)
