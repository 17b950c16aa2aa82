"""Secrets in what travels, known by their content, in the formats that their issuers publish.

A file's name proves nothing: a `.pem` may hold certificates only, and a key may lie in `notes.txt`.
Not counted as secrets are

- certificates, public keys, hashes, and markers of a private key without a key behind them;
- examples and placeholders: texts that say so, or repeat the same few characters;
- passwords for localhost and the example domains;
- JSON Web Tokens, most of which are short-lived or public; those of Kubernetes and Supabase that
  never expire say so in their claims, and are in the table.

An encrypted private key counts: its passphrase can be guessed. Checksums of issuers that do not
publish how they are made are not checked. Only the repository's own files are looked at:
dependencies are public, and their documentation is full of examples.
"""

# ruff: noqa: E501 - a format is read best in one line

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..core.errors import PipelineError
from ..edge.files import mark_of

_SETTINGS = "pyproject.toml"
_SETTING = "[tool.pipeline.secrets.allow]"
_PLACEHOLDER = re.compile(
    rb"(?i)example|placeholder|redacted|change_?-?me|dummy|your[_-]|xxxxx|\*\*\*|\.\.\."
)
# What documentation writes where a password goes.
_NO_PASSWORD = re.compile(
    rb"(?i)(?:my|the|your|some|db|user|test)?[_-]?"
    rb"(?:pass|password|passwd|passphrase|pwd|secret|token|test|guest|foobar)[0-9]{0,3}"
)
_FEWEST_CHARACTERS = 4
_NOWHERE = re.compile(
    rb"(?i)(?:localhost|127\.[0-9.]+|0\.0\.0\.0|\[::1\]|host|hostname|server|"
    rb"(?:[a-z0-9-]+\.)*(?:example(?:\.(?:com|org|net))?|test|invalid|localhost))\Z"
)
# The emulator's key, the same for everybody; its first characters.
_AZURITE = b"Eby8vdM02xNO"
_ALPHANUMERIC = re.compile(rb"[A-Za-z0-9]\Z")
_ESCAPE = re.compile(rb"\\[nrt]\Z")

Found = re.Match[bytes]


def _is_real(secret: bytes) -> bool:
    return len(set(secret)) >= _FEWEST_CHARACTERS and not _PLACEHOLDER.search(secret)


def _assigned(found: Found) -> bool:
    return _is_real(found[found.lastindex or 0])


def _token(found: Found) -> bool:
    # Nothing may go on before or behind it but an escape, like the end of a line in a text.
    data, start, end = found.string, found.start(), found.end()
    before = data[max(0, start - 2) : start]
    whole = not _ALPHANUMERIC.search(before) or _ESCAPE.search(before)
    return bool(whole) and not data[end : end + 1].isalnum() and _assigned(found)


def _password(found: Found) -> bool:
    return _assigned(found) and not _NO_PASSWORD.fullmatch(found[1])


def _in_address(found: Found) -> bool:
    # Where user and password are the same, it is a default that everybody knows.
    known = found["user"] == found["password"]
    if known or _NOWHERE.match(found["host"]):
        return False
    return _is_real(found["password"]) and not _NO_PASSWORD.fullmatch(found["password"])


def _of_azure(found: Found) -> bool:
    return _assigned(found) and not found[1].startswith(_AZURITE)


def _in_kubeconfig(found: Found) -> bool:
    return _password(found) and re.search(rb"(?m)^kind:[ ]*Config\b", found.string) is not None


def _in_web_key(found: Found) -> bool:
    return _assigned(found) and re.search(rb'"kty"\s*:', found.string) is not None


def _everlasting(found: Found) -> bool:
    payload = base64.urlsafe_b64decode(found[1][: len(found[1]) // 4 * 4])
    service = rb'"iss"\s*:\s*"kubernetes/serviceaccount"|"role"\s*:\s*"service_role"'
    return re.search(service, payload) is not None


def _always(found: Found) -> bool:
    return found is not None


class Format(NamedTuple):
    """A published format.

    A file can hold it only if one of `words`, in small letters, is in it, in any case. The last
    group of `pattern` that matches is what is secret; `proves` has the last word. A format that
    means something only in the file it was made for has that file's `name`, a pattern.
    """

    what: str
    source: str
    pattern: bytes
    proves: Callable[[Found], bool]
    words: tuple[bytes, ...]
    name: str


def _format(
    what: str,
    source: str,
    pattern: bytes,
    proves: Callable[[Found], bool] = _token,
    words: bytes = b"",
    name: str = "",
) -> Format:
    """Make a row; without `words` a file has to hold what the pattern begins with."""
    start = re.match(rb"(?:[A-Za-z0-9_-]|\\\.)+", pattern)
    if not words and start:
        words = start[0].replace(b"\\", b"")
    # Every repeat in a pattern is bounded, so that reading stays linear.
    starts = tuple(words.lower().split(b" "))
    return Format(what, source, pattern, proves, starts, name)


# How an assignment goes on after the name, in Python, JSON, YAML, shells and property files.
_IS = rb"""['"]?\s{0,9}(?:=>|:=|[:=])\s{0,9}\\?['"]?"""
_PEM_BODY = (
    rb"""(?:\\+[nr]|[\s"'+,;()\\]){0,80}"""
    rb"""(?:[A-Za-z][A-Za-z-]{1,30}: [^\r\n\\]{0,120}(?:\\+[nr]|[\s"'+,;()\\]){1,80}){0,6}"""
    rb"([A-Za-z0-9+/]{40,})"
)
FORMATS = (
    # Keys in files
    _format("a private key", "RFC 7468; RFC 9580 (PGP); OpenSSH PROTOCOL.key; RFC 4716 (ssh.com)",
        rb"-{4,5} ?BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}" + _PEM_BODY, _assigned, words=b"private"),
    _format("a private key of PuTTY", "PuTTY User Manual, appendix: PPK file format",
        rb"PuTTY-User-Key-File-[1-9]:.{0,9000}?\nPrivate-Lines: [0-9]{1,4}\r?\n([A-Za-z0-9+/=]{20,})", _assigned),
    _format("a private key (DER)", "RFC 5958 (PKCS #8)",
        rb"\A\x30(?:[\x20-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01]\x30.\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01|\x07\x2a\x86\x48\xce\x3d\x02\x01|\x03\x2b\x65)", _always, words=b"\x02\x01\x00\x30 \x02\x01\x01\x30"),
    _format("a private key (DER, encrypted)", "RFC 5958, RFC 8018 (PBES2)",
        rb"\A\x30(?:\x81.|\x82..)\x30.\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d", _always, words=b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"),
    _format("a private key (DER)", "RFC 8017 (PKCS #1)", rb"\A\x30\x82..\x02\x01\x00\x02\x82..\x00", _always, words=b"\x02\x01\x00\x02"),
    _format("a key store with a private key (PKCS #12)", "RFC 7292",
        rb"\A\x30[\x80-\x84].{0,4}\x02\x01\x03\x30.*?\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01[\x01\x02]", _always, words=b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01"),
    _format("a key store with a private key (JKS)", "OpenJDK, JavaKeyStore and KeyProtector",
        rb"\A(?:\xfe\xed\xfe\xed|\xce\xce\xce\xce).*?\x2b\x06\x01\x04\x01\x2a\x02(?:\x11|\x13)\x01", _always, words=b"\xfe\xed\xfe\xed \xce\xce\xce\xce"),
    _format("a private key (JWK)", "RFC 7517, RFC 7518", rb'"d"\s{0,9}:\s{0,9}"([A-Za-z0-9_-]{40,800})"', _in_web_key, words=b'"kty"'),
    _format("a private key of age", "age, The age file encryption format", rb"AGE-SECRET-KEY-1([QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})"),
    _format("a private key of WireGuard", "wg(8): configuration file format",
        rb"(?m)^[ \t]{0,9}PrivateKey[ \t]{0,9}=[ \t]{0,9}([A-Za-z0-9+/]{42,43}=)", _assigned, words=b"[interface]"),
    # Clouds
    _format("an AWS access key id", "AWS IAM User Guide, IAM identifiers: unique ID prefixes", rb"(?:AKIA|ASIA)([A-Z0-9]{16})", words=b"akia asia"),
    _format("an AWS secret access key", "AWS IAM User Guide, Manage access keys for IAM users",
        rb"(?i:aws[_-]?secret[_-]?(?:access[_-]?)?key|secret[_-]?access[_-]?key)" + _IS + rb"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", _assigned, words=b"secret"),
    _format("an AWS session token", "AWS CLI User Guide, Configuration and credential file settings",
        rb"(?i:aws[_-]?session[_-]?token|sessiontoken)" + _IS + rb"([A-Za-z0-9/+]{100,4000}={0,2})", _assigned, words=b"session"),
    _format("an Amazon Bedrock API key", "Amazon Bedrock User Guide, API keys", rb"ABSK([A-Za-z0-9+/]{100,300}={0,2})"),
    _format("a Google API key", "Google Cloud, Manage API keys", rb"AIza([A-Za-z0-9_-]{35})(?![_-])"),
    _format("a Google OAuth client secret", "Google Cloud, Manage OAuth clients", rb"GOCSPX-([A-Za-z0-9_-]{28})(?![_-])"),
    _format("an Azure account or shared access key", "Azure Storage, Service Bus, Event Hubs: connection strings",
        rb"(?i:(?:Account|SharedAccess)Key)=([A-Za-z0-9+/]{43,86}={1,2})", _of_azure, words=b"accountkey sharedaccesskey"),
    _format("an Azure shared access signature", "Azure Storage, Create a service SAS",
        rb"""sv=20[0-9]{2}-[0-9]{2}-[0-9]{2}&[^\s"'<>]{0,400}?sig=([A-Za-z0-9%/+]{40,80}=?)""", _assigned, words=b"sig="),
    _format("an Azure client secret", "Microsoft Purview, Azure AD client secret",
        rb"Q~(?<=[A-Za-z0-9_~.-]{3}[0-9]Q~)([A-Za-z0-9_~.-]{31,34})(?![A-Za-z0-9_~.-])", _assigned, words=b"q~"),
    _format("an Azure DevOps token", "Azure DevOps, Use personal access tokens: format", rb"([A-Za-z0-9]{76})AZDO[A-Za-z0-9]{4}", words=b"azdo"),
    _format("an Alibaba Cloud access key id", "Alibaba Cloud RAM, AccessKey pairs", rb"LTAI([A-Za-z0-9]{12,20})"),
    _format("a DigitalOcean token", "DigitalOcean, API tokens: prefixes", rb"do[opr]_v1_([0-9a-f]{64})", words=b"_v1_"),
    _format("a Heroku token", "Heroku Dev Center, OAuth: token format", rb"HRKU-([A-Za-z0-9_-]{36,70})"),
    _format("a Cloudflare origin CA key", "Cloudflare, Origin CA keys", rb"v1\.0-([0-9a-f]{24}-[0-9a-f]{140,150})"),
    _format("a Supabase secret key", "Supabase, Understanding API keys", rb"(?:sb_secret_([A-Za-z0-9_-]{22,60})|sbp_[0-9a-f]{40})", words=b"sb_secret_ sbp_"),
    _format("a key that does not expire (JWT)", "Kubernetes, Managing Service Accounts; Supabase, API keys",
        rb"eyJ[A-Za-z0-9_-]{10,500}\.(eyJ[A-Za-z0-9_-]{20,3000})\.[A-Za-z0-9_-]{20,1000}", _everlasting),
    # Source code, packages, builds and deploys
    _format("a GitHub token", "GitHub Docs, token formats; GitHub Changelog, stateless installation tokens",
        rb"(?:gh[pour]_([A-Za-z0-9]{36,251})|ghs_([A-Za-z0-9._-]{36,1000})|github_pat_([A-Za-z0-9]{22}_[A-Za-z0-9]{59}))", words=b"ghp_ gho_ ghu_ ghr_ ghs_ github_pat_"),
    _format("a GitLab token", "GitLab Docs, Token overview: token prefixes",
        rb"(?:GR1348941|gl(?:pat|ptt|dt|rtr?|cbt|ft|soat|ffct|agent|imt|oas)-)([A-Za-z0-9_-]{20,300})", words=b"gl gr1348941"),
    _format("a Bitbucket or Atlassian token", "Atlassian Support, API tokens",
        rb"(?:AT[AC]TT3([A-Za-z0-9_=-]{100,300})|ATBB[A-Za-z0-9]{32})", words=b"atatt3 atbb atctt3"),
    _format("an npm token", "GitHub Blog, npm's new access token format", rb"npm_([A-Za-z0-9]{36})"),
    _format("an npm registry's credentials", "npm Docs, .npmrc: auth related configuration",
        rb"""(?m)(?:^_auth(?:Token)?|//[^\s=]{1,200}:_(?:authToken|auth|password))[ ]?=[ ]?["']?([A-Za-z0-9+/=_.~-]{12,2000})["']?\s*$""", _password, words=b":_auth :_password _auth= _authtoken"),
    _format("a PyPI token", "PyPI Docs, API tokens; pypitoken, the macaroon format", rb"pypi-AgE([A-Za-z0-9_-]{50,1000})"),
    _format("a package index's password", "Python Packaging User Guide, The .pypirc file",
        rb"(?m)^[ \t]{0,9}password[ \t]{0,9}[=:][ \t]{0,9}([^\s${<]{5,200})", _password, words=b"password", name=r"\.pypirc"),
    _format("a NuGet API key", "NuGet, Scoped API keys", rb"oy2([a-z0-9]{43})"),
    _format("a RubyGems key", "RubyGems Guides, API key scopes", rb"rubygems_([0-9a-f]{48})"),
    _format("a JFrog API key", "JFrog, Artifactory API key format", rb"AKCp([A-Za-z0-9]{69})"),
    _format("an Octopus API key", "Octopus Docs, How to create an API key", rb"API-([A-Z0-9]{25,40})"),
    _format("a Docker token", "Docker Docs, Personal and organization access tokens", rb"dckr_[po]at_([A-Za-z0-9_-]{27,40})"),
    _format("a container registry's credentials", "Docker Docs, docker login: config.json",
        rb'"auths"\s{0,20}:\s{0,20}\{[^}]{0,600}?"(?:auth|password|identitytoken)"\s{0,20}:\s{0,20}"([^"\s]{8,4000})"', _password, words=b'"auths"'),
    _format("a Kubernetes client key", "Kubernetes, kubeconfig (v1)", rb"""client-key-data"?:\s{0,9}"?([A-Za-z0-9+/=]{100,})""", _assigned, words=b"client-key-data"),
    _format("a Kubernetes token", "Kubernetes, kubeconfig (v1)",
        rb"""(?m)^[ ]{1,20}(?:token|password):[ ]{1,9}["']?([^\s"'${<]{8,4000})""", _in_kubeconfig, words=b"current-context"),
    _format("a HashiCorp Vault token", "HashiCorp Vault, Tokens: token prefixes", rb"hv[sbr]\.([A-Za-z0-9_-]{24,300})", words=b"hvs. hvb. hvr."),
    _format("a HCP Terraform token", "HCP Terraform, API tokens", rb"[A-Za-z0-9]{14}\.atlasv1\.([A-Za-z0-9_=-]{60,70})", words=b".atlasv1."),
    _format("a Pulumi token", "Pulumi, Access tokens", rb"pul-([0-9a-f]{40})"),
    _format("a CircleCI token", "CircleCI, Managing API tokens", rb"CCIP(?:AT|PROJ)_([A-Za-z0-9]{20,30}_[0-9a-f]{40})"),
    _format("a Sentry token", "Sentry Developer Documentation, Auth tokens (RFC 0091)", rb"sntry[su]_([A-Za-z0-9+/=_-]{60,400})"),
    _format("a Grafana token", "Grafana, Service accounts; Cloud access policies",
        rb"(?:glsa_([A-Za-z0-9]{32}_[0-9a-fA-F]{8})|glc_[A-Za-z0-9+/]{32,400}={0,2})", words=b"glsa_ glc_"),
    _format("a New Relic key", "New Relic, API keys", rb"NRAK-([A-Z0-9]{27})", words=b"nrak-"),
    _format("a Datadog key", "Datadog, API and application keys",
        rb"(?i:(?:dd|datadog)[_-](?:api|app|application)[_-]?key)" + _IS + rb"([0-9a-f]{32}(?:[0-9a-f]{8})?)(?![0-9A-Za-z])", _assigned, words=b"dd_a datadog"),
    _format("a Dynatrace token", "Dynatrace, Access tokens: token format", rb"dt0[cs]01\.[A-Z2-7]{24}\.([A-Z2-7]{64})", words=b"dt0c01. dt0s01."),
    _format("a Tailscale key", "Tailscale, Key prefixes", rb"tskey-(?:auth|api|client|scim|webhook)-([A-Za-z0-9]{10,30}-[A-Za-z0-9]{20,60})"),
    _format("a Doppler token", "Doppler, Service tokens: formats", rb"dp\.(?:pt|ct|sa|scim|audit|st(?:\.[a-z0-9_-]{2,35})?)\.([A-Za-z0-9]{40,44})"),
    _format("a 1Password service account token", "1Password Developer, Service accounts", rb"ops_eyJ([A-Za-z0-9+/_-]{200,2000})"),
    _format("a Postman key", "Postman, API keys", rb"PMAK-([0-9a-f]{24}-[0-9a-f]{34})"),
    # Messages and mail
    _format("a Slack token", "Slack, Token types", rb"(?:xox[abprs]-(?:[0-9]-)?|xoxe\.xox[bp]-[0-9]-|xoxe-[0-9]-|xapp-[0-9]-)([A-Za-z0-9-]{20,400})", words=b"xox xapp-"),
    _format("a Slack webhook", "Slack, Sending messages using incoming webhooks",
        rb"hooks\.slack\.com/(?:services/T[A-Z0-9]{6,14}/B[A-Z0-9]{6,14}|workflows/T[A-Z0-9]{6,14}/A[A-Z0-9]{6,14}/[0-9]{10,20}|triggers/[TE][A-Z0-9]{6,14}/[0-9]{8,20})/([A-Za-z0-9]{20,40})", words=b"hooks.slack.com/"),
    _format("a Microsoft Teams webhook", "Microsoft Teams, Create incoming webhooks",
        rb"\.webhook\.office\.com/webhookb2/[0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/([0-9a-f]{32})", words=b".webhook.office.com/"),
    _format("a Discord webhook", "Discord, Webhook resource", rb"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/([A-Za-z0-9_-]{60,80})", words=b"/api/webhooks/"),
    _format("a Discord bot token", "Discord, API reference: authentication",
        rb"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.([A-Za-z0-9_-]{27,38})(?![_-])", words=b"discord"),
    _format("a Telegram bot token", "Telegram Bot API, Authorizing your bot", rb"[0-9]{8,10}:AA([A-Za-z0-9_-]{33})(?![_-])", words=b":aa"),
    _format("a Twilio API key", "Twilio, API keys", rb"SK([0-9a-f]{32})", words=b"sk"),
    _format("a Twilio auth token", "Twilio, Auth tokens and how to change them",
        rb"(?i:twilio[_-]?(?:auth[_-]?token|api[_-]?(?:key[_-]?)?secret))" + _IS + rb"([A-Za-z0-9]{32})(?![0-9A-Za-z])", _assigned, words=b"twilio"),
    _format("a SendGrid key", "Twilio SendGrid, API keys", rb"SG\.([A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})(?![_-])"),
    _format("a Mailgun key", "Mailgun, API key roles", rb"(?:key-([0-9a-f]{32})|(?<![0-9a-f-])[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?!-))", words=b"mailgun"),
    _format("a Mailchimp key", "Mailchimp, About API keys", rb"-us(?<=[0-9a-f]{32}-us)(?<![0-9A-Za-z][0-9a-f]{32}-us)[0-9]{1,2}(?![0-9A-Za-z])", _assigned),
    _format("a Brevo key", "Brevo, Create and manage your API keys", rb"x(?:key|smtp)sib-([0-9a-f]{64}-[A-Za-z0-9]{16})", words=b"xkeysib- xsmtpsib-"),
    # Money and shops
    _format("a Stripe key", "Stripe, API keys", rb"[rs]k_live_([A-Za-z0-9]{24,247})", words=b"k_live_"),
    _format("a Stripe webhook's secret", "Stripe, Verify webhook signatures", rb"whsec_([A-Za-z0-9]{32,64})"),
    _format("a Square token", "Square, Access tokens and other credentials", rb"(?:sq0atp-|sq0csp-|EAAA)([A-Za-z0-9_-]{22,60})(?![_-])", words=b"sq0atp- sq0csp- eaaa"),
    _format("a Shopify token", "Shopify, Access token formats", rb"shp(?:at|ca|pa|ss)_([0-9a-fA-F]{32})"),
    _format("a PlanetScale credential", "PlanetScale, Service tokens and passwords", rb"pscale_(?:tkn|pw|oauth)_([A-Za-z0-9_.=-]{32,64})"),
    # Models and data
    _format("an OpenAI key", "OpenAI, API keys; GitHub Docs, Supported secret scanning patterns",
        rb"sk-(?:(?:proj|svcacct|admin)-([A-Za-z0-9_-]{40,300})|([A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}))"),
    _format("an Anthropic key", "Anthropic, API overview: authentication", rb"sk-ant-[a-z]{2,9}[0-9]{2}-([A-Za-z0-9_-]{80,120})"),
    _format("a Hugging Face token", "Hugging Face Hub, User access tokens", rb"(?:hf_|api_org_)([A-Za-z]{34})", words=b"hf_ api_org_"),
    _format("a Groq key", "GroqCloud, API keys", rb"gsk_([A-Za-z0-9]{52})"),
    _format("an xAI key", "xAI, API keys", rb"xai-([A-Za-z0-9]{80})"),
    _format("a Perplexity key", "Perplexity, API keys", rb"pplx-([A-Za-z0-9]{48})"),
    _format("a Replicate token", "Replicate, API tokens", rb"r8_([A-Za-z0-9]{37})"),
    _format("a Databricks token", "Databricks, Personal access token authentication", rb"dapi([0-9a-f]{32})(?:-[0-9])?"),
    _format("a Notion token", "Notion, Authorization: token format", rb"ntn_([0-9]{11}[A-Za-z0-9]{35})"),
    _format("a Linear key", "Linear, API and webhooks", rb"lin_api_([A-Za-z0-9]{40})"),
    _format("an Airtable token", "Airtable, Personal access tokens", rb"pat[A-Za-z0-9]{14}\.([0-9a-f]{64})"),
    _format("a Figma token", "Figma, Personal access tokens", rb"figd_([A-Za-z0-9_-]{40,60})"),
    _format("a HubSpot token", "HubSpot, Private app access tokens", rb"pat-(?:na|eu|ap)[0-9]-([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"),
    # Passwords, where a format says that it is one
    _format("a password in an address", "RFC 3986, section 3.2.1: user information",
        rb"""://(?P<user>[^\s/?#@:'"<>\\`{}$()\[\],;|^]{0,100}):(?!//|%[a-z]@)(?P<password>[^\s/?#@:'"<>\\`{}$()\[\],;|^]{5,500})@(?P<host>[A-Za-z0-9.\[\]_-]{1,255})""", _in_address, words=b"://"),
    _format("a database's password", "JDBC connection URLs of PostgreSQL, MySQL and SQL Server",
        rb"""(?i:jdbc:[a-z0-9]{2,20}:[^\s"'<>]{1,300}?[?;&]password)=([^\s"'<>&;${}]{5,200})""", _password, words=b"jdbc:"),
    _format("a database's password", "Microsoft ADO.NET, Connection string syntax",
        rb"""(?i:(?:server|data source|host)=(?!localhost|127\.|\(local)[^;"'\r\n]{1,100};(?:[^;"'\r\n]{1,100};){0,8}?(?:password|pwd))=([^\s"';<>${}%#]{5,200})""", _password, words=b"password= pwd="),
    _format("a password for netrc", "GNU inetutils, The .netrc file",
        rb"(?:machine\s{1,9}\S{1,255}|default)\s{1,9}login\s{1,9}\S{1,255}\s{1,9}password\s{1,9}([^\s${<]{4,255})", _password, words=b"machine default"),
    _format("a database's password", "PostgreSQL, The password file",
        rb"(?m)^(?!#)[^:\s]{1,255}:(?:[0-9]{1,5}|\*):[^:\r\n]{1,64}:[^:\r\n]{1,64}:([^\r\n]{4,200})", _password, words=b":", name=r"\.?pgpass(?:\.conf)?"),
    _format("a password among variables", "The Twelve-Factor App, Config; dotenv files",
        rb"""(?im)^(?:export[ ])?[a-z0-9_]{0,60}(?:password|passwd|secret|secret_key|token|api_key|private_key)[ ]?=[ ]?["']?([^\s"'#$<{}/:]{8,200})["']?\s*$""", _password, words=b"password passwd secret token api_key private_key", name=r"\.env(?:\.(?!example|sample|template|dist\b).*)?"),
)  # fmt: skip


class Secret(NamedTuple):
    """Where something secret is, and what; never the secret itself."""

    line: int
    what: str


def secrets_in(name: str, data: bytes) -> list[Secret]:
    """Return what is secret in a file, in the order of its lines.

    `name` is the file's own; text is read in UTF-8, and in what a byte order mark says.
    """
    encoding = mark_of(data)
    if encoding not in ("", "UTF-8"):
        data = data.decode(encoding, "replace").encode()
    lowered = data.lower()
    found = {
        Secret(data.count(b"\n", 0, match.start()) + 1, row.what)
        for row in FORMATS
        if not row.name or re.fullmatch(row.name, name, re.IGNORECASE)
        if any(word in lowered for word in row.words)
        # Compiled when a file first has the word: most formats are never met.
        for match in re.finditer(row.pattern, data, re.DOTALL)
        if row.proves(match)
    }
    return sorted(found)


def refuse_secrets(
    files: Mapping[str, bytes], settings: Mapping[str, str], allowed: Mapping[str, str]
) -> list[str]:
    """Refuse what is secret in files by path and in settings by key, naming every place at once.

    `allowed` are the reasons, by path, why a file may travel all the same. Returns a note on
    each of them that allows nothing.
    """
    places = [
        (path, f"{path} line {secret.line}: {secret.what}")
        for path, data in sorted(files.items())
        for secret in secrets_in(path.rsplit("/", 1)[-1], data)
    ]
    places += [
        (_SETTINGS, f"{_SETTINGS} {key}: {secret.what}")
        for key, value in settings.items()
        for secret in secrets_in(_SETTINGS, value.encode())
    ]
    refused = [place for path, place in places if path not in allowed]
    if refused:
        listed = "".join(f"\n  {number}. {place}" for number, place in enumerate(refused, 1))
        raise PipelineError(
            "package",
            f"this must not leave the repository: {listed}",
            "Take it out of the file and change it wherever it opens something: git keeps the old "
            f"one. If it is not a secret, name the file with the reason in {_SETTING}.",
        )
    useless = set(allowed) - {path for path, _ in places}
    return [
        f"{_SETTINGS} {_SETTING} {path!r} allows nothing: remove it" for path in sorted(useless)
    ]
