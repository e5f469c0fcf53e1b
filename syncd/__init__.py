"""syncd: replicates CloudTrail logs into each consumer account, without gaps and with proof."""

__version__ = "0.1.0"
