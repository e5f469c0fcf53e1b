"""What the tests of the wire share."""

from pathlib import Path

import pytest
from certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)
