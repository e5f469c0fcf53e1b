"""Faults that syncd does not get over yet, and why: this list is to be emptied."""

from collections.abc import Mapping

_HELPER = (
    "what a credential helper does wrong ends the job as `crashed`, with a traceback and neither profile nor remedy"
)
NOT_YET: Mapping[str, str] = {
    "payloads must be signed": "`endpoints.payload` is no key, so that `check` cannot name it",
    "the bucket demands an encryption header": "`destination.encryption` is no key, so that `check` cannot name it",
    "a private CA that AWS_CA_BUNDLE names": "the runtime that lists and copies is not given the bundle, and waits a minute",
    "sts:TagSession is denied": "a denial names the call, and not the other action that it asks for",
    "a credential helper prints a sentence": _HELPER,
    "a credential helper is not there": _HELPER,
    "a credential helper gives a bad date": _HELPER,
    "a credential helper hangs": _HELPER,
    "a web identity's token file is missing": _HELPER,
    "static keys meet ExpiredToken": "each such object waits two minutes for other keys where there are none",
    "flock answers ENOLCK": "it ends the job as `crashed`, with a traceback",
    "fork answers EAGAIN": "it ends the job as `crashed`, with a traceback",
    "keys were revoked, new ones lie in the same file": "a daemon keeps to the keys of AWS_CONFIG_FILE until it ends",
    "the program starts in 1970 and is then told the time": "a daemon does not tick again once the clock has jumped ahead",
    "the clock jumps ten years ahead": "once the clock is right again, a daemon waits for what it had planned ten years ahead",
    "the clock jumps ten years back": "a daemon does not end within a minute of SIGTERM",
    "the log is stuck": "a log line waits until somebody reads it, and with it the job",
    "nobody reads the log any more": "the first line that cannot be written ends the program without its document",
}
