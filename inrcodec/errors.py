"""Every error that a user can cause, each with the exit status of the command line.

Each kind is also the builtin that fits it (ValueError, OSError, RuntimeError), so callers may catch either.
Messages name the value, the allowed range and the place.
"""


class InrError(Exception):
    """Base of all errors raised on purpose. `exit_status` is what the command line returns."""

    exit_status = 1


class UsageError(InrError, ValueError):
    """An argument or a combination of options that makes no sense."""

    exit_status = 2


class InputError(InrError, ValueError):
    """A media file that cannot be read, or that holds what the codec does not code."""

    exit_status = 3


class StreamError(InrError, ValueError):
    """A `.inr` stream that is damaged, truncated, hostile, or outside the stated limits."""

    exit_status = 4


class VersionError(StreamError):
    """A `.inr` stream of a newer format version than this package reads."""


class OutputError(InrError, OSError):
    """An output that exists already or cannot be written."""

    exit_status = 5


class TargetMissed(InrError):
    """The asked rate or quality was not met; the stream was made all the same (`result` holds it)."""

    exit_status = 6

    def __init__(self, message: str, result=None):
        super().__init__(message)
        self.result = result


class DeviceError(InrError, RuntimeError):
    """A device that is not there, or not enough memory."""

    exit_status = 7
