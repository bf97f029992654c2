"""`benchkit dashboard` for real: it starts, answers, keeps strangers out, and leaves no process behind."""

from __future__ import annotations

import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import boards
import comparisons
import psutil
import pytest

from benchkit.report.json_form import render_json
from tests.e2e.browser import END_S, REQUIRED, START_S, Dashboard, browsing, served, started, view
from tests.e2e.cli import run_benchkit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGES = ("Verdict", "Compare", "Tasks", "Cost", "Drift", "History")
SECRET = "hunter2"


def keep(project: Path, comparison: comparisons.Comparison, name: str = "20261121T120000-small") -> Path:
    """Put a finished comparison where benchkit keeps them."""
    folder = project / "mlruns" / "results" / name
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(render_json(comparison), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one comparison."""
    folder = tmp_path_factory.mktemp("project")
    keep(folder, comparisons.small())
    return folder


@pytest.fixture(scope="module")
def dashboard(project: Path) -> Iterator[Dashboard]:
    with served(project) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


def handshake(port: int, host: str, origin: str | None = None) -> str:
    """Return the first line of the answer to a browser that wants the page's data."""
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *([f"Origin: {origin}"] if origin else []),
    ]
    with closing(socket.create_connection(("127.0.0.1", port), timeout=END_S)) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return connection.recv(4096).decode("latin-1").splitlines()[0]


# ---------------------------------------------------------------- start and end


def test_the_address_is_the_one_line_on_stdout_and_answers_there(dashboard: Dashboard) -> None:
    assert dashboard.url == f"http://127.0.0.1:{dashboard.port}"
    with urllib.request.urlopen(f"{dashboard.url}/_stcore/health", timeout=END_S) as answer:
        assert (answer.status, answer.read()) == (200, b"ok")


def test_a_busy_port_is_refused_with_the_next_step(tmp_path: Path) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = run_benchkit(["dashboard", "--no-browser", "--port", str(port)], tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr == (
        f"error: --port {port}: the port is busy at 127.0.0.1; "
        "name another, or leave --port out for the next free one\n"
    )


def test_two_at_once_get_ports_of_their_own(tmp_path: Path) -> None:
    with served(tmp_path / "a", port=None) as first, served(tmp_path / "b", port=None) as second:
        assert first.port != second.port
        for one in (first, second):
            owners = {child.pid for child in one.children()}
            listening = [
                part.laddr.port
                for pid in owners
                for part in psutil.Process(pid).net_connections("tcp")
                if part.status == psutil.CONN_LISTEN
            ]
            assert listening == [one.port], "the address is that of its own server"


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_a_signal_ends_it_and_its_server(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    with served(tmp_path) as running:
        children = running.children()
        assert children
        running.process.send_signal(sent)
        assert running.process.wait(END_S) == code
        assert not psutil.wait_procs(children, timeout=END_S)[1], "the server is still there"
        assert running.process.stderr is not None
        assert "Traceback" not in running.process.stderr.read()


def test_a_signal_while_it_starts_leaves_nothing_either(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0") as process:
        whole = psutil.Process(process.pid)
        deadline = time.monotonic() + START_S
        while not (children := whole.children(recursive=True)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        assert process.wait(END_S) == 0
        assert not psutil.wait_procs(children, timeout=END_S)[1]


def test_a_server_that_ends_by_itself_ends_the_command_with_its_last_words(tmp_path: Path) -> None:
    with served(tmp_path) as running:
        (child,) = running.children()
        child.kill()
        assert running.process.wait(END_S) == 2
        assert running.process.stderr is not None
        assert "error: the dashboard's server ended with exit code -9" in running.process.stderr.read()


def test_a_command_that_is_killed_takes_its_server_along(tmp_path: Path) -> None:
    with served(tmp_path) as running:
        children = running.children()
        running.process.kill()
        assert not psutil.wait_procs(children, timeout=END_S)[1], "the server is still there"
        with closing(socket.socket()) as probe:
            assert probe.connect_ex(("127.0.0.1", running.port)) != 0, "its port is closed"


# ---------------------------------------------------------------- who may look


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8501", "127.0.0.1.evil.example", "127.0.0.1@evil.example"]
)
def test_a_foreign_name_gets_no_data(dashboard: Dashboard, host: str) -> None:
    assert " 403 " in f"{handshake(dashboard.port, host)} "


def test_its_own_names_get_data_and_a_foreign_page_does_not(dashboard: Dashboard) -> None:
    own = f"127.0.0.1:{dashboard.port}"
    assert " 101 " in handshake(dashboard.port, own)
    assert " 101 " in handshake(dashboard.port, f"localhost:{dashboard.port}")
    assert " 101 " in handshake(dashboard.port, own, f"http://{own}")
    assert " 403 " in f"{handshake(dashboard.port, own, 'http://evil.example')} "


def test_other_machines_are_kept_out_unless_they_are_meant(tmp_path: Path) -> None:
    run = run_benchkit(["dashboard", "--no-browser", "--address", "0.0.0.0"], tmp_path)
    assert run.returncode == 2
    assert "it has no login unless OIDC is configured (docs/dashboard.md); add --allow-remote" in run.stderr


def test_with_allow_remote_it_warns_and_still_checks_names(tmp_path: Path) -> None:
    with served(tmp_path, "--address", "0.0.0.0", "--allow-remote", "--allowed-host", "board.example") as running:
        assert " 403 " in f"{handshake(running.port, 'evil.example')} "
        assert " 101 " in handshake(running.port, "board.example")
        running.process.terminate()
        assert "there is no login unless OIDC is configured" in running.process.communicate(timeout=END_S)[1]


def test_a_password_is_on_no_command_line_and_in_no_log(browser: Browser, tmp_path: Path) -> None:
    uri = f"http://me:{SECRET}@127.0.0.1:9/"
    with served(tmp_path, "--tracking-uri", uri) as running:
        (child,) = running.children()
        assert SECRET not in " ".join(child.cmdline())
        with view(browser, running) as seen:
            seen.open()
            assert "me:***@127.0.0.1:9" in seen.text()
            assert SECRET not in seen.page.content()
        running.process.terminate()
        out, err = running.process.communicate(timeout=END_S)
        assert SECRET not in out + err


# ---------------------------------------------------------------- what is shown


def test_check_counts_what_is_there(project: Path) -> None:
    run = run_benchkit(["dashboard", "--check"], project)
    assert (run.returncode, run.stdout) == (0, "6 pages ok; 1 comparison, 0 gates, 0 drift checks\n"), run.stderr


def test_check_counts_the_checks_of_a_baseline_that_is_gone(tmp_path: Path) -> None:
    boards.keep_checks(tmp_path / "mlruns", boards.windows("ok", "warn"))
    run = run_benchkit(["dashboard", "--check"], tmp_path)
    assert (run.returncode, run.stdout) == (0, "6 pages ok; 0 comparisons, 0 gates, 2 drift checks\n"), run.stderr


def test_check_fails_where_a_page_has_to_say_that_something_is_damaged(tmp_path: Path) -> None:
    folder = keep(tmp_path, comparisons.small())
    path = folder / "result.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"n_resamples": ', '"n_resamples": "many", "x": '))
    run = run_benchkit(["dashboard", "--check"], tmp_path)
    assert run.returncode == 1
    assert run.stdout == ""
    assert "n_resamples" in run.stderr
    assert "Traceback" not in run.stderr


def test_without_data_every_page_says_how_to_get_some(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path) as running, view(browser, running) as seen:
        seen.open()
        for page in PAGES:
            seen.go_to(page)
            assert "There is nothing to show yet" in seen.text()
            assert "benchkit compare minilm" in seen.text()
        assert not list((tmp_path / "mlruns").glob("*")), "looking makes nothing"


def test_every_page_is_reached_by_a_click_and_asks_nobody_else(browser: Browser, dashboard: Dashboard) -> None:
    with view(browser, dashboard) as seen:
        seen.open()
        for page in (*PAGES[1:], PAGES[0]):
            seen.go_to(page)
            assert seen.page.locator("h1, h2").count() >= 1, page


def test_a_choice_is_in_the_address_and_goes_along_to_the_next_page(browser: Browser, dashboard: Dashboard) -> None:
    with view(browser, dashboard) as seen:
        seen.open("compare?span=30d&suite=gone&p95_ms=12.5")
        assert seen.page.get_by_role("combobox", name="Suite").input_value() == "gone"
        seen.go_to("Tasks")
        assert "span=30d" in seen.page.url
        assert "p95_ms=12.5" in seen.page.url


def test_the_rows_of_a_chart_are_made_when_they_are_opened(browser: Browser, dashboard: Dashboard) -> None:
    with view(browser, dashboard) as seen:
        seen.open("compare")
        rows = seen.page.locator('[data-testid="stExpander"]', has_text="Data").first
        assert rows.locator('[data-testid="stDataFrame"]').count() == 0
        rows.locator("summary").click()
        rows.locator('[data-testid="stDataFrame"]').wait_for()
        seen.settle()
        text = seen.download(rows.get_by_role("button", name="Download CSV"))
    assert text.startswith("model,mean,")
    assert "minilm,62.78,60.5,65.06,1536.0," in text


def test_a_hostile_address_does_no_harm(browser: Browser, dashboard: Dashboard) -> None:
    script = quote("<script>alert(1)</script>")
    with view(browser, dashboard) as seen:
        for page in ("", *(name.lower() for name in PAGES[1:])):
            seen.open(f"{page}?comparison=../../etc/passwd&suite={script}&window=../../etc/passwd&model=%00&x=1")
            text = seen.text()
            assert "root:" not in text
            assert "window='../../etc/passwd' is left out: a whole number is expected" in text
            assert seen.page.locator("script", has_text="alert").count() == 0


def test_names_out_of_data_are_texts(browser: Browser, tmp_path: Path) -> None:
    keep(tmp_path, comparisons.hostile())
    with served(tmp_path) as running, view(browser, running) as seen:
        seen.open()
        for page in (*PAGES[1:], PAGES[0]):
            seen.go_to(page)
            main = seen.page.locator('[data-testid="stMain"]')
            assert main.locator('a[href^="javascript"], script, img, .katex').count() == 0


def test_a_sentence_of_data_is_shown_letter_by_letter(browser: Browser, dashboard: Dashboard) -> None:
    pieces = (
        "https://evil.example www.evil.example",
        ":streamlit: :material/home: :red[hi] $a$",
        "me@evil.example a->b a<=b **b** ~~d~~",
        "<b>x</b> [x](javascript:alert(1)) `c` |",
        "![i](http://e.example/i.png) # h &amp;",
    )
    with view(browser, dashboard) as seen:
        # The sentence on what isn't understood in an address shows it.
        seen.open("?" + "&".join(f"{quote(piece, safe='')}=1" for piece in pieces))
        alerts = seen.page.locator('[data-testid="stAlert"]')
        shown = [text.replace("\u2060", "") for text in alerts.all_inner_texts() if "is left out" in text]
        for piece, text in zip(pieces, shown, strict=True):
            assert f"{piece}='1' is left out" in text
        assert alerts.locator("a, img, .katex, b, strong, del, code").count() == 0


# ---------------------------------------------------------------- the harness


def test_a_browser_that_is_required_and_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.e2e.browser.CHROMIUM", Path("/nowhere/chromium"))
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="/nowhere/chromium is missing"), browsing():
        pass
    monkeypatch.setenv(REQUIRED, "")
    with pytest.raises(pytest.skip.Exception, match="/nowhere/chromium is missing"), browsing():
        pass
