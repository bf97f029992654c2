"""E-mail against a real SMTP server on this machine."""

from __future__ import annotations

import datetime
import email
import email.policy
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from alerts import HOSTILE, alert
from smtp_server import SmtpServer

from benchkit.errors import UsageError
from benchkit.monitor.alerts.alert import AlertError, AlertRefused
from benchkit.monitor.alerts.mail import Email

PASSWORD = "pa55 word"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1, signed by itself, and its key."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"


def serving_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def mail(port: int, **options: Any) -> Email:
    given: dict[str, Any] = {"sender": "watch@example.org", "to": ["a@example.org", "b@example.org"]}
    return Email("127.0.0.1", port, **{**given, "security": "none", **options})


def test_an_alert_arrives_as_a_message() -> None:
    with SmtpServer() as server:
        mail(server.port).send(alert())
    (received,) = server.messages
    assert (received.sender, received.to) == ("watch@example.org", ["a@example.org", "b@example.org"])
    message = email.message_from_bytes(received.content, policy=email.policy.default)
    assert message["Subject"] == "[benchkit] warn: embeddings of logs/ against prod (data)"
    assert message["Message-ID"] == f"<{alert().id}@example.org>"
    assert message["Date"] == "Sat, 21 Nov 2026 10:00:00 +0000"
    text = message.get_content()
    assert "Why: 5 % of the rows are of a new kind." in text
    assert "p-value: 0.0004" in text


def test_hostile_texts_make_no_header() -> None:
    with SmtpServer() as server:
        mail(server.port).send(alert(source=HOSTILE, baseline=HOSTILE, reason=HOSTILE))
    message = email.message_from_bytes(server.messages[0].content, policy=email.policy.default)
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
    assert server.messages[0].to == ["a@example.org", "b@example.org"]


def test_the_password_goes_over_tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    monkeypatch.setenv("MAIL_USER", "me")
    trusted = ssl.create_default_context(cafile=str(certificate[0]))
    with SmtpServer(context=serving_tls(certificate), users={"me": PASSWORD}) as server:
        sink = mail(
            server.port, security="starttls", context=trusted, user_env="MAIL_USER", password_env="MAIL_PASSWORD"
        )
        sink.send(alert())
    assert server.logins == [("me", True)]
    assert server.messages[0].is_encrypted


def test_a_server_that_is_not_trusted_gets_nothing(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with SmtpServer(context=serving_tls(certificate), users={"me": PASSWORD}) as server:
        sink = mail(server.port, security="starttls", user="me", password_env="MAIL_PASSWORD")
        with pytest.raises(AlertError, match="its certificate can't be trusted: self-signed certificate"):
            sink.send(alert())
    assert server.logins == server.messages == []


def test_a_server_without_tls_gets_nothing() -> None:
    with SmtpServer() as server, pytest.raises(AlertError, match="the server has no STARTTLS"):
        mail(server.port, security="starttls").send(alert())
    assert server.messages == []


def test_a_wrong_password_is_said_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with SmtpServer(users={"me": "another"}) as server:
        sink = mail(server.port, user="me", password_env="MAIL_PASSWORD")
        with pytest.raises(AlertError, match=r"log-in refused \(535\)") as caught:
            sink.send(alert())
        monkeypatch.setenv("MAIL_PASSWORD", PASSWORD + "é")
        with pytest.raises(AlertError, match="UnicodeEncodeError") as coded:
            sink.send(alert())
    for error in (caught.value, coded.value):
        assert PASSWORD not in str(error)
        assert error.__suppress_context__
    assert PASSWORD not in repr(sink)


def test_some_recipients_are_enough_and_none_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with SmtpServer(refused=("a@example.org",)) as server:
        mail(server.port).send(alert())
    assert server.messages[0].to == ["b@example.org"]
    assert "not accepted for a@example.org" in caplog.text
    nobody = SmtpServer(refused=("a@example.org", "b@example.org"))
    with nobody, pytest.raises(AlertError, match="no recipient is accepted"):
        mail(nobody.port).send(alert())


def test_a_server_that_refuses_or_is_away_is_said() -> None:
    with SmtpServer(greeting="554 go away") as server, pytest.raises(AlertError, match=r"refused \(554\)"):
        mail(server.port).send(alert())
    with pytest.raises(AlertError, match="Connection refused"):
        mail(server.port).send(alert())


def test_a_server_that_says_nothing_costs_bounded_time() -> None:
    began = time.monotonic()
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, pytest.raises(AlertError, match=r"no answer within 0\.2 s|TimeoutError|timed out"):
        mail(silent.getsockname()[1], timeout_s=0.2).send(alert())
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": []}, "nobody to send to"),
        ({"to": ["a@b.org\r\nBcc: c@d.org"]}, "isn't an address as name@host"),
        ({"sender": "Me <me@b.org>"}, "'Me <me@b.org>' isn't an address"),
        ({"to": ["a@b.org, c@d.org"]}, "isn't an address"),
        ({"user": "me"}, "password_env must name the environment variable"),
        ({"user": "me", "password_env": "NOT_SET"}, "environment variable NOT_SET isn't set"),
        ({"user_env": "NOT_SET"}, "environment variable NOT_SET isn't set"),
    ],
    ids=["nobody", "header", "display name", "two in one", "no variable", "no password", "no user"],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        mail(25, **options)


def test_a_password_is_not_sent_to_another_machine_in_the_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with pytest.raises(UsageError, match=r"a password isn't sent to mail\.example\.org over an open connection"):
        Email(
            "mail.example.org",
            25,
            sender="a@b.org",
            to=["c@d.org"],
            security="none",
            user="me",
            password_env="MAIL_PASSWORD",
        )


def test_who_is_not_accepted_for_now_gets_it_later_and_nobody_twice(caplog: pytest.LogCaptureFixture) -> None:
    with SmtpServer(refused=("a@example.org",), refusal="450 greylisted") as server:
        sink, now = mail(server.port), datetime.datetime.now(datetime.UTC).isoformat()
        for _ in range(2):
            with pytest.raises(AlertRefused, match=r"not accepted for now for a@example\.org$"):
                sink.send(alert(time=now))
        server.refused = ()
        sink.send(alert(time=now))
        sink.send(alert(time=now, is_recovery=True))
    assert [received.to for received in server.messages] == [
        ["b@example.org"],
        ["a@example.org"],
        ["a@example.org", "b@example.org"],
    ]
    ids = [email.message_from_bytes(received.content)["Message-ID"] for received in server.messages]
    assert ids[0] == ids[1] != ids[2]
    assert "not accepted" not in caplog.text


def test_who_is_never_accepted_is_given_up_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    with SmtpServer(refused=("a@example.org",), refusal="452 mailbox full") as server:
        mail(server.port).send(alert(time="2020-01-01T00:00"))  # of before, as after a restart
        assert "not accepted for a@example.org" in caplog.text
        sink, now = mail(server.port), datetime.datetime.now(datetime.UTC).isoformat()
        with pytest.raises(AlertRefused):
            sink.send(alert(time=now))
        server.refusal = "550 nobody here"
        sink.send(alert(time=now))  # to the one who lacks it, who is refused for good
    assert [received.to for received in server.messages] == [["b@example.org"]] * 2
    assert caplog.text.count("not accepted for a@example.org") == 2


def test_a_server_that_does_not_take_this_message_may_take_others() -> None:
    for answer, is_refused in (("554 looks like spam", True), ("451 disk full", False)):
        with (
            SmtpServer(on_content=answer) as server,
            pytest.raises(AlertError, match=rf"refused \({answer[:3]}\)") as caught,
        ):
            mail(server.port).send(alert())
        assert isinstance(caught.value, AlertRefused) is is_refused
        assert caught.value.__suppress_context__


def test_a_message_is_ascii_for_servers_that_take_no_eight_bits() -> None:
    with SmtpServer() as server:
        mail(server.port).send(alert(source="süß", reason="naïve … 文"))
    content = server.messages[0].content
    assert content.isascii()
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["Subject"] == "[benchkit] warn: embeddings of süß against prod (data)"
    assert "Why: naïve … 文" in message.get_content()
