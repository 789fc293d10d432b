"""Expected errors: one line for people, an exit code (sysexits.h) for programs."""

BAD_DATA = 65
UNAVAILABLE = 69
NON_FINITE = 70
OUT_OF_MEMORY = 71
LOCKED = 73
DISK = 74
STOPPED = 75
CONFIGURATION = 78
NO_MEMORY = ("allocate memory", "out of memory", "ALLOC_FAILED")  # texts of torch on a CPU, of CUDA and of cuBLAS


class Failure(Exception):
    """An expected error of a command.

    where: the file or dotted configuration key; what: what is wrong, with the expected and the found
    value; next_step: what to do about it (may be empty); code: the exit status.
    """

    def __init__(self, where: object, what: str, next_step: str = "", *, code: int = BAD_DATA):
        self.where, self.next_step, self.code = str(where), next_step, code
        self.what = " ".join(what.splitlines())  # what a library says may have several lines
        super().__init__(str(self))

    def __str__(self) -> str:
        tail = f"; {self.next_step}" if self.next_step else ""
        return f"error: {self.where}: {self.what}{tail}"


class Failures(Exception):
    """Several failures; the exit status is that of the first."""

    def __init__(self, failures: list[Failure]):
        self.failures, self.code = failures, failures[0].code
        super().__init__(str(self))

    def __str__(self) -> str:
        return "\n".join(str(failure) for failure in self.failures)


def in_one_line(error: BaseException) -> str:
    """An unexpected error as an expected one is told: its kind and its text, in one line."""
    return f"error: {type(error).__name__}: {' '.join(str(error).split())}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any origin says that memory ran out."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(words in str(error) for words in NO_MEMORY)
