"""Faults of the network, by a proxy before the servers of the job that is hit."""

import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from injection.fault import LOOKING, STREAM, WRITING, Fault, Inject, Met
from injection.proxy import Way, proxy
from injection.scene import MODES, Scene

_BROKEN = frozenset({"connection_failed", "timeout", "unexpected_answer", "server_error"})
_KEYS = {"STS": "endpoints.sts", "the source": "endpoints.s3", "the destination": "endpoints.destination_s3"}
_WAYS = {
    "refuses connections": Way.REFUSE,
    "resets connections": Way.RESET,
    "cuts its answers": Way.CUT,
    "answers no HTTP": Way.GARBAGE,
    "sends drop by drop": Way.DRIP,
    "falls silent": Way.SILENT,
}
# What takes a minute to give up is tried where it matters most.
_SLOW = {Way.SILENT: ("tick", "run")}


def _between(where: str, way: Way) -> Inject:
    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        between = scene.closing.enter_context(proxy(_port(scene)))
        direct = dict.fromkeys(_KEYS.values(), scene.server.url)
        scene.job({**direct, _KEYS[where]: between.url})
        between.treat(way)
        # Nobody can count what a port refuses that is not open.
        yield lambda: between.met or way is Way.REFUSE
        between.treat(Way.PASS)

    return inject


def _port(scene: Scene) -> int:
    return int(scene.server.url.rpartition(":")[2])


def _verbs(where: str, way: Way) -> tuple[str, ...]:
    looks = LOOKING if where != "the destination" and way is Way.RESET else ()
    return _SLOW.get(way, WRITING + looks)


def authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """The certificate of an authority of one's own, and a server that it vouches for at 127.0.0.1."""
    now = dt.datetime.now(dt.UTC)
    key, of_server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of one's own")])

    def signed(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, is_authority: bool) -> bytes:
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
        )
        return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    bundle, chain = folder / "authority.pem", folder / "server.pem"
    bundle.write_bytes(signed(name, key.public_key(), is_authority=True))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    private = of_server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(signed(subject, of_server.public_key(), is_authority=False) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return bundle, context


def _by_tls(*, is_trusted: bool) -> Inject:
    @contextlib.contextmanager
    def inject(scene: Scene) -> Iterator[Met]:
        bundle, context = authority(scene.folder)
        between = scene.closing.enter_context(proxy(_port(scene), tls=context))
        scene.job(dict.fromkeys(_KEYS.values(), between.url))
        if is_trusted:
            scene.environment["AWS_CA_BUNDLE"] = str(bundle)
        yield lambda: between.connections
        scene.environment.clear()
        # The operator gives up TLS; a daemon that runs finds that by its own watch.
        scene.job()

    return inject


WIRE = (
    *(
        Fault(f"{where} {what}", _between(where, way), _BROKEN, _verbs(where, way), STREAM if where == "STS" else MODES)
        for where in _KEYS
        for what, way in _WAYS.items()
    ),
    Fault("a private CA that AWS_CA_BUNDLE names", _by_tls(is_trusted=True)),
    Fault(
        "a certificate that nobody vouches for",
        _by_tls(is_trusted=False),
        _BROKEN | {"certificate_not_trusted", "certificate_untrusted"},
        words=("ertificate",),
    ),
)
