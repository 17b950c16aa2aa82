"""Secrets are known by their content; everything here is put together at run time."""

from __future__ import annotations

import base64
import json
import random
import string
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.edge.shell import run
from pipeline.project import secrets
from pipeline.project.secrets import FORMATS, refuse_secrets, secrets_in

from tests.tools import tool
from tests.words import refused

_DICE = random.Random(20)  # noqa: S311 - the same texts in every run
_LETTERS = string.ascii_letters
_ALNUM = _LETTERS + string.digits
_UPPER = string.ascii_uppercase + string.digits
_LOWER = string.ascii_lowercase + string.digits
_HEX = "0123456789abcdef"
_B64 = _ALNUM + "+/"
_URL = _ALNUM + "-_"
_DIGITS = string.digits


def r(characters: str, length: int) -> str:
    """Return a random text that begins and ends with a letter or digit where it can."""
    inner = "".join(_DICE.choices(characters, k=length - 2))
    edge = [c for c in characters if c.isalnum()]
    return _DICE.choice(edge) + inner + _DICE.choice(edge)


def pem(kind: str, lines: int = 3, end: str = "\n") -> str:
    """Return a PEM block of random lines."""
    body = end.join(r(_B64, 64) for _ in range(lines))
    return f"-----BEGIN {kind}-----{end}{body}{end}-----END {kind}-----{end}"


def b64(text: str) -> str:
    """Return the Base64 of a text, without padding and for addresses."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def password() -> str:
    """Return a password as a generator makes it."""
    return r(_ALNUM + "-_.!", 14)


_SERVICE = json.dumps({"iss": "kubernetes/serviceaccount", "sub": "system:x"})
_SAS = "sv=2022-11-02&ss=b&srt=co&sp=r&se=2030-01-01T00:00:00Z&spr=https&"
_KUBECONFIG = "kind: Config\ncurrent-context: c\nusers:\n- name: u\n  user:\n"

# Where it lies, and its text.
REAL: dict[str, tuple[str, Callable[[], str]]] = {
    "aws id": ("a.py", lambda: f"key = 'AKIA{r(_UPPER, 16)}'"),
    "aws temporary id": ("a.txt", lambda: f"ASIA{r(_UPPER, 16)}"),
    "aws secret": ("credentials", lambda: f"aws_secret_access_key = {r(_B64, 40)}"),
    "aws secret in camel case": ("a.ts", lambda: f"prodAwsSecretAccessKey: '{r(_B64, 40)}'"),
    "aws secret of sts": ("a.json", lambda: f'"SecretAccessKey": "{r(_B64, 40)}"'),
    "aws session": ("a.sh", lambda: f"export AWS_SESSION_TOKEN={r(_B64, 300)}=="),
    "github classic": ("a.yml", lambda: f"token: ghp_{r(_ALNUM, 36)}"),
    "github oauth": ("a.yml", lambda: f"gho_{r(_ALNUM, 36)}"),
    "github app": ("a.yml", lambda: f"ghs_{r(_ALNUM, 36)}"),
    "github refresh": ("a.yml", lambda: f"ghr_{r(_ALNUM, 76)}"),
    "github fine-grained": ("a.py", lambda: f"'github_pat_{r(_ALNUM, 22)}_{r(_ALNUM, 59)}'"),
    "gitlab": ("a.yml", lambda: f"glpat-{r(_URL, 20)}"),
    "gitlab routable": ("a.yml", lambda: f"glpat-{r(_URL, 27)}.01.{r(_LOWER, 9)}"),
    "gitlab deploy": ("a.yml", lambda: f"gldt-{r(_URL, 20)}"),
    "gitlab runner": ("a.toml", lambda: f'token = "glrt-{r(_URL, 20)}"'),
    "slack bot": ("a.py", lambda: f"xoxb-{r(_DIGITS, 12)}-{r(_DIGITS, 13)}-{r(_ALNUM, 24)}"),
    "slack app": ("a.py", lambda: f"xapp-1-A{r(_UPPER, 10)}-{r(_DIGITS, 13)}-{r(_HEX, 64)}"),
    "slack webhook": (
        "a.py",
        lambda: f"//hooks.slack.com/services/T{r(_UPPER, 8)}/B{r(_UPPER, 10)}/{r(_ALNUM, 24)}",
    ),
    "stripe": ("a.py", lambda: f"sk_live_{r(_ALNUM, 24)}"),
    "stripe restricted": ("a.py", lambda: f"rk_live_{r(_ALNUM, 99)}"),
    "google": ("a.js", lambda: f'"AIza{r(_URL, 35)}"'),
    "google service account": (
        "key.json",
        lambda: json.dumps({"type": "service_account", "private_key": pem("PRIVATE KEY")}),
    ),
    "google oauth": ("a.json", lambda: f'"client_secret":"GOCSPX-{r(_URL, 28)}"'),
    "azure storage": (
        "a.cs",
        lambda: f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={r(_B64, 86)}==",
    ),
    "azure bus": ("a.cs", lambda: f"SharedAccessKeyName=x;SharedAccessKey={r(_B64, 43)}="),
    "azure sas": ("a.txt", lambda: f"https://a.blob.core.windows.net/c?{_SAS}sig={r(_B64, 43)}%3D"),
    "azure client": ("a.env", lambda: f"CLIENT_SECRET={r(_ALNUM, 3)}8Q~{r(_URL, 34)}"),
    "npm": (".npmrc", lambda: f"npm_{r(_ALNUM, 36)}"),
    "npm registry": (".npmrc", lambda: f"//npm.corp.io/:_authToken={r(_HEX, 32)}"),
    "pypi": (".pypirc", lambda: f"password = pypi-AgEIcHlwaS5vcmc{r(_URL, 160)}"),
    "pypirc": (".pypirc", lambda: f"[corp]\nusername = build\npassword = {password()}"),
    "nuget": ("a.ps1", lambda: f"oy2{r(_LOWER, 43)}"),
    "octopus": ("a.ps1", lambda: f"API-{r(_UPPER, 30)}"),
    "twilio": ("a.py", lambda: f"SK{r(_HEX, 32)}"),
    "twilio auth": ("a.py", lambda: f"TWILIO_AUTH_TOKEN = '{r(_HEX, 32)}'"),
    "sendgrid": ("a.py", lambda: f"SG.{r(_URL, 22)}.{r(_URL, 43)}"),
    "mailgun": ("a.py", lambda: f"MAILGUN = 'key-{r(_HEX, 32)}'"),
    "digitalocean": ("a.tf", lambda: f"dop_v1_{r(_HEX, 64)}"),
    "docker": ("a.sh", lambda: f"docker login -p dckr_pat_{r(_URL, 27)}"),
    "docker config": (
        "config.json",
        lambda: json.dumps({"auths": {"r.corp.io": {"auth": b64(f"me:{password()}")}}}, indent=1),
    ),
    "vault": ("a.hcl", lambda: f"hvs.{r(_URL, 95)}"),
    "terraform": (".terraformrc", lambda: f"{r(_ALNUM, 14)}.atlasv1.{r(_URL, 64)}"),
    "databricks": (".databrickscfg", lambda: f"token = dapi{r(_HEX, 32)}-2"),
    "datadog": ("a.yaml", lambda: f"DD_API_KEY: {r(_HEX, 32)}"),
    "telegram": ("a.py", lambda: f"'{r('123456789', 10)}:AA{r(_URL, 33)}'"),
    "mailchimp": ("a.py", lambda: f"'{r(_HEX, 32)}-us11'"),
    "shopify": ("a.rb", lambda: f"shpat_{r(_HEX, 32)}"),
    "square": ("a.rb", lambda: f"sq0csp-{r(_URL, 43)}"),
    "openai": ("a.py", lambda: f"sk-proj-{r(_URL, 74)}T3BlbkFJ{r(_URL, 74)}"),
    "openai old": ("a.py", lambda: f"sk-{r(_ALNUM, 20)}T3BlbkFJ{r(_ALNUM, 20)}"),
    "anthropic": ("a.py", lambda: f"sk-ant-api03-{r(_URL, 93)}AA"),
    "hugging face": ("a.py", lambda: f"hf_{r(_LETTERS, 34)}"),
    "kubernetes jwt": (
        "token",
        lambda: f"{b64(json.dumps({'alg': 'RS256', 'kid': 'x'}))}.{b64(_SERVICE)}.{r(_URL, 340)}",
    ),
    "rsa": ("ca.crt", lambda: pem("RSA PRIVATE KEY", 20)),
    "pkcs8": ("x", lambda: "    " + pem("PRIVATE KEY", 1, "\n    ")),
    "pkcs8 encrypted": ("x", lambda: pem("ENCRYPTED PRIVATE KEY")),
    "rsa encrypted": (
        "x",
        lambda: pem("RSA PRIVATE KEY").replace(
            "KEY-----\n", f"KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES,{r(_HEX, 16)}\n\n", 1
        ),
    ),
    "openssh": ("id", lambda: pem("OPENSSH PRIVATE KEY", 7, "\r\n")),
    "in a string": ("a.c", lambda: repr(pem("EC PRIVATE KEY"))),
    "in many strings": (
        "a.py",
        lambda: "\n".join(f'"{line}\\n"' for line in pem("EC PRIVATE KEY").splitlines()),
    ),
    "pgp": (
        "x",
        lambda: pem("PGP PRIVATE KEY BLOCK").replace("\n", "\nVersion: GnuPG v2\n\n", 1),
    ),
    "putty": (
        "x.ppk",
        lambda: (
            "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: c\nPublic-Lines: 1\n"
            f"{r(_B64, 64)}\nPrivate-Lines: 1\n{r(_B64, 48)}\n"
        ),
    ),
    "jwk": ("k.json", lambda: f'{{"kty": "EC", "crv": "P-256", "d": "{r(_URL, 43)}"}}'),
    "netrc": (".netrc", lambda: f"machine git.corp.io\n  login me\n  password {password()}\n"),
    "pip.conf": ("pip.conf", lambda: f"index-url = https://me:{password()}@pkg.corp.io/simple"),
    "database": ("a.py", lambda: f"'postgresql://app:{password()}@db.corp.io:5432/app'"),
    "redis": ("a.py", lambda: f"redis://:{password()}@cache.corp.io:6379/0"),
    "jdbc": ("a.properties", lambda: f"jdbc:mysql://db/app?user=me&password={password()}"),
    "ado": ("a.json", lambda: f"Server=db.corp.io;Database=a;User Id=me;Password={password()};"),
    "kubeconfig key": ("config", lambda: f"    client-key-data: LS0t{r(_ALNUM, 400)}"),
    "kubeconfig token": ("config", lambda: f"{_KUBECONFIG}    token: {r(_URL, 40)}\n"),
    "pgpass": (".pgpass", lambda: f"db.corp.io:5432:*:app:{password()}"),
    "dotenv": (".env", lambda: f"LOG=1\nDB_PASSWORD={password()}\n"),
}  # fmt: skip

_JWT_IO = f"{b64(json.dumps({'alg': 'HS256', 'typ': 'JWT'}))}.{b64(json.dumps({'sub': '1', 'name': 'John Doe', 'iat': 1516239022}))}.{r(_URL, 43)}"  # noqa: E501
HARMLESS: dict[str, tuple[str, str]] = {
    "certificate": ("ca.pem", pem("CERTIFICATE", 20)),
    "public key": ("server.key", pem("PUBLIC KEY")),
    "pgp public": ("x.key", pem("PGP PUBLIC KEY BLOCK")),
    "ssh public": ("id_rsa.pub", f"ssh-rsa AAAAB3NzaC1yc2E{r(_B64, 350)} me@host"),
    "empty names": ("id_rsa", ""),
    "a dotenv without a secret": (".env", "LOG_LEVEL=debug\nPORT=8080\nTOKEN_URL=https://x.io\n"),
    "a dotenv of placeholders": (".env", "DB_PASSWORD=changeme\nTOKEN=${TOKEN}\nAPI_KEY=\n"),
    "an example dotenv": (".env.example", f"DB_PASSWORD={r(_ALNUM, 12)}\n"),
    "npmrc": (".npmrc", "registry=https://npm.corp.io\n//npm.corp.io/:_authToken=${NPM_TOKEN}\n"),
    "netrc": (".netrc", "machine git.corp.io login me password <password>\n"),
    "credentials": ("credentials.json", '{"type": "authorized", "scopes": ["read"]}'),
    "gitmodules": (".gitmodules", '[submodule "x"]\n  url = git@github.com:a/b.git\n'),
    "aws example id": ("a.py", "AKIA" + "IOSFODNN7EXAMPLE"),
    "aws example secret": (
        "a.py", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
    ),
    "aws variable": ("a.py", "aws_secret_access_key=os.environ['AWS_SECRET_ACCESS_KEY']"),
    "marker": ("a.py", 'if "-----BEGIN RSA PRIVATE KEY-----" in text:\n    raise KeyFound(text)\n'),
    "markers": ("a.py", "-----BEGIN PRIVATE KEY-----\nMIIEvQ...\n-----END PRIVATE KEY-----\n"),
    "placeholder": ("a.md", "ghp_" + "x" * 36 + " sk_live_" + "0" * 24 + " API-" + "X" * 26),
    "slack example": ("a.md", "https://hooks.slack.com/services/T00000000/B00000000/" + "X" * 24),
    "stripe test": ("a.py", "sk_" + "test_" + r(_ALNUM, 24)),
    "hashes": ("a.txt", "\n".join(f"--hash=sha256:{r(_HEX, 64)}" for _ in range(400))),
    "integrity": ("package-lock.json", f'"integrity": "sha512-{r(_B64, 86)}=="'),
    "git ids": ("a.txt", "\n".join(r(_HEX, 40) for _ in range(400))),
    "uuid": ("a.txt", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    "inline image": ("a.css", f"url(data:image/png;base64,{r(_B64, 20_000)})"),
    "jwt": ("a.py", _JWT_IO),
    "documentation's addresses": (
        "a.md",
        (
            "https://user:password@host.corp.io postgres://app:s3cr3tpw@localhost/db "
            "https://me:hunter2222@example.com amqp://guest:guest@rabbit"
        ),
    ),
    "templates of addresses": (
        "a.py",
        (
            'f"https://{user}:{password}@{host}" "https://%s:%s@host" https://x:$TOKEN@git.corp.io '
            "https://build:#{Password}@db r'://[^:]+:[^@]+@'"
        ),
    ),
    "ports and times": ("a.txt", "http://host:8080/a@b ssh://git@host:2222/x 10:15:00@UTC"),
    "places of code": (".log", "a.py:12:34:error:undefined name"),
    "jdbc": ("a.properties", "jdbc:mysql://db/app?user=me&password=${PASSWORD}"),
    "emulator": (
        "a.json", "AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNO" + "cqF" + "l" * 10,
    ),
    "kubernetes": ("a.yaml", "kind: Secret\nmetadata:\n  name: token\ndata:\n  token: {{ token }}"),
    "key names": ("a.py", "cache-key-" + r(_HEX, 32) + " task SKIP API-KEY hf_model npm_config_x"),
    "jwk": ("jwks.json", f'{{"kty": "RSA", "n": "{r(_URL, 342)}", "e": "AQAB"}}'),
}  # fmt: skip


@pytest.mark.parametrize("case", REAL)
def test_a_secret_is_found(case: str) -> None:
    """In a line of its own or of others, with its line's number, and in UTF-16 as well."""
    name, make = REAL[case]
    text = make()
    above = "" if name in (".pgpass", "config.json") else "\n\n"
    found = secrets_in(name, (above + text + "\n").encode())
    assert found, text
    assert len(above) < found[0].line <= len((above + text).splitlines())
    assert secrets_in(name, (above + text).encode("utf-16")) == found
    assert all(text[start : start + 12] not in repr(found) for start in (12, 24) if text[36:])


@pytest.mark.parametrize("case", HARMLESS)
def test_what_only_looks_like_one_may_travel(case: str) -> None:
    """Names, certificates, examples, placeholders, hashes and talk of keys are no leak."""
    name, text = HARMLESS[case]
    assert secrets_in(name, text.encode()) == []
    assert secrets_in(name, text.encode("utf-16")) == []


def test_binary_keys_are_found(tmp_path: Path) -> None:
    """By what is in them: a store of certificates only may travel."""
    secret = {
        "key.der": "rsa -in key.pem -traditional -outform DER -out key.der",
        "pkcs8.der": "pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out pkcs8.der",
        "locked.der": "pkcs8 -topk8 -passout pass:abc -in key.pem -outform DER -out locked.der",
        "store.p12": "pkcs12 -export -inkey key.pem -in cert.pem -passout pass:abc -out store.p12",
    }
    harmless = {
        "cert.der": "x509 -in cert.pem -outform DER -out cert.der",
        "trust.p12": "pkcs12 -export -nokeys -in cert.pem -passout pass:abc -out trust.p12",
    }
    make = "req -x509 -newkey rsa:2048 -keyout key.pem -out cert.pem -days 3 -nodes -subj /CN=test"
    for line in (make, *secret.values(), *harmless.values()):
        run([tool("openssl"), *line.split()], cwd=tmp_path)
    files = {name: (tmp_path / name).read_bytes() for name in secret | harmless}
    assert {name for name, data in files.items() if secrets_in(name, data)} == secret.keys()
    assert secrets_in("ca.pem", (tmp_path / "cert.pem").read_bytes()) == []
    assert secrets_in("ca.pem", (tmp_path / "key.pem").read_bytes()) != []


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**64), st.sampled_from((_B64, _URL, _HEX, _UPPER, _ALNUM)))
def test_random_text_is_hardly_ever_refused(seed: int, characters: str) -> None:
    """What tools generate and what people compress has all characters, but no issuer's marks."""
    dice = random.Random(seed)  # noqa: S311
    lines = "\n".join("".join(dice.choices(characters, k=76)) for _ in range(60))
    assert secrets_in("a.txt", lines.encode()) == []


@settings(deadline=None)
@given(st.binary(max_size=3000) | st.text(max_size=2000).map(str.encode))
def test_any_bytes_can_be_read(data: bytes) -> None:
    """Whatever a file holds, looking at it ends; and with a mark, however wrong."""
    for mark in (b"", b"\xff\xfe", b"\xfe\xff\x00"):
        assert secrets_in(".env", mark + data) is not None


@pytest.mark.slow
def test_looking_stays_linear() -> None:
    """A hostile file, made of what begins a format, takes no time that grows with its square."""
    for row in FORMATS:
        words = [word.decode("latin-1") for word in row.words]
        for start in (*words, "password: 'a=b;c", "sv=2020-01-01&", "x:y", "a" * 40):
            data = (f"\n{start}" * (40_000 // (len(start) + 1))).encode("latin-1")
            one_line = words[0].encode("latin-1") + data.replace(b"\n", b" ")
            for case in (data, data.upper(), one_line):
                before = time.perf_counter()
                secrets_in(".env" if row.name else "x", case)
                # A square of this size is minutes.
                assert time.perf_counter() - before < 5, row.source


def test_the_table_holds_nothing_it_looks_for() -> None:
    """The module, and these tests, can be packed."""
    for path in (Path(secrets.__file__), Path(__file__)):
        assert secrets_in(path.name, path.read_bytes()) == []


def test_every_row_says_who_publishes_it() -> None:
    """A row without a source is an opinion."""
    assert all(row.source and row.words for row in FORMATS)


def test_every_place_is_named_at_once() -> None:
    """File, line, kind, key and what to do; never the secret itself."""
    key, text = f"AKIA{r(_UPPER, 16)}", f"a = 1\nb = 'glpat-{r(_URL, 20)}'\n"
    files = {"src/b.py": text.encode(), "src/a/x.txt": key.encode(), "src/ok.py": b"\n"}
    with refused("package", PipelineError) as error:
        refuse_secrets(files, {"[tool.pipeline.function.environment] ID": f"ID = {key}"}, {})
    assert key not in str(error.value)


def test_a_named_file_may_travel() -> None:
    """By its exact path; a name that allows nothing is worth a note."""
    files = {"src/a.txt": f"AKIA{r(_UPPER, 16)}".encode(), "src/b.txt": b""}
    allowed = {"src/a.txt": "revoked", "src/b.txt": "old", "a.txt": "old"}
    notes = refuse_secrets(files, {}, allowed)
    assert [path in note for path, note in zip(("'a.txt'", "'src/b.txt'"), notes, strict=True)]
    with refused("package", PipelineError):
        refuse_secrets(files, {}, {"a.txt": "not this path"})
