"""A hub on 127.0.0.1, for tests: huggingface_hub downloads tiny models from it over real HTTP.

    HubServer({"org/name": directory}, revisions={"org/name": commit}) ── HF_ENDPOINT=server.url

It answers what huggingface_hub asks when it fetches a snapshot:

    GET  /api/models/{repo}/revision/{revision}     the commit of a branch
    GET  /api/models/{repo}/tree/{revision}         the files, with sizes and identities
    HEAD /{repo}/resolve/{revision}/{file}          ETag, X-Repo-Commit, X-Linked-Size
    GET  /{repo}/resolve/{revision}/{file}          the content, or the rest of it after "Range: bytes=N-"

and 404 with X-Error-Code for a repository, a revision or a file that isn't there, 403 for a gated one.
The builders make models that sentence-transformers loads: two layers of random weights, a few kilobytes.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

from local_server import LocalServer

from benchkit.models import catalog

HIDDEN = 32
LONGEST = 64
# The models that a first comparison names.
STANDARD = ("minilm", "mpnet", "bge")


@dataclass
class HubServer:
    """Serves model directories while it is entered.

    Attributes:
        models: Directory of each repository; a data set's name begins with "datasets/".
        revisions: Commit of each repository; one that is missing here gets a commit made from its name.
        gated: Repositories that nobody may read.
        break_files: How many more times the server hangs up while it sends a file of weights.
        break_after: Bytes of that file that it sends first.
        stall: Whether it then waits (for `close`) instead of hanging up.
        requests: What was asked, as "GET /path".
    """

    models: Mapping[str, Path]
    revisions: Mapping[str, str] = field(default_factory=dict)
    gated: frozenset[str] = frozenset()
    break_files: int = 0
    break_after: int = 0
    stall: bool = False
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> HubServer:
        self.closed = threading.Event()
        self.stalled = threading.Event()
        self._server = LocalServer(type("Handler", (_Handler,), {"hub": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def commit(self, repo: str) -> str:
        return self.revisions.get(repo) or hashlib.sha1(repo.encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *message: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        is_api = parts[0] == "api"
        # A data set is asked for under /api/datasets/ and /datasets/, a model under /api/models/ and /.
        is_data = parts[1 if is_api else 0] == "datasets"
        if is_data and not is_api:
            parts = parts[1:]
        repo = ("datasets/" if is_data else "") + "/".join(parts[2:4] if is_api else parts[:2])
        if repo in self.hub.gated:
            self._refuse(403, "GatedRepo")
        elif repo not in self.hub.models:
            self._refuse(404, "RepoNotFound")
        elif (parts[5:] if is_api else parts[3:])[:1] not in ([], ["main"], [self.hub.commit(repo)]):
            self._refuse(404, "RevisionNotFound")
        elif is_api:
            self._describe(repo, "".join(parts[4:5]))
        else:
            self._send_file(repo, self.hub.models[repo] / "/".join(parts[4:]))

    def _describe(self, repo: str, what: str) -> None:
        root = self.hub.models[repo]
        files = sorted(path for path in root.rglob("*") if path.is_file())
        names = [path.relative_to(root).as_posix() for path in files]
        if what == "tree":
            self._send_json([_tree_entry(path, name) for path, name in zip(files, names, strict=True)])
        else:
            siblings = [{"rfilename": name} for name in names]
            name = repo.removeprefix("datasets/")
            self._send_json({"id": name, "modelId": name, "sha": self.hub.commit(repo), "siblings": siblings})

    def _send_json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_file(self, repo: str, path: Path) -> None:
        if not path.is_file():
            self._refuse(404, "EntryNotFound", commit=self.hub.commit(repo))
            return
        content = path.read_bytes()
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", self.hub.commit(repo))
        self.send_header("ETag", f'"{_identity(path)}"')
        if path.suffix == ".safetensors":
            self.send_header("X-Linked-Etag", f'"{_identity(path)}"')
            self.send_header("X-Linked-Size", str(len(content)))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "GET":
            self._send_content(content[start:], is_weights=path.suffix == ".safetensors")

    def _send_content(self, content: bytes, *, is_weights: bool) -> None:
        if not is_weights or self.hub.break_files <= 0:
            self.wfile.write(content)
            return
        self.hub.break_files -= 1
        self.wfile.write(content[: self.hub.break_after])
        self.wfile.flush()
        if self.hub.stall:
            self.hub.stalled.set()
            self.hub.closed.wait()
        self.close_connection = True

    def _refuse(self, status: int, code: str, *, commit: str | None = None) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        if commit is not None:
            self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _tree_entry(path: Path, name: str) -> dict[str, object]:
    size = path.stat().st_size
    entry: dict[str, object] = {"type": "file", "path": name, "size": size, "oid": _git_blob(path)}
    if path.suffix == ".safetensors":
        entry["lfs"] = {"oid": _identity(path), "size": size, "pointerSize": 134}
    return entry


def _identity(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix == ".safetensors" else _git_blob(path)


def _git_blob(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


# ---------------------------------------------------------------- models


def build_bert(directory: Path, *, seed: int = 0, pooling: str = "mean", prompts: dict[str, str] | None = None) -> Path:
    """Write a BERT of random weights in sentence-transformers' format; unit vectors of 32 dimensions."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_pieces()]
    config = BertConfig(vocab_size=len(words), max_position_embeddings=LONGEST, **_small())
    torch.manual_seed(seed)
    tokenizer = BertTokenizerFast(vocab={word: at for at, word in enumerate(words)}, model_max_length=LONGEST)
    return _save(directory, BertModel(config), tokenizer, pooling=pooling, prompts=prompts)


def build_mpnet(directory: Path, *, seed: int = 0) -> Path:
    """Write an MPNet of random weights, mean pooling, unit vectors of 32 dimensions."""
    import torch
    from transformers import MPNetConfig, MPNetModel, MPNetTokenizerFast

    words = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>", *_pieces()]
    # MPNet's positions begin behind its padding token.
    config = MPNetConfig(vocab_size=len(words), max_position_embeddings=LONGEST + 2, **_small())
    torch.manual_seed(seed)
    tokenizer = MPNetTokenizerFast(
        vocab={word: at for at, word in enumerate(words)}, unk_token="[UNK]", model_max_length=LONGEST
    )
    return _save(directory, MPNetModel(config), tokenizer, pooling="mean", prompts=None)


def build_standard_models(folder: Path) -> dict[str, Path]:
    """Write stand-ins for MiniLM, MPNet and BGE and return the directory of each hub name."""
    build = {
        "minilm": lambda to: build_bert(to, seed=1),
        "mpnet": lambda to: build_mpnet(to, seed=2),
        "bge": lambda to: build_bert(to, seed=3, pooling="cls"),
    }
    return {_entry(name).id: build[name](folder / name) for name in STANDARD}


def pinned_revisions() -> dict[str, str]:
    """Return the commit that the catalogue pins for each of the standard models, by hub name."""
    return {_entry(name).id: _entry(name).revision or "" for name in STANDARD}


def _entry(name: str) -> catalog.Entry:
    entry = catalog.find(name)
    assert entry is not None
    return entry


def _pieces() -> list[str]:
    letters = [chr(ord("a") + at) for at in range(26)] + [str(digit) for digit in range(10)]
    return [*letters, *(f"##{letter}" for letter in letters), ".", ",", "?", "the", "is", "of", "中", "文"]


def _small() -> dict[str, int]:
    return {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 2 * HIDDEN}


def _save(directory: Path, model: object, tokenizer: object, *, pooling: str, prompts: dict[str, str] | None) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    with tempfile.TemporaryDirectory() as bare:
        model.save_pretrained(bare)  # type: ignore[attr-defined]
        tokenizer.save_pretrained(bare)  # type: ignore[attr-defined]
        modules = [Transformer(bare), Pooling(HIDDEN, pooling), Normalize()]
        SentenceTransformer(modules=modules, device="cpu", prompts=prompts).save_pretrained(
            str(directory), create_model_card=False
        )
    return directory
