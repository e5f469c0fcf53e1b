"""The entry point. `python -m syncd` is `syncd`.

A short run is mostly its imports, which make objects that stay. Looking for garbage among them, in the middle and at the
end, would take a quarter of its time. So the collector looks seldom, and at the end not at all. What runs for long has it
look more often once everything is loaded.

In a locale of another encoding than UTF-8, Python is started again in its UTF-8 mode: paths and names in the configuration
are UTF-8 everywhere. What is printed stays in the locale's encoding.
"""

import gc
import os
import sys
from types import ModuleType

_INTERRUPTED = 130
_ALLOCATIONS_TO_A_LOOK = 200_000


def main() -> None:
    """Run the command line. An interruption during startup ends it silently."""
    _use_utf8()
    _use_no_plugins()
    gc.set_threshold(_ALLOCATIONS_TO_A_LOOK)
    try:
        from syncd.cli.app import main as run  # noqa: PLC0415  # after the collector has been told
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    try:
        run()
    finally:
        gc.freeze()


def _use_no_plugins() -> None:
    """Have pydantic look for no plugins: no other package that is installed has a say in the configuration.

    Even then it loads the module that would look for them, and with it what reads the metadata of packages and e-mail. That
    would be a twentieth of `syncd status`, so an empty module stands in for it.
    """
    if os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__") == "__all__":
        loader = ModuleType("pydantic.plugin._loader")
        vars(loader)["get_plugins"] = tuple
        sys.modules[loader.__name__] = loader


def _use_utf8() -> None:
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    printed = sys.stdout or sys.stderr
    if printed is not None:
        os.environ.setdefault("PYTHONIOENCODING", printed.encoding)
    os.environ["PYTHONUTF8"] = "1"  # for the workers
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  # itself


if __name__ == "__main__":
    main()
