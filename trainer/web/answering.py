"""How the errors of the trainer are answered over HTTP: by what the caller can do about them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import abort
from flask.typing import ResponseReturnValue

from shared.clean import clean
from shared.errors import BundleError, ConfigError, ExportError, ShipError, TrainingError
from shared.web.refusals import refuse
from trainer.exports import TakenError, UploadTooLargeError


def answering(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """The view, with errors that the caller can mend as 400, and those of the present state as 409."""

    @functools.wraps(view)
    def call(**values: Any) -> ResponseReturnValue:
        try:
            return view(**values)
        except UploadTooLargeError as error:
            return refuse(413, str(error))
        except TakenError as error:
            abort(409, str(error))
        except (ConfigError, ExportError, TrainingError) as error:
            abort(400, in_a_line(error))
        except (BundleError, ShipError) as error:
            abort(409, in_a_line(error))

    return call


def in_a_line(error: Exception) -> str:
    """An error and all its faults as one line; nobody typed a `--set` here."""
    return clean(str(error).replace("\n  - ", "; ").replace("--set ", ""), 1500)
