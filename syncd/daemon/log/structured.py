"""structlog, without what it loads for a console of its own: that is not used, and takes thrice as long as the rest.

It does without these packages if they are not installed. No import finds them while it is loaded, unless they are loaded
already. A verb that draws loads rich before its first event or after its last one.
"""

import sys
from typing import Any

_OF_ITS_CONSOLE = ("colorama", "rich")

_absent: dict[str, Any] = {name: None for name in _OF_ITS_CONSOLE if name not in sys.modules}
sys.modules |= _absent
try:
    import structlog
finally:
    for _name in _absent:
        del sys.modules[_name]

__all__ = ["structlog"]
