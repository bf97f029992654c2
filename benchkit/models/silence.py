"""The model libraries' log lines, warnings and progress bars are kept from the user's screen."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep quiet what loads and runs models; imports transformers."""
    from transformers.utils import logging as transformers_logging

    has_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        with quiet("sentence_transformers", "transformers"):
            yield
    finally:
        if has_bars:
            transformers_logging.enable_progress_bar()


@contextlib.contextmanager
def quiet(*libraries: str) -> Iterator[None]:
    """Let these libraries log errors only, and nobody warn."""
    loggers = [logging.getLogger(name) for name in libraries]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
