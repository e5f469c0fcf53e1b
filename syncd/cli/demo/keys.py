"""RSA keys for sample digests, derived from a seed. Samples are the same on every machine.

Never use them for anything else: a key derived from a small seed is no secret. CloudTrail signs with RSA-2048 and
exponent 65537, one key pair per region, and publishes the public half as PKCS#1 DER ("Custom implementations of
CloudTrail log file integrity validation" in the CloudTrail user guide).
"""

import hashlib
import random
from dataclasses import dataclass, field
from functools import lru_cache

from awscrt.crypto import RSA, RSASignatureAlgorithm

_EXPONENT = 65537
_PRIME_BITS = 1024
_WITNESSES = 8
_SIEVE_BELOW = 4_000
_LONG_FORM = 0x80


@dataclass(frozen=True)
class SigningKey:
    """An RSA key pair."""

    public_der: bytes
    """RSAPublicKey of PKCS#1, as ListPublicKeys returns it."""
    private_der: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Hex MD5 of the public DER, as in CloudTrail's published sample keys."""
        return hashlib.md5(self.public_der, usedforsecurity=False).hexdigest()

    def sign(self, message: bytes) -> bytes:
        """Return the PKCS#1 v1.5 signature of the message's SHA-256."""
        signer = RSA.new_private_key_from_der_data(self.private_der)
        signature: bytes = signer.sign(RSASignatureAlgorithm.PKCS1_5_SHA256, hashlib.sha256(message).digest())
        return signature


@lru_cache(maxsize=64)
def signing_key(seed: str) -> SigningKey:
    """Return the key pair of a seed. The first call takes some tenths of a second."""
    source = random.Random(seed)  # noqa: S311 samples must be the same each time
    small_primes = _primes_below(_SIEVE_BELOW)
    first, second = _prime(source, small_primes), _prime(source, small_primes)
    modulus = first * second
    secret = pow(_EXPONENT, -1, (first - 1) * (second - 1))
    return SigningKey(
        public_der=_sequence(modulus, _EXPONENT),
        private_der=_sequence(
            0,
            modulus,
            _EXPONENT,
            secret,
            first,
            second,
            secret % (first - 1),
            secret % (second - 1),
            pow(second, -1, first),
        ),
    )


def _prime(source: random.Random, small_primes: list[int]) -> int:
    top_and_odd = (3 << (_PRIME_BITS - 2)) | 1
    while True:
        candidate = source.getrandbits(_PRIME_BITS) | top_and_odd
        if all(candidate % prime for prime in small_primes) and candidate % _EXPONENT != 1:
            witnesses = (source.randrange(2, candidate - 1) for _ in range(_WITNESSES))
            if all(_may_be_prime(candidate, witness) for witness in witnesses):
                return candidate


def _may_be_prime(candidate: int, witness: int) -> bool:
    """Run one round of Miller-Rabin."""
    twos = ((candidate - 1) & -(candidate - 1)).bit_length() - 1
    power = pow(witness, (candidate - 1) >> twos, candidate)
    if power in (1, candidate - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % candidate
        if power == candidate - 1:
            return True
    return False


def _primes_below(limit: int) -> list[int]:
    return [
        number for number in range(3, limit, 2) if all(number % other for other in range(3, int(number**0.5) + 1, 2))
    ]


def _sequence(*numbers: int) -> bytes:
    """Return a DER SEQUENCE of INTEGERs."""
    return _tagged(0x30, b"".join(_tagged(0x02, number.to_bytes(number.bit_length() // 8 + 1)) for number in numbers))


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < _LONG_FORM:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, _LONG_FORM | len(octets)]) + octets + content
