"""Every error that Pipit raises on purpose, grouped by what the caller can do about it.

The message says the step, the subject, the cause and what to do. Exit codes and HTTP codes are chosen at the edges.
"""


class PipitError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(PipitError):
    """A setting, an agent file or a configuration file is wrong: fix it. `faults` lists every fault found."""

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message if not faults else message + "\n" + "\n".join(f"  - {fault}" for fault in faults))
        self.faults = faults


class ExportError(PipitError):
    """A log export cannot be used: the file, the line and the reason are in the message."""


class TrainingError(PipitError):
    """Training cannot give a model that may be used: too little data, a limit reached, an estimator with no plain form."""


class BundleError(PipitError):
    """A bundle is refused. `code` is one of the documented reason codes (docs/security.md)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SourceError(PipitError):
    """The log source does not answer or answers nonsense: try again later."""


class StoreError(PipitError):
    """A store (SQLite, Redis, disk) failed: try again later."""


class ShipError(PipitError):
    """Shipping failed or was refused. `code` tells refusals (exit 1) from the unknown (exit 3)."""

    def __init__(self, message: str, code: str = "failed", unknown: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.unknown = unknown


class RequestError(PipitError):
    """What a person asked for cannot be done. `missing`: it is about something that is not there."""

    def __init__(self, message: str, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing
