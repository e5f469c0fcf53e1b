"""The entry point. `python -m syncd` is `syncd`.

A short run is mostly its imports, which make objects that stay: looking for garbage among them, in the middle and at the
end, takes a quarter of its time.
"""

import gc
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line. An interruption during startup ends it silently."""
    gc.disable()
    try:
        from syncd.cli.app import main as run  # noqa: PLC0415  # after the collector has been stopped
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
