"""Secrets in what travels: known by their content, in the formats that their issuers publish.

A name proves nothing: a `.pem` may hold certificates only, and a key may lie in `notes.txt`. One
table says what is a secret, each row with the document that publishes the format. No secrets are

- certificates, public keys, hashes, and markers of a private key without a key behind them;
- examples and placeholders: what says so itself, and what repeats the same few characters;
- what belongs to this machine or to nobody: passwords for localhost and the example domains;
- a JSON Web Token as such: most are short-lived or public, and nothing in one tells. Those of
  Kubernetes and Supabase that never expire say so in their claims, and are in the table.

An encrypted private key is still a key: its passphrase can be guessed for ever. Where an issuer
has a checksum but does not publish how it is made, it is not asked for.

Only the repository's own bytes are looked at. Those of dependencies are public (the SDK's
documentation is full of examples), and what is compressed, as function.zip, is not opened.
"""

# ruff: noqa: E501 - a format is read best in one line

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..core.errors import PipelineError

_SETTINGS = "pyproject.toml"
_SETTING = "[tool.pipeline.secrets.allow]"
_BYTE_ORDER_MARKS = (
    # The longer ones first: that of UTF-16 begins that of UTF-32.
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
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

    A file can hold it only if one of `words` is in it, in any case. Group 1 of `pattern` is what
    is secret; `proves` has the last word. A format that means something only in the file it was
    made for has that file's `name`. Every repeat is bounded, so that reading stays linear.
    """

    what: str
    source: str
    words: bytes
    pattern: bytes
    proves: Callable[[Found], bool] = _token
    name: str = ""


# How an assignment goes on after the name, in Python, JSON, YAML, shells and property files.
_IS = rb"""['"]?\s{0,9}(?:=>|:=|[:=])\s{0,9}\\?['"]?"""
_PEM_BODY = (
    rb"""(?:\\+[nr]|[\s"'+,;()\\]){0,80}"""
    rb"""(?:[A-Za-z][A-Za-z-]{1,30}: [^\r\n\\]{0,120}(?:\\+[nr]|[\s"'+,;()\\]){1,80}){0,6}"""
    rb"([A-Za-z0-9+/]{40,})"
)
FORMATS = (
    # Keys in files
    Format("a private key", "RFC 7468; RFC 9580 (PGP); OpenSSH PROTOCOL.key",
        b"private", rb"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?-----" + _PEM_BODY, _assigned),
    Format("a private key", "RFC 4716, as the ssh.com tools write private keys",
        b"ssh2", rb"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----" + _PEM_BODY, _assigned),
    Format("a private key of PuTTY", "PuTTY User Manual, appendix: PPK file format",
        b"putty-user-key-file-", rb"PuTTY-User-Key-File-[1-9]:.{0,9000}?\nPrivate-Lines: [0-9]{1,4}\r?\n([A-Za-z0-9+/=]{20,})", _assigned),
    Format("a private key (DER)", "RFC 5958 (PKCS #8)",
        b"\x02\x01\x00\x30 \x02\x01\x01\x30", rb"\A\x30(?:[\x20-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01]\x30.\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01|\x07\x2a\x86\x48\xce\x3d\x02\x01|\x03\x2b\x65)", _always),
    Format("a private key (DER, encrypted)", "RFC 5958, RFC 8018 (PBES2)",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d", rb"\A\x30(?:\x81.|\x82..)\x30.\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d", _always),
    Format("a private key (DER)", "RFC 8017 (PKCS #1)",
        b"\x02\x01\x00\x02", rb"\A\x30\x82..\x02\x01\x00\x02\x82..\x00", _always),
    Format("a key store with a private key (PKCS #12)", "RFC 7292",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01", rb"\A\x30[\x80-\x84].{0,4}\x02\x01\x03\x30.*?\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01[\x01\x02]", _always),
    Format("a key store with a private key (JKS)", "OpenJDK, JavaKeyStore and KeyProtector",
        b"\xfe\xed\xfe\xed \xce\xce\xce\xce", rb"\A(?:\xfe\xed\xfe\xed|\xce\xce\xce\xce).*?\x2b\x06\x01\x04\x01\x2a\x02(?:\x11|\x13)\x01", _always),
    Format("a private key (JWK)", "RFC 7517, RFC 7518",
        b'"kty"', rb'"d"\s{0,9}:\s{0,9}"([A-Za-z0-9_-]{40,800})"', _in_web_key),
    Format("a private key of age", "age, The age file encryption format",
        b"age-secret-key-1", rb"AGE-SECRET-KEY-1([QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})"),
    Format("a private key of WireGuard", "wg(8): configuration file format",
        b"[interface]", rb"(?m)^[ \t]{0,9}PrivateKey[ \t]{0,9}=[ \t]{0,9}([A-Za-z0-9+/]{42,43}=)", _assigned),
    # Clouds
    Format("an AWS access key id", "AWS IAM User Guide, IAM identifiers: unique ID prefixes",
        b"akia asia", rb"(?:AKIA|ASIA)([A-Z0-9]{16})"),
    Format("an AWS secret access key", "AWS IAM User Guide, Manage access keys for IAM users",
        b"secret", rb"(?i:aws[_-]?secret[_-]?(?:access[_-]?)?key|secret[_-]?access[_-]?key)" + _IS + rb"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", _assigned),
    Format("an AWS session token", "AWS CLI User Guide, Configuration and credential file settings",
        b"session", rb"(?i:aws[_-]?session[_-]?token|sessiontoken)" + _IS + rb"([A-Za-z0-9/+]{100,4000}={0,2})", _assigned),
    Format("an Amazon Bedrock API key", "Amazon Bedrock User Guide, API keys",
        b"absk", rb"ABSK([A-Za-z0-9+/]{100,300}={0,2})"),
    Format("a Google API key", "Google Cloud, Manage API keys",
        b"aiza", rb"AIza([A-Za-z0-9_-]{35})(?![_-])"),
    Format("a Google OAuth client secret", "Google Cloud, Manage OAuth clients",
        b"gocspx-", rb"GOCSPX-([A-Za-z0-9_-]{28})(?![_-])"),
    Format("an Azure storage account key", "Azure Storage, Configure connection strings",
        b"accountkey", rb"(?i:AccountKey)=([A-Za-z0-9+/]{86}==)", _of_azure),
    Format("an Azure shared access key", "Azure Service Bus, Event Hubs: Get a connection string",
        b"sharedaccesskey", rb"(?i:SharedAccessKey)=([A-Za-z0-9+/]{43,86}={1,2})", _assigned),
    Format("an Azure shared access signature", "Azure Storage, Create a service SAS",
        b"sig=", rb"""sv=20[0-9]{2}-[0-9]{2}-[0-9]{2}&[^\s"'<>]{0,400}?sig=([A-Za-z0-9%/+]{40,80}=?)""", _assigned),
    Format("an Azure client secret", "Microsoft Purview, Azure AD client secret",
        b"q~", rb"Q~(?<=[A-Za-z0-9_~.-]{3}[0-9]Q~)([A-Za-z0-9_~.-]{31,34})(?![A-Za-z0-9_~.-])", _assigned),
    Format("an Azure DevOps token", "Azure DevOps, Use personal access tokens: format",
        b"azdo", rb"([A-Za-z0-9]{76})AZDO[A-Za-z0-9]{4}"),
    Format("an Alibaba Cloud access key id", "Alibaba Cloud RAM, AccessKey pairs",
        b"ltai", rb"LTAI([A-Za-z0-9]{12,20})"),
    Format("a DigitalOcean token", "DigitalOcean, API tokens: prefixes",
        b"_v1_", rb"do[opr]_v1_([0-9a-f]{64})"),
    Format("a Heroku token", "Heroku Dev Center, OAuth: token format",
        b"hrku-", rb"HRKU-([A-Za-z0-9_-]{36,70})"),
    Format("a Cloudflare origin CA key", "Cloudflare, Origin CA keys",
        b"v1.0-", rb"v1\.0-([0-9a-f]{24}-[0-9a-f]{140,150})"),
    Format("a Supabase secret key", "Supabase, Understanding API keys",
        b"sb_secret_ sbp_", rb"(?:sb_secret_([A-Za-z0-9_-]{22,60})|sbp_[0-9a-f]{40})"),
    Format("a key that does not expire (JWT)", "Kubernetes, Managing Service Accounts; Supabase, API keys",
        b"eyj", rb"eyJ[A-Za-z0-9_-]{10,500}\.(eyJ[A-Za-z0-9_-]{20,3000})\.[A-Za-z0-9_-]{20,1000}", _everlasting),
    # Source code, packages, builds and deploys
    Format("a GitHub token", "GitHub Docs, About authentication to GitHub: token formats",
        b"ghp_ gho_ ghu_ ghr_", rb"gh[pour]_([A-Za-z0-9]{36,251})"),
    Format("a GitHub App's token", "GitHub Changelog, installation tokens in the stateless format",
        b"ghs_", rb"ghs_([A-Za-z0-9._-]{36,1000})"),
    Format("a GitHub token", "GitHub Docs, Fine-grained personal access tokens",
        b"github_pat_", rb"github_pat_([A-Za-z0-9]{22}_[A-Za-z0-9]{59})"),
    Format("a GitLab token", "GitLab Docs, Token overview: token prefixes",
        b"gl",
        rb"gl(?:pat|ptt|dt|rtr?|cbt|ft|soat|ffct|agent|imt|oas)-([A-Za-z0-9_-]{20,300})"),
    Format("a GitLab runner registration token", "GitLab Docs, Token overview: token prefixes",
        b"gr1348941", rb"GR1348941([A-Za-z0-9_-]{20})(?![_-])"),
    Format("a Bitbucket or Atlassian token", "Atlassian Support, API tokens",
        b"atatt3 atbb atctt3", rb"(?:AT[AC]TT3([A-Za-z0-9_=-]{100,300})|ATBB[A-Za-z0-9]{32})"),
    Format("an npm token", "GitHub Blog, npm's new access token format",
        b"npm_", rb"npm_([A-Za-z0-9]{36})"),
    Format("an npm registry's credentials", "npm Docs, .npmrc: auth related configuration",
        b":_auth :_password _auth= _authtoken", rb"""(?m)(?:^_auth(?:Token)?|//[^\s=]{1,200}:_(?:authToken|auth|password))[ ]?=[ ]?["']?([A-Za-z0-9+/=_.~-]{12,2000})["']?\s*$""", _password),
    Format("a PyPI token", "PyPI Docs, API tokens; pypitoken, the macaroon format",
        b"pypi-age", rb"pypi-AgE([A-Za-z0-9_-]{50,1000})"),
    Format("a package index's password", "Python Packaging User Guide, The .pypirc file",
        b"password", rb"(?m)^[ \t]{0,9}password[ \t]{0,9}[=:][ \t]{0,9}([^\s${<]{5,200})", _password, r"\.pypirc"),
    Format("a NuGet API key", "NuGet, Scoped API keys",
        b"oy2", rb"oy2([a-z0-9]{43})"),
    Format("a RubyGems key", "RubyGems Guides, API key scopes",
        b"rubygems_", rb"rubygems_([0-9a-f]{48})"),
    Format("a JFrog API key", "JFrog, Artifactory API key format",
        b"akcp", rb"AKCp([A-Za-z0-9]{69})"),
    Format("an Octopus API key", "Octopus Docs, How to create an API key",
        b"api-", rb"API-([A-Z0-9]{25,40})"),
    Format("a Docker token", "Docker Docs, Personal and organization access tokens",
        b"dckr_", rb"dckr_[po]at_([A-Za-z0-9_-]{27,40})"),
    Format("a container registry's credentials", "Docker Docs, docker login: config.json",
        b'"auths"', rb'"auths"\s{0,20}:\s{0,20}\{[^}]{0,600}?"(?:auth|password|identitytoken)"\s{0,20}:\s{0,20}"([^"\s]{8,4000})"', _password),
    Format("a Kubernetes client key", "Kubernetes, kubeconfig (v1)",
        b"client-key-data", rb"""client-key-data"?:\s{0,9}"?([A-Za-z0-9+/=]{100,})""", _assigned),
    Format("a Kubernetes token", "Kubernetes, kubeconfig (v1)",
        b"current-context", rb"""(?m)^[ ]{1,20}(?:token|password):[ ]{1,9}["']?([^\s"'${<]{8,4000})""", _in_kubeconfig),
    Format("a HashiCorp Vault token", "HashiCorp Vault, Tokens: token prefixes",
        b"hvs. hvb. hvr.", rb"hv[sbr]\.([A-Za-z0-9_-]{24,300})"),
    Format("a HCP Terraform token", "HCP Terraform, API tokens",
        b".atlasv1.", rb"[A-Za-z0-9]{14}\.atlasv1\.([A-Za-z0-9_=-]{60,70})"),
    Format("a Pulumi token", "Pulumi, Access tokens",
        b"pul-", rb"pul-([0-9a-f]{40})"),
    Format("a CircleCI token", "CircleCI, Managing API tokens",
        b"ccip", rb"CCIP(?:AT|PROJ)_([A-Za-z0-9]{20,30}_[0-9a-f]{40})"),
    Format("a Sentry token", "Sentry Developer Documentation, Auth tokens (RFC 0091)",
        b"sntry", rb"sntry[su]_([A-Za-z0-9+/=_-]{60,400})"),
    Format("a Grafana token", "Grafana, Service accounts; Cloud access policies",
        b"glsa_ glc_", rb"(?:glsa_([A-Za-z0-9]{32}_[0-9a-fA-F]{8})|glc_[A-Za-z0-9+/]{32,400}={0,2})"),
    Format("a New Relic key", "New Relic, API keys",
        b"nrak- nral", rb"NRAK-([A-Z0-9]{27})"),
    Format("a Datadog key", "Datadog, API and application keys",
        b"dd_a datadog", rb"(?i:(?:dd|datadog)[_-](?:api|app|application)[_-]?key)" + _IS + rb"([0-9a-f]{32}(?:[0-9a-f]{8})?)(?![0-9A-Za-z])", _assigned),
    Format("a Dynatrace token", "Dynatrace, Access tokens: token format",
        b"dt0c01. dt0s01.", rb"dt0[cs]01\.[A-Z2-7]{24}\.([A-Z2-7]{64})"),
    Format("a Tailscale key", "Tailscale, Key prefixes",
        b"tskey-", rb"tskey-(?:auth|api|client|scim|webhook)-([A-Za-z0-9]{10,30}-[A-Za-z0-9]{20,60})"),
    Format("a Doppler token", "Doppler, Service tokens: formats",
        b"dp.", rb"dp\.(?:pt|ct|sa|scim|audit|st(?:\.[a-z0-9_-]{2,35})?)\.([A-Za-z0-9]{40,44})"),
    Format("a 1Password service account token", "1Password Developer, Service accounts",
        b"ops_eyj", rb"ops_eyJ([A-Za-z0-9+/_-]{200,2000})"),
    Format("a Postman key", "Postman, API keys",
        b"pmak-", rb"PMAK-([0-9a-f]{24}-[0-9a-f]{34})"),
    # Messages and mail
    Format("a Slack token", "Slack, Token types",
        b"xox xapp-",
        rb"(?:xox[abprs]-(?:[0-9]-)?|xoxe\.xox[bp]-[0-9]-|xoxe-[0-9]-|xapp-[0-9]-)([A-Za-z0-9-]{20,400})"),
    Format("a Slack webhook", "Slack, Sending messages using incoming webhooks",
        b"hooks.slack.com/", rb"hooks\.slack\.com/(?:services/T[A-Z0-9]{6,14}/B[A-Z0-9]{6,14}|workflows/T[A-Z0-9]{6,14}/A[A-Z0-9]{6,14}/[0-9]{10,20}|triggers/[TE][A-Z0-9]{6,14}/[0-9]{8,20})/([A-Za-z0-9]{20,40})"),
    Format("a Microsoft Teams webhook", "Microsoft Teams, Create incoming webhooks",
        b".webhook.office.com/", rb"\.webhook\.office\.com/webhookb2/[0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/([0-9a-f]{32})"),
    Format("a Discord webhook", "Discord, Webhook resource",
        b"/api/webhooks/", rb"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/([A-Za-z0-9_-]{60,80})"),
    Format("a Discord bot token", "Discord, API reference: authentication",
        b"discord", rb"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.([A-Za-z0-9_-]{27,38})(?![_-])"),
    Format("a Telegram bot token", "Telegram Bot API, Authorizing your bot",
        b":aa", rb"[0-9]{8,10}:AA([A-Za-z0-9_-]{33})(?![_-])"),
    Format("a Twilio API key", "Twilio, API keys",
        b"sk", rb"SK([0-9a-f]{32})"),
    Format("a Twilio auth token", "Twilio, Auth tokens and how to change them",
        b"twilio", rb"(?i:twilio[_-]?(?:auth[_-]?token|api[_-]?(?:key[_-]?)?secret))" + _IS + rb"([A-Za-z0-9]{32})(?![0-9A-Za-z])", _assigned),
    Format("a SendGrid key", "Twilio SendGrid, API keys",
        b"sg.", rb"SG\.([A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})(?![_-])"),
    Format("a Mailgun key", "Mailgun, API key roles",
        b"mailgun", rb"(?:key-([0-9a-f]{32})|(?<![0-9a-f-])[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?!-))"),
    Format("a Mailchimp key", "Mailchimp, About API keys",
        b"-us", rb"-us(?<=[0-9a-f]{32}-us)(?<![0-9A-Za-z][0-9a-f]{32}-us)[0-9]{1,2}(?![0-9A-Za-z])", _assigned),
    Format("a Brevo key", "Brevo, Create and manage your API keys",
        b"xkeysib- xsmtpsib-", rb"x(?:key|smtp)sib-([0-9a-f]{64}-[A-Za-z0-9]{16})"),
    # Money and shops
    Format("a Stripe key", "Stripe, API keys",
        b"k_live_", rb"[rs]k_live_([A-Za-z0-9]{24,247})"),
    Format("a Stripe webhook's secret", "Stripe, Verify webhook signatures",
        b"whsec_", rb"whsec_([A-Za-z0-9]{32,64})"),
    Format("a Square token", "Square, Access tokens and other credentials",
        b"sq0atp- sq0csp- eaaa", rb"(?:sq0atp-|sq0csp-|EAAA)([A-Za-z0-9_-]{22,60})(?![_-])"),
    Format("a Shopify token", "Shopify, Access token formats",
        b"shp", rb"shp(?:at|ca|pa|ss)_([0-9a-fA-F]{32})"),
    Format("a PlanetScale credential", "PlanetScale, Service tokens and passwords",
        b"pscale_", rb"pscale_(?:tkn|pw|oauth)_([A-Za-z0-9_.=-]{32,64})"),
    # Models and data
    Format("an OpenAI key", "OpenAI, API keys; GitHub Docs, Supported secret scanning patterns",
        b"t3blbkfj", rb"sk-(?:proj-|svcacct-|admin-)?([A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100})"),
    Format("an OpenAI key", "OpenAI, API keys",
        b"sk-", rb"sk-(?:proj|svcacct|admin)-([A-Za-z0-9_-]{40,200})"),
    Format("an Anthropic key", "Anthropic, API overview: authentication",
        b"sk-ant-", rb"sk-ant-[a-z]{2,9}[0-9]{2}-([A-Za-z0-9_-]{80,120})"),
    Format("a Hugging Face token", "Hugging Face Hub, User access tokens",
        b"hf_ api_org_", rb"(?:hf_|api_org_)([A-Za-z]{34})"),
    Format("a Groq key", "GroqCloud, API keys", b"gsk_", rb"gsk_([A-Za-z0-9]{52})"),
    Format("an xAI key", "xAI, API keys", b"xai-", rb"xai-([A-Za-z0-9]{80})"),
    Format("a Perplexity key", "Perplexity, API keys", b"pplx-", rb"pplx-([A-Za-z0-9]{48})"),
    Format("a Replicate token", "Replicate, API tokens", b"r8_", rb"r8_([A-Za-z0-9]{37})"),
    Format("a Databricks token", "Databricks, Personal access token authentication",
        b"dapi", rb"dapi([0-9a-f]{32})(?:-[0-9])?"),
    Format("a Notion token", "Notion, Authorization: token format",
        b"ntn_", rb"ntn_([0-9]{11}[A-Za-z0-9]{35})"),
    Format("a Linear key", "Linear, API and webhooks", b"lin_api_", rb"lin_api_([A-Za-z0-9]{40})"),
    Format("an Airtable token", "Airtable, Personal access tokens",
        b"pat", rb"pat[A-Za-z0-9]{14}\.([0-9a-f]{64})"),
    Format("a Figma token", "Figma, Personal access tokens",
        b"figd_", rb"figd_([A-Za-z0-9_-]{40,60})"),
    Format("a HubSpot token", "HubSpot, Private app access tokens",
        b"pat-", rb"pat-(?:na|eu|ap)[0-9]-([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"),
    # Passwords, where a format says that it is one
    Format("a password in an address", "RFC 3986, section 3.2.1: user information",
        b"://", rb"""://(?P<user>[^\s/?#@:'"<>\\`{}$()\[\],;|^]{0,100}):(?!//|%[a-z]@)(?P<password>[^\s/?#@:'"<>\\`{}$()\[\],;|^]{5,500})@(?P<host>[A-Za-z0-9.\[\]_-]{1,255})""", _in_address),
    Format("a database's password", "JDBC connection URLs of PostgreSQL, MySQL and SQL Server",
        b"jdbc:", rb"""(?i:jdbc:[a-z0-9]{2,20}:[^\s"'<>]{1,300}?[?;&]password)=([^\s"'<>&;${}]{5,200})""", _password),
    Format("a database's password", "Microsoft ADO.NET, Connection string syntax",
        b"password= pwd=", rb"""(?i:(?:server|data source|host)=(?!localhost|127\.|\(local)[^;"'\r\n]{1,100};(?:[^;"'\r\n]{1,100};){0,8}?(?:password|pwd))=([^\s"';<>${}%#]{5,200})""", _password),
    Format("a password for netrc", "GNU inetutils, The .netrc file",
        b"machine default", rb"(?:machine\s{1,9}\S{1,255}|default)\s{1,9}login\s{1,9}\S{1,255}\s{1,9}password\s{1,9}([^\s${<]{4,255})", _password),
    Format("a database's password", "PostgreSQL, The password file",
        b":", rb"(?m)^(?!#)[^:\s]{1,255}:(?:[0-9]{1,5}|\*):[^:\r\n]{1,64}:[^:\r\n]{1,64}:([^\r\n]{4,200})", _password, r"\.?pgpass(?:\.conf)?"),
    Format("a password among variables", "The Twelve-Factor App, Config; dotenv files",
        b"password passwd secret token api_key private_key",
        rb"""(?im)^(?:export[ ])?[a-z0-9_]{0,60}(?:password|passwd|secret|secret_key|token|api_key|private_key)[ ]?=[ ]?["']?([^\s"'#$<{}/:]{8,200})["']?\s*$""",
        _password, r"\.env(?:\.(?!example|sample|template|dist\b).*)?"),
)  # fmt: skip


class _Ready(NamedTuple):
    row: Format
    words: tuple[bytes, ...]
    pattern: re.Pattern[bytes]


_READY = tuple(
    _Ready(row, tuple(row.words.lower().split(b" ")), re.compile(row.pattern, re.DOTALL))
    for row in FORMATS
)


class Secret(NamedTuple):
    """Where something secret is, and what; never the secret itself."""

    line: int
    what: str


def secrets_in(name: str, data: bytes) -> list[Secret]:
    """Return what is secret in a file, in the order of its lines.

    `name` is the file's own; text is read in UTF-8, and in what a byte order mark says.
    """
    data = _plain(data)
    lowered = data.lower()
    found = {
        Secret(data.count(b"\n", 0, match.start()) + 1, row.what)
        for row, words, pattern in _READY
        if not row.name or re.fullmatch(row.name, name, re.IGNORECASE)
        if any(word in lowered for word in words)
        for match in pattern.finditer(data)
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
            f"one. If it is no secret, name the file with the reason in {_SETTING}.",
        )
    useless = set(allowed) - {path for path, _ in places}
    return [
        f"{_SETTINGS} {_SETTING} {path!r} allows nothing: remove it" for path in sorted(useless)
    ]


def _plain(data: bytes) -> bytes:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    return data.decode(encoding, "replace").encode() if encoding else data
