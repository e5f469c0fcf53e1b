"""The formats of policy documents."""

from enum import StrEnum


class Format(StrEnum):
    """The formats of documents."""

    JSON = "json"
    CLOUDFORMATION = "cloudformation"
    TERRAFORM = "terraform"
