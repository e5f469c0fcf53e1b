"""CloudTrail's public keys: when each is valid, and the check of a signature. Pure.

ListPublicKeys gives a key as DER, PKCS#1 or SubjectPublicKeyInfo, valid for 30 days, and a fingerprint, which is the MD5
of the DER. Each region has its own keys.
"""

import binascii
from collections.abc import Iterable, Sequence
from hashlib import md5
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from syncd.verify.rules.digest import Digest
from syncd.verify.rules.verdict import Finding, Flaw

VALIDITY_MARGIN_SECONDS = 2 * 3600.0
"""A digest is signed after its end; AWS's own validator asks for the keys of [start, end + 2 h]."""


class PublicKey(NamedTuple):
    """One key of one region. Times are seconds since the epoch."""

    region: str
    fingerprint: str
    der: bytes
    starts: float
    ends: float


class Keys:
    """The keys that are known, by region and fingerprint."""

    def __init__(self, keys: Iterable[PublicKey] = ()) -> None:
        self._keys: dict[tuple[str, str], PublicKey] = {}
        self.add_all(keys)

    def add_all(self, keys: Iterable[PublicKey]) -> None:
        """Remember several keys. Raises ValueError as `add` does."""
        for key in keys:
            self.add(key)

    def add(self, key: PublicKey) -> None:
        """Remember a key. One that says another content for a fingerprint that is known is refused.

        Raises:
            ValueError: the fingerprint is not the key's, or the key is not RSA.
        """
        if md5(key.der, usedforsecurity=False).hexdigest() != key.fingerprint:
            raise ValueError(f"the public key {key.fingerprint} of {key.region} has another fingerprint than it says")
        _loaded(key)
        known = self._keys.get((key.region, key.fingerprint))
        if known is not None:
            key = key._replace(starts=min(key.starts, known.starts), ends=max(key.ends, known.ends))
        self._keys[key.region, key.fingerprint] = key

    def of(self, region: str) -> Sequence[PublicKey]:
        """Return the keys of a region, the oldest first."""
        return sorted((key for key in self._keys.values() if key.region == region), key=lambda key: key.starts)

    def all(self) -> Sequence[PublicKey]:
        """Return all keys, by region, the oldest first."""
        return sorted(self._keys.values(), key=lambda key: (key.region, key.starts, key.fingerprint))

    def find(self, region: str, fingerprint: str) -> PublicKey | None:
        """Return a key, or None if it is not known."""
        return self._keys.get((region, fingerprint))

    def problem_of(self, digest: Digest, region: str, signature: str, signed_at: float) -> Finding | None:
        """Return what is wrong with a digest's signature, or None if nothing is.

        Args:
            digest: the digest.
            region: the region of its folder.
            signature: hexadecimal, from the object's metadata or from the digest after it.
            signed_at: when it was signed: the end of its span, or its generation if it is a backfill.
        """
        key = self.find(region, digest.fingerprint)
        if key is None:
            return Finding(Flaw.NO_KEY, f"no public key of {region} with the fingerprint {digest.fingerprint} is known")
        first = signed_at - VALIDITY_MARGIN_SECONDS / 2
        if key.ends < min(first, digest.start) or key.starts > signed_at + VALIDITY_MARGIN_SECONDS:
            return Finding(Flaw.KEY_EXPIRED, f"its public key {digest.fingerprint} was not valid at its time")
        try:
            _loaded(key).verify(binascii.unhexlify(signature), digest.signed(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return Finding(Flaw.SIGNATURE_WRONG, f"its signature is not of the key {digest.fingerprint} of {region}")
        except ValueError as error:
            return Finding(Flaw.SIGNATURE_WRONG, f"its signature is not hexadecimal: {error}")
        return None


def _loaded(key: PublicKey) -> RSAPublicKey:
    try:
        loaded = load_der_public_key(key.der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the public key {key.fingerprint} of {key.region} cannot be read: {error}") from None
    if not isinstance(loaded, RSAPublicKey):
        raise ValueError(f"the public key {key.fingerprint} of {key.region} is not RSA")  # noqa: TRY004
    return loaded
